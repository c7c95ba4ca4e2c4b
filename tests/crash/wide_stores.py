"""What each of four stores holds of the wide shop: tables, people's rows, the dataset, and how it counts its changes.

Links run from store to store: customers of PostgreSQL lead to orders in MariaDB, and these to parcels in DuckDB and
letters in SQLite.
"""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import pymysql

from servers.duckdb_files import open_duckdb
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

Rows = dict[str, list[tuple[Any, ...]]]

NAME = "crash_wide"
"""Of the databases. Always the same, since plans are told apart by it."""

WRITES = "writes"
"""The table (collection, id) in which triggers of a store note each change."""


class Store(Protocol):
    """A store with its part of the shop."""

    kind: str
    secrets: Mapping[str, str]
    dataset: Mapping[str, Any]

    def reset(self) -> None:
        """Everything as it was in the beginning."""
        ...

    def rows(self) -> Rows:
        """Every row of every table by its name, `writes` among them where there are triggers."""
        ...


def _field(name: str, *categories: str, **more: Any) -> dict[str, Any]:
    fields = {"fields": more.pop("fields")} if "fields" in more else {}
    return {"name": name, "data_categories": list(categories), "fides_meta": more, **fields}


def _key(*links: str) -> dict[str, Any]:
    return _field("id", "user.unique_id", primary_key=True, references=_from(*links))


def _link(name: str, *sources: str) -> dict[str, Any]:
    return _field(name, references=_from(*sources))


def _from(*sources: str) -> list[dict[str, str]]:
    """References to `dataset.collection.field`."""
    parts = (source.partition(".") for source in sources)
    return [{"dataset": dataset, "field": field, "direction": "from"} for dataset, _, field in parts]


def _dataset(key: str, **collections: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"fides_key": key, "collections": [{"name": name, **body} for name, body in collections.items()]}


ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"

_DESK = f"""
CREATE TABLE customers (id int PRIMARY KEY, email text, city text);
CREATE TABLE tickets (id int PRIMARY KEY, doc jsonb);
CREATE TABLE {WRITES} (collection text, id int);
CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO {WRITES} VALUES (TG_TABLE_NAME, NEW.id); RETURN NEW; END';
CREATE TRIGGER counted AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION count_write();
CREATE TRIGGER counted AFTER UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION count_write();
"""
_CUSTOMERS = [(1, ANN, "Ghent"), (2, BOB, "Lyon"), (3, EVE, "Turin")]


def _said(who: str, said: str, *orders: int) -> dict[str, Any]:
    return {"who": who, "said": said, "about": list(orders), "seen": True}


_TICKETS = [
    (1, {"talk": [_said(ANN, "a1", 20), _said(EVE, "e1", 3), _said(BOB, "b1", 5), _said(ANN, "a2", 1)], "open": True}),
    (2, {"talk": [_said(EVE, "e2"), _said(ANN, "a3")], "open": False}),
    (3, {"talk": [_said(EVE, "e3", 3)], "open": True}),
]
"""Two of them hold words of several people; Ann's lead to an order that is nobody's otherwise."""


class Desk:
    """PostgreSQL: customers, and tickets whose documents several people share."""

    kind = "postgres"
    dataset = _dataset(
        "desk",
        customers={
            "fields": [
                _key(),
                _field("email", "user.contact.email", identity="email"),
                _field("city", "user.demographic"),
            ]
        },
        tickets={
            "fields": [
                _key(),
                _field(
                    "doc",
                    fields=[
                        _field("open"),
                        _field(
                            "talk",
                            data_type="object[]",
                            fields=[
                                _field("who", "user.contact.email", references=_from("desk.customers.email")),
                                _field("said", "user.contact"),
                                _field("about", data_type="integer[]"),
                            ],
                        ),
                    ],
                ),
            ]
        },
    )

    def __init__(self, server: PostgresServer) -> None:
        self.secrets = server.secrets(NAME)
        self._url = server.create_database(NAME)
        with self._connect() as session:
            session.execute(_DESK.encode())

    def reset(self) -> None:
        with self._connect() as session, session.transaction(), session.cursor() as cursor:
            cursor.execute(f"TRUNCATE customers, tickets, {WRITES}".encode())
            cursor.executemany("INSERT INTO customers VALUES (%s, %s, %s)", _CUSTOMERS)
            cursor.executemany("INSERT INTO tickets VALUES (%s, %s)", [(n, json.dumps(doc)) for n, doc in _TICKETS])

    def rows(self) -> Rows:
        with self._connect() as session:
            asked = {name: f"SELECT * FROM {name} ORDER BY 1, 2" for name in ("customers", "tickets", WRITES)}
            return {name: session.execute(query.encode()).fetchall() for name, query in asked.items()}

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._url, autocommit=True)


_TILL = [
    "CREATE TABLE orders (id int PRIMARY KEY, customer int, note varchar(100), INDEX (customer))",
    "CREATE TABLE scans (`order` int, code varchar(20), INDEX (`order`))",
    f"CREATE TABLE {WRITES} (collection varchar(20), id int)",
    f"CREATE TRIGGER o AFTER UPDATE ON orders FOR EACH ROW INSERT INTO {WRITES} VALUES ('orders', NEW.id)",
    f"CREATE TRIGGER s AFTER UPDATE ON scans FOR EACH ROW INSERT INTO {WRITES} VALUES ('scans', NEW.`order`)",
]
_ORDERS = [(1, 1, "bell 1"), (2, 2, "door 2"), (3, 3, "gate 3"), (4, 1, "dog 4"), (5, 2, "step 5"), (20, None, "lamp")]
_SCANS = [(1, "X1"), (1, "X1"), (1, None), (1, "x1"), (2, "X1"), (3, "X1"), (3, None), (5, "X5"), (5, "X5"), (5, "X5")]
"""Some twice, one as others are when they are masked, one in another spelling, and Eve's like the others'."""


class Till:
    """MariaDB: orders, and scans without a key. Tests hold its locks to know where the engine stands."""

    kind = "mariadb"
    dataset = _dataset(
        "till",
        orders={
            "fields": [
                _key("desk.tickets.doc.talk.about"),
                _link("customer", "desk.customers.id"),
                _field("note", "user.contact"),
            ]
        },
        scans={"fields": [_link("order", "till.orders.id"), _field("code", "user.device")]},
    )

    def __init__(self, server: MariaDbServer) -> None:
        self.secrets = server.secrets(NAME)
        self._server = server
        server.create_database(NAME)
        server.run(*_TILL, dbname=NAME)

    def reset(self) -> None:
        with closing(self.connect()) as session, session.cursor() as cursor:
            for table in ("orders", "scans", WRITES):
                cursor.execute(f"DELETE FROM {table}")
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s)", _ORDERS)
            cursor.executemany("INSERT INTO scans VALUES (%s, %s)", _SCANS)

    def rows(self) -> Rows:
        found = {}
        with closing(self.connect()) as session, session.cursor() as cursor:
            for table in ("orders", "scans", WRITES):
                cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
                found[table] = list(cursor.fetchall())
        return found

    def connect(self) -> "pymysql.Connection[Any]":
        return self._server.connect(NAME)


_LAKE = """
CREATE TABLE parcels (id INTEGER PRIMARY KEY, "order" INTEGER, stops STRUCT(street VARCHAR, town VARCHAR)[]);
INSERT INTO parcels VALUES (1, 1, [{street: 'Elm 1', town: 'Ghent'}, {street: 'Oak 2', town: 'Lyon'}]),
    (2, 2, [{street: 'Fir 3', town: 'Lyon'}]), (3, 3, [{street: 'Ash 4', town: 'Turin'}]), (4, 4, []),
    (5, 20, [{street: NULL, town: 'Ghent'}, {street: 'Yew 5', town: 'Bruges'}]),
    (6, 5, [{street: 'Bay 6', town: NULL}]);
"""


class Lake:
    """A DuckDB file: parcels with a list of stops. It has no triggers."""

    kind = "duckdb"
    dataset = _dataset(
        "lake",
        parcels={
            "fields": [
                _key(),
                _link("order", "till.orders.id"),
                _field("stops", data_type="object[]", fields=[_field("street", "user.contact"), _field("town")]),
            ]
        },
    )

    def __init__(self, file: Path) -> None:
        self.secrets = {"path": str(file)}
        self._file = file
        self._first = file.with_suffix(".first")
        _forget(file)
        with closing(duckdb.connect(self._first)) as connection:
            connection.execute(_LAKE)

    def reset(self) -> None:
        _forget(self._file)
        shutil.copyfile(self._first, self._file)

    def rows(self) -> Rows:
        with closing(open_duckdb(self._file)) as connection:
            return {"parcels": connection.execute("SELECT * FROM parcels ORDER BY id").fetchall()}


_ATTIC = f"""
CREATE TABLE visits (email text, town text, page text);
CREATE TABLE letters (id int PRIMARY KEY, "order" int, body text);
CREATE TABLE {WRITES} (collection text, id int);
CREATE TRIGGER v AFTER UPDATE ON visits BEGIN INSERT INTO {WRITES} VALUES ('visits', NEW.rowid); END;
CREATE TRIGGER l AFTER DELETE ON letters BEGIN INSERT INTO {WRITES} VALUES ('letters', OLD.id); END;
INSERT INTO visits VALUES ('{ANN}', 'Ghent', '/'), ('{ANN}', 'Ghent', '/'), ('{EVE}', 'Ghent', '/'),
    ('{ANN}', 'Ghent', '/'), ('{ANN}', NULL, '/'), ('{BOB}', 'Lyon', '/'), ('{BOB}', 'Lyon', '/'), (NULL, NULL, '/');
INSERT INTO letters VALUES (1, 1, 'Dear Ann'), (2, 3, 'Dear Eve'), (3, 4, 'Dear'), (4, 5, 'Dear Bob'), (5, 20, 'Hey');
"""


class Attic:
    """A SQLite file: visits without key, some of them twice, and letters, which are deleted.

    One visit is Eve's and otherwise as Ann's, one is as those of others when they are forgotten.
    """

    kind = "sqlite"
    dataset = _dataset(
        "attic",
        visits={
            "fields": [
                _field("email", "user.contact.email", references=_from("desk.customers.email")),
                _field("town", "user.demographic"),
                _field("page", "user.behavior"),
            ]
        },
        letters={
            "fields": [_key(), _link("order", "till.orders.id"), _field("body", "user.contact")],
            "fides_meta": {"masking_strategy_override": {"strategy": "delete"}},
        },
    )

    def __init__(self, file: Path) -> None:
        self.secrets = {"path": str(file)}
        self._file = file

    def reset(self) -> None:
        _forget(self._file)
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript(_ATTIC)

    def rows(self) -> Rows:
        asked = {
            "visits": "SELECT rowid, * FROM visits ORDER BY rowid",
            "letters": "SELECT * FROM letters ORDER BY id",
            WRITES: f"SELECT * FROM {WRITES} ORDER BY 1, 2",
        }
        with closing(sqlite3.connect(self._file)) as connection:
            return {name: connection.execute(query).fetchall() for name, query in asked.items()}


def _forget(file: Path) -> None:
    """The file and its journals."""
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
