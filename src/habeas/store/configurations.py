"""Repository of what operators configure: connections, datasets, storages, policies.

Every change that a plan depends on bumps `configuration.version`, so that plans can be cached by it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from habeas.domain.ports import Sketch
from habeas.store.columns import place_of
from habeas.store.sealing import Sealer
from habeas.store.tables import configuration, connections, datasets, rules, storages, targets

Record: TypeAlias = sa.RowMapping
"""A row by column name."""


def read_version(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(configuration.c.version)).scalar_one())


def bump_version(connection: sa.Connection) -> None:
    """Say that plans made before may be out of date."""
    connection.execute(configuration.update().values(version=configuration.c.version + 1))


def find(connection: sa.Connection, table: sa.Table, key: str) -> Record | None:
    """The record with this key, or None."""
    return connection.execute(sa.select(table).where(table.c.key == key)).mappings().first()


_CONNECTIONS = sa.select(connections).where(connections.c.key.in_(sa.bindparam("keys", expanding=True)))


def find_connections(connection: sa.Connection, keys: Collection[str]) -> dict[str, Record]:
    """The connections with these keys, by key; those that are gone are left out."""
    if not keys:
        return {}
    return {record.key: record for record in connection.execute(_CONNECTIONS, {"keys": sorted(keys)}).mappings()}


def actions_of(connection: sa.Connection, policies: Collection[str]) -> dict[str, set[str]]:
    """What the rules of these policies do, by policy; policies without rules are left out."""
    query = sa.select(rules.c.policy_key, rules.c.action_type).where(rules.c.policy_key.in_(sorted(policies)))
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.policy_key, set()).add(row.action_type)
    return found


def list_all(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[Record]:
    """All records, sorted by key."""
    return list(connection.execute(sa.select(table).where(*where).order_by(table.c.key)).mappings())


def list_page(
    connection: sa.Connection, table: sa.Table, page: int, size: int, *where: sa.ColumnElement[bool]
) -> tuple[list[Record], int]:
    """One page sorted by key (`page` from 1) and the total."""
    total = connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()
    query = sa.select(table).where(*where).order_by(table.c.key).limit(size).offset((page - 1) * size)
    return list(connection.execute(query).mappings()), total


def save(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    values: Mapping[str, Any],
    now: datetime,
    *,
    on_create: Mapping[str, Any],
) -> Record:
    """Create or update by key; `on_create` is used only for a new record. Bumps the version."""
    updated = connection.execute(table.update().where(table.c.key == key).values(**values, updated_at=now))
    if not updated.rowcount:
        connection.execute(table.insert().values(key=key, **on_create, **values, created_at=now, updated_at=now))
    bump_version(connection)
    record = find(connection, table, key)
    assert record is not None
    return record


def set_paused(connection: sa.Connection, key: str, since: datetime | None) -> None:
    """Pause a connection that is not paused, or (None) end its pause. No plan depends on it: the version stays."""
    query = connections.update().where(connections.c.key == key)
    if since is not None:
        query = query.where(connections.c.paused_at.is_(None))
    connection.execute(query.values(paused_at=since))


def delete(connection: sa.Connection, table: sa.Table, key: str) -> bool:
    """False when there is no such record. Bumps the version."""
    bump_version(connection)
    return bool(connection.execute(table.delete().where(table.c.key == key)).rowcount)


def seal_json(sealer: Sealer, value: object, where: str) -> bytes:
    return sealer.seal(msgspec.json.encode(value), where)


def open_json(sealer: Sealer, sealed: bytes | None, where: str) -> dict[str, Any]:
    """The sealed object, or {} when there is none."""
    return {} if sealed is None else msgspec.json.decode(sealer.open(sealed, where), type=dict[str, Any])


def connection_place(key: str) -> str:
    """Where a connection's secrets are sealed."""
    return place_of(connections.c.sealed_secrets, key=key)


def storage_place(key: str) -> str:
    """Where a storage's secrets are sealed."""
    return place_of(storages.c.sealed_secrets, key=key)


def rule_place(key: str) -> str:
    """Where a rule's masking is sealed."""
    return place_of(rules.c.sealed_masking, key=key)


def encode_sketch(sketch: Sketch | None) -> bytes | None:
    return None if sketch is None else msgspec.json.encode(sketch)


def decode_sketch(body: bytes | None) -> Sketch | None:
    return None if body is None else msgspec.json.decode(body, type=Sketch)


def rules_of(connection: sa.Connection, policy_key: str) -> list[Record]:
    """A policy's rules in stored order."""
    query = sa.select(rules).where(rules.c.policy_key == policy_key).order_by(rules.c.position, rules.c.key)
    return list(connection.execute(query).mappings())


def targets_of(connection: sa.Connection, rule_keys: list[str]) -> list[Record]:
    """The targets of these rules, by rule and category."""
    query = sa.select(targets).where(targets.c.rule_key.in_(rule_keys)).order_by(targets.c.rule_key, targets.c.key)
    return list(connection.execute(query).mappings())


def datasets_with_connections(connection: sa.Connection) -> list[Record]:
    """Every dataset (`key`, `definition`) beside its connection (`connection_key`, `type`, `access`, …, `sketch`)."""
    query = (
        sa.select(
            datasets.c.key,
            datasets.c.definition,
            datasets.c.connection_key,
            connections.c.type,
            connections.c.access,
            connections.c.disabled,
            connections.c.sketch,
        )
        .join(connections, connections.c.key == datasets.c.connection_key)
        .order_by(datasets.c.key)
    )
    return list(connection.execute(query).mappings())
