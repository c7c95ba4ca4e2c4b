"""DuckDB's own traps: types that round, one user of a file at a time, rows that cannot change while referred to."""

import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from harnesses import hold_duckdb

from habeas.connectors.conformance.harness import Column, TableSpec, erasure, expect, lookup, owned, permit, read_all
from habeas.connectors.sql import connect_duckdb, duckdb_sessions
from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, InputError, NeedsHuman, SystemUnavailable
from habeas.domain.ports import (
    Change,
    Connector,
    Erasure,
    ForeignKeySketch,
    Limits,
    Outcome,
    Table,
    TableSketch,
    Value,
)
from habeas.store.spool import decode_rows, encode_rows

Run = Callable[..., list[tuple[Value, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "store.db"
    duckdb.connect(made).close()
    return made


@pytest.fixture
def run(path: Path) -> Run:
    def execute(*statements: str) -> list[tuple[Value, ...]]:
        with duckdb.connect(path) as session:
            return [session.execute(statement) for statement in statements][-1].fetchall()

    return execute


@pytest.fixture
def connector(path: Path) -> Iterator[Connector]:
    made = connect_duckdb({"path": str(path)}, Limits(lock_timeout=1.0))
    yield made
    made.close()


def place(name: str, columns: str, key: str = "", schema: str | None = None) -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()), schema)


def table_of(connector: Connector, name: str, schema: str | None = None) -> TableSketch:
    sketch = connector.describe()
    assert sketch is not None
    found = sketch.table(schema, name)
    assert found is not None
    return found


def outcomes(connector: Connector, batch: Erasure) -> list[Outcome]:
    return [effect.outcome for effect in connector.erase(batch, permit)]


MOMENT = dt.datetime(2024, 2, 29, 10)
TYPED = [
    ("tinyint", "7", [7, "7", "+7", 7.0], ["128", "seven", 2**80, 7.5, "7.0", " 7", "0x7", True]),
    ("bigint", "9007199254740993", [9007199254740993, "9007199254740993"], [9007199254740992.0, "1e3", "1_0"]),
    ("hugeint", f"{2**127 - 1}", [2**127 - 1, str(2**127 - 1)], [2**127, 1e38]),
    ("uhugeint", f"{2**128 - 1}", [2**128 - 1], [-1, 2**128]),
    ("decimal(5,2)", "1.50", ["1.5", 1.5, "1.500"], ["1.504", "1.495", "one", "NaN", "1e999999", "1e-9", 1000]),
    ("decimal(2,2)", "0", [0, "0.0", "-0"], ["0.001", 1]),
    ("float", "0.1", [0.1, "0.1", 0.10000000149011612], [1e300, 1e-300, "x", True]),
    ("double", "0.1", [0.1, "1e-1"], ["x", 0.10000000149011612]),
    ("double", "'nan'", [float("nan"), "NaN"], [0, float("inf")]),
    ("boolean", "true", [True, "true", 1], ["maybe", 2, "yes"]),
    ("uuid", "'6f1b9c1e-0000-4000-8000-00000000000a'", ["6F1B9C1E-0000-4000-8000-00000000000A"], ["x", 5]),
    ("blob", "'\\x00\\xff'::blob", [b"\x00\xff"], ["\\x00\\xff", b"\x00"]),
    (
        "date",
        "'2024-02-29'",
        ["2024-02-29", dt.date(2024, 2, 29)],
        ["2024-02-30", "soon", MOMENT, "2024-02-29 10:00:00"],
    ),
    ("date", "'infinity'", ["infinity"], ["9999-12-31", dt.date.max]),
    ("date", "'0044-03-15 (BC)'", ["0044-03-15 (BC)"], ["0044-03-15"]),
    (
        "time",
        "'10:00:00.5'",
        ["10:00:00.5", dt.time(10, 0, 0, 500000)],
        ["10:00:00", "10:00:00.5000001", "10:00:00+02"],
    ),
    (
        "timestamp",
        "'2024-02-29 10:00'",
        ["2024-02-29T10:00:00"],
        ["2024-02-29 10:00:00+02:00", "2024-02-29 10:00:00.0000001"],
    ),
    ("timestamp", "'infinity'", ["infinity"], [dt.datetime.max]),
    ("timestamp_s", "'2024-02-29 10:00'", [MOMENT], [MOMENT.replace(microsecond=400_000), "2024-02-29 09:59:59.6"]),
    (
        "timestamp_ms",
        "'2024-02-29 10:00:00.001'",
        [MOMENT.replace(microsecond=1000)],
        [MOMENT.replace(microsecond=1400)],
    ),
    (
        "timestamp_ns",
        "'2024-02-29 10:00:00.123456789'",
        ["2024-02-29 10:00:00.123456789"],
        ["2024-02-29 10:00:00.123456"],
    ),
    ("timestamptz", "'2024-02-29 10:00+00'", ["2024-02-29T12:00:00+02:00", MOMENT.replace(tzinfo=dt.UTC)], ["soon"]),
    ("interval", "'1 month 2 days'", ["1 month 2 days", dt.timedelta(32)], ["2 days", "P1M2D", "", "5"]),
    ("varchar", "'ab'", ["ab"], ["ab ", "AB", "a", b"ab"]),
    ("varchar", "'a' || chr(0)", ["a\x00"], ["a", "a\x00b"]),
    ("varchar(2)", "'abc'", ["abc"], ["ab"]),
    ("varchar collate nocase", "'Ab'", ["AB", "ab"], ["b"]),
    ("varchar collate noaccent.nocase", "'Éva'", ["eva", "EVA"], ["ev"]),
    ("enum('sad', 'it''s')", "'it''s'", ["it's"], ["angry", 5, "sad"]),
    ("bit", "'0101'", ["0101"], ["101", "x"]),
    ("bignum", "'123456789012345678901234567890123456789012345'", [int("1234567890" * 4 + "12345")], ["x", 1]),
    ("map(varchar, integer)", "map {'a': 1}", ["{a=1}"], ["{a=2}"]),
]
IDS = [f"{row[0]}-{row[1]}"[:40] for row in TYPED]


@pytest.mark.parametrize(("kind", "literal", "equal", "others"), TYPED, ids=IDS)
def test_values_are_compared_by_the_columns_own_type_and_never_rounded(
    kind: str, literal: str, equal: list[Value], others: list[Value], run: Run, connector: Connector
) -> None:
    run(f"CREATE TABLE typed (id int PRIMARY KEY, held {kind})", f"INSERT INTO typed VALUES (1, {literal})")
    table = place("typed", "id", "id")
    for value in equal:
        assert owned(read_all(connector, lookup(table, "held", (4, value)))) == [(4, (1,))], value
    for value in others:
        assert read_all(connector, lookup(table, "held", (4, value))) == [], value
    pairs = [(0, value) for value in others] + [(1, value) for value in equal]
    assert owned(read_all(connector, lookup(table, "held", *pairs))) == [(1, (1,))]


@pytest.mark.parametrize(("kind", "literal"), [row[:2] for row in TYPED], ids=IDS)
def test_what_was_read_is_recognised_after_it_was_kept(kind: str, literal: str, run: Run, connector: Connector) -> None:
    run(f"CREATE TABLE typed (held {kind} NOT NULL, note varchar)", f"INSERT INTO typed VALUES ({literal}, 'x')")
    table = place("typed", "held note", "held")
    kept = decode_rows(encode_rows(read_all(connector, lookup(table, "note", (0, "x")))))[0]
    assert repr(owned(read_all(connector, lookup(table, "held", (3, kept.values[0]))))) == repr([(3, kept.values)])
    note = Erasure(table, ("note",), [Change(kept.key, ("x",), ("m",))])
    assert outcomes(connector, note) == [Outcome.CHANGED]
    assert outcomes(connector, note) == [Outcome.ALREADY]
    same = Erasure(table, ("held",), [Change(kept.key, (kept.values[0],), (kept.values[0],))])
    assert outcomes(connector, same) == [Outcome.ALREADY]


NESTED = [
    ("varchar[]", "['a', NULL, 'it''s, \"x\"']", ["a", None, 'it\'s, "x"']),
    ("integer[2]", "[1, 2]", [1, 2]),
    ("integer[][]", "[[1], [], NULL]", [[1], [], None]),
    ("struct(a varchar, \"b c\" integer[])", "{'a': 'x', 'b c': [1]}", {"a": "x", "b c": [1]}),
    ("struct(b timestamp_ns)[]", "[{'b': '2024-01-01 00:00:00.000000001'}]", [{"b": "2024-01-01 00:00:00.000000001"}]),
    ("struct(t timestamptz, d date)", "{'t': '2024-01-01 00:00+00', 'd': 'infinity'}",
     {"t": dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "d": "infinity"}),
    ("struct(m map(varchar, integer), j json)", "{'m': map {'k=,': 1}, 'j': '[1.1, 12345678901234567890.5]'}", None),
    ("json", "'{\"b\": [1, 1.5, null], \"a\": {}}'", {"b": [1, 1.5, None], "a": {}}),
    ("json", "'\"text\"'", "text"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "literal", "value"), NESTED, ids=[row[0] for row in NESTED])
def test_nested_values_come_and_go_without_loss(
    kind: str, literal: str, value: Value, run: Run, connector: Connector
) -> None:
    run(f"CREATE TABLE t (id int PRIMARY KEY, held {kind}, note varchar)")
    run(f"INSERT INTO t SELECT 1, {literal}, 'x' UNION ALL SELECT 2, NULL, 'x'")
    table = place("t", "id held", "id")
    rows = decode_rows(encode_rows(read_all(connector, lookup(table, "note", (0, "x")))))
    held = next(row.values[1] for row in rows if row.key == (1,))
    assert value is None or held == value
    batch = Erasure(table, ("held",), [Change((2,), (None,), (held,)), Change((1,), (held,), (None,))])
    assert outcomes(connector, batch) == [Outcome.CHANGED, Outcome.CHANGED]
    told = (
        f"SELECT id, held IS NULL, held = t.literal FROM (SELECT *, CAST({literal} AS {kind}) AS literal FROM t) AS t"
    )
    assert sorted(run(told)) == [(1, True, None), (2, False, True)]


def test_describes_nested_columns_by_their_members(run: Run, connector: Connector) -> None:
    run(
        'CREATE TABLE t (tags varchar[][], home struct(street varchar, "zip code" integer[])[], seen json, '
        "more struct(j json[]), words map(varchar, varchar), either union(n integer, s varchar), "
        "odd struct(u union(n integer)))"
    )
    columns = {column.name: column for column in table_of(connector, "t").columns}
    assert (columns["tags"].array, columns["tags"].text, columns["tags"].nested) == (True, True, True)
    street, zips = columns["home"].fields
    assert (columns["home"].array, street.name, street.text, street.array) == (True, "street", True, False)
    assert (zips.name, zips.text, zips.array) == ("zip code", False, True)
    assert columns["seen"].document and not columns["seen"].array
    assert columns["more"].fields[0].document and columns["more"].fields[0].array
    # no path leads into what is read as text
    assert [name for name in ("words", "either", "odd") if columns[name].nested or columns[name].text] == []


def test_describes_keys_indexes_checks_and_foreign_keys(run: Run, connector: Connector) -> None:
    run(
        'CREATE SCHEMA "S c"',
        'CREATE TABLE "S c"."p.q" (a int, "b b" int, PRIMARY KEY ("b b", a))',
        'CREATE TABLE "S c".child (x int, y int, email varchar CHECK (length(email) < 41) NOT NULL, "c""d" varchar, '
        "shout varchar GENERATED ALWAYS AS (upper(email)), either varchar CHECK (length(either) < 5 OR x > 3), "
        'UNIQUE (y, x), FOREIGN KEY (y, x) REFERENCES "S c"."p.q")',
        'CREATE UNIQUE INDEX one ON "S c".child ("c""d", email)',
        'CREATE UNIQUE INDEX two ON "S c".child (lower(email))',
        'CREATE INDEX three ON "S c".child (x)',
        'CREATE VIEW v AS SELECT x FROM "S c".child',
    )
    sketch = connector.describe()
    assert sketch is not None and sketch.default_schema == "main"
    child, parent, view = (
        table_of(connector, "child", "S c"),
        table_of(connector, "p.q", "S c"),
        table_of(connector, "v"),
    )
    assert parent.primary_key == ("b b", "a")
    assert child.unique == (("y", "x"), ('c"d', "email"))
    assert child.foreign_keys == (ForeignKeySketch(("y", "x"), "S c", "p.q", ("b b", "a")),)
    facts = {column.name: (column.nullable, column.length, column.generated) for column in child.columns}
    assert facts["email"] == (False, 40, False) and facts["either"] == (True, None, False)
    assert facts["shout"][2] and not child.columns[0].generated
    assert not view.locatable and child.locatable


def test_schemas_names_and_case(run: Run, connector: Connector) -> None:
    run('CREATE SCHEMA "My Schema"', 'CREATE TABLE "My Schema".t (id int PRIMARY KEY, "Na:me" varchar)')
    run("INSERT INTO \"My Schema\".t VALUES (1, 'ann')", "CREATE TABLE Upper (id int)", "INSERT INTO Upper VALUES (1)")
    what = lookup(place("t", "id Na:me", "id", "My Schema"), "Na:me", (0, "ann"))
    assert owned(read_all(connector, what)) == [(0, (1, "ann"))]
    with expect(NeedsHuman):
        read_all(connector, lookup(place("t", "id", "id"), "id", (0, 1)))
    assert owned(read_all(connector, lookup(place("upper", "id"), "id", (0, 1)))) == [(0, (1,))]


def test_a_schema_with_the_name_of_its_file_is_named(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "shop.db") as session:
        session.execute("CREATE SCHEMA shop.shop; CREATE TABLE shop.shop.t AS SELECT 1 AS id")
    made = connect_duckdb({"path": str(tmp_path / "shop.db")}, Limits())
    with pytest.raises(NeedsHuman, match="rename the file"):
        read_all(made, lookup(place("t", "id", "id", "shop"), "id", (0, 1)))


def test_a_conflict_of_two_writers_is_worth_another_try(run: Run, path: Path) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    update = "UPDATE t SET name = 'm' WHERE id = 1"
    for late in (update, "UPDATE t SET id = 3 WHERE id = 2"):
        with duckdb.connect(path) as one, one.cursor() as other:
            one.begin()
            other.begin()
            one.execute("UPDATE t SET id = 3 WHERE id = 1" if late != update else update)
            with pytest.raises(duckdb.Error) as raised:  # at once, or when it is committed
                other.execute(late)
                one.commit()
                other.commit()
            assert isinstance(duckdb_sessions.diagnose(raised.value).error("here"), SystemUnavailable)


def test_a_view_needs_a_declared_key_and_is_not_written(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, email varchar)", "INSERT INTO t VALUES (1, 'ann')")
    run("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(NeedsHuman, match="primary_key"):
        read_all(connector, lookup(place("v", "id email"), "email", (0, "ann")))
    view = place("v", "id email", "id")
    assert owned(read_all(connector, lookup(view, "email", (0, "ann")))) == [(0, (1, "ann"))]
    with pytest.raises(NeedsHuman, match="does not allow"):
        connector.erase(Erasure(view, ("email",), [Change((1,), ("ann",), (None,))]), permit)


def test_a_column_that_hides_the_row_id_does_not_stand_for_it(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (RowID int, email varchar)", "INSERT INTO t VALUES (1, 'ann'), (1, 'ann')")
    with pytest.raises(NeedsHuman, match="primary_key"):
        read_all(connector, lookup(place("t", "email"), "email", (0, "ann")))


def test_a_generated_column_is_read_and_not_written(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, a varchar, up varchar GENERATED ALWAYS AS (upper(a)))")
    run("INSERT INTO t (id, a) VALUES (1, 'ann')")
    table = place("t", "id up", "id")
    assert owned(read_all(connector, lookup(table, "up", (0, "ANN")))) == [(0, (1, "ANN"))]
    with pytest.raises(NeedsHuman, match="does not allow"):
        connector.erase(Erasure(table, ("up",), [Change((1,), ("ANN",), (None,))]), permit)


def test_indexed_and_nested_columns_change_together(run: Run, connector: Connector) -> None:
    """DuckDB deletes and inserts such rows anew inside of the transaction."""
    run("CREATE TABLE t (id int PRIMARY KEY, email varchar UNIQUE, tags varchar[], note varchar)")
    run(
        "CREATE INDEX i ON t (note)",
        "INSERT INTO t VALUES (1, 'a', ['x'], 'n'), (2, 'b', ['y'], 'n'), (3, 'c', [], 'n')",
    )
    batch = Erasure(
        place("t", "id email tags note", "id"),
        ("email", "tags", "note"),
        [
            Change((1,), ("a", ["x"], "n"), ("b", None, "m")),
            Change((2,), ("b", ["y"], "n"), ("a", ["z"], None)),
        ],
    )
    assert outcomes(connector, batch) == [Outcome.CHANGED] * 2
    assert outcomes(connector, batch) == [Outcome.ALREADY] * 2
    assert run("FROM t ORDER BY id") == [(1, "b", None, "m"), (2, "a", ["z"], None), (3, "c", [], "n")]


def test_what_cannot_change_while_other_rows_refer_to_it_is_described_as_pinned(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE p (id int PRIMARY KEY, email varchar UNIQUE, nick varchar, tags varchar[], "
        "s struct(a varchar[]), f struct(a varchar), name varchar, town varchar)",
        "CREATE INDEX i ON p (nick)",
        "CREATE INDEX j ON p (lower(town))",
        "CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p (id), tags varchar[])",
        "INSERT INTO p VALUES (1, 'a', 'n', ['x'], {'a': []}, {'a': 'x'}, 'Ann', 'T')",
        "INSERT INTO c VALUES (1, 1, ['x'])",
    )
    assert [column.name for column in table_of(connector, "p").columns if column.pinned] == [
        *("id", "email", "nick", "tags", "s", "town")
    ]
    assert not any(column.pinned for column in table_of(connector, "c").columns)

    def change(table: str, column: str, original: Value, after: Value) -> list[Outcome]:
        what = place(table, f"id {column}", "id")
        return outcomes(connector, Erasure(what, (column,), [Change((1,), (original,), (after,))]))

    for column, original in (("email", "a"), ("nick", "n"), ("tags", ["x"]), ("town", "T")):
        with pytest.raises(DataFault, match="ConstraintException"):
            change("p", column, original, None)
    assert change("p", "name", "Ann", "m") == [Outcome.CHANGED]
    assert change("p", "f", {"a": "x"}, {"a": None}) == [Outcome.CHANGED]
    assert change("c", "tags", ["x"], ["m"]) == [Outcome.CHANGED]


def test_a_key_is_found_exactly_though_its_collation_folds(run: Run, connector: Connector) -> None:
    """DuckDB's primary keys tell apart what its comparison takes for one."""
    run("CREATE TABLE t (code varchar COLLATE NOCASE PRIMARY KEY, note varchar)", "INSERT INTO t VALUES ('A', 'other')")
    table = place("t", "code note", "code")
    batch = Erasure(table, ("note",), [Change(("a",), ("mine",), ("m",))])
    assert outcomes(connector, batch) == [Outcome.ABSENT]
    run("INSERT INTO t VALUES ('a', 'mine')")
    assert outcomes(connector, batch) == [Outcome.CHANGED]
    assert sorted(run("FROM t")) == [("A", "other"), ("a", "m")]
    rows = read_all(connector, lookup(table, "code", (0, "a")))
    assert owned(rows) == [(0, ("A", "other")), (0, ("a", "m"))]


def test_a_declared_key_that_repeats_loses_no_row_and_erases_none(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int, email varchar)", "INSERT INTO t VALUES (1, 'ann'), (1, 'ann')")
    table = place("t", "id email", "id")
    what = lookup(table, "email", (0, "ann"), (0, "Ann"))
    assert owned(read_all(connector, what)) == [(0, (1, "ann"))] * 2
    assert connector.count(what) == 2
    with pytest.raises(NeedsHuman, match="not unique"):
        connector.erase(Erasure(table, ("email",), [Change((1,), ("ann",), (None,))]), permit)


ONE = TableSpec("t", (Column("id"), Column("name")), ("id",))
BATCH = erasure(ONE, "name", ((1,), "a", "m"))


@pytest.fixture
def one_row(run: Run) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)", "INSERT INTO t VALUES (1, 'a')")


@pytest.mark.usefixtures("one_row")
def test_a_file_that_another_process_writes_is_waited_for_and_then_worth_another_try(path: Path) -> None:
    made = connect_duckdb({"path": str(path)}, Limits(lock_timeout=0.1))
    with hold_duckdb(path):
        with expect(SystemUnavailable):
            read_all(made, lookup(ONE.table(), "id", (0, 1)))
        with expect(SystemUnavailable):
            made.erase(BATCH, permit)
        with expect(SystemUnavailable):
            made.check()
    patient = connect_duckdb({"path": str(path)}, Limits(lock_timeout=20.0))
    with hold_duckdb(path) as let_go:
        erasing = threading.Thread(target=lambda: patient.erase(BATCH, permit))
        erasing.start()
        let_go()
        erasing.join()
    assert owned(read_all(made, lookup(ONE.table(), "id", (0, 1)))) == [(0, (1, "m"))]


@pytest.mark.usefixtures("one_row")
def test_others_may_read_while_we_read_and_a_writer_needs_the_file_alone(path: Path, connector: Connector) -> None:
    with hold_duckdb(path, read_only=True):
        assert owned(read_all(connector, lookup(ONE.table(), "id", (0, 1)))) == [(0, (1, "a"))]
        with expect(SystemUnavailable):
            connector.erase(BATCH, permit)
    assert outcomes(connector, BATCH) == [Outcome.CHANGED]


@pytest.mark.usefixtures("one_row")
def test_nobody_finds_the_file_taken_once_work_is_done(path: Path, connector: Connector) -> None:
    def write_elsewhere() -> None:
        code = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('UPDATE t SET name = name')"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)

    for work in (
        connector.check,
        connector.describe,
        lambda: read_all(connector, lookup(ONE.table(), "id", (0, 1))),
        lambda: connector.count(lookup(ONE.table(), "id", (0, 1))),
        lambda: connector.erase(BATCH, permit),
    ):
        work()
        write_elsewhere()
    batches = connector.read(lookup(ONE.table(), "id", (0, 1)))
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # an iterator of ours is a generator
    write_elsewhere()
    assert not list(path.parent.glob("*.wal"))


def test_readers_share_the_file_and_a_writer_comes_after_them(run: Run, path: Path, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)", "INSERT INTO t SELECT i, 'a' FROM range(3000) r(i)")
    table = ONE.table()
    first, second = (connector.read(lookup(table, "name", (0, "a"))) for _ in range(2))
    assert next(first) and next(second)
    with expect(SystemUnavailable):  # within the lock time-out the readers do not end
        connector.erase(BATCH, permit)
    patient = connect_duckdb({"path": str(path)}, Limits(lock_timeout=20.0))
    reading = patient.read(lookup(table, "name", (0, "a")))
    next(reading)
    changed: list[Outcome] = []
    erasing = threading.Thread(target=lambda: changed.extend(outcomes(patient, BATCH)))
    for unfinished in (first, second):
        assert sum(len(batch) for batch in unfinished) == 1000
    erasing.start()
    assert sum(len(batch) for batch in reading) == 1000
    erasing.join()
    assert changed == [Outcome.CHANGED]


@pytest.mark.parametrize("linger", [0.0, 0.005, 10.0])
def test_many_threads_read_and_erase_one_file(run: Run, path: Path, linger: float) -> None:
    connector = connect_duckdb({"path": str(path)}, Limits(lock_timeout=5.0, linger=linger))
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)", "INSERT INTO t SELECT i, 'a' FROM range(400) r(i)")
    found: list[Outcome | Exception] = []

    def work(start: int) -> None:
        try:
            for number in range(start, 400, 100):
                changes = [((key,), "a", "m") for key in range(number, number + 25)]
                found.extend(outcomes(connector, erasure(ONE, "name", *changes)))
                assert read_all(connector, lookup(ONE.table(), "id", (0, number)))[0].values == (number, "m")
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 25, 50, 75, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connector.close()
    assert sorted(map(str, found)) == ["already"] * 100 + ["changed"] * 400
    assert run("SELECT count(*) FROM t WHERE name = 'm'") == [(400,)]


@pytest.mark.usefixtures("one_row")
def test_a_file_that_lingers_is_soon_let_go(path: Path, run: Run) -> None:
    connector = connect_duckdb({"path": str(path)}, Limits(linger=0.05))
    assert outcomes(connector, BATCH) == [Outcome.CHANGED]
    assert is_opened_elsewhere(path, patience=5.0)
    assert not list(path.parent.glob("*.wal"))
    patient = connect_duckdb({"path": str(path)}, Limits(linger=60.0))
    assert outcomes(patient, BATCH) == [Outcome.ALREADY]
    assert not is_opened_elsewhere(path, patience=0.0)
    patient.close()
    assert run("SELECT count(*) FROM t WHERE name = 'm'") == [(1,)]


@pytest.mark.usefixtures("one_row")
def test_a_file_put_in_the_place_of_one_that_lingers_is_the_one_that_counts(path: Path, run: Run) -> None:
    connector = connect_duckdb({"path": str(path)}, Limits(linger=60.0))
    for name in ("new", "newer"):
        assert read_all(connector, lookup(ONE.table(), "id", (0, 1)))
        fresh = path.with_name(name)
        with duckdb.connect(fresh) as session:
            session.execute("CREATE TABLE t (id int PRIMARY KEY, name varchar)")
            session.execute("INSERT INTO t VALUES (1, ?)", [name])
        fresh.replace(path)
        assert owned(read_all(connector, lookup(ONE.table(), "id", (0, 1)))) == [(0, (1, name))]
    assert outcomes(connector, BATCH) == [Outcome.DRIFTED]
    connector.close()
    assert run("SELECT name FROM t") == [("m",)]


def is_opened_elsewhere(path: Path, patience: float) -> bool:
    """Whether another process can write the file within so many seconds."""
    code = (
        "import sys; from servers.duckdb_files import open_duckdb; "
        "open_duckdb(sys.argv[1], write=True, patience=float(sys.argv[2]))"
    )
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(patience)],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_opening_creates_nothing(tmp_path: Path) -> None:
    made = connect_duckdb({"path": str(tmp_path / "absent.db")}, Limits())
    for work in (made.check, made.describe, lambda: made.erase(BATCH, permit)):
        with expect(NeedsHuman):
            work()
    assert not list(tmp_path.iterdir())


def test_a_path_is_never_memory_or_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (":memory:", "md:somewhere", "https://example.org/x.db"):
        with expect(NeedsHuman):
            connect_duckdb({"path": path}, Limits()).check()
    for secrets in ({}, {"path": ""}, {"path": "a?access_mode=read_write"}):
        with pytest.raises(InputError):
            connect_duckdb(secrets, Limits())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"junk" * 4096, b"SQLite format 3\x00" + bytes(4096)], ids=["empty", "junk", "sqlite"]
)
def test_a_file_of_another_kind_is_named(content: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(content)
    with pytest.raises(NeedsHuman, match="no intact database"):
        connect_duckdb({"path": str(other)}, Limits()).check()
    with pytest.raises(NeedsHuman, match="cannot be opened"):
        connect_duckdb({"path": str(tmp_path)}, Limits()).check()
    assert other.read_bytes() == content


def test_no_name_leads_out_of_the_database(run: Run, tmp_path: Path, connector: Connector) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("id,email\n1,ann\n")
    frame = {"id": [1], "email": ["ann"]}
    for name in (str(outside), f"read_csv('{outside}')", "frame", "duckdb_settings", "information_schema"):
        with expect(NeedsHuman):
            read_all(connector, lookup(place(name, "id email", "id"), "email", (0, "ann")))
    run(f"CREATE VIEW v AS FROM read_csv('{outside}')")
    with pytest.raises(NeedsHuman, match="does not allow"):
        read_all(connector, lookup(place("v", "id email", "id"), "email", (0, "ann")))
    assert frame


def test_reads_leave_the_file_as_it_is(run: Run, path: Path, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)", "INSERT INTO t VALUES (1, 'a')")
    before = path.read_bytes()
    connector.describe()
    read_all(connector, lookup(ONE.table(), "name", (0, "a"), (1, "b")))
    assert path.read_bytes() == before


def test_a_crashed_writers_log_is_read_too(run: Run, path: Path, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name varchar)")
    code = (
        "import duckdb, os, sys; s = duckdb.connect(sys.argv[1]); s.execute(\"SET checkpoint_threshold='1TB'\");"
        "s.execute(\"INSERT INTO t VALUES (1, 'a')\"); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert owned(read_all(connector, lookup(ONE.table(), "id", (0, 1)))) == [(0, (1, "a"))]
    assert outcomes(connector, BATCH) == [Outcome.CHANGED]
    assert run("FROM t") == [(1, "m")]


def test_values_a_column_cannot_hold_are_refused_before_they_are_written(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, age tinyint, mood enum('sad'), s struct(n integer), l integer[2])")
    run("INSERT INTO t VALUES (1, 3, 'sad', {'n': 1}, [1, 2])")
    for column, value in (
        *(("age", 300), ("age", 1.5), ("age", "MASKED"), ("mood", "MASKED")),
        *(("s", {"n": "MASKED"}), ("s", {"m": 1}), ("s", "MASKED"), ("l", [1]), ("l", [1, "MASKED"])),
    ):
        batch = Erasure(place("t", f"id {column}", "id"), (column,), [Change((1,), (None,), (value,))])
        with expect(DataFault, "MASKED"):
            connector.erase(batch, permit)
    assert run("FROM t") == [(1, 3, "sad", {"n": 1}, (1, 2))]


MILLION = """
import resource, sys
from habeas.connectors.sql import connect_duckdb, duckdb_sessions
from habeas.domain.dataset import Address
from habeas.domain.ports import Entry, Limits, Lookup, Table
connector = connect_duckdb({"path": sys.argv[1]}, Limits())
table = Table(Address("store", "t"), ("id", "email", "tags", "at"), tuple(sys.argv[2:]))
connector.check()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = connector.read(Lookup(table, (Entry("owner", [(number, f"p{number}") for number in range(5)]),)))
sizes = [len(batch) for batch in batches]
print(sum(sizes), max(sizes), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("key", [["id"], []], ids=["key", "keyless"])
def test_a_million_rows_stream_under_a_memory_bound(key: list[str], run: Run, path: Path) -> None:
    run(
        "CREATE TABLE t AS SELECT i AS id, 'p' || i || '@example.com' AS email, 'p' || (i % 5) AS owner, "
        "['a', 'b'] AS tags, TIMESTAMP '2024-01-01' + to_seconds(i) AS at FROM range(1000000) AS r(i)"
    )
    if key:
        run("ALTER TABLE t ADD PRIMARY KEY (id)")
    told = subprocess.run([sys.executable, "-c", MILLION, str(path), *key], check=True, capture_output=True, text=True)
    count, largest, grown = map(int, told.stdout.split())
    assert (count, largest) == (1_000_000, 2000)
    assert grown < 150, f"{grown} MB more than before"
