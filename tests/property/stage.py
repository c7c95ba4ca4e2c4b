"""Puts a world into real stores and describes it to an engine; reads back what the stores hold."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nesting import spell
from stores import DuckdbFiles, MariadbDatabases, PostgresSchemas, SqliteFiles, Store, read
from worlds import FORMATS, JSON, POLICIES, Address, Collection, Column, Link, Person, Secrets, World

from engine import Engine
from habeas.domain.policy import OnUnreachable, SharedRows
from habeas.domain.request import RequestStatus
from habeas.services import connections
from habeas.services.requests import find_request as show_request
from habeas.store import configurations, requests
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

_numbers = itertools.count()


class Stage:
    """An engine with all POLICIES, for packages of each format, and a place for worlds in every kind of store."""

    def __init__(self, engine: Engine, folder: Path, server: PostgresServer, mariadb: MariaDbServer) -> None:
        self.engine = engine
        self.stores: Mapping[str, Store] = {
            "sqlite": SqliteFiles(folder),
            "duckdb": DuckdbFiles(folder),
            "postgres": PostgresSchemas(server, [f"worlds_{next(_numbers)}" for _ in range(2)]),
            "mariadb": MariadbDatabases(mariadb),
        }
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
        for store in self.stores.values():
            store.close()

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
        policy = show_request(self.engine.context, request_id).policy.key
        return self.engine.package_bytes(request_id, f"{policy}-give")

    def secrets_of(self, ids: Sequence[str]) -> Mapping[str, Secrets]:
        """Masking secrets of requests that are not carried out yet."""
        ledger = self.engine.context.ledger
        with ledger.read() as connection:
            return requests.secrets_of(connection, ledger.sealer, ids)


class Scene:
    """One world in its stores."""

    def __init__(self, stage: Stage, world: World, number: int) -> None:
        self._stage = stage
        self._world = world
        self._places = [f"w{number}_{index}" for index in range(len(world.databases))]
        """Name of each database: a file's or a schema's."""

    def build(self) -> None:
        for number, database in enumerate(self._world.databases):
            tables = [item for item in self._world.collections if self._world.home[item.address[0]] == number]
            self._stage.stores[database.kind].build(database, self._places[number], tables)

    def describe(self) -> None:
        world, engine = self._world, self._stage.engine
        for index, (place, database) in enumerate(zip(self._places, world.databases, strict=True)):
            access = "read" if database.read_only else "write"
            secrets = self._stage.stores[database.kind].secrets(database, place)
            engine.connect(place, database.kind, secrets, access=access)
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
        return [read(item, row) for row in self._select(item)]

    def write(self, address: Address, rows: Sequence[Sequence[Any]]) -> None:
        """Put these rows in place of all that the store holds."""
        number, database = self._world.home[address[0]], self._world.database(address)
        store = self._stage.stores[database.kind]
        store.write(database, self._places[number], self._world.collection(address), rows)

    def untouched(self, address: Address) -> Counter[str]:
        """Those of them whose documents are, to the byte, as they were written when the world was built."""
        item = self._world.collection(address)
        texts = [number for number, column in enumerate(item.columns) if column.type == JSON]
        return Counter(
            spell_row(item, read(item, row))
            for row in self._select(item)
            if all(row[number] is None or row[number].startswith(" ") for number in texts)
        )

    def _select(self, item: Collection) -> Sequence[Sequence[Any]]:
        number, database = self._world.home[item.address[0]], self._world.database(item.address)
        return self._stage.stores[database.kind].select(database, self._places[number], item)

    def remove(self) -> None:
        engine = self._stage.engine
        with engine.context.ledger.read() as connection:
            known = configurations.find_connections(connection, self._places)
        for place in known:
            connections.delete_connection(engine.context, place)
        engine.context.connectors.close()
        for place, database in zip(self._places, self._world.databases, strict=True):
            self._stage.stores[database.kind].drop(database, place)

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
