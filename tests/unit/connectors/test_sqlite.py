"""SQLite's own traps: files, row ids, affinity, and what JSON cannot carry."""

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from habeas.connectors.conformance.harness import lookup, owned, permit, read_all
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.connectors.sql import connect_sqlite
from habeas.connectors.sql.sqlite import SqliteDialect
from habeas.connectors.sql.statements import Seek, compile_select
from habeas.domain.dataset import Address, Match
from habeas.domain.documents import Rewrite, Version
from habeas.domain.errors import DataFault, HabeasError, InputError, NeedsHuman
from habeas.domain.ports import (
    Change,
    ColumnSketch,
    Connector,
    Entry,
    Erasure,
    ForeignKeySketch,
    Limits,
    Lookup,
    Outcome,
    Table,
    TableSketch,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def connector(path: Path) -> Iterator[Connector]:
    made = connect_sqlite({"path": str(path)}, Limits(lock_timeout=1.0))
    yield made
    made.close()


def build(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as session:
        session.executescript(script)


def place(name: str, columns: str, key: str = "") -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()))


def test_a_missing_file_is_named_and_never_created(path: Path, connector: Connector) -> None:
    with pytest.raises(NeedsHuman, match="path exists"):
        connector.check()
    with pytest.raises(NeedsHuman):
        connector.erase(Erasure(place("t", "id a", "id"), ("a",), [Change((1,), (1,), (2,))]), permit)
    assert not path.exists()


def test_a_file_that_is_no_database_is_named(path: Path, connector: Connector) -> None:
    path.write_text("this is not a database, " * 100)
    with pytest.raises(NeedsHuman, match="no intact database"):
        connector.describe()


def test_a_connection_without_path_is_refused() -> None:
    with pytest.raises(InputError, match="path"):
        connect_sqlite({}, Limits())


def test_write_ahead_files_are_read_without_a_writer(path: Path, connector: Connector) -> None:
    build(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    assert connector.count(lookup(place("t", "id", "id"), "id", (0, 1))) == 1


VALUES: list[tuple[str, object]] = [
    ("BLOB", b"\x00\xff"),
    ("BLOB", "text in a blob column"),
    ("TEXT", "nul\x00inside"),
    ("TEXT", "467"),
    ("REAL", 0.1),
    ("REAL", 1e300),
    ("REAL", float("inf")),
    ("INTEGER", 2**63 - 1),
    ("INTEGER", -(2**63)),
    ("NUMERIC", "12.50"),
    ("", 5),
    ("", "5"),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_a_stored_value_finds_its_row_alone_among_many_and_as_a_key(
    kind: str, value: object, path: Path, connector: Connector
) -> None:
    build(path, f"CREATE TABLE t (held {kind} PRIMARY KEY NOT NULL, note TEXT)")
    with closing(sqlite3.connect(path)) as session, session:
        session.execute("INSERT INTO t VALUES (?, 'x')", [value])
        stored = session.execute("SELECT held FROM t").fetchone()[0]
    table = place("t", "held note", "held")
    for pairs in ([(3, stored)], [(3, stored), (4, stored), (5, "other")]):
        rows = read_all(connector, lookup(table, "held", *pairs))
        assert sorted(row.ordinals[0] for row in rows) == [ordinal for ordinal, _ in pairs if ordinal < 5]
    changes = [Change((stored,), ("x",), ("m",)), Change(("absent",), ("x",), ("m",))]
    effects = connector.erase(Erasure(table, ("note",), changes), permit)
    assert [effect.outcome for effect in effects] == [Outcome.CHANGED, Outcome.ABSENT]


@pytest.mark.parametrize("kind", ["TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", ""])
@given(
    stored=st.lists(st.one_of(st.integers(-3, 3), st.sampled_from(["1", "01", "1.0", "a", "A", "", 1.0, 0.5, b"1"]))),
    asked=st.lists(st.one_of(st.integers(-3, 3), st.sampled_from(["1", "01", "1.0", "a", "A", "", 1.0, 0.5, b"1"]))),
)
@settings(max_examples=25, deadline=None)
def test_a_relation_means_what_a_bound_value_means(
    kind: str, stored: list[object], asked: list[object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("affinity") / "store.db"
    build(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, held {kind})")
    with closing(sqlite3.connect(path)) as session, session:
        session.executemany("INSERT INTO t (held) VALUES (?)", [(value,) for value in stored])
        expected = [
            (ordinal, row)
            for ordinal, value in enumerate(asked)
            for row in session.execute("SELECT id FROM t WHERE held = ?", [value]).fetchall()
        ]
    made = connect_sqlite({"path": str(path)}, Limits())
    found = owned(read_all(made, lookup(place("t", "id", "id"), "held", *enumerate(asked))))
    assert sorted(found) == sorted(expected)


TEXTS = st.sampled_from(["ann", "Ann", "ANN", "bob", "", "+1 (2)", "+12", "é", "É", "日本"])


@given(
    rows=st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), max_size=8),
    entries=st.lists(
        st.tuples(
            st.sampled_from(["mail", "phone"]),
            st.lists(st.tuples(st.integers(0, 3), TEXTS), unique=True, max_size=4),
            st.sampled_from([Match.EXACT, Match.PHONE]),
        ),
        max_size=3,
    ),
    keyed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_reads_equal_those_of_the_reference(
    rows: list[tuple[str | None, str | None]],
    entries: list[tuple[str, list[tuple[int, str]], Match]],
    keyed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("reference") / "store.db"
    build(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT, phone TEXT)")
    with closing(sqlite3.connect(path)) as session, session:
        session.executemany("INSERT INTO t VALUES (?, ?, ?)", [(number, *row) for number, row in enumerate(rows)])
    columns = tuple(ColumnSketch(name, "text", text=True) for name in ("mail", "phone"))
    sketch = TableSketch("t", None, (ColumnSketch("id", "integer", text=False), *columns))
    records = [{"id": number, "mail": mail, "phone": phone} for number, (mail, phone) in enumerate(rows)]
    reference = MemoryConnector(MemoryStore(MemoryTable(sketch, records)))
    table = place("t", "mail phone id" if keyed else "mail phone", "id" if keyed else "")
    what = Lookup(table, tuple(Entry(column, pairs, match) for column, pairs, match in entries))
    made = connect_sqlite({"path": str(path)}, Limits(batch_rows=3))
    assert owned(read_all(made, what)) == owned(read_all(reference, what))
    assert made.count(what) == reference.count(what)


def test_values_of_other_stores_are_understood(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, held TEXT, number NUMERIC)")
    known = uuid.UUID("6f1b9c1e-0000-4000-8000-00000000000a")
    with closing(sqlite3.connect(path)) as session, session:
        session.execute("INSERT INTO t VALUES (1, ?, 12.5), (2, '2024-02-29 10:00:00', 3)", [str(known)])
    table = place("t", "id", "id")
    pairs = [(0, known), (1, dt.datetime(2024, 2, 29, 10)), (2, float("nan")), (3, "\ud800"), (4, {"a": 1})]
    assert owned(read_all(connector, lookup(table, "held", *pairs))) == [(0, (1,)), (1, (2,))]
    numbers = [(0, Decimal("12.50")), (1, 2**70), (2, True)]
    assert owned(read_all(connector, lookup(table, "number", *numbers))) == [(0, (1,))]


def test_row_ids_are_found_under_another_name(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE t (RowId TEXT, oid TEXT); INSERT INTO t VALUES ('a', 'x'), ('a', 'x')")
    rows = read_all(connector, lookup(place("t", "RowId oid"), "oid", (0, "x"), (0, "y")))
    assert owned(rows) == [(0, ("a", "x"))] * 2


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE b (id INTEGER PRIMARY KEY, email TEXT); CREATE VIEW t AS SELECT * FROM b",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT) WITHOUT ROWID",
        "CREATE TABLE t (id INTEGER, email TEXT, rowid TEXT, _rowid_ TEXT, oid TEXT)",
    ],
)
def test_rows_without_row_id_need_a_declared_key(script: str, path: Path, connector: Connector) -> None:
    build(path, script)
    with pytest.raises(NeedsHuman, match="primary_key"):
        read_all(connector, lookup(place("t", "id email"), "email", (0, "ann")))
    assert read_all(connector, lookup(place("t", "id email", "id"), "email", (0, "ann"))) == []
    sketch = connector.describe()
    table = sketch.table(None, "t") if sketch else None
    assert table is not None and not table.locatable


def test_rows_with_null_in_their_key_are_read_and_not_erased(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT); INSERT INTO t VALUES (NULL, 'x'), (NULL, 'x')")
    table = place("t", "a b", "a")
    assert len(read_all(connector, lookup(table, "b", (0, "x"), (0, "y")))) == 2
    with pytest.raises(DataFault, match="null"):
        connector.erase(Erasure(table, ("b",), [Change((None,), ("x",), ("m",))]), permit)


def test_text_that_is_no_utf_8_isolates_its_row(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, CAST(x'c3' AS TEXT))")
    with pytest.raises(DataFault) as raised:
        read_all(connector, lookup(place("t", "id a", "id"), "id", (0, 1)))
    assert "Could not decode" not in str(raised.value)


def test_foreign_keys_are_respected(path: Path, connector: Connector) -> None:
    build(
        path,
        "CREATE TABLE a (id TEXT PRIMARY KEY); INSERT INTO a VALUES ('x');"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a TEXT REFERENCES a ON UPDATE CASCADE); INSERT INTO b VALUES (1, 'x')",
    )
    with pytest.raises(DataFault, match="FOREIGNKEY"):
        connector.erase(Erasure(place("b", "id a", "id"), ("a",), [Change((1,), ("x",), ("gone",))]), permit)
    sketch = connector.describe()
    table = sketch.table(None, "b") if sketch else None
    assert table is not None
    assert table.foreign_keys == (ForeignKeySketch(("a",), None, "a", ("id",), cascades=True),)


def test_foreign_keys_to_what_is_missing_are_not_described(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE parent (note text); CREATE TABLE child (a int REFERENCES gone, b int REFERENCES parent)")
    sketch = connector.describe()
    assert sketch is not None
    assert [table.foreign_keys for table in sketch.tables] == [(), ()]


def test_a_trigger_that_skips_a_row_is_refused(path: Path, connector: Connector) -> None:
    build(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');"
        "CREATE TRIGGER skip BEFORE UPDATE ON t WHEN OLD.id = 2 BEGIN SELECT RAISE(IGNORE); END",
    )
    changes = [Change((1,), ("a",), ("m",)), Change((2,), ("b",), ("m",))]
    effects = connector.erase(Erasure(place("t", "id a", "id"), ("a",), changes), permit)
    assert {effect.outcome for effect in effects} == {Outcome.REFUSED}


@pytest.mark.parametrize("count", [1, 3])
def test_reads_use_the_index(count: int, path: Path) -> None:
    build(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, city TEXT); CREATE INDEX e ON t (email)")
    dialect, table = SqliteDialect(), place("t", "id city", "id")
    seek = Seek((ColumnSketch("email", "TEXT", text=True),), [(n, (f"p{n}",)) for n in range(count)])
    (statement,) = compile_select(dialect, table, ["t.city"], [seek])
    with dialect.engines({"path": str(path)}, Limits()).read.connect() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement.text}"), statement.parameters).all()
    assert "SEARCH t USING INDEX e (email=?)" in [row[3] for row in plan]


def test_no_error_tells_a_value(path: Path, connector: Connector) -> None:
    build(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'secret-a');"
        "CREATE TRIGGER tell BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'it was secret-a'); END",
    )
    with pytest.raises(HabeasError) as raised:
        connector.erase(Erasure(place("t", "id a", "id"), ("a",), [Change((1,), ("secret-a",), ("m",))]), permit)
    assert isinstance(raised.value, DataFault)
    assert "secret-a" not in str(raised.value) and raised.value.__suppress_context__


@pytest.mark.parametrize("path_inside", [("home",), ("home", "town")])
def test_nothing_stands_inside_of_a_column(path_inside: tuple[str, ...], path: Path, connector: Connector) -> None:
    build(path, 'CREATE TABLE t (id INTEGER PRIMARY KEY, body JSON); INSERT INTO t VALUES (1, \'{"home": "x"}\')')
    table = place("t", "id body", "id")
    with pytest.raises(NeedsHuman, match="holds nothing inside of column body"):
        read_all(connector, Lookup(table, (Entry("body", [(0, "x")], inside=path_inside),)))
    rewrite = Rewrite((path_inside,), (Version({"home": "x"}, {"home": "m"}),))
    with pytest.raises(NeedsHuman, match="holds nothing inside of column body"):
        connector.erase(Erasure(table, ("body",), [Change((1,), (None,), (rewrite,))]), permit)


@pytest.mark.parametrize("columns", ["rowid, line", '"RowId", oid'])
def test_rows_without_key_are_set_by_a_row_id_of_another_name(columns: str, path: Path, connector: Connector) -> None:
    build(path, f"CREATE TABLE t (email TEXT, {columns}); INSERT INTO t VALUES ('a', 1, 1), ('a', 1, 1), ('a', 1, 2)")
    names = "email rowid line" if "line" in columns else "email RowId oid"
    batch = Erasure(place("t", names), ("email",), [Change(("a", 1, 1), ("a",), (None,), 2)])
    assert [(effect.outcome, effect.rows) for effect in connector.erase(batch, permit)] == [(Outcome.CHANGED, 2)]
    with closing(sqlite3.connect(path)) as session:
        assert sorted(session.execute("SELECT * FROM t").fetchall(), key=repr) == [
            ("a", 1, 2),
            (None, 1, 1),
            (None, 1, 1),
        ]


def test_rows_without_key_are_told_apart_by_type(path: Path, connector: Connector) -> None:
    """In a column without affinity 5 and '5' are two values, and x'35' is a third."""
    build(path, "CREATE TABLE t (a, b TEXT); INSERT INTO t VALUES (5, 'x'), ('5', 'x'), (x'35', 'x'), (5.5, 'x')")
    for value in (5, "5", b"5", 5.5):
        batch = Erasure(place("t", "a b"), ("b",), [Change((value, "x"), ("x",), (f"of {value!r}",))])
        assert [(effect.outcome, effect.rows) for effect in connector.erase(batch, permit)] == [(Outcome.CHANGED, 1)]
    with closing(sqlite3.connect(path)) as session:
        held = session.execute("SELECT a, b FROM t").fetchall()
    assert held == [(5, "of 5"), ("5", "of '5'"), (b"5", "of b'5'"), (5.5, "of 5.5")]


def test_rows_of_a_view_cannot_be_erased_without_a_key(path: Path, connector: Connector) -> None:
    build(path, "CREATE TABLE b (a TEXT); INSERT INTO b VALUES ('x'); CREATE VIEW t AS SELECT * FROM b")
    with pytest.raises(NeedsHuman, match="without a key"):
        connector.erase(Erasure(place("t", "a"), ("a",), [Change(("x",), ("x",), ("m",))]), permit)


def test_rows_that_go_with_others_of_the_batch_are_deleted_too(path: Path, connector: Connector) -> None:
    build(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES t ON DELETE CASCADE);"
        "INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2), (4, NULL)",
    )
    batch = Erasure(place("t", "id boss", "id"), (), [Change((number,), (), ()) for number in (1, 3)], delete=True)
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED] * 2
    assert connector.count(lookup(place("t", "id", "id"), "id", *((n, n) for n in range(9)))) == 1
