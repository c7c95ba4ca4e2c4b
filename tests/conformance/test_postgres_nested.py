"""PostgreSQL's own traps below columns: views, partitions, json that jsonb refuses, array dimensions, plans."""

import resource
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Json

from habeas.connectors.conformance.harness import expect, outcomes, permit, read_all
from habeas.connectors.sql import connect_postgres
from habeas.domain.dataset import Address
from habeas.domain.documents import Position, Rewrite, Version
from habeas.domain.errors import DataFault, HabeasError, NeedsHuman
from habeas.domain.ports import Change, Connector, Entry, Erasure, Limits, Lookup, Outcome, Table, Value
from servers.postgres import PostgresServer

Run = Callable[..., None]
DATABASE = "nested"


@pytest.fixture
def run(postgres_server: PostgresServer) -> Run:
    url = postgres_server.create_database(DATABASE)

    def execute(statement: str, *values: object) -> None:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(statement.encode(), values or None)

    return execute


@pytest.fixture
def connector(run: Run, postgres_server: PostgresServer) -> Iterator[Connector]:
    made = connect_postgres(postgres_server.secrets(DATABASE), Limits(lock_timeout=5.0, statement_timeout=5.0))
    yield made
    made.close()


def place(name: str, columns: str, key: str = "") -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()))


def find(
    connector: Connector, table: Table, path: str, *pairs: tuple[int, Value]
) -> list[tuple[Value, list[Position]]]:
    """(first value, places) of every match."""
    column, *names = path.split(".")
    rows = read_all(connector, Lookup(table, (Entry(column, pairs, inside=tuple(names)),)))
    return sorted(((row.values[0], list(row.matched)) for row in rows), key=repr)


def test_a_view_is_looked_into_by_its_declared_key(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int, doc jsonb)")
    run("""INSERT INTO t VALUES (1, '{"a": ["x", "y", "x"]}'), (NULL, '{"a": ["x"]}'), (2, '{"a": []}')""")
    run("CREATE VIEW v AS SELECT * FROM t")
    assert find(connector, place("v", "id doc", "id"), "doc.a", (0, "x"), (1, "z")) == [
        (1, [("doc", "a", 0), ("doc", "a", 2)]),
        (None, [("doc", "a", 0)]),
    ]
    with pytest.raises(NeedsHuman, match="primary_key"):
        find(connector, place("v", "id doc"), "doc.a", (0, "x"))


def test_a_view_whose_key_repeats_gives_nobody_the_row_of_another(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int, doc jsonb)")
    run("""INSERT INTO t VALUES (1, '{"a": ["x"]}'), (1, '{"a": ["y"]}')""")
    run("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(NeedsHuman, match="two rows have one key"):
        find(connector, place("v", "id doc", "id"), "doc.a", (0, "x"))


def test_partitions_share_row_ids_but_not_places(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (doc jsonb, year int) PARTITION BY LIST (year)")
    run("CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1)")
    run("CREATE TABLE log_2 PARTITION OF log FOR VALUES IN (2)")
    run("""INSERT INTO log VALUES ('["x"]', 1), ('["y", "x"]', 2)""")
    assert find(connector, place("log", "year doc"), "doc", (0, "x")) == [(1, [("doc", 0)]), (2, [("doc", 1)])]


def test_arrays_of_several_dimensions(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, n int[], day date[])")
    run("INSERT INTO t VALUES (1, '{{{1,2},{NULL,4}},{{5,1},{7,8}}}', '{2024-02-29}'), (2, '[5:6]={9,1}', NULL)")
    assert find(connector, place("t", "id", "id"), "n", (0, 1), (0, 4)) == [
        (1, [("n", 0, 0, 0), ("n", 0, 1, 1), ("n", 1, 0, 1)]),
        (2, [("n", 1)]),
    ]
    assert find(connector, place("t", "id", "id"), "day", (0, "2024-02-29"), (1, "soon")) == [(1, [("day", 0)])]
    (row,) = read_all(connector, Lookup(place("t", "n id", "id"), (Entry("id", [(0, 1)]),)))
    version = Version(row.values[0], [[[0, 2], [None, 4]], [[5, 0], [7, 8]]])
    erasure = Erasure(place("t", "n id", "id"), ("n",), [Change((1,), (None,), (Rewrite(((),), (version,)),))])
    assert outcomes(connector.erase(erasure, permit)) == [Outcome.CHANGED]
    assert outcomes(connector.erase(erasure, permit)) == [Outcome.ALREADY]
    (row,) = read_all(connector, Lookup(place("t", "n id", "id"), (Entry("id", [(0, 1)]),)))
    assert row.values[0] == [[[0, 2], [None, 4]], [[5, 0], [7, 8]]]


def test_arrays_of_types_without_elements_of_the_drivers_stay_flat(run: Run, connector: Connector) -> None:
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE TABLE t (id int PRIMARY KEY, moods mood[], docs jsonb[], deep text[])")
    sketch = connector.describe()
    table = sketch.table(None, "t") if sketch else None
    assert table is not None
    assert [column.nested for column in table.columns] == [False, False, False, True]
    with expect(NeedsHuman):
        find(connector, place("t", "id", "id"), "moods.x", (0, "sad"))


def test_domains_over_documents_and_arrays(run: Run, connector: Connector) -> None:
    run("CREATE DOMAIN profile AS jsonb NOT NULL")
    run("CREATE DOMAIN labels AS varchar(5)[]")
    run("CREATE TABLE t (id int PRIMARY KEY, doc profile, tags labels)")
    run("""INSERT INTO t VALUES (1, '{"a": "x"}', '{x,y}')""")
    assert find(connector, place("t", "id", "id"), "doc.a", (0, "x")) == [(1, [])]
    assert find(connector, place("t", "id", "id"), "tags", (0, "y"), (1, "longer than five")) == [(1, [("tags", 1)])]


@pytest.mark.parametrize("text", [r'{"a": "b\u0000"}', r'{"a": "\ud800"}', r'{"a": 1e999999}'])
def test_json_that_no_other_type_holds_is_refused_without_its_text(text: str, run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, doc json)")
    run("INSERT INTO t VALUES (1, CAST(%s AS json)), (2, %s)", text, Json({"a": "ann"}))
    with pytest.raises(HabeasError) as raised:
        find(connector, place("t", "id", "id"), "doc.a", (0, "ann"))
    assert isinstance(raised.value, DataFault) and "ann" not in str(raised.value) and raised.value.hint


def test_lone_surrogates_isolate_their_row(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, doc json)")
    run(r"""INSERT INTO t VALUES (1, '{"a": ["\ud800 secret"]}'), (2, '{"a": "\u0041\u0000"}')""")
    with pytest.raises(DataFault) as raised:
        read_all(connector, Lookup(place("t", "id doc", "id"), (Entry("id", [(0, 1)]),)))
    assert "secret" not in str(raised.value)
    (row,) = read_all(connector, Lookup(place("t", "id doc", "id"), (Entry("id", [(0, 2)]),)))
    assert row.values == (2, {"a": "A\x00"})


def test_numbers_of_any_size_are_read_and_written_back(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, doc json)")
    digits = "9" * 5000
    run(f"""INSERT INTO t VALUES (1, '{{"a": "ann", "n": [{digits}, 0.10, 1E3, -0.0]}}')""")
    table = place("t", "doc id", "id")
    (row,) = read_all(connector, Lookup(table, (Entry("id", [(0, 1)]),)))
    assert row.values[0]["n"] == [Decimal(digits), Decimal("0.10"), Decimal("1E3"), Decimal(0)]  # type: ignore[index]
    rewrite = Rewrite((("a",),), (Version({"a": "ann"}, {"a": 1.5}),))
    batch = Erasure(table, ("doc",), [Change((1,), (None,), (rewrite,))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]
    (row,) = read_all(connector, Lookup(table, (Entry("id", [(0, 1)]),)))
    assert str(row.values[0]) == str(
        {"a": Decimal("1.5"), "n": [Decimal(digits), Decimal("0.10"), Decimal("1E+3"), Decimal("-0.0")]}
    )


def test_a_document_that_must_not_be_null_takes_the_null_of_json(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, a jsonb NOT NULL, b jsonb)")
    run("""INSERT INTO t VALUES (1, '"ann"', '"ann"')""")
    rewrite = Rewrite(((),), (Version("ann", None),))
    table = place("t", "id a b", "id")
    batch = Erasure(table, ("a", "b"), [Change((1,), (None, None), (rewrite, rewrite))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]
    (row,) = read_all(connector, Lookup(table, (Entry("id", [(0, 1)]),)))
    assert row.values == (1, None, None)


def test_a_trigger_that_changes_a_document_is_refused(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, doc jsonb)")
    run("""INSERT INTO t VALUES (1, '{"a": "ann"}')""")
    run(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS "
        """$$ BEGIN NEW.doc := NEW.doc || '{"stamped": true}'; RETURN NEW; END $$"""
    )
    run("CREATE TRIGGER stamp BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()")
    rewrite = Rewrite((("a",),), (Version({"a": "ann"}, {"a": "m"}),))
    batch = Erasure(place("t", "id doc", "id"), ("doc",), [Change((1,), (None,), (rewrite,))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.REFUSED]
    assert find(connector, place("t", "id", "id"), "doc.a", (0, "ann")) == [(1, [])]


def test_a_rewrite_waits_for_another_session_and_sees_what_it_wrote(
    run: Run, connector: Connector, postgres_server: PostgresServer
) -> None:
    """The other session puts the array into another order while the erasure waits for its row."""
    run("CREATE TABLE t (id int PRIMARY KEY, doc jsonb)")
    run("""INSERT INTO t VALUES (1, '[{"by": "ann", "say": "a"}, {"by": "bob", "say": "b"}]')""")
    version = Version([{"by": "ann", "say": "a"}], [{"by": "ann", "say": None}], ((0, "by"),))
    batch = Erasure(place("t", "id doc", "id"), ("doc",), [Change((1,), (None,), (Rewrite((("say",),), (version,)),))])
    found: list[Outcome] = []
    with psycopg.connect(postgres_server.url(DATABASE)) as other:
        other.execute("UPDATE t SET doc = jsonb_build_array(doc -> 1, doc -> 0, 'new')")
        eraser = threading.Thread(target=lambda: found.extend(outcomes(connector.erase(batch, permit))))
        eraser.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with psycopg.connect(postgres_server.url(DATABASE), autocommit=True) as watcher:
            while eraser.is_alive() and watcher.execute(waiting).fetchone() == (0,):
                eraser.join(0.01)
        other.commit()
    eraser.join()
    assert found == [Outcome.CHANGED]
    (row,) = read_all(connector, Lookup(place("t", "doc id", "id"), (Entry("id", [(0, 1)]),)))
    assert row.values[0] == [{"by": "bob", "say": "b"}, {"by": "ann", "say": None}, "new"]


def test_many_values_are_joined_at_once_and_rows_fetched_by_their_ids(
    run: Run, connector: Connector, postgres_server: PostgresServer
) -> None:
    """Ten thousand people in five thousand documents, each with one place, within the statement's time-out."""
    run("CREATE TABLE t (id int PRIMARY KEY, doc jsonb)")
    run(
        "INSERT INTO t SELECT n, jsonb_build_object('notes', jsonb_build_array("
        "jsonb_build_object('by', 'p' || n), jsonb_build_object('by', 'p' || (n + 5000)))) "
        "FROM generate_series(1, 5000) AS n"
    )
    pairs = [(number, f"p{number}") for number in range(1, 10_001)]
    rows = read_all(connector, Lookup(place("t", "id", "id"), (Entry("doc", pairs, inside=("notes", "by")),)))
    expected = {((n,), (n if n <= 5000 else n - 5000,), (("doc", "notes", n > 5000, "by"),)) for n, _ in pairs}
    assert {(row.ordinals, row.key, row.matched) for row in rows} == expected


def test_fifty_thousand_documents_are_streamed(run: Run, postgres_server: PostgresServer) -> None:
    """Of 100 MB of documents, every one found at three places, only a batch is in memory at a time."""
    run("CREATE TABLE t (id int PRIMARY KEY, doc jsonb)")
    run(
        "INSERT INTO t SELECT n, jsonb_build_object('tags', CAST(%s AS jsonb), 'text', repeat(md5(n::text), 60)) "
        "FROM generate_series(1, 50000) AS n",
        Json(["x", "x", "x"]),
    )
    connector = connect_postgres(postgres_server.secrets(DATABASE), Limits(batch_rows=500, statement_timeout=60.0))
    what = Lookup(place("t", "doc id", "id"), (Entry("doc", [(0, "x"), (1, "y")], inside=("tags",)),))
    assert connector.count(what) == 50_000
    rows, resident, before = 0, 0, _resident()
    for batch in connector.read(what):
        assert len(batch) <= 500 and len(batch[0].matched) == 3
        rows += len(batch)
        resident = max(resident, _resident())
    connector.close()
    assert rows == 50_000
    assert resident - before < 40 * 2**20, f"{(resident - before) / 2**20:.0f} MB"


def _resident() -> int:
    """Bytes of memory the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_document_cannot_be_a_key(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (doc jsonb PRIMARY KEY, note text)")
    run("""INSERT INTO t VALUES ('{"a": 1}', 'x')""")
    table = place("t", "doc note", "doc")
    with pytest.raises(NeedsHuman, match="cannot be a key"):
        read_all(connector, Lookup(table, (Entry("note", [(0, "x")]),)))
    with pytest.raises(NeedsHuman, match="cannot be a key"):
        connector.erase(Erasure(table, ("note",), [Change(("x",), ("x",), (None,))]), permit)
