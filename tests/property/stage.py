"""Puts a world into real stores and describes it to an engine; reads back what the stores hold."""

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from nesting import read_json, spell, write_json
from psycopg import sql
from worlds import (
    BYTES,
    FORMATS,
    INTEGER,
    JSON,
    JSONB,
    OBJECT,
    POLICIES,
    REAL,
    TEXT,
    Address,
    Collection,
    Column,
    Link,
    Person,
    Secrets,
    World,
)

from engine import Engine
from habeas.domain.policy import OnUnreachable, SharedRows
from habeas.domain.request import RequestStatus
from habeas.services import connections
from habeas.services.requests import find_request as show_request
from habeas.store import requests
from servers.postgres import PostgresServer

_numbers = itertools.count()

_SQLITE = {INTEGER: "INTEGER", TEXT: "TEXT", REAL: "REAL", BYTES: "BLOB"}
_DUCKDB = {INTEGER: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BYTES: "BLOB", JSON: "JSON"}
_POSTGRES = {INTEGER: "bigint", TEXT: "text", REAL: "double precision", BYTES: "bytea", JSON: "json", JSONB: "jsonb"}


class Stage:
    """An engine with all POLICIES and a place for worlds: a folder, and two PostgreSQL databases."""

    def __init__(self, engine: Engine, folder: Path, server: PostgresServer) -> None:
        self.engine = engine
        self._folder = folder
        self._server = server
        self._names = [f"worlds_{next(_numbers)}" for _ in range(2)]
        self._sessions = [psycopg.connect(server.create_database(name), autocommit=True) for name in self._names]
        for form in FORMATS:
            engine.store(form, form)
            for key, facts in POLICIES.items():
                engine.policy(
                    f"{key}_{form}",
                    facts.access,
                    facts.erasure,
                    configuration=facts.configuration,
                    storage=form,
                    on_unreachable=OnUnreachable.FAIL if facts.strict else OnUnreachable.SKIP,
                    shared_rows=SharedRows(facts.shared),
                )

    def close(self) -> None:
        for session in self._sessions:
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

    def submit(
        self, policy: str, people: Sequence[Person], package_format: str = "json", key: str | None = None
    ) -> list[str]:
        """One request per person; their ids."""
        given = [{kind: list(values) for kind, values in person.items()} for person in people]
        return self.engine.submit(f"{policy}_{package_format}", *given, encryption_key=key)

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

    def package(self, request_id: str) -> bytes:
        """A request's only package."""
        policy = show_request(self.engine.context, request_id).policy["key"]
        return self.engine.package_file(request_id, f"{policy}-give")

    def secrets_of(self, ids: Sequence[str]) -> Mapping[str, Secrets]:
        """Masking secrets of requests that are not carried out yet."""
        ledger = self.engine.context.ledger
        with ledger.read() as connection:
            return requests.secrets_of(connection, ledger.sealer, ids)

    def session(self, server: int) -> psycopg.Connection:
        return self._sessions[server]

    def file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def secrets(self, server: int) -> dict[str, str]:
        return self._server.secrets(self._names[server])


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
                        marks = ", ".join(f"CAST(? AS {_type_of(column, _DUCKDB)})" for column in item.columns)
                        for row in item.rows:
                            file.execute(f'INSERT INTO "{_q(item.address[1])}" VALUES ({marks})', _written(item, row))
                    file.commit()
            else:
                session = self._stage.session(database.server)
                with session.transaction(), session.cursor() as cursor:
                    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place)))
                    for item in tables:
                        name = f'"{place}"."{_q(item.address[1])}"'
                        cursor.execute(_create_table(item, name, _POSTGRES).encode())
                        if item.rows:
                            cells = sql.SQL(", ").join(
                                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, _written(item, row))))
                                for row in item.rows
                            )
                            table = sql.Identifier(place, item.address[1])
                            cursor.execute(sql.SQL("INSERT INTO {} VALUES {}").format(table, cells))

    def describe(self) -> None:
        world, engine = self._world, self._stage.engine
        for index, (place, database) in enumerate(zip(self._places, world.databases, strict=True)):
            access = "read" if database.read_only else "write"
            if database.kind != "postgres":
                engine.connect(place, database.kind, {"path": str(self._stage.file(place))}, access=access)
            else:
                named = {} if database.schema_in_dataset else {"db_schema": place}
                engine.connect(place, "postgres", self._stage.secrets(database.server) | named, access=access)
            keys = sorted({item.address[0] for item in world.collections if world.home[item.address[0]] == index})
            bodies = [self._body(key, place if database.schema_in_dataset else None) for key in keys]
            if bodies:
                engine.describe(place, *bodies)

    def rows(self, address: Address) -> Counter[str]:
        """All rows of a collection as its store holds them now, every column of them, spelled."""
        return Counter(spell_row(self._world.collection(address), row) for row in self.values(address))

    def values(self, address: Address) -> list[list[Any]]:
        """The same as values."""
        item = self._world.collection(address)
        return [_read(item, row) for row in self._select(item)]

    def untouched(self, address: Address) -> Counter[str]:
        """Those of them whose documents are, to the byte, as they were written when the world was built."""
        item = self._world.collection(address)
        texts = [number for number, column in enumerate(item.columns) if column.type == JSON]
        return Counter(
            spell_row(item, _read(item, row))
            for row in self._select(item)
            if all(row[number] is None or row[number].startswith(" ") for number in texts)
        )

    def _select(self, item: Collection) -> Sequence[Sequence[Any]]:
        """Documents come as text."""
        place = self._places[self._world.home[item.address[0]]]
        database = self._world.database(item.address)
        if database.kind == "sqlite":
            with closing(sqlite3.connect(self._stage.file(place))) as file:
                return file.execute(f'SELECT * FROM "{_q(item.address[1])}"').fetchall()
        if database.kind == "duckdb":
            with duckdb.connect(self._stage.file(place), read_only=True) as file:
                return file.execute(f'SELECT * FROM "{_q(item.address[1])}"').fetchall()
        columns = sql.SQL(", ").join(
            sql.SQL("CAST({} AS text)" if column.is_document else "{}").format(sql.Identifier(column.name))
            for column in item.columns
        )
        table = sql.Identifier(place, item.address[1])
        return (
            self._stage.session(database.server).execute(sql.SQL("SELECT {} FROM {}").format(columns, table)).fetchall()
        )

    def remove(self) -> None:
        engine = self._stage.engine
        for place in self._places:
            connections.delete_connection(engine.context, place)
        engine.context.connectors.close()
        for place, database in zip(self._places, self._world.databases, strict=True):
            if database.kind != "postgres":
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
            "data_categories": [item.category] if item.category else [],
            "fides_meta": {
                "after": [".".join(other) for other in item.after],
                "erase_after": [".".join(other) for other in item.erase_after],
                "skip_processing": item.skipped,
                "masking_strategy_override": {"strategy": "delete"} if item.delete else None,
            },
            "fields": [self._field(item, column, "") for column in item.columns if column.declared],
        }

    def _field(self, item: Collection, column: Column, above: str) -> dict[str, Any]:
        path = above + column.name
        meta: dict[str, Any] = {
            "primary_key": path in item.key,
            "data_type": f"{column.data_type}[]" if column.array else column.data_type,
            "return_all_elements": column.all_elements,
            "length": column.declared_length,
            "identity": column.identity,
            "match": column.match,
            "read_only": column.read_only,
            "references": list(_references(self._world.links, (item.address, path))),
        }
        if column.override is not None:
            meta["masking_strategy_override"] = {"strategy": column.override[0], "configuration": column.override[1]}
        categories = [column.category] if column.category else []
        inside = [self._field(item, inner, f"{path}.") for inner in column.fields if inner.declared]
        return {"name": column.name, "data_categories": categories, "fides_meta": meta, "fields": inside}


def spell_row(item: Collection, row: Iterable[Any]) -> str:
    """The row as text: of documents that are kept as text, the order of members too."""
    pairs = zip(item.columns, row, strict=True)
    return " | ".join(spell(value, ordered=column.type == JSON) for column, value in pairs)


def _written(item: Collection, row: Sequence[Any]) -> list[Any]:
    """As drivers take it."""
    pairs = zip(item.columns, row, strict=True)
    return [write_json(value) if column.is_document and value is not None else value for column, value in pairs]


def _read(item: Collection, row: Sequence[Any]) -> list[Any]:
    """As the world holds it."""
    pairs = zip(item.columns, row, strict=True)
    return [read_json(value) if column.is_document and value is not None else value for column, value in pairs]


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


def _create_table(item: Collection, name: str, types: Mapping[str, str]) -> str:
    parts = []
    for column in item.columns:
        rules = f"{'' if column.nullable else ' NOT NULL'}{' UNIQUE' if column.unique else ''}"
        if column.length and types is _DUCKDB:  # which takes no length from the type
            rules += f' CHECK (length("{_q(column.name)}") <= {column.length})'
        parts.append(f'"{_q(column.name)}" {_type_of(column, types)}{rules}')
    if item.key_in_store:
        parts.append("PRIMARY KEY ({})".format(", ".join(f'"{_q(column)}"' for column in item.key)))
    return f"CREATE TABLE {name} ({', '.join(parts)}){'' if item.row_ids else ' WITHOUT ROWID'}"


def _type_of(column: Column, types: Mapping[str, str]) -> str:
    if column.type == OBJECT:
        members = ", ".join(f'"{_q(inner.name)}" {_type_of(inner, types)}' for inner in column.fields)
        kind = f"STRUCT({members})"
    else:
        kind = f"varchar({column.length})" if column.length else types[column.type]
    return f"{kind}[]" if column.array and not column.is_document else kind


def _q(name: str) -> str:
    return name.replace('"', '""')
