"""Finding privacy requests: what a listing asks for, and in which order (control-plane §1.4.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from habeas.domain.errors import InputError
from habeas.domain.identity import Identity, normalise
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.context import Context
from habeas.services.bulk import Listing, refuse_nul
from habeas.services.request_views import IdentityShape, RequestView, show_requests
from habeas.store import requests as store
from habeas.store.tables import requests as table


@dataclass(frozen=True, slots=True)
class Span:
    """Moments later than `after` and earlier than `before`, neither included; None leaves that side open."""

    after: datetime | None = None
    before: datetime | None = None


_ALWAYS = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """What a listing asks for; None or empty means any.

    `request_id` and `external_id` match by case-insensitive prefix. `action_types`: the policy has a rule of one of
    these now. `completed` and `errored` are when processing ended, and imply the status. Overdue: not ended, and due
    before today, of a stopped clock before the day when it was stopped. `has_duplicates`: later ones point to it.
    `identities`: any of these values, each of its own kind.
    """

    id: str | None = None
    request_id: str | None = None
    external_id: str | None = None
    status: tuple[RequestStatus, ...] = ()
    policy_key: str | None = None
    identity: str | None = None
    identities: tuple[Identity, ...] = ()
    action_types: tuple[ActionType, ...] = ()
    created: Span = _ALWAYS
    started: Span = _ALWAYS
    completed: Span = _ALWAYS
    errored: Span = _ALWAYS
    regulation: str | None = None
    is_overdue: bool | None = None
    duplicate_of: str | None = None
    has_duplicates: bool | None = None


class SortField(StrEnum):
    """What a listing is sorted by: what is shown of a request, under the same name."""

    ID = "id"
    STATUS = "status"
    EXTERNAL_ID = "external_id"
    CREATED_AT = "created_at"
    REQUESTED_AT = "requested_at"
    STARTED_PROCESSING_AT = "started_processing_at"
    FINISHED_PROCESSING_AT = "finished_processing_at"
    REVIEWED_AT = "reviewed_at"
    REVIEWED_BY = "reviewed_by"
    IDENTITY_VERIFIED_AT = "identity_verified_at"
    PAUSED_AT = "paused_at"
    DUE_DATE = "due_date"
    DAYS_LEFT = "days_left"
    REGULATION = "regulation"
    ACKNOWLEDGE_BY = "acknowledge_by"
    EXTENDED_AT = "extended_at"
    CLOCK_STOPPED_AT = "clock_stopped_at"
    DUPLICATE_OF = "duplicate_of"
    FAILURE = "failure"
    CANCEL_REASON = "cancel_reason"


_COLUMNS: Mapping[SortField, sa.Column[Any]] = {
    SortField.ID: table.c.id,
    SortField.STATUS: table.c.status,
    SortField.EXTERNAL_ID: table.c.external_id,
    SortField.CREATED_AT: table.c.created_at,
    SortField.REQUESTED_AT: table.c.requested_at,
    SortField.STARTED_PROCESSING_AT: table.c.started_at,
    SortField.FINISHED_PROCESSING_AT: table.c.finished_at,
    SortField.REVIEWED_AT: table.c.reviewed_at,
    SortField.REVIEWED_BY: table.c.reviewed_by,
    SortField.IDENTITY_VERIFIED_AT: table.c.identity_verified_at,
    SortField.PAUSED_AT: table.c.paused_at,
    SortField.DUE_DATE: table.c.due_at,
    SortField.DAYS_LEFT: table.c.due_at,
    SortField.REGULATION: table.c.regulation,
    SortField.ACKNOWLEDGE_BY: table.c.acknowledge_by,
    SortField.EXTENDED_AT: table.c.extended_at,
    SortField.CLOCK_STOPPED_AT: table.c.clock_stopped_at,
    SortField.DUPLICATE_OF: table.c.duplicate_of,
    SortField.FAILURE: table.c.failure,
    SortField.CANCEL_REASON: table.c.cancel_reason,
}


@dataclass(frozen=True, slots=True)
class Order:
    """Requests without a value come last in both directions."""

    field: SortField = SortField.CREATED_AT
    ascending: bool = False


def list_requests(
    context: Context,
    wanted: RequestFilter,
    order: Order,
    page: int,
    size: int,
    identities: IdentityShape | None = None,
    *,
    verbose: bool = False,
) -> Listing[RequestView]:
    """One page of the requests that match every part of the filter.

    Raises InputError when a span ends before it begins, both `completed` and `errored` are asked for, or text holds a
    NUL.
    """
    _check(wanted)
    column = _COLUMNS[order.field]
    with context.ledger.read() as connection:
        conditions = _conditions(context, connection, wanted)
        records, total = store.list_requests(connection, conditions, column, order.ascending, page, size)
        ids = [record.id for record in records]
        views = show_requests(context, connection, ids, identities, verbose=verbose)
        return Listing([views[request_id] for request_id in ids], total, page, size)


def find_ids(context: Context, connection: sa.Connection, wanted: RequestFilter, order: Order, limit: int) -> list[str]:
    """Ids of the requests that match, in order, at most `limit`. Raises InputError as `list_requests` does."""
    _check(wanted)
    conditions = _conditions(context, connection, wanted)
    return store.list_ids(connection, conditions, _COLUMNS[order.field], order.ascending, limit)


def _check(wanted: RequestFilter) -> None:
    refuse_nul(wanted)
    for name in ("created", "started", "completed", "errored"):
        span: Span = getattr(wanted, name)
        if span.after is not None and span.before is not None and span.before < span.after:
            raise InputError(f"{name}_lt lies before {name}_gt", hint="give the later moment as _lt")
    if wanted.completed != _ALWAYS and wanted.errored != _ALWAYS:
        raise InputError("both completed_… and errored_… are given", hint="no request is both: ask for one of them")


def _conditions(context: Context, connection: sa.Connection, wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    conditions = [*_within(table.c.created_at, wanted.created), *_within(table.c.started_at, wanted.started)]
    for status, span in ((RequestStatus.COMPLETE, wanted.completed), (RequestStatus.ERROR, wanted.errored)):
        if span != _ALWAYS:
            conditions += [table.c.status == status, *_within(table.c.finished_at, span)]
    if wanted.id is not None:
        conditions.append(table.c.id == wanted.id)
    for column, prefix in ((table.c.id, wanted.request_id), (table.c.external_id, wanted.external_id)):
        if prefix is not None:
            conditions.append(column.istartswith(prefix, autoescape=True))
    if wanted.status:
        conditions.append(table.c.status.in_(wanted.status))
    if wanted.action_types:
        conditions.append(store.has_action(wanted.action_types))
    for column, value in (
        (table.c.policy_key, wanted.policy_key),
        (table.c.regulation, wanted.regulation),
        (table.c.duplicate_of, wanted.duplicate_of),
    ):
        if value is not None:
            conditions.append(column == value)
    for condition, asked in (
        (store.is_overdue(context.clock.now()), wanted.is_overdue),
        (store.has_duplicates(), wanted.has_duplicates),
    ):
        if asked is not None:
            conditions.append(condition if asked else ~condition)
    if wanted.identity is not None:
        hashes = _hashes(context, store.known_kinds(connection), wanted.identity)
        conditions.append(store.has_identity(list(hashes)))
    if wanted.identities:
        index = context.ledger.sealer.index
        values = [(identity.kind, value) for identity in wanted.identities for value in identity.values]
        conditions.append(store.has_identity([index(kind, str(normalise(kind, value))) for kind, value in values]))
    return conditions


def _within(column: sa.Column[Any], span: Span) -> list[sa.ColumnElement[bool]]:
    later = [] if span.after is None else [column > span.after]
    return later if span.before is None else [*later, column < span.before]


def _hashes(context: Context, kinds: Sequence[str], value: str) -> set[bytes]:
    """Keyed hashes of a value under every kind it can be one of."""
    found = set()
    for kind in kinds:
        try:
            found.add(context.ledger.sealer.index(kind, str(normalise(kind, value))))
        except InputError:
            continue
    return found
