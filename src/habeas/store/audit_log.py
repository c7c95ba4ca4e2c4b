"""Repository of the audit log as a whole: its entries, and the chain that they are linked into.

Entries are written with what they tell of (`journal.audit`) and linked a moment later, portion by portion, by one
process at a time: no deed waits for another one's link. A link is a keyed hash of the entry, its position and the link
before, so that who can write into the ledger but lacks its keys can change, remove or move nothing unseen. What they
can do is cut the end off, which a head that was written down elsewhere shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC

import msgspec
import sqlalchemy as sa

from habeas.store.configurations import Record
from habeas.store.ledger import take_turn
from habeas.store.sealing import Sealer
from habeas.store.tables import audits

_HEAD_DIGITS = 24
_PORTION = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of the chain: how many there are, and a digest that stands for all of them."""

    position: int
    digest: str

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"


def link(connection: sa.Connection, sealer: Sealer, limit: int) -> int:
    """Link so many entries that are not yet, in the order in which they were written; how many."""
    waiting = sa.select(audits).where(audits.c.position.is_(None)).order_by(audits.c.id).limit(limit)
    if connection.execute(waiting.limit(1)).first() is None:
        return 0
    take_turn(connection)
    last = _last(connection)
    position, before = (last.position, last.link) if last is not None else (0, b"")
    links: list[dict[str, object]] = []
    for row in connection.execute(waiting).mappings():
        position += 1
        before = make_link(sealer, before, position, row)
        links.append({"entry": row.id, "new_position": position, "new_link": before})
    if links:  # else another process has had its turn meanwhile
        update = audits.update().where(audits.c.id == sa.bindparam("entry"))
        connection.execute(update.values(position=sa.bindparam("new_position"), link=sa.bindparam("new_link")), links)
    return len(links)


def make_link(sealer: Sealer, before: bytes, position: int, row: Record) -> bytes:
    """The link of an entry at this position, after the link before."""
    told = (row.object_kind, row.object_id, row.actor_kind, row.actor, row.origin, row.action, row.message)
    moment = row.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return sealer.mac("audit log", before + msgspec.json.encode((position, row.id, *told, moment)))


def read_head(connection: sa.Connection) -> Head | None:
    """None while nothing is linked."""
    last = _last(connection)
    return None if last is None else head_of(last.position, last.link)


def head_of(position: int, linked: bytes) -> Head:
    return Head(position, linked.hex()[:_HEAD_DIGITS])


def count_unlinked(connection: sa.Connection) -> int:
    query = sa.select(sa.func.count()).select_from(audits).where(audits.c.position.is_(None))
    return connection.execute(query).scalar_one()


def linked_entries(connection: sa.Connection) -> Iterator[Record]:
    """Every entry of the chain, in its order."""
    after = 0
    while True:
        query = sa.select(audits).where(audits.c.position > after).order_by(audits.c.position).limit(_PORTION)
        rows = list(connection.execute(query).mappings())
        yield from rows
        if len(rows) < _PORTION:
            return
        after = rows[-1].position


def list_entries(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int = 0
) -> list[Record]:
    """Entries, newest first."""
    query = sa.select(audits).where(*conditions).order_by(audits.c.id.desc()).limit(limit).offset(offset)
    return list(connection.execute(query).mappings())


def count_entries(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    query = sa.select(sa.func.count()).select_from(audits).where(*conditions)
    return connection.execute(query).scalar_one()


def _last(connection: sa.Connection) -> Record | None:
    query = sa.select(audits.c.position, audits.c.link).where(audits.c.position.is_not(None))
    return connection.execute(query.order_by(audits.c.position.desc()).limit(1)).mappings().first()
