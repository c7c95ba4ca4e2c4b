"""Repository of the keys that seal the ledger: data keys and the index key, each wrapped by a key of the ring.

There is one data key, and a second one while the ledger is being re-encrypted. The newest one seals.
"""

import os
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.errors import InputError
from habeas.store.sealing import DataKeys, KeyRing
from habeas.store.tables import data_keys

_SEALS = data_keys.c.purpose == "data"


def make_data_keys(connection: sa.Connection, ring: KeyRing, now: datetime) -> None:
    """Give a new ledger its keys, wrapped by the first key of the ring."""
    for purpose in ("data", "index"):
        _make(connection, ring, purpose, ring.primary, now)


def add_data_key(connection: sa.Connection, ring: KeyRing, by: str, now: datetime) -> int:
    """Make a data key, wrapped by the ring's key of this name; its number, above those of all before."""
    return _make(connection, ring, "data", by, now)


def _make(connection: sa.Connection, ring: KeyRing, purpose: str, by: str, now: datetime) -> int:
    values = {"purpose": purpose, "wrapped_by": by, "wrapped": ring.wrap(os.urandom(32), by), "created_at": now}
    number: int = connection.scalars(data_keys.insert().values(values).returning(data_keys.c.id)).one()
    return number


def data_key_numbers(connection: sa.Connection) -> list[int]:
    """Numbers of the data keys, the oldest first."""
    return list(connection.scalars(sa.select(data_keys.c.id).where(_SEALS).order_by(data_keys.c.id)))


def drop_earlier(connection: sa.Connection, number: int) -> int:
    """Delete the data keys before this one; how many. What they have sealed can never be opened again."""
    return connection.execute(data_keys.delete().where(_SEALS, data_keys.c.id < number)).rowcount


def read_data_keys(connection: sa.Connection, ring: KeyRing) -> DataKeys:
    """What seals and opens in this ledger. Raises InputError when the ring lacks a key, or the ledger its keys."""
    opened: dict[str, dict[int, bytes]] = {"data": {}, "index": {}}
    for row in connection.execute(sa.select(data_keys)):
        opened[row.purpose][row.id] = ring.unwrap(row.wrapped_by, row.wrapped)
    if not (opened["data"] and opened["index"]):
        raise InputError("the ledger has lost its keys: what it has sealed cannot be opened", hint="restore a backup")
    return DataKeys(opened["data"], next(iter(opened["index"].values())))


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
