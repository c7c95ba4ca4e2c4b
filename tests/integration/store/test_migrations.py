"""Migrations keep what there is: from every earlier revision, with rows in every table, on both ledgers.

Rows are made up from the tables as that revision has them, so that a new revision is tested without a line here.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.integration.execution.memory_shop import Shop, set_up

from engine import opened
from habeas.domain.clock import SystemClock
from habeas.domain.dataset import Dataset
from habeas.domain.errors import InputError
from habeas.domain.ports import Sketch
from habeas.domain.request import RequestStatus
from habeas.first_secrets import DEVELOPMENT_KEY
from habeas.store.ledger import make_engine
from habeas.store.opening import alembic_config, check_revision, open_ledger, read_revision, upgrade_ledger
from habeas.store.sealing import KeyRing
from habeas.store.tables import metadata

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = dict[str, list[Row]]

REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())
ENTRY = f"development:{base64.b64encode(os.urandom(32)).decode()}"
RING = KeyRing.parse(ENTRY)
MOMENT = datetime(2025, 2, 3, 4, 5, 6, 789012)
DATA_KEYS = [{"purpose": purpose, "wrapped_by": "development"} for purpose in ("data", "index")]
FAR = 1_000_000
"""Where numbers begin: further than what the ledger numbers itself in a test."""


@contextmanager
def engine_of(url: str) -> Iterator[sa.Engine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def build(engine: sa.Engine, revision: str) -> None:
    """The schema as it was at this revision."""
    with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def reflect(engine: sa.Engine) -> list[sa.Table]:
    """The tables there are, those that others refer to first."""
    found = sa.MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def fill(engine: sa.Engine) -> None:
    """Two rows in every table; nothing in them is due, and what the engine looks into is real."""
    made: Rows = {}
    for table in reflect(engine):
        made[table.name] = [
            make_row(table, number, made) for number in range(1 if table.name == "configuration" else 2)
        ]
        with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
            connection.execute(table.insert(), made[table.name])


def make_row(table: sa.Table, number: int, made: Mapping[str, list[Row]]) -> Row:
    row = {column.name: make_value(column, number, made) for column in table.columns}
    match table.name:
        case "configuration":
            row = {"id": 1, "version": 7}
        case "data_key":
            row |= {**DATA_KEYS[number], "wrapped": RING.wrap(bytes([number]) * 32, "development")}
        case "dataset":
            row["definition"] = msgspec.json.encode(Dataset(row["key"], "of an earlier version"))
        case "connection":
            row |= {"type": "memory", "disabled": True, "access": "read", "sketch": msgspec.json.encode(Sketch(()))}
    return row


def make_value(column: "sa.Column[Any]", number: int, made: Mapping[str, list[Row]]) -> Any:
    """Something of the column's type, another for each row; what refers to another table refers to its rows."""
    for key in column.foreign_keys:
        return made[key.column.table.name][number][key.column.name]
    name = f"{column.table.name}.{column.name}"
    if isinstance(column.type, sa.JSON):
        return [name, {"number": number}]
    kind = column.type.python_type
    moment = MOMENT.replace(second=number, tzinfo=UTC if getattr(column.type, "timezone", False) else None)
    values: dict[type, Any] = {
        str: f"{name} {number}"[-(getattr(column.type, "length", None) or 100) :],
        bytes: f"{name} {number}".encode(),
        bool: number == 1,
        int: FAR + number,
        float: FAR + number + 0.5,
        datetime: moment,
    }
    assert kind in values, f"say here what a value of type {kind} is, for {name}"
    return values[kind]


def rename(row: Row, old: str, new: str) -> Row:
    """The row under a column's later name, in the order of `read`."""
    return {name: row[old if name == new else name] for name in sorted({*row, new} - {old})} if old in row else row


def read(engine: sa.Engine, columns: Mapping[str, list[str]] | None = None) -> Rows:
    """Every row of every table, sorted; only these tables and columns, if any are given."""
    found: Rows = {}
    for table in reflect(engine):
        if columns is None or table.name in columns:
            names = sorted(columns[table.name]) if columns else sorted(table.columns.keys())
            with engine.connect() as connection:
                rows = connection.execute(sa.select(*(table.c[name] for name in names))).mappings()
                found[table.name] = sorted((dict(row) for row in rows), key=lambda row: json.dumps(row, default=str))
    return found


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_outlives_an_upgrade_and_the_engine_works_on_it(
    ledger_url: str, tmp_path: Path, revision: str
) -> None:
    with engine_of(ledger_url) as engine:
        build(engine, revision)
        fill(engine)
        before = read(engine)
        assert all(before.values())
        before["audit_log"] = [rename(row, "request_id", "object_id") for row in before["audit_log"]]
        upgrade_ledger(ledger_url, RING, SystemClock())
        assert read(engine, {table: list(rows[0]) for table, rows in before.items()}) == before
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DEVELOPMENT_KEY).write_text(ENTRY)
    with opened(tmp_path / "data", ledger_url) as working:
        shop = Shop()
        set_up(working, shop.connector())
        requests = working.submit("forget", shop.add_person(0), shop.add_person(1))
        working.run()
        assert {working.view(request).status for request in requests} == {RequestStatus.COMPLETE}
        assert [person["mail"] for person in shop.people.records] == [None, None]


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_only_the_command_upgrades_a_ledger_that_is_behind(ledger_url: str, revision: str) -> None:
    with engine_of(ledger_url) as engine:
        build(engine, revision)
        fill(engine)
        for create in (True, False):
            with pytest.raises(InputError, match=f"{revision}, this version needs {REVISIONS[-1]}.*habeas db upgrade"):
                open_ledger(ledger_url, RING, SystemClock(), create=create)
        assert read_revision(engine) == revision


def test_a_ledger_of_a_newer_version_is_refused_and_stays_as_it_is(ledger_url: str) -> None:
    upgrade_ledger(ledger_url, RING, SystemClock())
    with engine_of(ledger_url) as engine:
        with engine.connect().execution_options(habeas_write=True) as connection, connection.begin():
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        for attempt in (
            lambda: open_ledger(ledger_url, RING, SystemClock(), create=True),
            lambda: open_ledger(ledger_url, RING, SystemClock(), create=False),
            lambda: upgrade_ledger(ledger_url, RING, SystemClock()),
        ):
            with pytest.raises(InputError, match=r"9999, which this version does not know.*newer version"):
                attempt()
        with pytest.raises(InputError, match="9999"):
            check_revision(engine)


def test_revisions_follow_one_another() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
