"""The places where worlds live: each kind of store makes tables, reads them back and forgets them.

A world's database is a `place`: a file, a schema, or in MariaDB a database of its own.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
from nesting import read_json, write_json
from psycopg import sql
from worlds import BYTES, INTEGER, JSON, JSONB, OBJECT, REAL, TEXT, Collection, Column, Database

from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

Cells = Sequence[Any]

_SQLITE = {INTEGER: "INTEGER", TEXT: "TEXT", REAL: "REAL", BYTES: "BLOB"}
_DUCKDB = {INTEGER: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BYTES: "BLOB", JSON: "JSON"}
_POSTGRES = {INTEGER: "bigint", TEXT: "text", REAL: "double precision", BYTES: "bytea", JSON: "json", JSONB: "jsonb"}
_MARIADB = {INTEGER: "bigint", TEXT: "text", REAL: "double", BYTES: "longblob"}


class Store(Protocol):
    def secrets(self, database: Database, place: str) -> dict[str, str]:
        """Of a connection to where names are looked up: in the place, unless the datasets name it."""
        ...

    def build(self, database: Database, place: str, tables: Sequence[Collection]) -> None: ...

    def select(self, database: Database, place: str, item: Collection) -> Sequence[Cells]:
        """All rows of a table; documents as text."""
        ...

    def write(self, database: Database, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        """Put these rows in place of all that the table holds."""
        ...

    def drop(self, database: Database, place: str) -> None: ...

    def close(self) -> None: ...


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def secrets(self, database: Database, place: str) -> dict[str, str]:
        return {"path": str(self._file(place))}

    def drop(self, database: Database, place: str) -> None:
        self._file(place).unlink(missing_ok=True)

    def close(self) -> None:
        """The folder is whoever made it's."""

    def _file(self, place: str) -> Path:
        return self._folder / f"{place}.db"


class SqliteFiles(_Files):
    def build(self, database: Database, place: str, tables: Sequence[Collection]) -> None:
        with self._open(place) as file:
            for item in tables:
                file.execute(_create_table(item, _quoted(item.address[1]), _SQLITE))
                self._insert(file, item, item.rows)

    def select(self, database: Database, place: str, item: Collection) -> Sequence[Cells]:
        with self._open(place) as file:
            return file.execute(f"SELECT * FROM {_quoted(item.address[1])}").fetchall()

    def write(self, database: Database, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        with self._open(place) as file:
            file.execute(f"DELETE FROM {_quoted(item.address[1])}")
            self._insert(file, item, rows)

    def _insert(self, file: sqlite3.Connection, item: Collection, rows: Sequence[Cells]) -> None:
        marks = ", ".join("?" * len(item.columns))
        file.executemany(f"INSERT INTO {_quoted(item.address[1])} VALUES ({marks})", rows)

    @contextmanager
    def _open(self, place: str) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file(place), isolation_level=None)) as file:
            file.execute("PRAGMA journal_mode = MEMORY")
            file.execute("PRAGMA synchronous = OFF")
            file.execute("BEGIN")
            yield file
            file.execute("COMMIT")


class DuckdbFiles(_Files):
    def build(self, database: Database, place: str, tables: Sequence[Collection]) -> None:
        with duckdb.connect(self._file(place)) as file:
            file.begin()
            for item in tables:
                file.execute(_create_table(item, _quoted(item.address[1]), _DUCKDB))
                self._insert(file, item, item.rows)
            file.commit()

    def select(self, database: Database, place: str, item: Collection) -> Sequence[Cells]:
        with duckdb.connect(self._file(place), read_only=True) as file:
            return file.execute(f"SELECT * FROM {_quoted(item.address[1])}").fetchall()

    def write(self, database: Database, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        with duckdb.connect(self._file(place)) as file:
            file.execute(f"DELETE FROM {_quoted(item.address[1])}")
            self._insert(file, item, rows)

    def _insert(self, file: duckdb.DuckDBPyConnection, item: Collection, rows: Sequence[Cells]) -> None:
        marks = ", ".join(f"CAST(? AS {_type_of(column, _DUCKDB)})" for column in item.columns)
        for row in rows:
            file.execute(f"INSERT INTO {_quoted(item.address[1])} VALUES ({marks})", written(item, row))


class PostgresSchemas:
    """In one of two databases of a server."""

    def __init__(self, server: PostgresServer, names: Sequence[str]) -> None:
        self._server = server
        self._names = names
        self._sessions = [psycopg.connect(server.create_database(name), autocommit=True) for name in names]

    def secrets(self, database: Database, place: str) -> dict[str, str]:
        named = {} if database.schema_in_dataset else {"db_schema": place}
        return self._server.secrets(self._names[database.server]) | named

    def build(self, database: Database, place: str, tables: Sequence[Collection]) -> None:
        session = self._sessions[database.server]
        with session.transaction():
            session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place)))
            for item in tables:
                name = f"{_quoted(place)}.{_quoted(item.address[1])}"
                session.execute(_create_table(item, name, _POSTGRES).encode())
                self._insert(session, place, item, item.rows)

    def select(self, database: Database, place: str, item: Collection) -> Sequence[Cells]:
        columns = sql.SQL(", ").join(
            sql.SQL("CAST({} AS text)" if column.is_document else "{}").format(sql.Identifier(column.name))
            for column in item.columns
        )
        query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(place, item.address[1]))
        return self._sessions[database.server].execute(query).fetchall()

    def write(self, database: Database, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        session = self._sessions[database.server]
        with session.transaction():
            session.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(place, item.address[1])))
            self._insert(session, place, item, rows)

    def drop(self, database: Database, place: str) -> None:
        drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(place))
        self._sessions[database.server].execute(drop)

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _insert(self, session: psycopg.Connection, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        if rows:
            cells = sql.SQL(", ").join(
                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, written(item, row)))) for row in rows
            )
            session.execute(sql.SQL("INSERT INTO {} VALUES {}").format(sql.Identifier(place, item.address[1]), cells))


class MariadbDatabases:
    def __init__(self, server: MariaDbServer) -> None:
        self._server = server
        self._session = server.connect()

    def secrets(self, database: Database, place: str) -> dict[str, str]:
        return self._server.secrets("mysql" if database.schema_in_dataset else place)

    def build(self, database: Database, place: str, tables: Sequence[Collection]) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{place}` COLLATE utf8mb4_nopad_bin")
            for item in tables:
                cursor.execute(_create_table(item, self._name(place, item), _MARIADB, _backticked))
                self._insert(cursor, place, item, item.rows)

    def select(self, database: Database, place: str, item: Collection) -> Sequence[Cells]:
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._name(place, item)}")
            found: Sequence[Cells] = cursor.fetchall()
        return found

    def write(self, database: Database, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(f"DELETE FROM {self._name(place, item)}")
            self._insert(cursor, place, item, rows)

    def drop(self, database: Database, place: str) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{place}`")

    def close(self) -> None:
        self._session.close()

    def _name(self, place: str, item: Collection) -> str:
        return f"`{place}`.{_backticked(item.address[1])}"

    def _insert(self, cursor: Any, place: str, item: Collection, rows: Sequence[Cells]) -> None:
        for row in rows:
            cursor.execute(
                f"INSERT INTO {self._name(place, item)} VALUES ({', '.join(map(self._session.escape, row))})"
            )


def written(item: Collection, row: Cells) -> list[Any]:
    """Values as drivers take them."""
    pairs = zip(item.columns, row, strict=True)
    return [write_json(value) if column.is_document and value is not None else value for column, value in pairs]


def read(item: Collection, row: Cells) -> list[Any]:
    """Values as worlds hold them."""
    pairs = zip(item.columns, row, strict=True)
    return [read_json(value) if column.is_document and value is not None else value for column, value in pairs]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _backticked(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _create_table(item: Collection, name: str, types: Mapping[str, str], quote: Callable[[str], str] = _quoted) -> str:
    parts = []
    for column in item.columns:
        kind = _type_of(column, types)
        if types is _MARIADB and column.name in item.key and column.type == TEXT:
            kind = "varchar(200)"  # no key holds text of any length there
        rules = f"{'' if column.nullable else ' NOT NULL'}{' UNIQUE' if column.unique else ''}"
        if column.length and types is _DUCKDB:  # which takes no length from the type
            rules += f" CHECK (length({quote(column.name)}) <= {column.length})"
        parts.append(f"{quote(column.name)} {kind}{rules}")
    if item.key_in_store:
        parts.append(f"PRIMARY KEY ({', '.join(map(quote, item.key))})")
    return f"CREATE TABLE {name} ({', '.join(parts)}){'' if item.row_ids else ' WITHOUT ROWID'}"


def _type_of(column: Column, types: Mapping[str, str]) -> str:
    if column.type == OBJECT:
        members = ", ".join(f"{_quoted(inner.name)} {_type_of(inner, types)}" for inner in column.fields)
        kind = f"STRUCT({members})"
    else:
        kind = f"varchar({column.length})" if column.length else types[column.type]
    return f"{kind}[]" if column.array and not column.is_document else kind
