"""Use cases of staff who decide about requests: approve, deny, cancel. One transaction decides about 50 at most.

Every decision is a compare-and-set on the status: of several at once one counts, and the others are told.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.message import Event
from habeas.domain.request import RequestStatus, sources_of
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.services.bulk import BulkResult, Failure
from habeas.services.request_views import RequestView, show_requests
from habeas.services.selection import Chosen, act_on
from habeas.store import journal, runs, verifications
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
        values = {"reviewed_at": now, "reviewed_by": context.actor.id}
        approved = _move(context, connection, request_ids, RequestStatus.APPROVED, values)
        journal.audit(connection, context.ledger.sealer, approved, context.actor, AuditAction.APPROVED, now)
        outbox.enqueue(context, connection, Event.APPROVED, approved)
        return _show(context, connection, request_ids, approved, RequestStatus.APPROVED)


def _deny(context: Context, reason: str, request_ids: Sequence[str]) -> Decisions:
    now = context.clock.now()
    with context.ledger.write() as connection:
        values = {"reviewed_at": now, "reviewed_by": context.actor.id}
        denied = _end(context, connection, request_ids, RequestStatus.DENIED, values)
        journal.audit(connection, context.ledger.sealer, denied, context.actor, AuditAction.DENIED, now, reason)
        variables = {request_id: {"reason": reason} for request_id in denied}
        outbox.enqueue(context, connection, Event.DENIED, denied, variables)
        return _show(context, connection, request_ids, denied, RequestStatus.DENIED)


def _cancel(context: Context, reason: str, request_ids: Sequence[str]) -> Decisions:
    now = context.clock.now()
    with context.ledger.write() as connection:
        values = {"cancel_reason": reason or None}
        canceled = _end(context, connection, request_ids, RequestStatus.CANCELED, values)
        runs.leave_all(connection, canceled)
        journal.audit(connection, context.ledger.sealer, canceled, context.actor, AuditAction.CANCELED, now, reason)
        return _show(context, connection, request_ids, canceled, RequestStatus.CANCELED)


def _end(
    context: Context, connection: sa.Connection, request_ids: Sequence[str], to: RequestStatus, values: dict[str, Any]
) -> list[str]:
    """Move requests to where nothing follows, without what only carrying them out would need."""
    values |= {"finished_at": context.clock.now(), "waits_until": None, "sealed_encryption_key": None}
    ended = _move(context, connection, request_ids, to, values)
    store.forget_secrets(connection, ended)
    verifications.forget_codes(connection, ended)
    return ended


def _move(
    context: Context, connection: sa.Connection, request_ids: Sequence[str], to: RequestStatus, values: dict[str, Any]
) -> list[str]:
    return store.transition(connection, request_ids, to, context.clock.now(), **values)


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
