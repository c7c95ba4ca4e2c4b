"""Requests as CSV (control-plane §1.4.5): what a listing finds, one line each, read and sent in portions.

Cells that a spreadsheet would take for formulas are guarded (`delivery.csv_cells`).
"""

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from habeas.delivery.csv_cells import write_line
from habeas.domain.audit import AuditAction
from habeas.domain.errors import InputError
from habeas.domain.identity import Identity
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.services.request_search import Order, RequestFilter, find_ids
from habeas.store import configurations, journal
from habeas.store import requests as store
from habeas.store.configurations import Record

COLUMNS = (
    *("Status", "Request Type", "Time Received", "Deadline", "Reviewed By", "Request ID", "Time Approved/Denied"),
    *("Denial Reason", "Last Updated", "Completed On", "Policy Key", "External ID", "Regulation", "Duplicate Of"),
)
_AT_ONCE = 500


def write_requests(context: Context, wanted: RequestFilter, order: Order, *, with_identities: bool) -> Iterator[bytes]:
    """The lines of every request that matches, blocks of them; with a column per kind of identity if asked for.

    Raises InputError, before the first block, for a filter that makes no sense and when there are more requests than
    `reports.max_csv_rows`.
    """
    most = context.settings.reports.max_csv_rows
    with context.ledger.read() as connection:
        ids = find_ids(context, connection, wanted, order, most + 1)
        kinds = sorted(store.known_kinds(connection)) if with_identities else []
    if len(ids) > most:
        raise InputError(
            f"more than {most} requests match", hint="narrow the filter, or raise reports.max_csv_rows in the settings"
        )
    return _write(context, ids, kinds)


def _write(context: Context, ids: Sequence[str], kinds: Sequence[str]) -> Iterator[bytes]:
    yield write_line((*COLUMNS, *kinds))
    for start in range(0, len(ids), _AT_ONCE):
        portion = ids[start : start + _AT_ONCE]
        with context.ledger.read() as connection:
            records = {record.id: record for record in store.find_requests(connection, portion)}
            types = _types(connection, {record.policy_key for record in records.values()})
            denied = [record.id for record in records.values() if record.status == RequestStatus.DENIED]
            reasons = journal.messages_of(connection, denied, AuditAction.DENIED)
            people = store.identities_of(connection, context.ledger.sealer, portion) if kinds else {}
        yield b"".join(
            write_line(
                (
                    *_cells(records[one], types[records[one].policy_key], reasons.get(one)),
                    *_identity_cells(people.get(one, ()), kinds),
                )
            )
            for one in portion
            if one in records
        )


def _cells(record: Record, types: str, reason: str | None) -> tuple[object, ...]:
    return (
        record.status,
        types,
        record.requested_at,
        None if record.due_at is None else record.due_at.date(),
        record.reviewed_by,
        record.id,
        record.reviewed_at,
        reason,
        record.updated_at,
        record.finished_at if record.status == RequestStatus.COMPLETE else None,
        record.policy_key,
        record.external_id,
        record.regulation,
        record.duplicate_of,
    )


def _identity_cells(identities: Sequence[Identity], kinds: Sequence[str]) -> Iterator[object]:
    given: Mapping[str, Identity] = {identity.kind: identity for identity in identities}
    for kind in kinds:
        values = given[kind].values if kind in given else ()
        yield None if not values else values[0] if len(values) == 1 else list(values)


def _types(connection: sa.Connection, policies: set[str]) -> dict[str, str]:
    """The actions of each policy's rules, e.g. `access, erasure`."""
    found = configurations.actions_of(connection, policies)
    return {key: ", ".join(sorted(found.get(key, ()))) for key in policies}
