"""The places in which the conformance suite meets each driver."""

import importlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from duckdb import connect as open_duckdb
from psycopg.types.json import Json, set_json_loads

from habeas.connectors.asking import connect_email, connect_manual
from habeas.connectors.conformance import Column, Kind, Need, TableSpec
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.connectors.sql import connect_duckdb, connect_postgres, connect_sqlite
from habeas.domain.ports import ColumnSketch, Connector, ForeignKeySketch, Limits, TableSketch, Value
from servers.postgres import PostgresServer

LIMITS = Limits(lock_timeout=2.0, statement_timeout=10.0)

STORE = {Need.ANSWERS: "it answers by itself", Need.OTHERS: "it erases by itself"}
"""What no store has."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _reference(column: Column) -> str:
    if column.references is None:
        return ""
    table, name = column.references
    return f"REFERENCES {_quoted(table)} ({_quoted(name)})"


class MemoryHarness:
    """Tables in memory."""

    lacks: Mapping[Need, str] = STORE

    def __init__(self) -> None:
        self.store = MemoryStore()

    def create(self, spec: TableSpec) -> None:
        sketch = TableSketch(
            name=spec.name,
            schema=None,
            columns=tuple(self._column(column) for column in spec.columns),
            primary_key=spec.key,
            unique=tuple((column.name,) for column in spec.columns if column.unique),
            foreign_keys=tuple(
                ForeignKeySketch((column.name,), None, column.references[0], (column.references[1],))
                for column in spec.columns
                if column.references
            ),
        )
        folding = frozenset(column.name for column in spec.columns if column.kind is Kind.FOLDING)
        self.store.tables[spec.name] = MemoryTable(sketch, folding=folding)
        self.fill(spec, spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        return MemoryConnector(self.store, limits)

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        return [tuple(record.values()) for record in self.store.tables[spec.name].records]

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        names = [column.name for column in spec.columns]
        self.store.tables[spec.name].records[:] = [dict(zip(names, row, strict=True)) for row in rows]

    def spoil(self, spec: TableSpec, column: str) -> None:
        self.store.tables[spec.name].triggers = {column: lambda _: "spoiled"}

    def keep(self, spec: TableSpec) -> None:
        self.store.tables[spec.name].keeps_rows = True

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with self.store.lock:
            yield

    def close(self) -> None:
        """Nothing was opened."""

    @staticmethod
    def _column(column: Column) -> ColumnSketch:
        if column.kind is Kind.DOCUMENT:
            return ColumnSketch(column.name, "document", False, column.nullable, document=True)
        kind, array = "integer" if column.kind is Kind.INTEGER else "text", column.kind is Kind.ARRAY
        return ColumnSketch(column.name, kind, kind == "text", column.nullable, column.length, array=array)


class PeopleHarness:
    """People who are asked: nothing but what they answer."""

    lacks: Mapping[Need, str] = {Need.ROWS: "people have the rows", Need.OTHERS: "people say when it is done"}

    def create(self, spec: TableSpec) -> None:
        """People have it."""

    def connect(self, limits: Limits = LIMITS) -> Connector:
        return connect_manual({}, limits)

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        raise NotImplementedError

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        raise NotImplementedError

    def spoil(self, spec: TableSpec, column: str) -> None:
        raise NotImplementedError

    def keep(self, spec: TableSpec) -> None:
        raise NotImplementedError

    def lock(self, spec: TableSpec) -> AbstractContextManager[None]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing was opened."""


class MailedHarness(PeopleHarness):
    """Somebody who is asked by e-mail to erase."""

    lacks: Mapping[Need, str] = {Need.ROWS: "the recipient has the rows", Need.ANSWERS: "nobody answers"}

    def connect(self, limits: Limits = LIMITS) -> Connector:
        return connect_email({"to_email": "privacy@example.com"}, limits)


class SqliteHarness:
    """A database file."""

    lacks: Mapping[Need, str] = {**STORE, **dict.fromkeys((Need.DOCUMENTS, Need.ARRAYS), "no nested values")}

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store #1?.db"
        self.connectors: list[Connector] = []
        sqlite3.connect(self.path).close()

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        with closing(self._session()) as session, session:
            session.execute(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
        self.fill(spec, spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_sqlite({"path": str(self.path)}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with closing(self._session()) as session:
            return session.execute(f"SELECT * FROM {_quoted(spec.name)}").fetchall()

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        marks = ", ".join("?" for _ in spec.columns)
        with closing(self._session()) as session, session:
            session.execute(f"DELETE FROM {_quoted(spec.name)}")
            session.executemany(f"INSERT INTO {_quoted(spec.name)} VALUES ({marks})", rows)

    def spoil(self, spec: TableSpec, column: str) -> None:
        table, name = _quoted(spec.name), _quoted(column)
        with closing(self._session()) as session, session:
            session.execute(
                f"CREATE TRIGGER spoiler AFTER UPDATE OF {name} ON {table} WHEN NEW.{name} <> 'spoiled' "
                f"BEGIN UPDATE {table} SET {name} = 'spoiled' WHERE rowid = NEW.rowid; END"
            )

    def keep(self, spec: TableSpec) -> None:
        with closing(self._session()) as session, session:
            session.execute(
                f"CREATE TRIGGER keeper BEFORE DELETE ON {_quoted(spec.name)} BEGIN SELECT RAISE(IGNORE); END"
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
        parts += ["COLLATE NOCASE" if column.kind is Kind.FOLDING else "", _reference(column)]
        parts.append(f"CHECK (length({name}) <= {column.length})" if column.length else "")
        return " ".join(part for part in parts if part)


class DuckdbHarness:
    """A database file; its sessions are closed at once, as a file has one user at a time."""

    lacks: Mapping[Need, str] = STORE

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store #1.db"
        self.connectors: list[Connector] = []
        self.undo = ExitStack()
        open_duckdb(self.path).close()

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        with open_duckdb(self.path) as session:
            session.execute(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
        self.fill(spec, spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_duckdb({"path": str(self.path)}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with open_duckdb(self.path, read_only=True) as session:
            found = session.execute(f"SELECT * FROM {_quoted(spec.name)}").fetchall()
        kinds = [column.kind for column in spec.columns]
        return [
            tuple(
                json.loads(value, parse_float=Decimal) if kind is Kind.DOCUMENT and value is not None else value
                for kind, value in zip(kinds, row, strict=True)
            )
            for row in found
        ]

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        lists = [list(values) for values in zip(*rows, strict=True)]
        cells = []
        for place, column in enumerate(spec.columns):
            cells.append(f"unnest(CAST(${place + 1} AS {_DUCKDB[column.kind]}[]))")
            if column.kind is Kind.DOCUMENT and rows:
                lists[place] = [value if value is None else _dump(value) for value in lists[place]]
        with open_duckdb(self.path) as session:
            session.execute(f"DELETE FROM {_quoted(spec.name)}")
            if rows:
                session.execute(f"INSERT INTO {_quoted(spec.name)} SELECT {', '.join(cells)}", lists)

    def spoil(self, spec: TableSpec, column: str) -> None:
        """DuckDB has no triggers: another statement follows every UPDATE in the connector's own session."""
        again = f"UPDATE {_quoted(spec.name)} SET {_quoted(column)} = 'spoiled' WHERE {_quoted(column)} = 'MASKED'"
        self._intrude("UPDATE", lambda session, *what: (session.execute(*what), session.execute(again)))

    def keep(self, spec: TableSpec) -> None:
        """DuckDB has no triggers: a DELETE of the connector's own session does nothing."""
        self._intrude("DELETE", lambda session, *_: session.execute("SELECT 0"))

    @contextmanager
    def lock(self, spec: TableSpec) -> Iterator[None]:
        with hold_duckdb(self.path):
            yield

    def close(self) -> None:
        self.undo.close()
        for connector in self.connectors:
            connector.close()

    def _intrude(self, verb: str, act: Callable[..., object]) -> None:
        class Intruded:
            def __init__(self, *arguments: Any, **options: Any) -> None:
                self.session = open_duckdb(*arguments, **options)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.session, name)

            def cursor(self) -> "Intruded":
                other = object.__new__(Intruded)
                other.session = self.session.cursor()
                return other

            def execute(self, statement: str, *parameters: Any) -> "Intruded":
                if statement.startswith(verb):
                    act(self.session, statement, *parameters)
                else:
                    self.session.execute(statement, *parameters)
                return self

        importlib.import_module("duckdb_engine")  # connects itself when it is imported
        self.undo.enter_context(mock.patch("duckdb.connect", Intruded))

    @staticmethod
    def _column(column: Column) -> str:
        name = _quoted(column.name)
        parts = [name, _DUCKDB[column.kind], "" if column.nullable else "NOT NULL", "UNIQUE" if column.unique else ""]
        parts += ["COLLATE NOCASE" if column.kind is Kind.FOLDING else "", _reference(column)]
        parts += [f"CHECK (length({name}) <= {column.length})" if column.length else ""]
        return " ".join(part for part in parts if part)


_DUCKDB = {
    Kind.INTEGER: "INTEGER",
    Kind.TEXT: "VARCHAR",
    Kind.FOLDING: "VARCHAR",
    Kind.DOCUMENT: "JSON",
    Kind.ARRAY: "VARCHAR[]",
}


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
    """A database of the session's server. `folding`: how its FOLDING columns fold case; `document`: json or jsonb."""

    lacks: Mapping[Need, str] = STORE

    def __init__(self, server: PostgresServer, folding: str, document: str) -> None:
        self.server = server
        self.kinds = {Kind.INTEGER: "integer", Kind.FOLDING: folding, Kind.DOCUMENT: document, Kind.ARRAY: "text[]"}
        self.connectors: list[Connector] = []
        self.url = server.create_database("conformance")
        self._run("CREATE EXTENSION citext")
        self._run("CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")

    def create(self, spec: TableSpec) -> None:
        parts = [self._column(column) for column in spec.columns]
        if spec.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, spec.key))})")
        self._run(f"CREATE TABLE {_quoted(spec.name)} ({', '.join(parts)})")
        self.fill(spec, spec.rows)

    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(connect_postgres({"url": self.url}, limits))
        return self.connectors[-1]

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        with psycopg.connect(self.url) as session:
            set_json_loads(lambda text: json.loads(text, parse_float=Decimal), session)
            return list(session.execute(f"SELECT * FROM {_quoted(spec.name)}".encode()))

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        marks = ", ".join("%s" for _ in spec.columns)
        documents = [column.kind is Kind.DOCUMENT for column in spec.columns]
        with psycopg.connect(self.url) as session, session.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_quoted(spec.name)}".encode())
            cursor.executemany(
                f"INSERT INTO {_quoted(spec.name)} VALUES ({marks})".encode(),
                [
                    [
                        Json(value, _dump) if nested and value is not None else value
                        for value, nested in zip(row, documents, strict=True)
                    ]
                    for row in rows
                ],
            )

    def spoil(self, spec: TableSpec, column: str) -> None:
        self._run(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN NEW.{_quoted(column)} := 'spoiled'; RETURN NEW; END $$"
        )
        self._run(f"CREATE TRIGGER spoiler BEFORE UPDATE ON {_quoted(spec.name)} FOR EACH ROW EXECUTE FUNCTION spoil()")

    def keep(self, spec: TableSpec) -> None:
        self._run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
        self._run(f"CREATE TRIGGER keeper BEFORE DELETE ON {_quoted(spec.name)} FOR EACH ROW EXECUTE FUNCTION keep()")

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
        kind = self.kinds.get(column.kind) or (f"varchar({column.length})" if column.length else "text")
        parts = [_quoted(column.name), kind, "" if column.nullable else "NOT NULL", "UNIQUE" if column.unique else ""]
        return " ".join(part for part in [*parts, _reference(column)] if part)


def _dump(value: Value) -> str:
    """JSON whose decimals keep their digits."""
    marks: list[str] = []

    def mark(number: object) -> str:
        marks.append(str(number))
        return f"decimal {len(marks) - 1} of the harness"

    text = json.dumps(value, default=mark)
    for place, number in enumerate(marks):
        text = text.replace(f'"decimal {place} of the harness"', number)
    return text
