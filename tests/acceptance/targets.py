"""Databases that acceptance tests have people in: SQLite files, PostgreSQL and MariaDB databases with the same verbs.

Everything personal in them carries MARK, so that a test can search for it where it must not be.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

MARK = "canary-7f3a"
ANN = f"ann.{MARK}@example.com"
BOB = f"bob.{MARK}@example.com"


class Target(Protocol):
    """A database with people in it."""

    type: str

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of a connection to it."""
        ...

    def execute(self, *statements: str) -> None: ...

    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Nobody else can read the table (SQLite: the whole file) while the block lasts."""
        ...


class SqliteTarget:
    """A SQLite file."""

    type = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @property
    def secrets(self) -> dict[str, str]:
        return {"path": str(self.path)}

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield


class PostgresTarget:
    """A database of a PostgreSQL server."""

    type = "postgres"

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        server.create_database(name)

    @property
    def secrets(self) -> dict[str, str]:
        return self.server.secrets(self.name)

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.server.url(self.name)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(self.name)) as connection:
            return connection.execute(statement.encode()).fetchall()

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        with psycopg.connect(self.server.url(self.name)) as connection:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            yield
            connection.rollback()


class MariaDbTarget:
    """A database of a MariaDB server. Statements are standard SQL: names stand in double quotes."""

    type = "mariadb"

    def __init__(self, server: MariaDbServer, name: str) -> None:
        self.server = server
        self.name = name
        server.create_database(name)

    @property
    def secrets(self) -> dict[str, str]:
        return self.server.secrets(self.name)

    def execute(self, *statements: str) -> None:
        self.server.run("SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'", *statements, dbname=self.name)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.name) as session, session.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        with self.server.connect(self.name) as session, session.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {table} WRITE")
            yield
            cursor.execute("UNLOCK TABLES")


def fill_first(target: Target) -> None:
    """Members Ann (1) and Bob (2) and their orders."""
    target.execute(
        "CREATE TABLE members (id integer PRIMARY KEY, mail text, phone text, name text)",
        "CREATE TABLE orders (id integer PRIMARY KEY, member integer, note text)",
        f"INSERT INTO members VALUES (1, '{ANN}', '+11234567891', 'Ann {MARK}'), (2, '{BOB}', NULL, 'Bob {MARK}')",
        f"INSERT INTO orders VALUES (11, 1, 'note {MARK}'), (12, 1, 'note {MARK}'), (21, 2, 'note {MARK}')",
    )


def fill_second(target: Target) -> None:
    """Items of the orders, their parcels, and remarks on these: two items of Ann's, one of Bob's."""
    target.execute(
        "CREATE TABLE items (id integer PRIMARY KEY, purchase integer, label text)",
        "CREATE TABLE parcels (id integer PRIMARY KEY, item integer, street text)",
        "CREATE TABLE marks (id integer PRIMARY KEY, parcel integer, remark text)",
        f"INSERT INTO items VALUES (111, 11, 'label {MARK}'), (121, 12, 'label {MARK}'), (211, 21, 'label {MARK}')",
        f"INSERT INTO parcels VALUES (1111, 111, '{MARK} lane 1'), (2111, 211, '{MARK} lane 2')",
        f"INSERT INTO marks VALUES (11111, 1111, 'remark {MARK}'), (21111, 2111, 'remark {MARK}')",
    )


Field = dict[str, Any]


def field(name: str, *categories: str, **meta: Any) -> Field:
    """A field in the form of the API."""
    return {"name": name, "data_categories": list(categories), "fides_meta": meta}


def key(name: str = "id") -> Field:
    return field(name, data_type="integer", primary_key=True)


def link(name: str, dataset: str, source: str) -> Field:
    """A field whose values come from `collection.field` of a dataset."""
    return field(name, data_type="integer", references=[{"dataset": dataset, "field": source, "direction": "from"}])


def dataset(name: str, **collections: Sequence[Field]) -> dict[str, Any]:
    """A dataset in the form of the API."""
    shown = [{"name": collection, "fields": list(fields)} for collection, fields in collections.items()]
    return {"fides_key": name, "name": name, "collections": shown}


def first_dataset() -> dict[str, Any]:
    return dataset(
        "first",
        members=[
            key(),
            field("mail", "user.contact.email", data_type="string", identity="email"),
            field("phone", "user.contact.phone_number", data_type="string", identity="phone_number"),
            field("name", "user.name", data_type="string"),
        ],
        orders=[key(), link("member", "first", "members.id"), field("note", "user.content", data_type="string")],
    )


def second_dataset() -> dict[str, Any]:
    return dataset(
        "second",
        items=[key(), link("purchase", "first", "orders.id"), field("label", "user.content", data_type="string")],
        parcels=[
            key(),
            link("item", "second", "items.id"),
            field("street", "user.contact.address.street", data_type="string"),
        ],
        marks=[key(), link("parcel", "second", "parcels.id"), field("remark", "user.content", data_type="string")],
    )
