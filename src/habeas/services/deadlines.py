"""Deadlines of a request: set when it is submitted, extended once, and standing still while the person is asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.errors import Conflict, InputError, NotFound
from habeas.domain.policy import Policy
from habeas.domain.regulation import Regulation
from habeas.domain.request import TERMINAL
from habeas.execution.context import Context
from habeas.services.regulations import find_notice_by, find_regulation
from habeas.services.request_views import RequestView, show_requests
from habeas.store import journal
from habeas.store import requests as store
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What counts for a request from its submission on; a later change of the policy has no effect."""

    due_at: datetime | None
    acknowledge_by: datetime | None = None
    regulation: str | None = None


def set_deadlines(context: Context, policy: Policy, received: datetime) -> Deadlines:
    """Deadlines of a request under a policy: the earlier of its regulation's and its own timeframe's.

    Raises InputError when the policy names a regulation that is not there any more, or no calendar goes so far.
    """
    try:
        own = received + timedelta(days=policy.execution_timeframe) if policy.execution_timeframe else None
        if policy.regulation is None:
            return Deadlines(own)
        regulation = find_regulation(context, policy.regulation)
        legal = regulation.due_at(received)
        return Deadlines(min(own or legal, legal), regulation.acknowledge_by(received), regulation.key)
    except NotFound as error:
        raise InputError(f"policy {policy.key!r}: {error.message}", hint=error.hint) from None
    except (OverflowError, ValueError):
        raise InputError("requested_at is too late for a deadline after it") from None


def extend(context: Context, request_id: str, reason: str) -> RequestView:
    """Move the deadline to the regulation's extended one. Telling the person is the caller's duty.

    Raises NotFound; InputError when there is no regulation or it knows no extension, or the day by which the person
    had to be told is over; Conflict when it was extended before or has ended.
    """
    with context.ledger.write() as connection:
        record, now = _find_open(connection, request_id), context.clock.now()
        regulation = _regulation_of(context, record)
        due_at, notice_by = regulation.extended_due_at(record.requested_at), find_notice_by(regulation, record, now)
        if due_at is None or notice_by is None:
            raise InputError(f"regulation {regulation.key!r} knows no extension")
        if record.extended_at is not None:
            raise Conflict("the deadline was extended before", hint="there is one extension")
        if now.date() > notice_by.date():
            raise InputError(f"it could be extended until {notice_by.date()}, when the person had to be told")
        due_at = max(due_at + timedelta(seconds=record.clock_stood), record.due_at)
        values = {"extended_at": now, "due_at": due_at}
        return _change(context, connection, request_id, values, AuditAction.EXTENDED, reason)


def stop_clock(context: Context, request_id: str, reason: str) -> RequestView:
    """The person is asked for clarification: from now on time does not count.

    Raises NotFound; InputError when there is no deadline or its regulation does not let it stand still; Conflict when
    it does so already, or the request has ended.
    """
    with context.ledger.write() as connection:
        record = _find_open(connection, request_id)
        if record.due_at is None:
            raise InputError("this request has no deadline", hint="give its policy a regulation")
        if record.regulation is not None and not _regulation_of(context, record).clarification_stops_clock:
            raise InputError(f"under regulation {record.regulation!r} the clock goes on while the person is asked")
        if record.clock_stopped_at is not None:
            raise Conflict("the clock is stopped already")
        values = {"clock_stopped_at": context.clock.now()}
        return _change(context, connection, request_id, values, AuditAction.CLOCK_STOPPED, reason)


def start_clock(context: Context, request_id: str) -> RequestView:
    """The person has answered: the deadline moves on by the time that the clock stood.

    Raises NotFound; Conflict when it goes, or the request has ended.
    """
    with context.ledger.write() as connection:
        record, now = _find_open(connection, request_id), context.clock.now()
        if record.clock_stopped_at is None:
            raise Conflict("the clock is not stopped")
        stood = max(now - record.clock_stopped_at, timedelta())
        values = {
            "clock_stopped_at": None,
            "clock_stood": record.clock_stood + round(stood.total_seconds()),
            "due_at": record.due_at + stood,
        }
        said = f"it stood for {stood.days} days"
        return _change(context, connection, request_id, values, AuditAction.CLOCK_STARTED, said)


def _change(
    context: Context,
    connection: sa.Connection,
    request_id: str,
    values: dict[str, Any],
    action: AuditAction,
    message: str,
) -> RequestView:
    now = context.clock.now()
    store.change_request(connection, request_id, values, now)
    journal.audit(connection, context.ledger.sealer, [request_id], context.actor, action, now, message)
    return show_requests(context, connection, [request_id])[request_id]


def _find_open(connection: sa.Connection, request_id: str) -> Record:
    """The request, locked. Raises NotFound, and Conflict when it has ended."""
    record = store.lock_request(connection, request_id)
    if record is None:
        raise NotFound(f"there is no privacy request {request_id[:64]!r}")
    if record.status in TERMINAL:
        raise Conflict(f"the request has ended: its status is {record.status}")
    return record


def _regulation_of(context: Context, record: Record) -> Regulation:
    if record.regulation is None:
        raise InputError("no regulation counts for this request", hint="give its policy one; later requests have it")
    return find_regulation(context, record.regulation)
