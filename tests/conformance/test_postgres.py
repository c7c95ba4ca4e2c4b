"""PostgreSQL's own traps: types, collations, partitions, constraints that speak late, sessions that end."""

import gc
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import create_engine, text

from habeas.connectors.conformance.harness import Column, TableSpec, erasure, expect, lookup, owned, permit, read_all
from habeas.connectors.sql import connect_postgres
from habeas.connectors.sql.postgres import PostgresDialect
from habeas.connectors.sql.statements import Seek, compile_select, resolve
from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, InputError, NeedsHuman, SystemUnavailable
from habeas.domain.ports import Change, Connector, Erasure, ForeignKeySketch, Limits, Outcome, Table
from servers.postgres import PostgresServer

Run = Callable[[str], None]


@pytest.fixture
def secrets(postgres_server: PostgresServer) -> dict[str, str]:
    postgres_server.create_database("types")
    return postgres_server.secrets("types")


@pytest.fixture
def run(secrets: dict[str, str], postgres_server: PostgresServer) -> Run:
    def execute(statement: str) -> None:
        with psycopg.connect(postgres_server.url("types"), autocommit=True) as session:
            session.execute(statement.encode())

    return execute


@pytest.fixture
def connector(secrets: dict[str, str]) -> Iterator[Connector]:
    made = connect_postgres(secrets, Limits(lock_timeout=1.0, statement_timeout=5.0))
    yield made
    made.close()


def place(name: str, columns: str, key: str = "", schema: str | None = None) -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()), schema)


TYPED = [
    ("smallint", "7", [7, "7"], ["70000", "seven", 2**80, 1.5, Decimal("1e999999999")]),
    ("bigint", "9007199254740993", [9007199254740993, "9007199254740993"], [9007199254740992.0, "1e3"]),
    ("numeric(10,2)", "1.50", ["1.5", 1.5], ["one", "NaN", "1e999999"]),
    ("real", "0.1", [0.1, "0.1"], [1e300, 1e-300, "x"]),
    ("double precision", "0.1", [0.1], ["x"]),
    ("boolean", "true", [True, "true", 1], ["maybe", 2]),
    ("uuid", "'6f1b9c1e-0000-4000-8000-00000000000a'", ["6F1B9C1E-0000-4000-8000-00000000000A"], ["x", 5]),
    ("date", "'2024-02-29'", ["2024-02-29"], ["2024-02-30", "soon"]),
    ("timestamp", "'2024-02-29 10:00'", ["2024-02-29T10:00:00"], ["2024-02-29T10:00:00+02:00", "soon"]),
    ("timestamptz", "'2024-02-29 10:00+00'", ["2024-02-29T12:00:00+02:00"], ["soon"]),
    ("bytea", "'\\x00ff'", [b"\x00\xff"], ["\\x00ff"]),
    ("char(5)", "'ab'", ["ab", "ab   "], ["abc", "abcdefgh"]),
    ("varchar(3)", "'abc'", ["abc"], ["abcdef", "ab"]),
    ("inet", "'10.0.0.1'", ["10.0.0.1"], ["10.0.0.300", "x"]),
    ("mood", "'sad'", ["sad"], ["angry", 5]),
    ("postcode", "'N1'", ["N1"], ["n1", "N1 "]),
    ("name", "'ann'", ["ann"], ["bob"]),
    ("jsonb", "'\"a\"'", ["a"], ["b", "{", '"a"', 1]),
    ("json", "'1.0'", [1, 1.0], ["1", True, "1.0", 2]),
    ("text[]", "'{a,b}'", ["a", "b"], ["{a,b}", "c"]),
    ("int[]", "'{{1,2},{3,4}}'", [3, "3"], [2**40, "x", True]),
]
NESTED = ("jsonb", "json", "text[]", "int[]")


@pytest.mark.parametrize(("kind", "literal", "equal", "others"), TYPED, ids=[row[0] for row in TYPED])
def test_values_are_compared_by_the_columns_own_type(
    kind: str, literal: str, equal: list[object], others: list[object], run: Run, connector: Connector
) -> None:
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE DOMAIN postcode AS varchar(5) NOT NULL CHECK (length(VALUE) >= 2)")
    run(f"CREATE TABLE typed (id int PRIMARY KEY, held {kind})")
    run(f"INSERT INTO typed VALUES (1, {literal})")
    table = place("typed", "id", "id")
    for value in equal:
        assert owned(read_all(connector, lookup(table, "held", (4, value)))) == [(4, (1,))], value
    for value in others:
        assert read_all(connector, lookup(table, "held", (4, value))) == [], value
    pairs = [(0, value) for value in others] + [(1, value) for value in equal]
    assert owned(read_all(connector, lookup(table, "held", *pairs))) == [(1, (1,))]


@pytest.mark.parametrize(("kind", "literal"), [(row[0], row[1]) for row in TYPED if row[0] not in NESTED])
def test_rows_are_erased_by_keys_of_any_type(kind: str, literal: str, run: Run, connector: Connector) -> None:
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE DOMAIN postcode AS varchar(5) NOT NULL")
    run(f"CREATE TABLE typed (held {kind} PRIMARY KEY, note text)")
    run(f"INSERT INTO typed VALUES ({literal}, 'x')")
    table = place("typed", "held note", "held")
    rows = read_all(connector, lookup(table, "note", (0, "x")))
    batch = Erasure(table, ("note",), [Change(rows[0].key, ("x",), ("m",))])
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.ALREADY]


def test_masks_of_several_types_are_set_and_recognised(run: Run, connector: Connector) -> None:
    run("CREATE TABLE p (id uuid PRIMARY KEY, padded char(8), tags text[], age numeric(6,2), born date)")
    run("INSERT INTO p VALUES ('6f1b9c1e-0000-4000-8000-00000000000a', 'ann', '{a,b}', 30, '1990-01-01')")
    columns = ("padded", "tags", "age", "born")
    key = (uuid.UUID("6f1b9c1e-0000-4000-8000-00000000000a"),)
    batch = Erasure(
        place("p", "id padded tags age born", "id"),
        columns,
        [Change(key, ("ann", ["a", "b"], "30", "1990-01-01"), ("MASKED", None, 0, "2000-01-01"))],
    )
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.ALREADY]


def test_partitions_share_row_ids_but_not_rows(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email text, year int) PARTITION BY LIST (year)")
    run("CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1)")
    run("CREATE TABLE log_2 PARTITION OF log FOR VALUES IN (2)")
    run("INSERT INTO log VALUES ('ann', 1), ('ann', 2)")
    rows = read_all(connector, lookup(place("log", "year email"), "email", (0, "ann"), (0, "x")))
    assert owned(rows) == [(0, (1, "ann")), (0, (2, "ann"))]


def test_a_view_needs_a_declared_key(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, email text)")
    run("INSERT INTO t VALUES (1, 'ann')")
    run("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(NeedsHuman, match="primary_key"):
        read_all(connector, lookup(place("v", "id email"), "email", (0, "ann")))
    assert owned(read_all(connector, lookup(place("v", "id email", "id"), "email", (0, "ann")))) == [(0, (1, "ann"))]


def test_a_declared_key_that_repeats_loses_no_row_and_erases_none(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int, email text)")
    run("INSERT INTO t VALUES (1, 'ann'), (1, 'ann')")
    table = place("t", "id email", "id")
    what = lookup(table, "email", (0, "ann"), (0, "Ann"))
    assert owned(read_all(connector, what)) == [(0, (1, "ann"))] * 2
    assert connector.count(what) == 2
    with pytest.raises(NeedsHuman, match="not unique"):
        connector.erase(Erasure(table, ("email",), [Change((1,), ("ann",), (None,))]), permit)


def test_deferred_constraints_speak_before_the_guard(run: Run, connector: Connector) -> None:
    run("CREATE TABLE a (id text PRIMARY KEY)")
    run("CREATE TABLE b (id int PRIMARY KEY, a text REFERENCES a DEFERRABLE INITIALLY DEFERRED)")
    run("INSERT INTO a VALUES ('x')")
    run("INSERT INTO b VALUES (1, 'x')")
    asked: list[None] = []
    with pytest.raises(DataFault, match="b_a_fkey"):
        connector.erase(
            Erasure(place("b", "id a", "id"), ("a",), [Change((1,), ("x",), ("gone",))]), lambda: asked.append(None)
        )
    assert not asked


def test_a_row_that_a_trigger_withholds_is_refused(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)")
    run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    run("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    run("CREATE TRIGGER hold BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION hold()")
    spec = TableSpec("t", (Column("id"), Column("name")), ("id",))
    effects = connector.erase(erasure(spec, "name", ((1,), "a", "m"), ((2,), "b", "m")), permit)
    assert {effect.outcome for effect in effects} == {Outcome.REFUSED}
    assert owned(read_all(connector, lookup(spec.table(), "id", (0, 1)))) == [(0, (1, "a"))]


def test_describes_schemas_foreign_keys_and_unique_indexes(run: Run, connector: Connector) -> None:
    run("CREATE SCHEMA crm")
    run("CREATE TABLE crm.owner (a int, b int, PRIMARY KEY (b, a))")
    run(
        "CREATE TABLE t (x int, y int, email varchar(40) NOT NULL, gone int, UNIQUE (y, x), "
        "FOREIGN KEY (y, x) REFERENCES crm.owner ON UPDATE CASCADE)"
    )
    run("CREATE UNIQUE INDEX ON t (lower(email))")
    run("CREATE UNIQUE INDEX ON t (x) WHERE x > 3")
    run("ALTER TABLE t DROP COLUMN gone")
    run("CREATE VIEW v AS SELECT x FROM t")
    sketch = connector.describe()
    assert sketch is not None and sketch.default_schema == "public"
    table, owner, view = sketch.table(None, "t"), sketch.table("crm", "owner"), sketch.table("public", "v")
    assert table is not None and owner is not None and view is not None
    assert [column.name for column in table.columns] == ["x", "y", "email"]
    assert table.unique == (("y", "x"),)
    assert table.foreign_keys == (ForeignKeySketch(("y", "x"), "crm", "owner", ("b", "a"), cascades=True),)
    assert owner.primary_key == ("b", "a")
    assert not view.locatable and table.locatable
    email = table.column("email")
    assert email is not None and email.length == 40 and email.text and not email.nullable


def test_schemas_by_dataset_and_by_secret(run: Run, secrets: dict[str, str], connector: Connector) -> None:
    run('CREATE SCHEMA "My Schema"')
    run('CREATE TABLE "My Schema".t (id int PRIMARY KEY)')
    run('INSERT INTO "My Schema".t VALUES (1)')
    what = lookup(place("t", "id", "id", "My Schema"), "id", (0, 1))
    assert owned(read_all(connector, what)) == [(0, (1,))]
    with expect(NeedsHuman):
        read_all(connector, lookup(place("t", "id", "id"), "id", (0, 1)))
    scoped = connect_postgres(secrets | {"db_schema": "My Schema"}, Limits())
    assert owned(read_all(scoped, lookup(place("t", "id", "id"), "id", (0, 1)))) == [(0, (1,))]
    sketch = scoped.describe()
    assert sketch is not None and sketch.default_schema == "My Schema"
    scoped.close()


@pytest.mark.parametrize("count", [1, 5])
def test_reads_and_locks_use_the_index(count: int, run: Run, postgres_server: PostgresServer) -> None:
    run("CREATE EXTENSION citext")
    run("CREATE TABLE t (id int PRIMARY KEY, email varchar(60), nick citext, code char(30), note text)")
    run("INSERT INTO t SELECT n, 'p' || n, 'p' || n, 'p' || n, repeat('x', 200) FROM generate_series(1, 20000) AS n")
    for column in ("email", "nick", "code"):
        run(f"CREATE INDEX ON t ({column})")
    run("ANALYZE t")
    engine = create_engine(postgres_server.url("types").replace("postgresql", "postgresql+psycopg"))
    dialect, table = PostgresDialect(), place("t", "note", "id")
    with engine.connect() as connection:
        sketch = dialect.sketch_table(connection, table)
        assert sketch is not None
        for name in ("id", "email", "nick", "code"):
            seek = Seek(
                resolve(sketch, table, [name]), [(n, (str(n) if name == "id" else f"p{n}",)) for n in range(count)]
            )
            (statement,) = compile_select(dialect, table, ["t.note"], [seek], dialect.lock(["id"]))
            plan = connection.execute(text(f"EXPLAIN {statement.text}"), statement.parameters).scalars().all()
            assert "Index" in " ".join(plan) and "Seq Scan" not in " ".join(plan), plan
    engine.dispose()


def test_reads_cannot_write(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, email text)")
    run("INSERT INTO t VALUES (1, 'ann')")
    run("CREATE FUNCTION spy(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; RETURN $1; END $$")
    run("CREATE VIEW v AS SELECT spy(id) AS id, email FROM t")
    with pytest.raises(NeedsHuman, match="25006"):
        read_all(connector, lookup(place("v", "id email", "id"), "email", (0, "ann")))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"password": "wrong-word"}, SystemUnavailable, "username and password"),
        ({"username": "nobody"}, SystemUnavailable, "username and password"),
        ({"dbname": "absent"}, NeedsHuman, "does not exist"),
        ({"port": "1"}, SystemUnavailable, "cannot be reached"),
    ],
    ids=["password", "user", "database", "port"],
)
def test_a_check_says_what_is_wrong(
    change: dict[str, str], error: type[Exception], words: str, secrets: dict[str, str]
) -> None:
    made = connect_postgres(secrets | change, Limits(connect_timeout=2))
    with pytest.raises(error, match=words) as raised:
        made.check()
    assert "wrong-word" not in str(raised.value) and raised.value.__cause__ is None
    made.close()


@pytest.mark.parametrize("bad", [{}, {"host": "h"}, {"url": "no url"}, {"host": "h", "port": "x"}])
def test_secrets_that_cannot_be_used_are_refused(bad: dict[str, str]) -> None:
    full = {"dbname": "d", "username": "u", "password": "p"} if "port" in bad else {}
    with pytest.raises(InputError):
        connect_postgres(bad | full, Limits())


def test_a_column_added_meanwhile_is_seen(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY)")
    run("INSERT INTO t VALUES (1)")
    assert connector.count(lookup(place("t", "id", "id"), "id", (0, 1))) == 1
    what = lookup(place("t", "id late", "id"), "id", (0, 1))
    with expect(NeedsHuman):
        read_all(connector, what)
    run("ALTER TABLE t ADD late text")
    assert owned(read_all(connector, what)) == [(0, (1, None))]


def test_a_statement_that_takes_too_long_is_given_up(run: Run, secrets: dict[str, str]) -> None:
    run("CREATE VIEW v AS SELECT 1 AS id, CAST(pg_sleep(30) AS text) AS email")
    made = connect_postgres(secrets, Limits(statement_timeout=0.1))
    with expect(SystemUnavailable):
        made.count(lookup(place("v", "id email", "id"), "id", (0, 1)))
    made.close()


def test_a_lost_session_is_worth_another_try(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)")
    run("INSERT INTO t VALUES (1, 'a')")
    batch = Erasure(place("t", "id name", "id"), ("name",), [Change((1,), ("a",), ("m",))])

    def end_all() -> None:
        run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'habeas'")

    with expect(SystemUnavailable):
        connector.erase(batch, end_all)
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the driver cannot close a cursor of a session that is gone
def test_a_session_the_store_ends_while_we_look_at_rows_is_no_unknown_error(connector: Connector, run: Run) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)")
    run("INSERT INTO t SELECT i, 'a' FROM generate_series(1, 200000) i")
    found = lookup(place("t", "id name", "id"), "name", (0, "a"))
    for go_on in (list, lambda batches: batches.close()):
        batches = connector.read(found)
        assert next(batches)
        run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'habeas'")
        if go_on is list:
            with expect(SystemUnavailable):
                go_on(batches)
        else:
            go_on(batches)
    del batches
    gc.collect()
    assert sum(map(len, connector.read(found))) == 200_000


def test_two_batches_over_the_same_rows_wait_for_each_other(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)")
    run("INSERT INTO t SELECT n, 'a' FROM generate_series(1, 500) AS n")
    table = place("t", "id name", "id")
    outcomes: list[Outcome] = []

    def erase(order: int) -> None:
        changes = [Change((n,), ("a",), ("m",)) for n in range(1, 501)][::order]
        outcomes.extend(effect.outcome for effect in connector.erase(Erasure(table, ("name",), changes), permit))

    threads = [threading.Thread(target=erase, args=(order,)) for order in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == sorted([Outcome.CHANGED] * 500 + [Outcome.ALREADY] * 1000)
