"""Repository of the keys that seal the ledger: one data key and the index key, each wrapped by a key of the ring."""

import os
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.errors import InputError
from habeas.store.sealing import KeyRing, Sealer
from habeas.store.tables import data_keys


def make_data_keys(connection: sa.Connection, ring: KeyRing, now: datetime) -> None:
    """Give a new ledger its keys, wrapped by the first key of the ring."""
    for purpose in ("data", "index"):
        wrapped = ring.wrap(os.urandom(32), ring.primary)
        connection.execute(
            data_keys.insert().values(purpose=purpose, wrapped_by=ring.primary, wrapped=wrapped, created_at=now)
        )


def open_sealer(connection: sa.Connection, ring: KeyRing) -> Sealer:
    """What seals and opens in this ledger. Raises InputError when the ring lacks a key, or the ledger its keys."""
    opened: dict[str, dict[int, bytes]] = {"data": {}, "index": {}}
    for row in connection.execute(sa.select(data_keys)):
        opened[row.purpose][row.id] = ring.unwrap(row.wrapped_by, row.wrapped)
    if not (opened["data"] and opened["index"]):
        raise InputError("the ledger has lost its keys: what it has sealed cannot be opened", hint="restore a backup")
    return Sealer(opened["data"], next(iter(opened["index"].values())))


def rewrap(connection: sa.Connection, ring: KeyRing, by: str) -> int:
    """Wrap every key by the ring's key of this name; how many were wrapped by another. What they seal stays as it is.

    Raises InputError when the ring lacks the key that wraps one now.
    """
    others = connection.execute(sa.select(data_keys).where(data_keys.c.wrapped_by != by)).all()
    for row in others:
        wrapped = ring.wrap(ring.unwrap(row.wrapped_by, row.wrapped), by)
        connection.execute(data_keys.update().where(data_keys.c.id == row.id).values(wrapped_by=by, wrapped=wrapped))
    return len(others)


def wrapping_keys(connection: sa.Connection) -> list[str]:
    """Names of the ring's keys that this ledger needs."""
    return list(connection.scalars(sa.select(data_keys.c.wrapped_by).distinct().order_by(data_keys.c.wrapped_by)))
