"""PostgreSQL's own traps in tables without key: row ids that move, values of odd types, partitions, triggers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest

from habeas.connectors.conformance.harness import permit, read_all, tally
from habeas.connectors.sql import connect_postgres
from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, NeedsHuman
from habeas.domain.ports import Change, Connector, Entry, Erasure, Key, Limits, Lookup, Outcome, Table, Value
from servers.postgres import PostgresServer

Run = Callable[[str], list[tuple[Value, ...]]]
DATABASE = "unkeyed"


@pytest.fixture
def run(postgres_server: PostgresServer) -> Run:
    url = postgres_server.create_database(DATABASE)

    def execute(statement: str) -> list[tuple[Value, ...]]:
        with psycopg.connect(url, autocommit=True) as session:
            found = session.execute(statement.encode())
            return found.fetchall() if found.description else []

    return execute


@pytest.fixture
def connector(run: Run, postgres_server: PostgresServer) -> Iterator[Connector]:
    made = connect_postgres(postgres_server.secrets(DATABASE), Limits(lock_timeout=5.0, statement_timeout=5.0))
    yield made
    made.close()


def place(name: str, columns: str) -> Table:
    return Table(Address("store", name), tuple(columns.split()))


def masking(table: Table, column: str, after: Value, *keys: tuple[Key, int]) -> Erasure:
    position = table.columns.index(column)
    return Erasure(table, (column,), [Change(key, (key[position],), (after,), copies) for key, copies in keys])


TYPED = [
    ("timestamptz", "'infinity'", "'2024-01-01'"),
    ("timestamp", "'0044-03-15 BC'", "'0044-03-16 BC'"),
    ("interval", "'1 mon 3 days'", "'1 mon 4 days'"),
    ("int4range", "'[1,5)'", "'[1,6)'"),
    ("mood[]", "'{sad,ok}'", "'{ok,sad}'"),
    ("text[]", "'{a,NULL,\"x,y\"}'", "'{a,x,y}'"),
    ("jsonb", """'{"a": [1, "1"], "b": null}'""", """'{"a": ["1", 1], "b": null}'"""),
    ("json", """'{"a": [1, "1"], "b": null}'""", """'{"a": [1, "1"]}'"""),
    ("jsonb[]", """ARRAY['{"a": 1}'::jsonb]""", """ARRAY['{"a": 2}'::jsonb]"""),
    ("numeric", "1.50", "1.51"),
    ("real", "0.1", "0.2"),
    ("double precision", "'NaN'", "0"),
    ("bytea", "'\\x00ff'", "'\\x00'"),
    ("char(5)", "'ab'", "'ab c'"),
    ("money", "12.5", "12.6"),
    ("uuid", "'6f1b9c1e-0000-4000-8000-00000000000a'", "'6f1b9c1e-0000-4000-8000-00000000000b'"),
    ("point", "'(1,2)'", "'(1,3)'"),
    ("xml", "'<a/>'", "'<b/>'"),
    ("inet", "'10.0.0.1/24'", "'10.0.0.1'"),
    ("bit(3)", "'101'", "'100'"),
    ("citext", "'Ann'", "'ANN'"),
]


@pytest.mark.parametrize(("kind", "literal", "decoy"), TYPED, ids=[row[0] for row in TYPED])
def test_rows_with_values_of_any_type_are_found_again(
    kind: str, literal: str, decoy: str, run: Run, connector: Connector
) -> None:
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE EXTENSION citext")
    run(f"CREATE TABLE typed (email text, held {kind})")
    run(f"INSERT INTO typed VALUES ('ann', {literal}), ('ann', {literal}), ('ann', {decoy}), ('ann', NULL)")
    table = place("typed", "email held")
    rows = read_all(connector, Lookup(table, (Entry("email", [(0, "ann")]),)))
    spelled = [repr(row.values) for row in rows]
    assert len(rows) == 4
    key = next(row.values for row in rows if spelled.count(repr(row.values)) == 2)
    batch = masking(table, "email", "m", (key, 2))
    assert tally(connector.erase(batch, permit)) == [(key, Outcome.CHANGED, 2)]
    assert tally(connector.erase(batch, permit)) == [(key, Outcome.ALREADY, 2)]
    assert run("SELECT email, count(*) FROM typed GROUP BY email ORDER BY email") == [("ann", 2), ("m", 2)]
    deletion = Erasure(table, (), [Change(("m", key[1]), (), (), 2)], delete=True)
    assert tally(connector.erase(deletion, permit)) == [(("m", key[1]), Outcome.CHANGED, 2)]
    assert run("SELECT email, count(*) FROM typed GROUP BY email") == [("ann", 2)]


def test_rows_that_no_value_can_be_asked_for_are_refused(run: Run, connector: Connector) -> None:
    run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    run("CREATE TABLE typed (held jsonb[])")
    run("""INSERT INTO typed VALUES (ARRAY['{"a": 1}'::jsonb])""")
    with pytest.raises(DataFault, match="cannot be found again"):
        connector.erase(masking(place("typed", "held"), "held", None, (([{"a": 1}],), 1)), permit)


def test_rows_move_to_another_partition(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email text, year int) PARTITION BY LIST (year)")
    run("CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1)")
    run("CREATE TABLE log_2 PARTITION OF log FOR VALUES IN (2)")
    run("INSERT INTO log VALUES ('ann', 1), ('ann', 1), ('ann', 2), ('bob', 1)")
    table = place("log", "email year")
    batch = Erasure(table, ("email", "year"), [Change(("ann", 1), ("ann", 1), (None, 2), 2)])
    assert tally(connector.erase(batch, permit)) == [(("ann", 1), Outcome.CHANGED, 2)]
    assert run("SELECT * FROM log ORDER BY email, year") == [("ann", 2), ("bob", 1), (None, 2), (None, 2)]
    assert tally(connector.erase(batch, permit)) == [(("ann", 1), Outcome.ALREADY, 2)]


@pytest.mark.parametrize("moment", ["BEFORE", "AFTER"])
def test_a_trigger_that_touches_the_rows_is_refused(moment: str, run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email text, line text)")
    run("INSERT INTO log VALUES ('ann', 'in'), ('ann', 'in')")
    body = "NEW.line := 'x'; RETURN NEW" if moment == "BEFORE" else "UPDATE log SET line = 'x'; RETURN NULL"
    run(f"CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    run(
        f"CREATE TRIGGER touch {moment} UPDATE ON log FOR EACH ROW WHEN (pg_trigger_depth() = 0) "
        "EXECUTE FUNCTION touch()"
    )
    effects = connector.erase(masking(place("log", "email line"), "email", "m", (("ann", "in"), 2)), permit)
    assert tally(effects) == [(("ann", "in"), Outcome.REFUSED, 2)]
    assert run("SELECT * FROM log") == [("ann", "in")] * 2


def test_a_trigger_that_brings_a_deleted_row_back_is_refused(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email text, line text)")
    run("INSERT INTO log VALUES ('ann', 'in')")
    body = "INSERT INTO log VALUES (OLD.email, OLD.line); RETURN NULL"
    run(f"CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    run("CREATE TRIGGER back AFTER DELETE ON log FOR EACH ROW EXECUTE FUNCTION back()")
    deletion = Erasure(place("log", "email line"), (), [Change(("ann", "in"), (), ())], delete=True)
    assert tally(connector.erase(deletion, permit)) == [(("ann", "in"), Outcome.REFUSED, 1)]


def test_rows_of_a_view_cannot_be_erased_without_a_key(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (email text, line text)")
    run("INSERT INTO t VALUES ('ann', 'in')")
    run("CREATE VIEW log AS SELECT * FROM t")
    with pytest.raises(NeedsHuman, match="without a key"):
        connector.erase(masking(place("log", "email line"), "email", "m", (("ann", "in"), 1)), permit)


def test_sessions_that_erase_the_same_rows_count_each_once(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email text, n int)")
    run("INSERT INTO log SELECT 'ann', n % 50 FROM generate_series(1, 500) AS n")
    table, changed = place("log", "email n"), Counter[Outcome]()
    lock = threading.Lock()

    def erase(order: int) -> None:
        batch = masking(table, "email", None, *[(("ann", n), 10) for n in range(50)][::order])
        effects = connector.erase(batch, permit)
        with lock:
            for effect in effects:
                changed[effect.outcome] += effect.rows

    threads = [threading.Thread(target=erase, args=(order,)) for order in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert changed == {Outcome.CHANGED: 500, Outcome.ALREADY: 1000}
    assert run("SELECT count(*) FROM log WHERE email IS NULL") == [(500,)]


def test_large_batches_join_the_table_once_for_each_pattern_of_nulls(run: Run, connector: Connector) -> None:
    """Two thousand changes in two hundred thousand rows, within the statement's time-out."""
    run("CREATE TABLE log (email text, line text, n int)")
    run(
        "INSERT INTO log SELECT 'p' || n, CASE WHEN n % 3 > 0 THEN 'line' END, CASE WHEN n % 2 > 0 THEN n END "
        "FROM generate_series(1, 200000) AS n"
    )
    keys = [(f"p{n}", "line" if n % 3 else None, n if n % 2 else None) for n in range(1, 200001, 100)]
    effects = connector.erase(masking(place("log", "email line n"), "email", "m", *((key, 1) for key in keys)), permit)
    assert tally(effects) == [(key, Outcome.CHANGED, 1) for key in keys]
    assert run("SELECT count(*) FROM log WHERE email = 'm'") == [(2000,)]
