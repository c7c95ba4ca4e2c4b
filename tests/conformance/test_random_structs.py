"""Random lists and structs in a real DuckDB: what is found is what a walk in Python finds, what is written likewise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habeas.connectors.conformance.harness import permit, read_all, tally
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.connectors.sql import connect_duckdb
from habeas.domain.dataset import Address
from habeas.domain.documents import Path as Names
from habeas.domain.documents import Position, Rewrite, Version, map_places, mark, narrow, places
from habeas.domain.ports import (
    Change,
    ColumnSketch,
    Connector,
    Entry,
    Erasure,
    Limits,
    Lookup,
    Table,
    TableSketch,
    Value,
)

KIND = "STRUCT(a VARCHAR, b STRUCT(a VARCHAR, n INTEGER)[], l VARCHAR[][], f INTEGER[2])[]"
TEXTS = st.sampled_from([None, "x", "y", "1", "", "X", "it's"])
NUMBERS = st.sampled_from([None, 0, 1, 7])


def lists(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.none() | st.lists(st.none() | inner, max_size=3)


VALUES = lists(
    st.fixed_dictionaries(
        {
            "a": TEXTS,
            "b": lists(st.fixed_dictionaries({"a": TEXTS, "n": NUMBERS})),
            "l": lists(st.lists(TEXTS, max_size=2)),
            "f": st.none() | st.lists(NUMBERS, min_size=2, max_size=2),
        }
    )
)
PATHS: list[Names] = [("a",), ("b", "a"), ("b", "n"), ("l",), ("f",)]
LISTS = (("l",), ("f",))
ENTRIES = st.lists(
    st.builds(
        lambda path, pairs: Entry("x", list(pairs.items()), inside=path),
        st.sampled_from(PATHS),
        st.dictionaries(st.integers(0, 3), st.sampled_from(["x", "y", "1", 1, 7, "", "it's"]), min_size=1),
    ),
    min_size=1,
    max_size=3,
)
MASKS = st.sampled_from([(path, None) for path in PATHS] + [(("a",), "m"), (("b", "a"), "x"), (("l",), "m")])
TABLE = Table(Address("store", "t"), ("id", "x"), ("id",))
often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Place:
    path: Path
    connector: Connector

    def fill(self, values: Sequence[Value]) -> None:
        with duckdb.connect(self.path) as session:
            session.execute("DELETE FROM t")
            for number, value in enumerate(values):
                session.execute(f"INSERT INTO t VALUES (?, CAST(? AS {KIND}))", [number, value])

    def rows(self) -> dict[int, object]:
        with duckdb.connect(self.path, read_only=True) as session:
            return {number: mark(value) for number, value in session.execute("FROM t").fetchall()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("structs") / "structs.db"
    with duckdb.connect(path) as session:
        session.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {KIND})")
    connector = connect_duckdb({"path": str(path)}, Limits(batch_rows=2))
    yield Place(path, connector)
    connector.close()


def walk(values: Sequence[Value], entries: Sequence[Entry]) -> dict[tuple[int, int], set[Position]]:
    found: dict[tuple[int, int], set[Position]] = {}
    for number, value in enumerate(values):
        for entry in entries:
            for position, held in places(value, entry.inside):
                for ordinal, wanted in entry.pairs:
                    if held is not None and str(held) == str(wanted):
                        found.setdefault((ordinal, number), set()).add(("x", *position))
    return found


@often
@given(values=st.lists(VALUES, min_size=1, max_size=5), entries=ENTRIES)
def test_a_look_up_finds_what_a_walk_finds(place: Place, values: list[Value], entries: list[Entry]) -> None:
    place.fill(values)
    what = Lookup(TABLE, tuple(entries))
    found = read_all(place.connector, what)
    assert {(row.ordinals[0], row.key[0]): set(row.matched) for row in found} == walk(values, entries)
    assert place.connector.count(what) == len({row.key for row in found})
    for row in found:
        assert mark(row.values[1]) == mark(values[row.key[0]])  # type: ignore[call-overload]


def masked(path: Names, mask: Value, value: Value) -> Value:
    """As the engine masks: null in the place of a list is no element of it."""
    return None if value is None and path in LISTS else mask


@often
@given(
    values=st.lists(VALUES, min_size=1, max_size=3),
    entries=ENTRIES,
    masks=st.lists(MASKS, min_size=1, max_size=2, unique_by=lambda mask: mask[0]),
    edited=VALUES,
    data=st.data(),
)
def test_a_rewrite_leaves_what_the_reference_leaves(
    place: Place,
    values: list[Value],
    entries: list[Entry],
    masks: list[tuple[Names, Value]],
    edited: Value,
    data: st.DataObject,
) -> None:
    """Between access and erasure some lists are turned round or replaced."""
    place.fill(values)
    changes: dict[int, Rewrite] = {}
    for row in read_all(place.connector, Lookup(TABLE, tuple(entries))):
        original, matched = narrow(row.values[1], [position[1:] for position in row.matched])
        after = original
        for path, mask in masks:
            after = map_places(after, path, partial(masked, path, mask))
        rewrite = Rewrite(tuple(path for path, _ in masks), (Version(original, after, matched),))
        number = int(str(row.key[0]))
        changes[number] = changes[number].joined(rewrite) if number in changes else rewrite
    now = [data.draw(st.sampled_from([value, _turned(value), edited])) for value in values]
    place.fill(now)
    batch = Erasure(TABLE, ("x",), [Change((number,), (None,), (rewrite,)) for number, rewrite in changes.items()])
    columns = tuple(ColumnSketch(name, "any", text=False, document=name == "x") for name in ("id", "x"))
    records = [{"id": number, "x": value} for number, value in enumerate(now)]
    reference = MemoryStore(MemoryTable(TableSketch("t", None, columns, ("id",)), records))
    for _ in range(2):
        effects = place.connector.erase(batch, permit)
        assert tally(effects) == tally(MemoryConnector(reference).erase(batch, permit))
        assert place.rows() == {record["id"]: mark(record["x"]) for record in reference.tables["t"].records}


def _turned(value: Value) -> Value:
    if isinstance(value, list):
        return [_turned(item) for item in reversed(value)]
    return {name: _turned(item) for name, item in value.items()} if isinstance(value, Mapping) else value
