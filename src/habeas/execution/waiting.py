"""Requests that wait for somebody, until nobody asks any more or the time for it is over (control-plane §2.13)."""

from collections.abc import Callable, Container, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import sqlalchemy as sa

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.execution.ending import end
from habeas.execution.manual_webhooks import awaited_forms
from habeas.execution.portions import repeat
from habeas.execution.telling import tell_failed
from habeas.store import journal, manual_collections, manual_webhooks, requests

_TOO_LATE = "nobody answered in time (retry to ask again)"
_UNPROVED = "nobody proved in time whose request it is"
_PORTION = 200

FindLacking: TypeAlias = Callable[[sa.Connection, Sequence[str]], Container[str]]
"""Those of some requests that wait for something else still."""


def let_go(context: Context, connection: sa.Connection, key: str, datasets: Sequence[str] = ()) -> None:
    """Let requests go on that wait for people at this connection alone, in the transaction in which it ends asking.

    That is for its form, and for what they find or erase in its `datasets`; what was answered stays. Wake the
    dispatcher afterwards.
    """
    held = manual_webhooks.lock_waiting(connection, key)
    _let_go(context, connection, key, held, RequestStatus.REQUIRES_INPUT, awaited_forms)
    if datasets:
        held = manual_collections.lock_waiting(connection, datasets)
        withdraw = partial(manual_collections.withdraw, datasets=datasets)
        _let_go(context, connection, key, held, RequestStatus.PAUSED, withdraw)


def _let_go(
    context: Context,
    connection: sa.Connection,
    key: str,
    held: Sequence[str],
    status: RequestStatus,
    find_lacking: FindLacking,
) -> None:
    now = context.clock.now()
    for start in range(0, len(held), _PORTION):
        portion = held[start : start + _PORTION]
        lacking = find_lacking(connection, portion)
        ready = [request_id for request_id in portion if request_id not in lacking]
        freed = requests.send_on(connection, ready, status, now)
        reason = f"{key} asks for nothing any more"
        journal.audit(connection, context.ledger.sealer, freed, SYSTEM, AuditAction.RESUMED, now, reason)


def end_waits(context: Context) -> int:
    """End requests in `error` whose time of waiting for a form, rows or a webhook's receiver is over; how many.

    Those whose person has not sent a code back in such a time are cancelled.
    """
    patience = timedelta(seconds=context.settings.execution.answer_ttl_seconds)

    def cancel_some(connection: sa.Connection) -> int:
        now = context.clock.now()
        late = requests.unproved_since_before(connection, now - patience, _PORTION)
        canceled = end(connection, late, RequestStatus.CANCELED, now, cancel_reason=_UNPROVED)
        journal.audit(connection, context.ledger.sealer, canceled, SYSTEM, AuditAction.CANCELED, now, _UNPROVED)
        return len(canceled)

    def end_some(connection: sa.Connection) -> int:
        now = context.clock.now()
        late = requests.waiting_since_before(connection, now, _PORTION)
        ended = requests.transition(
            connection, late, RequestStatus.ERROR, now, failure=_TOO_LATE, finished_at=now, waits_until=None
        )
        tell_failed(context, connection, ended)
        return len(ended)

    return repeat(context, end_some) + repeat(context, cancel_some)
