"""Requests that wait for somebody until the time for that is over (control-plane §2.13)."""

import sqlalchemy as sa

from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.execution.portions import repeat
from habeas.execution.telling import tell_failed
from habeas.store import requests

_TOO_LATE = "nobody answered in time (retry to ask again)"
_PORTION = 200


def end_waits(context: Context) -> int:
    """End requests in `error` whose time of waiting for a form, rows or a webhook's receiver is over; how many."""

    def end_some(connection: sa.Connection) -> int:
        now = context.clock.now()
        late = requests.waiting_since_before(connection, now, _PORTION)
        ended = requests.transition(
            connection, late, RequestStatus.ERROR, now, failure=_TOO_LATE, finished_at=now, waits_until=None
        )
        tell_failed(context, connection, ended)
        return len(ended)

    return repeat(context, end_some)
