"""Requests that wait for somebody until the time for that is over (control-plane §2.13)."""

from datetime import timedelta

import sqlalchemy as sa

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.execution.ending import end
from habeas.execution.portions import repeat
from habeas.execution.telling import tell_failed
from habeas.store import journal, requests

_TOO_LATE = "nobody answered in time (retry to ask again)"
_UNPROVED = "nobody proved in time whose request it is"
_PORTION = 200


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
