"""The stores that are measured, with what the script by hand writes differently in each.

A store is one database that is filled with goods. Servers start when they are first needed.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import duckdb
import goods
import psycopg
import pymysql
from goods import Goods
from tables import Column, Table, creation, indexes

from servers.duckdb_files import open_duckdb
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

Execute = Callable[[str, Sequence[Any]], Sequence[tuple[Any, ...]]]
"""Run a statement with its parameters; its rows, none where it returns none."""


class Store(Protocol):
    """A database in one store. `kind` is the connection type; `mark` and `join` stand in the script's statements."""

    kind: str
    mark: str
    join: str

    @property
    def secrets(self) -> Mapping[str, str]:
        """The secrets of a connection to it."""
        ...

    def session(self, *, write: bool = False) -> AbstractContextManager[Execute]:
        """A transaction that is committed at the end."""
        ...

    def relation(self, columns: Mapping[str, Column], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        """Rows as a relation `k` that stands in FROM, and its parameters."""
        ...

    def update(self, table: str, sets: Mapping[str, str], relation: str) -> str:
        """The statement that sets columns of the rows with the `id`s of a relation."""
        ...

    def rest(self) -> None:
        """Wait until the engine has let go of it."""
        ...


class Postgres:
    """A database of a PostgreSQL server; the script keeps its session."""

    kind, mark, join = "postgres", "%s", "JOIN"
    _types: Mapping[str, str] = {"int": "int4", "text": "text", "moment": "timestamptz"}

    def __init__(self, server: PostgresServer, name: str, stock: Goods) -> None:
        self.secrets = server.secrets(name)
        self._connection = psycopg.connect(server.create_database(name), options="-c TimeZone=UTC", autocommit=True)
        with tempfile.TemporaryDirectory() as folder:
            for table in stock.tables:
                self._load(table, stock, Path(folder) / table.name)
        self._connection.execute("VACUUM ANALYZE")
        self._connection.autocommit = False

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Execute]:
        yield self._execute
        self._connection.commit()

    def relation(self, columns: Mapping[str, Column], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        arrays = ", ".join(f"%s::{self._type_of(column)}[]" for column in columns.values())
        return f"unnest({arrays}) k({', '.join(columns)})", [list(values) for values in zip(*rows, strict=True)]

    def update(self, table: str, sets: Mapping[str, str], relation: str) -> str:
        assignments = ", ".join(f"{column} = {value}" for column, value in sets.items())
        return f"UPDATE {table} t SET {assignments} FROM {relation} WHERE t.id = k.id"

    def rest(self) -> None:
        """Nobody has it alone."""

    def _execute(self, statement: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def _load(self, table: Table, stock: Goods, file: Path) -> None:
        stock.write_csv(table, file)
        self._connection.execute(creation(table, self._type_of).encode())
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table.name} FROM STDIN (FORMAT csv)".encode()) as copy,
            file.open("rb") as rows,
        ):
            while portion := rows.read(1 << 20):
                copy.write(portion)
        for statement in indexes(table):
            self._connection.execute(statement.encode())

    def _type_of(self, column: Column) -> str:
        return "jsonb" if column.members else self._types[column.type]


class MariaDb:
    """A database of a MariaDB server; the script keeps its session."""

    kind, mark, join = "mariadb", "%s", "STRAIGHT_JOIN"
    _types: Mapping[str, str] = {"int": "int", "text": "varchar(100)", "moment": "datetime"}

    def __init__(self, server: MariaDbServer, name: str, stock: Goods) -> None:
        self.secrets = server.secrets(name)
        server.create_database(name)
        place = {"host": "127.0.0.1", "port": server.port, "database": name}
        account = {"user": self.secrets["username"], "password": self.secrets["password"]}
        self._connection = pymysql.connect(**place, **account, local_infile=True)
        with tempfile.TemporaryDirectory() as folder:
            for table in stock.tables:
                self._load(table, stock, Path(folder) / table.name)
        self._connection.commit()

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Execute]:
        yield self._execute
        self._connection.commit()

    def relation(self, columns: Mapping[str, Column], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        parts = (
            f"{name} {self._type_of(column)} PATH '$[{place}]'" for place, (name, column) in enumerate(columns.items())
        )
        return f"JSON_TABLE(%s, '$[*]' COLUMNS ({', '.join(parts)})) k", [json.dumps(rows)]

    def update(self, table: str, sets: Mapping[str, str], relation: str) -> str:
        assignments = ", ".join(f"t.{column} = {value}" for column, value in sets.items())
        return f"UPDATE {relation} STRAIGHT_JOIN {table} t ON t.id = k.id SET {assignments}"

    def rest(self) -> None:
        """Nobody has it alone."""

    def _execute(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())

    def _load(self, table: Table, stock: Goods, file: Path) -> None:
        stock.write_csv(table, file)
        self._execute(creation(table, self._type_of))
        how = "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'"
        self._execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table.name} {how}")
        for statement in indexes(table):
            self._execute(statement)
        self._execute(f"ANALYZE TABLE {table.name}")

    def _type_of(self, column: Column) -> str:
        return self._types[column.type]


class Duckdb:
    """A DuckDB file. One process may write it at a time, so the script opens it for each piece of work."""

    kind, mark, join = "duckdb", "?", "JOIN"

    def __init__(self, file: Path, stock: Goods) -> None:
        self._file = shutil.copy(stock.file, file)
        self.secrets = {"path": str(file)}

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Execute]:
        with open_duckdb(self._file, write=write) as connection:
            connection.begin()
            yield lambda statement, parameters: connection.execute(statement, parameters).fetchall()
            connection.commit()

    def relation(self, columns: Mapping[str, Column], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        lists = ", ".join(f"unnest(?::{goods.type_of(column)}[]) AS {name}" for name, column in columns.items())
        return f"(SELECT {lists}) k", [list(values) for values in zip(*rows, strict=True)]

    def update(self, table: str, sets: Mapping[str, str], relation: str) -> str:
        assignments = ", ".join(f"{column} = {value}" for column, value in sets.items())
        return f"UPDATE {table} t SET {assignments} FROM {relation} WHERE t.id = k.id"

    def rest(self) -> None:
        open_duckdb(self._file, write=True).close()


class Stores:
    """The servers of one run and the databases in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.versions: dict[str, str] = {"DuckDB": duckdb.__version__}

    @cached_property
    def postgres(self) -> PostgresServer:
        server = PostgresServer(durable=True)
        self.versions["PostgreSQL"] = server.version
        return server

    @cached_property
    def mariadb(self) -> MariaDbServer:
        """With memory for all that is measured, since it does not use the system's cache of files."""
        server = MariaDbServer(durable=True)
        server.run(f"SET GLOBAL innodb_buffer_pool_size = {1 << 30}")
        self.versions["MariaDB"] = server.version
        return server

    def fill(self, kind: str, name: str, stock: Goods) -> Store:
        """A database of this name with these goods, in place of an earlier one."""
        match kind:
            case "postgres":
                return Postgres(self.postgres, name, stock)
            case "mariadb":
                return MariaDb(self.mariadb, name, stock)
            case _:
                return Duckdb(self._folder / f"{name}.duckdb", stock)

    def remove(self) -> None:
        """End the servers that were started."""
        for server in (self.__dict__.get("postgres"), self.__dict__.get("mariadb")):
            if server is not None:
                server.remove()
