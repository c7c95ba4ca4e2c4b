"""Repository of the audit log as a whole: its entries, and the chain that they are linked into.

Entries are sealed when they are written, with what they tell of (`journal.audit`), and linked a moment later, in
portions, by one process at a time: no deed waits for another one's link. A link is a keyed hash of the entry, its
position and the link before; where the chain ends is sealed too. So who can write into the ledger but lacks its keys
can change, remove, add or move nothing unseen, unless they put back a whole earlier state: a head that was written down
elsewhere shows that.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from habeas.domain.errors import Fault
from habeas.store.configurations import Record
from habeas.store.ledger import take_turn
from habeas.store.sealing import Sealer
from habeas.store.tables import audit_heads, audits

Entry: TypeAlias = Mapping[str, Any] | Record

_HEAD_DIGITS = 24
_PORTION = 1000
_NONCE = 8
_START = (0, b"")


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of the chain: how many there are, and a digest that stands for all of them."""

    position: int
    digest: str

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"


def begin(connection: sa.Connection, sealer: Sealer) -> None:
    """Seal the entries of a ledger that had no chain yet, and where the chain begins."""
    for row in _in_portions(connection, audits.c.id, audits.c.seal.is_(None)):
        connection.execute(audits.update().where(audits.c.id == row.id).values(seal=make_seal(sealer, row)))
    connection.execute(audit_heads.insert().values(id=1, seal=seal_end(sealer, *_START)))


def link(connection: sa.Connection, sealer: Sealer, limit: int) -> int:
    """Link so many entries that are not yet, in the order in which they were written; how many.

    What was not written by `journal.audit` stays unlinked. Raises Fault when the chain does not end where it was left.
    """
    if next(unlinked_entries(connection), None) is None:
        return 0
    take_turn(connection)
    position, before = _last(connection)
    if read_end(connection) != seal_end(sealer, position, before):
        raise Fault("the audit log does not end where it was left", hint="run `habeas audit verify`")
    links: list[dict[str, object]] = []
    for row in unlinked_entries(connection):
        if len(links) == limit:
            break
        if is_sealed(sealer, row):
            position += 1
            before = make_link(sealer, before, position, row)
            links.append({"entry": row.id, "new_position": position, "new_link": before})
    if links:  # else another process has had its turn meanwhile
        update = audits.update().where(audits.c.id == sa.bindparam("entry"))
        connection.execute(update.values(position=sa.bindparam("new_position"), link=sa.bindparam("new_link")), links)
        connection.execute(audit_heads.update().values(seal=seal_end(sealer, position, before)))
    return len(links)


def make_seal(sealer: Sealer, row: Entry) -> bytes:
    """What shows that an entry was written by a process that has the ledger's keys; another one each time."""
    nonce = os.urandom(_NONCE)
    return nonce + sealer.mac("audit entry", nonce + _spell(row))


def is_sealed(sealer: Sealer, row: Entry) -> bool:
    """Whether an entry is what was written."""
    seal: bytes = row["seal"] or b""
    return seal[_NONCE:] == sealer.mac("audit entry", seal[:_NONCE] + _spell(row))


def make_link(sealer: Sealer, before: bytes, position: int, row: Entry) -> bytes:
    """The link of an entry at this position, after the link before."""
    return sealer.mac("audit log", before + msgspec.json.encode((position, row["id"])) + _spell(row))


def seal_end(sealer: Sealer, position: int, linked: bytes) -> bytes:
    """The seal of a chain that ends at this position with this link."""
    return sealer.mac("audit end", linked + msgspec.json.encode(position))


def read_end(connection: sa.Connection) -> bytes | None:
    """The seal of where the chain ends; None when it is gone."""
    return connection.scalar(sa.select(audit_heads.c.seal))


def unlinked_entries(connection: sa.Connection) -> Iterator[Record]:
    """Entries that no chain holds, oldest first."""
    return _in_portions(connection, audits.c.id, audits.c.position.is_(None))


def read_head(connection: sa.Connection) -> Head | None:
    """None while nothing is linked."""
    position, linked = _last(connection)
    return head_of(position, linked) if position else None


def head_of(position: int, linked: bytes) -> Head:
    return Head(position, linked.hex()[:_HEAD_DIGITS])


def linked_entries(connection: sa.Connection) -> Iterator[Record]:
    """Every entry of the chain, in its order."""
    return _in_portions(connection, audits.c.position)


def list_entries(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int = 0
) -> list[Record]:
    """Entries, newest first."""
    query = sa.select(audits).where(*conditions).order_by(audits.c.id.desc()).limit(limit).offset(offset)
    return list(connection.execute(query).mappings())


def count_entries(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    query = sa.select(sa.func.count()).select_from(audits).where(*conditions)
    return connection.execute(query).scalar_one()


def _in_portions(
    connection: sa.Connection, order: "sa.Column[int]", *conditions: sa.ColumnElement[bool]
) -> Iterator[Record]:
    """Entries in this order, read a portion at a time: the log grows without end."""
    after = None  # no number is the lowest: whoever forges an entry may choose it
    while True:
        later = order.is_not(None) if after is None else order > after
        query = sa.select(audits).where(later, *conditions).order_by(order).limit(_PORTION)
        rows = list(connection.execute(query).mappings())
        yield from rows
        if len(rows) < _PORTION:
            return
        after = rows[-1][order.name]


def _last(connection: sa.Connection) -> tuple[int, bytes]:
    """Position and link of the last entry of the chain."""
    query = sa.select(audits.c.position, audits.c.link).where(audits.c.position.is_not(None))
    row = connection.execute(query.order_by(audits.c.position.desc()).limit(1)).first()
    return _START if row is None else (row.position, row.link or b"")


def _spell(row: Entry) -> bytes:
    """What an entry says, in one spelling."""
    names = ("object_kind", "object_id", "actor_kind", "actor", "origin", "action", "message")
    at = row["created_at"]  # None: what stands there is no time
    moment = at and at.astimezone(UTC).isoformat(timespec="microseconds")
    return msgspec.json.encode((*(row[name] for name in names), moment))
