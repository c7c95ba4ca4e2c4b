"""The audit log: who did what to which object, and the proof that nothing of it was altered (`store.audit_log`).

Entries hold ids, names and counts, and reasons that staff gave; the class of an address, never the address.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.delivery.csv_cells import write_line
from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotFound
from habeas.execution.context import Context
from habeas.services.bulk import Listing
from habeas.store import audit_log, journal
from habeas.store.audit_log import Head
from habeas.store.configurations import Record
from habeas.store.tables import audits

COLUMNS = ("Position", "Time", "Action", "Object Kind", "Object ID", "Actor Kind", "Actor", "Origin", "Message")
_AT_ONCE = 1000
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; what is not given does not narrow. `begin` and `end` are exclusive."""

    object_kind: ObjectKind | None = None
    object_id: str | None = None
    actor: str | None = None
    actor_kind: ActorKind | None = None
    action: AuditAction | None = None
    begin: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditView:
    """An entry, as it stands in the ledger. `position` is its place in the chain, null for a moment until it is linked.

    What somebody has written into the ledger may be anything: `created_at` is null where no time stands.
    """

    position: int | None
    created_at: datetime | None
    action: str
    object_kind: str
    object_id: str
    actor: str
    actor_kind: str | None
    origin: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What the chain says: how many entries it holds, how many wait to be linked, its head, and what is wrong."""

    entries: int
    unlinked: int
    head: Head | None
    problems: tuple[str, ...]


def record(
    context: Context,
    connection: sa.Connection,
    action: AuditAction,
    kind: ObjectKind,
    *ids: str,
    message: str = "",
    by: Actor | None = None,
) -> None:
    """Write down what is being done to these objects, with it, by the caller unless said otherwise."""
    actor = by or context.actor
    journal.audit(connection, context.ledger.sealer, ids, actor, action, context.clock.now(), message, kind)


def list_entries(context: Context, wanted: AuditFilter, page: int, size: int) -> Listing[AuditView]:
    """One page of entries, newest first."""
    conditions = _conditions(wanted)
    with context.ledger.read() as connection:
        rows = audit_log.list_entries(connection, conditions, size, (page - 1) * size)
        total = audit_log.count_entries(connection, conditions)
    return Listing([_show(row) for row in rows], total, page, size)


def write_entries(context: Context, wanted: AuditFilter) -> Iterator[bytes]:
    """Every entry that matches as CSV, newest first, in blocks; cells that a spreadsheet would run are guarded."""
    yield write_line(COLUMNS)
    below: int | None = None
    while True:
        conditions = _conditions(wanted) + ([] if below is None else [audits.c.id < below])
        with context.ledger.read() as connection:
            rows = audit_log.list_entries(connection, conditions, _AT_ONCE)
        yield b"".join(write_line(_cells(row)) for row in rows)
        if len(rows) < _AT_ONCE:
            return
        below = rows[-1].id


def read_head(context: Context) -> Head:
    """The head of the chain, to be written down where who can write into the ledger cannot. Raises NotFound."""
    with context.ledger.read() as connection:
        head = audit_log.read_head(connection)
    if head is None:
        raise NotFound("no entry of the audit log is linked yet", hint="ask again in a minute")
    return head


def parse_head(text: str) -> Head:
    """Read `position:digest`. Raises InputError."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{24})", text.strip())
    if found is None:
        raise InputError("this is no head of an audit log", hint="write it as `habeas audit head` did, position:digest")
    return Head(int(found[1]), found[2])


def verify(context: Context, published: Sequence[Head] = ()) -> Verification:
    """Walk the chain from its first entry; with heads that were written down before, whether it is that one."""
    sealer, heads = context.ledger.sealer, defaultdict[int, set[Head]](set)
    for head in published:
        heads[head.position].add(head)
    problems: list[str] = []
    position, before = 0, b""
    with context.ledger.read() as connection:
        end = audit_log.read_end(connection)
        ends = end == audit_log.seal_end(sealer, position, before)
        for row in audit_log.linked_entries(connection):
            if not isinstance(row.position, int) or row.position <= position:  # SQLite takes text for a number
                problems.append(f"entry {row.position} stands where none was written")
                continue
            if row.position != position + 1:
                problems.append(f"{_span(position + 1, row.position - 1)} missing")
            position = row.position
            is_linked = row.link is not None and audit_log.make_link(sealer, before, position, row) == row.link
            if not (is_linked and audit_log.is_sealed(sealer, row)):  # else its seal may be that of a copy
                problems.append(f"entry {position} is not what was written, or not what came after the entry before")
            before = row.link or b""
            ends |= end == audit_log.seal_end(sealer, position, before)
            if heads.pop(position, set()) - {audit_log.head_of(position, before)}:
                problems.append(f"entry {position} has another digest than a head that was written down")
        unlinked = forged = 0
        for row in audit_log.unlinked_entries(connection):
            unlinked += 1
            forged += not audit_log.is_sealed(sealer, row)
    if heads:
        problems.append(f"{_span(position + 1, max(heads))} missing at the end")
    if not ends:
        problems.append("the log does not end where it was left")
    if forged:
        problems.append(f"unlinked entries that are not what was written: {forged}")
    shown = problems[:_MOST_FINDINGS]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    last = audit_log.head_of(position, before) if position else None
    return Verification(position, unlinked, last, tuple(shown))


def _span(first: int, last: int) -> str:
    return f"entry {first} is" if last <= first else f"entries {first} to {last} are"


def _conditions(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    columns = audits.c
    equal = (
        (columns.object_kind, wanted.object_kind),
        (columns.object_id, wanted.object_id),
        (columns.actor, wanted.actor),
        (columns.actor_kind, wanted.actor_kind),
        (columns.action, wanted.action),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.begin is not None:
        conditions.append(columns.created_at > wanted.begin)
    if wanted.end is not None:
        conditions.append(columns.created_at < wanted.end)
    return conditions


def _show(row: Record) -> AuditView:
    return AuditView(
        row.position,
        row.created_at,
        row.action,
        row.object_kind,
        row.object_id,
        row.actor,
        row.actor_kind,
        row.origin,
        row.message,
    )


def _cells(row: Record) -> tuple[object, ...]:
    place = (row.object_kind, row.object_id, row.actor_kind, row.actor, row.origin, row.message)
    return (row.position, row.created_at, row.action, *place)
