"""Ending to ask people about collections that only they can look into."""

from collections.abc import Sequence

import sqlalchemy as sa

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.store import journal, requests
from habeas.store import manual_collections as store

_PORTION = 500


def let_go(context: Context, connection: sa.Connection, key: str, datasets: Sequence[str]) -> None:
    """Let requests go on that wait for nothing but answers about the datasets of a connection that ends asking.

    What was answered about them stays. Wake the dispatcher afterwards.
    """
    now = context.clock.now()
    held = store.lock_waiting(connection, datasets) if datasets else []
    for start in range(0, len(held), _PORTION):
        portion = held[start : start + _PORTION]
        lacking = store.withdraw(connection, portion, datasets)
        ready = [request_id for request_id in portion if request_id not in lacking]
        freed = requests.send_on(connection, ready, RequestStatus.PAUSED, now)
        reason = f"{key} asks for nothing any more"
        journal.audit(connection, context.ledger.sealer, freed, SYSTEM, AuditAction.RESUMED, now, reason)
