"""Puts a world into real stores and describes it to an engine; reads back what the stores hold."""

import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql
from worlds import (
    BYTES,
    INTEGER,
    POLICIES,
    REAL,
    TEXT,
    Address,
    Collection,
    Column,
    Database,
    Link,
    Person,
    Secrets,
    World,
)

from engine import Engine
from habeas.domain.policy import OnUnreachable
from habeas.domain.request import RequestStatus
from habeas.services import connections
from habeas.services.requests import find_request as show_request
from habeas.store import requests
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

_numbers = itertools.count()

_SQLITE = {INTEGER: "INTEGER", TEXT: "TEXT", REAL: "REAL", BYTES: "BLOB"}
_DUCKDB = {INTEGER: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BYTES: "BLOB"}
_POSTGRES = {INTEGER: "bigint", TEXT: "text", REAL: "double precision", BYTES: "bytea"}
_MARIADB = {INTEGER: "bigint", TEXT: "text", REAL: "double", BYTES: "longblob"}


class Stage:
    """An engine with all POLICIES and a place for worlds: a folder, two PostgreSQL databases, a MariaDB server."""

    def __init__(self, engine: Engine, folder: Path, server: PostgresServer, mariadb: MariaDbServer) -> None:
        self.engine = engine
        self._folder = folder
        self._server = server
        self._mariadb = mariadb
        self.mariadb = mariadb.connect()
        self._names = [f"worlds_{next(_numbers)}" for _ in range(2)]
        self._sessions = [psycopg.connect(server.create_database(name), autocommit=True) for name in self._names]
        for key, facts in POLICIES.items():
            engine.policy(
                key,
                facts.access,
                facts.erasure,
                configuration=facts.configuration,
                on_unreachable=OnUnreachable.FAIL if facts.strict else OnUnreachable.SKIP,
            )

    def close(self) -> None:
        for session in (*self._sessions, self.mariadb):
            session.close()

    @contextmanager
    def set_up(self, world: World) -> Iterator["Scene"]:
        """The world, built and described; everything of it is gone afterwards."""
        scene = Scene(self, world, next(_numbers))
        try:
            scene.build()
            scene.describe()
            yield scene
        finally:
            scene.remove()

    def submit(self, policy: str, people: Sequence[Person]) -> list[str]:
        """One request per person; their ids."""
        given = [{kind: list(values) for kind, values in person.items()} for person in people]
        return self.engine.submit(policy, *given)

    def carry(self, policy: str, people: Sequence[Person]) -> list[str]:
        """Submit, and run to the end: all requests must complete."""
        ids = self.submit(policy, people)
        self.engine.run()
        for request_id in ids:
            assert self.failure(request_id) == ""
        return ids

    def failure(self, request_id: str) -> str:
        """Why a request did not complete; nothing when it did."""
        view = show_request(self.engine.context, request_id)
        return "" if view.status == RequestStatus.COMPLETE else f"{view.status}: {view.failure}"

    def package(self, request_id: str) -> str:
        """The text of a request's only package."""
        policy = show_request(self.engine.context, request_id).policy["key"]
        return self.engine.package(request_id, f"{policy}-give")

    def secrets_of(self, ids: Sequence[str]) -> Mapping[str, Secrets]:
        """Masking secrets of requests that are not carried out yet."""
        ledger = self.engine.context.ledger
        with ledger.read() as connection:
            return requests.secrets_of(connection, ledger.sealer, ids)

    def session(self, server: int) -> psycopg.Connection:
        return self._sessions[server]

    def file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def secrets(self, database: Database, place: str) -> dict[str, str]:
        """Of a connection to where names are looked up: in `place`, unless the datasets name it."""
        if database.kind == "mariadb":
            return self._mariadb.secrets("mysql" if database.schema_in_dataset else place)
        if database.kind != "postgres":
            return {"path": str(self.file(place))}
        named = {} if database.schema_in_dataset else {"db_schema": place}
        return self._server.secrets(self._names[database.server]) | named


class Scene:
    """One world in its stores."""

    def __init__(self, stage: Stage, world: World, number: int) -> None:
        self._stage = stage
        self._world = world
        self._places = [f"w{number}_{index}" for index in range(len(world.databases))]
        """Name of each database: a file's or a schema's."""

    def build(self) -> None:
        for index, (place, database) in enumerate(zip(self._places, self._world.databases, strict=True)):
            tables = [item for item in self._world.collections if self._world.home[item.address[0]] == index]
            if database.kind == "sqlite":
                with closing(sqlite3.connect(self._stage.file(place), isolation_level=None)) as file:
                    file.execute("PRAGMA journal_mode = MEMORY")
                    file.execute("PRAGMA synchronous = OFF")
                    file.execute("BEGIN")
                    for item in tables:
                        file.execute(_create_table(item, f'"{_q(item.address[1])}"', _SQLITE))
                        if item.rows:
                            marks = ", ".join("?" * len(item.columns))
                            file.executemany(f'INSERT INTO "{_q(item.address[1])}" VALUES ({marks})', item.rows)
                    file.execute("COMMIT")
            elif database.kind == "duckdb":
                with duckdb.connect(self._stage.file(place)) as file:
                    file.begin()
                    for item in tables:
                        file.execute(_create_table(item, f'"{_q(item.address[1])}"', _DUCKDB))
                        for row in item.rows:
                            marks = ", ".join("?" * len(item.columns))
                            file.execute(f'INSERT INTO "{_q(item.address[1])}" VALUES ({marks})', row)
                    file.commit()
            elif database.kind == "mariadb":
                with self._stage.mariadb.cursor() as cursor:
                    cursor.execute(f"CREATE DATABASE `{place}` COLLATE utf8mb4_nopad_bin")
                    for item in tables:
                        name = f"`{place}`.{_backticked(item.address[1])}"
                        cursor.execute(_create_table(item, name, _MARIADB, _backticked))
                        for row in item.rows:
                            cells = ", ".join(map(self._stage.mariadb.escape, row))
                            cursor.execute(f"INSERT INTO {name} VALUES ({cells})")
            else:
                session = self._stage.session(database.server)
                with session.transaction(), session.cursor() as cursor:
                    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place)))
                    for item in tables:
                        name = f'"{place}"."{_q(item.address[1])}"'
                        cursor.execute(_create_table(item, name, _POSTGRES).encode())
                        if item.rows:
                            cells = sql.SQL(", ").join(
                                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row))) for row in item.rows
                            )
                            table = sql.Identifier(place, item.address[1])
                            cursor.execute(sql.SQL("INSERT INTO {} VALUES {}").format(table, cells))

    def describe(self) -> None:
        world, engine = self._world, self._stage.engine
        for index, (place, database) in enumerate(zip(self._places, world.databases, strict=True)):
            access = "read" if database.read_only else "write"
            engine.connect(place, database.kind, self._stage.secrets(database, place), access=access)
            keys = sorted({item.address[0] for item in world.collections if world.home[item.address[0]] == index})
            bodies = [self._body(key, place if database.schema_in_dataset else None) for key in keys]
            if bodies:
                engine.describe(place, *bodies)

    def rows(self, address: Address) -> Counter[tuple[Any, ...]]:
        """All rows of a collection as its store holds them now, every column of them."""
        place = self._places[self._world.home[address[0]]]
        database = self._world.database(address)
        if database.kind == "sqlite":
            with closing(sqlite3.connect(self._stage.file(place))) as file:
                return Counter(file.execute(f'SELECT * FROM "{_q(address[1])}"').fetchall())
        if database.kind == "duckdb":
            with duckdb.connect(self._stage.file(place), read_only=True) as file:
                return Counter(file.execute(f'SELECT * FROM "{_q(address[1])}"').fetchall())
        if database.kind == "mariadb":
            with self._stage.mariadb.cursor() as cursor:
                cursor.execute(f"SELECT * FROM `{place}`.{_backticked(address[1])}")
                return Counter(cursor.fetchall())
        found = self._stage.session(database.server).execute(
            sql.SQL("SELECT * FROM {}").format(sql.Identifier(place, address[1]))
        )
        return Counter(found.fetchall())

    def remove(self) -> None:
        engine = self._stage.engine
        for place in self._places:
            connections.delete_connection(engine.context, place)
        engine.context.connectors.close()
        for place, database in zip(self._places, self._world.databases, strict=True):
            if database.kind == "mariadb":
                with self._stage.mariadb.cursor() as cursor:
                    cursor.execute(f"DROP DATABASE IF EXISTS `{place}`")
            elif database.kind != "postgres":
                self._stage.file(place).unlink(missing_ok=True)
            else:
                drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(place))
                self._stage.session(database.server).execute(drop)

    def _body(self, dataset: str, schema: str | None) -> dict[str, Any]:
        meta: dict[str, Any] = {"after": list(self._world.dataset_after.get(dataset, ()))}
        if schema is not None:
            meta["namespace"] = {"schema": schema}
        collections = [self._describe(item) for item in self._world.collections if item.address[0] == dataset]
        return {"fides_key": dataset, "fides_meta": meta, "collections": collections}

    def _describe(self, item: Collection) -> dict[str, Any]:
        return {
            "name": item.address[1],
            "fides_meta": {"after": [".".join(other) for other in item.after], "skip_processing": item.skipped},
            "fields": [self._field(item, column) for column in item.columns if column.declared],
        }

    def _field(self, item: Collection, column: Column) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "primary_key": column.name in item.key,
            "data_type": column.data_type,
            "length": column.declared_length,
            "identity": column.identity,
            "match": column.match,
            "read_only": column.read_only,
            "references": list(_references(self._world.links, (item.address, column.name))),
        }
        if column.override is not None:
            meta["masking_strategy_override"] = {"strategy": column.override[0], "configuration": column.override[1]}
        categories = [column.category] if column.category else []
        return {"name": column.name, "data_categories": categories, "fides_meta": meta}


def _references(links: Sequence[Link], here: tuple[Address, str]) -> Iterator[dict[str, Any]]:
    """What a field declares: each link as often as its end says."""
    for link in links:
        for end, other, direction, times in (
            (link.source, link.target, "to", link.at_source),
            (link.target, link.source, "from", link.at_target),
        ):
            (dataset, collection), field = other
            reference = {"dataset": dataset, "field": f"{collection}.{field}"}
            if not link.undirected:
                reference["direction"] = direction
            if end == here:
                yield from [reference] * times


def _quoted(name: str) -> str:
    return f'"{_q(name)}"'


def _backticked(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _create_table(item: Collection, name: str, types: dict[str, str], quote: Callable[[str], str] = _quoted) -> str:
    parts = []
    for column in item.columns:
        length = f"({column.length})" if column.length else ""
        kind = f"varchar{length}" if length else types[column.type]
        if types is _MARIADB and column.name in item.key and column.type == TEXT:
            kind = "varchar(200)"  # no key holds text of any length there
        rules = f"{'' if column.nullable else ' NOT NULL'}{' UNIQUE' if column.unique else ''}"
        if length and types is _DUCKDB:  # which takes no length from the type
            rules += f" CHECK (length({quote(column.name)}) <= {column.length})"
        parts.append(f"{quote(column.name)} {kind}{rules}")
    if item.key_in_store:
        parts.append(f"PRIMARY KEY ({', '.join(map(quote, item.key))})")
    return f"CREATE TABLE {name} ({', '.join(parts)}){'' if item.row_ids else ' WITHOUT ROWID'}"


def _q(name: str) -> str:
    return name.replace('"', '""')
