"""Random schemas, random rows, many people: packages and masked rows are exactly what a brute-force oracle says.

The oracle knows rows and links only: it walks from each identity along declared references until nothing is
added. It shares no code with the planner or the engine.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Engine, opened
from habeas.domain.policy import OnUnreachable

VALUES: tuple[Any, ...] = (None, 0, 1, 2, 3, 7)
MAILS = ("a@example.com", "b@example.com", "c@example.com", "Üser@example.com")


@dataclass(frozen=True)
class World:
    """Collections c0…: rows of (id, mail, p, q, note); links (source, column) → (target, column), directed."""

    rows: tuple[tuple[tuple[Any, ...], ...], ...]
    links: tuple[tuple[int, str, int, str], ...]
    rooted: frozenset[int]
    keyed: frozenset[int]


COLUMNS = ("id", "mail", "p", "q", "note")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 6))
    rows = []
    for place in range(count):
        size = draw(st.integers(0, 6))
        ids = draw(st.lists(st.integers(0, 40), min_size=size, max_size=size, unique=True))
        rows.append(
            tuple(
                (
                    number,
                    draw(st.sampled_from((None, *MAILS))),
                    draw(st.sampled_from(VALUES)),
                    draw(st.sampled_from(VALUES)),
                    f"note {place}-{number}",
                )
                for number in ids
            )
        )
    link = st.tuples(st.integers(0, count - 1), st.sampled_from("pq"), st.integers(0, count - 1), st.sampled_from("pq"))
    links = draw(st.lists(link, max_size=8, unique=True))
    rooted = draw(st.frozensets(st.integers(0, count - 1), min_size=1))
    keyed = draw(st.frozensets(st.integers(0, count - 1)))
    return World(tuple(rows), tuple(links), rooted, keyed)


def find_rows(world: World, mail: str) -> dict[int, set[int]]:
    """The ids each collection holds of one person: by mail at the roots, then along links until nothing is added."""
    place = {name: index for index, name in enumerate(COLUMNS)}
    found = {
        collection: {row[0] for row in world.rows[collection] if collection in world.rooted and row[1] == mail}
        for collection in range(len(world.rows))
    }
    while True:
        before = {collection: set(ids) for collection, ids in found.items()}
        for source, out, target, into in world.links:
            values = {row[place[out]] for row in world.rows[source] if row[0] in found[source]} - {None}
            found[target] |= {row[0] for row in world.rows[target] if row[place[into]] in values}
        if found == before:
            return found


def build(folder: Path, world: World, dataset: str) -> Path:
    path = folder / f"{dataset}.db"
    with sqlite3.connect(path) as connection:
        for collection, rows in enumerate(world.rows):
            key = "id INTEGER PRIMARY KEY" if collection in world.keyed else "id INTEGER"
            connection.execute(f"CREATE TABLE c{collection} ({key}, mail TEXT, p INTEGER, q INTEGER, note TEXT)")
            connection.executemany(f"INSERT INTO c{collection} VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


def describe(world: World, dataset: str) -> dict[str, Any]:
    def field(collection: int, name: str) -> dict[str, Any]:
        meta: dict[str, Any] = {}
        if name == "id" and collection in world.keyed:
            meta["primary_key"] = True
        if name == "mail" and collection in world.rooted:
            meta["identity"] = "email"
        meta["references"] = [
            {"dataset": dataset, "field": f"c{target}.{into}", "direction": "to"}
            for source, out, target, into in world.links
            if (source, out) == (collection, name)
        ]
        return {"name": name, "data_categories": ["user.content" if name == "note" else "user"], "fides_meta": meta}

    return {
        "fides_key": dataset,
        "collections": [
            {"name": f"c{collection}", "fields": [field(collection, name) for name in COLUMNS]}
            for collection in range(len(world.rows))
        ],
    }


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("oracle")
    with opened(folder, f"sqlite:///{folder}/ledger.db") as made:
        made.policy("give", access=["user"], on_unreachable=OnUnreachable.SKIP)
        made.policy("forget", erasure={"hash": ["user.content"]}, on_unreachable=OnUnreachable.SKIP)
        yield made


_numbers = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(), people=st.lists(st.sampled_from(MAILS), min_size=1, max_size=6))
def test_packages_and_masked_rows_are_what_the_oracle_says(
    engine: Engine, tmp_path: Path, world: World, people: list[str]
) -> None:
    dataset = f"d{next(_numbers)}"
    path = build(tmp_path, world, dataset)
    engine.connect(dataset, "sqlite", {"path": str(path)})
    engine.describe(dataset, describe(world, dataset))
    identities = [{"email": mail} for mail in people]
    given_ids = engine.submit("give", *identities, dataset_keys=(dataset,))
    engine.run()
    for mail, request_id in zip(people, given_ids, strict=True):
        package = json.loads(engine.package(request_id, "give-give"))
        assert {name: sorted(row["id"] for row in rows) for name, rows in package.items()} == {
            f"{dataset}:c{collection}": sorted(ids) for collection, ids in find_rows(world, mail).items() if ids
        }
    engine.submit("forget", *identities, dataset_keys=(dataset,))
    engine.run()
    owned = [find_rows(world, mail) for mail in set(people)]
    with sqlite3.connect(path) as connection:
        for collection, rows in enumerate(world.rows):
            masked = set().union(*(found[collection] for found in owned)) if collection in world.keyed else set()
            for row in rows:
                (now,) = connection.execute(f"SELECT * FROM c{collection} WHERE id = ?", (row[0],)).fetchall()
                assert now[:4] == row[:4]
                assert (len(now[4]) == 64) if row[0] in masked else (now[4] == row[4])
    connection.close()
    engine.context.connectors.close()
