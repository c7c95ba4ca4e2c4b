"""PostgreSQL values that Python has no type for, and databases in other encodings: no row is lost over them."""

from collections.abc import Iterator

import psycopg
import pytest

from habeas.connectors.sql import connect_postgres
from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, InputError, NeedsHuman
from habeas.domain.ports import Change, Connector, Entry, Erasure, Limits, Lookup, Outcome, Row, Table
from servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database("odd_values")


@pytest.fixture
def connector(postgres_server: PostgresServer, database: str) -> Iterator[Connector]:
    made = connect_postgres(postgres_server.secrets("odd_values"), Limits())
    yield made
    made.close()


def read(connector: Connector, table: Table, *entries: Entry) -> list[Row]:
    return [row for batch in connector.read(Lookup(table, entries)) for row in batch]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("timestamptz", "infinity", "infinity"),
        ("timestamp", "-infinity", "-infinity"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("time", "24:00", "24:00:00"),
        ("interval", "1 mon 3 days", "P1M3D"),
        ("int4range", "[1,5)", "[1,5)"),
        ("daterange", "[2026-01-01,infinity)", "[2026-01-01,infinity)"),
    ],
)
def test_it_is_read_and_masked_as_the_store_spells_it(
    connector: Connector, database: str, kind: str, value: str, told: str
) -> None:
    with psycopg.connect(database, autocommit=True) as target:
        target.execute(f"DROP TABLE IF EXISTS odd; CREATE TABLE odd (id int PRIMARY KEY, mail text, v {kind})")
        target.execute(f"INSERT INTO odd VALUES (1, 'a@x.io', '{value}')")
    table = Table(Address("d", "odd"), ("id", "mail", "v"), ("id",))
    (row,) = read(connector, table, Entry("mail", [(0, "a@x.io")]))
    assert row.values == (1, "a@x.io", told)
    erasure = Erasure(table, ("v",), [Change((1,), (told,), (None,))])
    assert [effect.outcome for effect in connector.erase(erasure, lambda: None)] == [Outcome.CHANGED]


@pytest.mark.parametrize(("kind", "value"), [("int4range", "[1,5)"), ("interval", "1 mon 2 days")])
def test_a_key_of_such_a_type_finds_its_row_again(connector: Connector, database: str, kind: str, value: str) -> None:
    with psycopg.connect(database, autocommit=True) as target:
        target.execute(f"DROP TABLE IF EXISTS odd; CREATE TABLE odd (id {kind} PRIMARY KEY, mail text)")
        target.execute(f"INSERT INTO odd VALUES ('{value}', 'a@x.io')")
    table = Table(Address("d", "odd"), ("id", "mail"), ("id",))
    (row,) = read(connector, table, Entry("mail", [(0, "a@x.io")]))
    effects = connector.erase(Erasure(table, ("mail",), [Change(row.key, ("a@x.io",), (None,))]), lambda: None)
    assert [effect.outcome for effect in effects] == [Outcome.CHANGED]


def test_a_view_whose_declared_key_is_not_unique_loses_no_row_silently(connector: Connector, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as target:
        target.execute(
            "CREATE VIEW two AS SELECT 1 AS id, 'a@x.io' AS mail, '1' AS phone, v FROM (VALUES ('x'), ('y')) t(v)"
        )
    table = Table(Address("d", "two"), ("id", "mail", "phone", "v"), ("id",))
    with pytest.raises(NeedsHuman, match="two rows have one key"):
        read(connector, table, Entry("mail", [(0, "a@x.io")]), Entry("phone", [(0, "1")]))


def test_columns_that_the_store_computes_are_described_as_such(connector: Connector, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as target:
        target.execute(
            "CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY, a text, b text GENERATED ALWAYS AS (a) STORED)"
        )
    sketch = connector.describe()
    assert sketch is not None
    table = sketch.table(None, "made")
    assert table is not None and [column.generated for column in table.columns] == [True, False, True]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_databases_in_other_encodings(postgres_server: PostgresServer, encoding: str) -> None:
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    with psycopg.connect(postgres_server.url(name), autocommit=True, client_encoding="utf8") as target:
        target.execute("CREATE TABLE p (id int PRIMARY KEY, mail text); INSERT INTO p VALUES (1, 'ä@x.io')")
    connector = connect_postgres(postgres_server.secrets(name), Limits())
    connector.check()
    table = Table(Address("d", "p"), ("id", "mail"), ("id",))
    (row,) = read(connector, table, Entry("mail", [(0, "ä@x.io"), (1, "b@x.io")]))
    assert row.values == (1, "ä@x.io")
    if encoding == "LATIN1":
        with pytest.raises(DataFault):
            read(connector, table, Entry("mail", [(0, "😀@x.io")]))
    connector.close()


def test_the_url_of_another_store_is_refused() -> None:
    with pytest.raises(InputError, match="not a database URL"):
        connect_postgres({"url": "mysql://user:secret@host/db"}, Limits())
