"""Use cases of staff who decide about requests: approve, deny, cancel. One transaction decides about 50 at most.

Every decision is a compare-and-set on the status: of several at once one counts, and the others are told.
"""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.message import Event
from habeas.domain.request import RequestStatus, sources_of
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.execution.ending import end
from habeas.services.bulk import BulkResult, Failure
from habeas.services.request_views import RequestView, show_requests
from habeas.services.selection import Chosen, act_on
from habeas.store import journal, runs
from habeas.store import requests as store

Decisions: TypeAlias = BulkResult[RequestView]
"""The requests decided upon, and those that could not be, each once."""


def approve(context: Context, chosen: Chosen) -> Decisions:
    """Let requests that await review be carried out."""
    to = RequestStatus.APPROVED
    decisions = act_on(context, chosen, sources_of(to), partial(_approve, context))
    context.wake()
    return decisions


def deny(context: Context, chosen: Chosen, reason: str = "") -> Decisions:
    """End requests that await review; the reason is kept in the audit log."""
    return act_on(context, chosen, sources_of(RequestStatus.DENIED), partial(_deny, context, reason))


def cancel(context: Context, chosen: Chosen, reason: str = "") -> Decisions:
    """End requests that are not over yet, also those in `error`.

    One that is being carried leaves its run: what is asked of a store or written there at this moment is let finish,
    nothing follows, and what was masked stays masked.
    """
    return act_on(context, chosen, sources_of(RequestStatus.CANCELED), partial(_cancel, context, reason))


def _approve(context: Context, request_ids: Sequence[str]) -> Decisions:
    now = context.clock.now()
    with context.ledger.write() as connection:
        by, to = context.actor.id, RequestStatus.APPROVED
        approved = store.transition(connection, request_ids, to, now, reviewed_at=now, reviewed_by=by)
        journal.audit(connection, context.ledger.sealer, approved, context.actor, AuditAction.APPROVED, now)
        outbox.enqueue(context, connection, Event.APPROVED, approved)
        return _show(context, connection, request_ids, approved, RequestStatus.APPROVED)


def _deny(context: Context, reason: str, request_ids: Sequence[str]) -> Decisions:
    now = context.clock.now()
    with context.ledger.write() as connection:
        by = context.actor.id
        denied = end(connection, request_ids, RequestStatus.DENIED, now, reviewed_at=now, reviewed_by=by)
        journal.audit(connection, context.ledger.sealer, denied, context.actor, AuditAction.DENIED, now, reason)
        variables = {request_id: {"reason": reason} for request_id in denied}
        outbox.enqueue(context, connection, Event.DENIED, denied, variables)
        return _show(context, connection, request_ids, denied, RequestStatus.DENIED)


def _cancel(context: Context, reason: str, request_ids: Sequence[str]) -> Decisions:
    now = context.clock.now()
    with context.ledger.write() as connection:
        canceled = end(connection, request_ids, RequestStatus.CANCELED, now, cancel_reason=reason or None)
        runs.leave_all(connection, canceled)
        journal.audit(connection, context.ledger.sealer, canceled, context.actor, AuditAction.CANCELED, now, reason)
        return _show(context, connection, request_ids, canceled, RequestStatus.CANCELED)


def _show(
    context: Context, connection: sa.Connection, request_ids: Sequence[str], moved: Sequence[str], to: RequestStatus
) -> Decisions:
    views = show_requests(context, connection, request_ids)
    failures = []
    for request_id in request_ids:
        view = views.get(request_id)
        if view is None:
            failures.append(Failure("there is no such privacy request", {"privacy_request_id": request_id}))
        elif request_id not in moved:
            failures.append(Failure(f"the request cannot be {to}: its status is {view.status}", view))
    return BulkResult([views[request_id] for request_id in request_ids if request_id in moved], failures)
