"""Who is told that a request has ended: the person when it is complete, the staff when it is in error."""

from collections.abc import Sequence

import sqlalchemy as sa

from habeas.domain.message import Channel, Event
from habeas.domain.request import LogStatus
from habeas.execution.context import Context
from habeas.execution.outbox import enqueue, enqueue_staff, entry_of, open_channels
from habeas.planning.plan import Plan
from habeas.store import journal, messages


def tell_completed(context: Context, connection: sa.Connection, plan: Plan, request_ids: Sequence[str]) -> None:
    """Put completion messages into the outbox, in the transaction that completes the requests.

    Whoever cannot be reached is passed over with a row in the log: their request is complete all the same (G29).
    """
    events = [Event.ACCESS_COMPLETE] * bool(plan.access) + [Event.DELETION_COMPLETE] * plan.erases
    for event in events:
        channels = open_channels(context, connection, event) if request_ids else frozenset()
        if not channels:
            continue
        told = set(enqueue(context, connection, event, request_ids, channels=channels))
        passed_over = [request_id for request_id in request_ids if request_id not in told]
        entry = entry_of(event, LogStatus.SKIPPED, "the person cannot be reached by a provider that is active")
        journal.log_requests(connection, passed_over, entry, context.clock.now())


def tell_failed(context: Context, connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """Record that requests ended in `error`, and mail the staff if it is time to (G47); in that transaction."""
    now = context.clock.now()
    messages.add_failures(connection, request_ids, now)
    notice = messages.find_staff_notice(connection, context.ledger.sealer) if request_ids else None
    if notice is None or Channel.EMAIL not in open_channels(context, connection, Event.ERRORS):
        return
    addresses, threshold = notice
    count = messages.report_failures(connection, threshold, now)
    if count:
        enqueue_staff(context, connection, Event.ERRORS, addresses, {"count": count})
