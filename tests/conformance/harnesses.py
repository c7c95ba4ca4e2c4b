"""The places in which the conformance suite meets each driver."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from duckdb import connect as open_duckdb

from habeas.connectors.conformance import Column, Kind, TableSpec
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.connectors.sql import connect_duckdb, connect_postgres, connect_sqlite
from habeas.domain.ports import ColumnSketch, Connector, Limits, TableSketch, Value
from servers.postgres import PostgresServer

LIMITS = Limits(lock_timeout=2.0, statement_timeout=10.0)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class MemoryHarness:
    """Tables in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def create(self, spec: TableSpec) -> None:
        sketch = TableSketch(
            name=spec.name,
            schema=None,
            columns=tuple(self._column(column) for column in spec.columns),
            primary_key=spec.key,
            unique=tuple((column.name,) for column in spec.columns if column.unique),
        )
        names = [column.name for column in spec.columns]
        records = [dict(zip(names, row, strict=True)) for row in spec.rows]
        folding = frozenset(column.name for column in spec.columns if column.kind is Kind.FOLDING)
        self.store.tables[spec.name] = MemoryTable(sketch, records, folding)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        return MemoryConnector(self.store, limits)

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        return [tuple(record.values()) for record in self.store.tables[spec.name].records]

    def spoil(self, spec: TableSpec, column: str) -> None:
        self.store.tables[spec.name].triggers = {column: lambda _: "spoiled"}

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with self.store.lock:
            yield

    def close(self) -> None:
        """Nothing was opened."""

    @staticmethod
    def _column(column: Column) -> ColumnSketch:
        kind = "integer" if column.kind is Kind.INTEGER else "text"
        return ColumnSketch(column.name, kind, kind == "text", column.nullable, column.length)


class SqliteHarness:
    """A database file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store #1?.db"
        self.connectors: list[Connector] = []
        sqlite3.connect(self.path).close()

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        marks = ", ".join("?" for _ in spec.columns)
        with closing(self._session()) as session, session:
            session.execute(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
            session.executemany(f"INSERT INTO {_quoted(spec.name)} VALUES ({marks})", spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_sqlite({"path": str(self.path)}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with closing(self._session()) as session:
            return session.execute(f"SELECT * FROM {_quoted(spec.name)}").fetchall()

    def spoil(self, spec: TableSpec, column: str) -> None:
        table, name = _quoted(spec.name), _quoted(column)
        with closing(self._session()) as session, session:
            session.execute(
                f"CREATE TRIGGER spoiler AFTER UPDATE OF {name} ON {table} WHEN NEW.{name} <> 'spoiled' "
                f"BEGIN UPDATE {table} SET {name} = 'spoiled' WHERE rowid = NEW.rowid; END"
            )

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with closing(self._session()) as session:
            session.isolation_level = None
            session.execute("BEGIN IMMEDIATE")
            yield
            session.execute("ROLLBACK")

    def close(self) -> None:
        for connector in self.connectors:
            connector.close()

    def _session(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)

    @staticmethod
    def _column(column: Column) -> str:
        kind = "INTEGER" if column.kind is Kind.INTEGER else "TEXT"
        if column.length:
            kind = f"VARCHAR({column.length})"
        name = _quoted(column.name)
        parts = [name, kind, "" if column.nullable else "NOT NULL", "UNIQUE" if column.unique else ""]
        parts.append("COLLATE NOCASE" if column.kind is Kind.FOLDING else "")
        parts.append(f"CHECK (length({name}) <= {column.length})" if column.length else "")
        return " ".join(part for part in parts if part)


class DuckdbHarness:
    """A database file; its sessions are closed at once, as a file has one user at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store #1.db"
        self.connectors: list[Connector] = []
        self.undo = ExitStack()
        open_duckdb(self.path).close()

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        marks = ", ".join(f"unnest(${place})" for place in range(1, 1 + len(spec.columns)))
        with open_duckdb(self.path) as session:
            session.execute(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
            session.execute(
                f"INSERT INTO {_quoted(spec.name)} SELECT {marks}", list(map(list, zip(*spec.rows, strict=True)))
            )

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_duckdb({"path": str(self.path)}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with open_duckdb(self.path, read_only=True) as session:
            return session.execute(f"SELECT * FROM {_quoted(spec.name)}").fetchall()

    def spoil(self, spec: TableSpec, column: str) -> None:
        """DuckDB has no triggers: a second statement follows every UPDATE in the connector's own session."""
        again = f"UPDATE {_quoted(spec.name)} SET {_quoted(column)} = 'spoiled' WHERE {_quoted(column)} = 'MASKED'"

        class Spoiled:
            def __init__(self, *arguments: Any, **options: Any) -> None:
                self.session = open_duckdb(*arguments, **options)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.session, name)

            def execute(self, statement: str, *parameters: Any) -> "Spoiled":
                self.session.execute(statement, *parameters)
                if statement.startswith("UPDATE"):
                    self.session.execute(again)
                return self

        self.undo.enter_context(mock.patch("duckdb.connect", Spoiled))

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with hold_duckdb(self.path):
            yield

    def close(self) -> None:
        self.undo.close()
        for connector in self.connectors:
            connector.close()

    @staticmethod
    def _column(column: Column) -> str:
        name = _quoted(column.name)
        parts = [name, "INTEGER" if column.kind is Kind.INTEGER else "VARCHAR"]
        parts += ["COLLATE NOCASE" if column.kind is Kind.FOLDING else "", "" if column.nullable else "NOT NULL"]
        parts += ["UNIQUE" if column.unique else ""]
        parts += [f"CHECK (length({name}) <= {column.length})" if column.length else ""]
        return " ".join(part for part in parts if part)


@contextmanager
def hold_duckdb(path: Path, *, read_only: bool = False) -> Iterator[Callable[[], None]]:
    """Another process has the file open, until the block ends or what it gives is called."""
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=bool(sys.argv[2])); "
    code += "print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path), "1" if read_only else ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == "1\n"
        yield other.stdin.close


class PostgresHarness:
    """A database of the session's server. `folding`: how its FOLDING columns fold case."""

    def __init__(self, server: PostgresServer, folding: str) -> None:
        self.server = server
        self.folding = folding
        self.connectors: list[Connector] = []
        self.url = server.create_database("conformance")
        self._run("CREATE EXTENSION citext")
        self._run("CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        self._run(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
        marks = ", ".join("%s" for _ in spec.columns)
        with psycopg.connect(self.url) as session, session.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {_quoted(spec.name)} VALUES ({marks})".encode(), spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_postgres({"url": self.url}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with psycopg.connect(self.url) as session:
            return list(session.execute(f"SELECT * FROM {_quoted(spec.name)}".encode()))

    def spoil(self, spec: TableSpec, column: str) -> None:
        self._run(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN NEW.{_quoted(column)} := 'spoiled'; RETURN NEW; END $$"
        )
        self._run(f"CREATE TRIGGER spoiler BEFORE UPDATE ON {_quoted(spec.name)} FOR EACH ROW EXECUTE FUNCTION spoil()")

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with psycopg.connect(self.url) as session:
            session.execute(f"SELECT * FROM {_quoted(spec.name)} FOR UPDATE".encode())
            yield

    def close(self) -> None:
        for connector in self.connectors:
            connector.close()

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(statement.encode())

    def _column(self, column: Column) -> str:
        if column.kind is Kind.INTEGER:
            kind = "integer"
        elif column.kind is Kind.FOLDING:
            kind = self.folding
        else:
            kind = f"varchar({column.length})" if column.length else "text"
        parts = [_quoted(column.name), kind, "" if column.nullable else "NOT NULL", "UNIQUE" if column.unique else ""]
        return " ".join(part for part in parts if part)
