"""The system that privacy requests of the crash tests reach into: a PostgreSQL shop that counts its writes.

The tests hold its locks, so that they know at which instruction the engine stands when they end it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.engine import Engine

from servers.habeas import register_connection, register_dataset, register_policy, register_storage
from servers.postgres import PostgresServer
from servers.process import wait_for

PEOPLE = ({"email": "ann@example.com"}, {"email": "bob@example.com"})
POLICY = "give_and_forget"
RULE = f"{POLICY}_access"
COLLECTIONS = ("customers", "orders", "payments")

while_reading_and_erasing = pytest.mark.parametrize(
    "lock",
    ["LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", "SELECT 1 FROM orders FOR UPDATE"],
    ids=["reading", "erasing"],
)
"""What to lock so that the engine stands still at a statement of the one or the other kind."""

_SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, email text, city text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, note text);
CREATE TABLE payments (id int PRIMARY KEY, order_id int, holder text);
CREATE TABLE writes (collection text, id int);
CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO writes VALUES (TG_TABLE_NAME, NEW.id); RETURN NEW; END';
CREATE TRIGGER counted AFTER UPDATE OF email ON customers FOR EACH ROW EXECUTE FUNCTION count_write();
CREATE TRIGGER counted AFTER UPDATE OF note ON orders FOR EACH ROW EXECUTE FUNCTION count_write();
CREATE TRIGGER counted AFTER UPDATE OF holder ON payments FOR EACH ROW EXECUTE FUNCTION count_write();
INSERT INTO customers VALUES (1, 'ann@example.com', 'Ghent'), (2, 'bob@example.com', 'Lyon'),
    (3, 'eve@example.com', 'Turin');
INSERT INTO orders SELECT n, 1 + n % 3, 'leave at door ' || n FROM generate_series(1, 12) AS n;
INSERT INTO payments SELECT n, 1 + n % 12, 'holder ' || n FROM generate_series(1, 24) AS n;
"""

_EMBEDDED_SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, email text, city text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, note text);
CREATE TABLE payments (id int PRIMARY KEY, order_id int, holder text);
CREATE TABLE writes (collection text, id int);
CREATE TRIGGER c AFTER UPDATE ON customers BEGIN INSERT INTO writes VALUES ('customers', NEW.id); END;
CREATE TRIGGER o AFTER UPDATE ON orders BEGIN INSERT INTO writes VALUES ('orders', NEW.id); END;
CREATE TRIGGER p AFTER UPDATE ON payments BEGIN INSERT INTO writes VALUES ('payments', NEW.id); END;
INSERT INTO customers VALUES (1, 'ann@example.com', 'Ghent'), (2, 'bob@example.com', 'Lyon'),
    (3, 'eve@example.com', 'Turin');
INSERT INTO orders VALUES (1, 1, 'bell'), (2, 2, 'door'), (3, 3, 'gate'), (4, 1, 'dog');
INSERT INTO payments VALUES (1, 1, 'A'), (2, 2, 'B'), (3, 3, 'E'), (4, 4, 'A. N.'), (5, 1, 'Ann');
"""

DATASET: Mapping[str, Any] = {
    "fides_key": "shop",
    "name": "Shop",
    "collections": [
        {
            "name": "customers",
            "fields": [
                {"name": "id", "data_categories": ["user.unique_id"], "fides_meta": {"primary_key": True}},
                {"name": "email", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
                {"name": "city", "data_categories": ["user.demographic"]},
            ],
        },
        {
            "name": "orders",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "customer_id", "fides_meta": {"references": [
                    {"dataset": "shop", "field": "customers.id", "direction": "from"}]}},
                {"name": "note", "data_categories": ["user.contact"]},
            ],
        },
        {
            "name": "payments",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "order_id", "fides_meta": {"references": [
                    {"dataset": "shop", "field": "orders.id", "direction": "from"}]}},
                {"name": "holder", "data_categories": ["user.contact"]},
            ],
        },
    ],
}  # fmt: skip


class Shop:
    """A fresh shop in a database of its own."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._secrets = server.secrets(database)
        self._url = server.create_database(database)
        self._waiters: set[int] = set()
        with self._connect() as connection:
            connection.execute(_SCHEMA.encode())

    def register(self, http: httpx.Client) -> None:
        """Tell a server about the shop and about the policy that gives everything and masks contact data."""
        register_storage(http)
        register_connection(http, "shop_db", "postgres", self._secrets)
        register_dataset(http, "shop_db", DATASET)
        register_policy(http, POLICY, access=["user"], erasure=["user.contact"])

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every collection, by key."""
        with self._connect() as connection:
            asked = {name: SQL("SELECT * FROM {} ORDER BY id").format(Identifier(name)) for name in COLLECTIONS}
            return {name: connection.execute(query).fetchall() for name, query in asked.items()}

    def writes(self) -> list[tuple[str, int]]:
        """(collection, id) of every change made to a masked column, ordered; a change made twice stands twice."""
        with self._connect() as connection:
            return connection.execute("SELECT collection, id FROM writes ORDER BY collection, id").fetchall()

    def execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement.encode())

    @contextmanager
    def locked(self, statement: str) -> Iterator[psycopg.Connection]:
        """Holds the locks of a statement until the block ends, or until `rollback` of what it yields."""
        with psycopg.connect(self._url) as connection:
            connection.execute(statement.encode())
            yield connection
            connection.rollback()

    def wait_until_blocked(self) -> None:
        """Wait for a session that stands before a lock, other than those that an earlier call has seen."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with self._connect() as connection:

            def look() -> set[int]:
                return {pid for (pid,) in connection.execute(query)} - self._waiters

            self._waiters |= wait_for("a statement to wait for the lock", look)

    @staticmethod
    def settle(log: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """What of a log does not hang on chance: all of it, one collection leads to the next."""
        return log

    @staticmethod
    def open(package: bytes) -> Any:
        """What a package says: here every byte counts."""
        return package

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._url, autocommit=True)


class EmbeddedShop:
    """A small shop of the same shape in an SQLite file, which counts its writes too."""

    storage = "local"
    batch_rows = 2
    details: Mapping[str, Any] = {}
    """Of requests, beside their identities."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.reset()

    def reset(self) -> None:
        """Everything as it was in the beginning."""
        self._file.unlink(missing_ok=True)
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript(_EMBEDDED_SCHEMA)

    def connect(self, engine: Engine) -> None:
        """Tell an engine about the shop."""
        engine.connect("shop_db", "sqlite", {"path": str(self._file)})
        engine.describe("shop_db", DATASET)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every collection, by key."""
        with closing(sqlite3.connect(self._file)) as connection:
            asked = {name: f"SELECT * FROM {name} ORDER BY id" for name in COLLECTIONS}
            return {name: connection.execute(query).fetchall() for name, query in asked.items()}

    def writes(self) -> list[tuple[str, int]]:
        """(collection, id) of every change made to a row, ordered; a change made twice stands twice."""
        with closing(sqlite3.connect(self._file)) as connection:
            return connection.execute("SELECT collection, id FROM writes ORDER BY collection, id").fetchall()

    @staticmethod
    def open(package: bytes) -> Any:
        """What a package says; raises when it is not whole."""
        return json.loads(package)
