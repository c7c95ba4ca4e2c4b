"""Random documents in real stores: what is found is what a walk in Python finds, what is written likewise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest
from harnesses import DuckdbHarness, PostgresHarness
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habeas.connectors.conformance import Column, Kind, TableSpec
from habeas.connectors.conformance.harness import permit, read_all, tally
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.domain.dataset import Match
from habeas.domain.documents import Path, Position, Rewrite, Version, map_places, mark, narrow, places
from habeas.domain.ports import Change, ColumnSketch, Connector, Entry, Erasure, Limits, Lookup, TableSketch, Value
from servers.postgres import PostgresServer

NAMES = ("a", "b", "0", "it's")
SCALARS = st.sampled_from([None, 0, 1, Decimal("1.0"), -1, "1", "", "A", "a", True, False, Decimal("0.1"), 2**60])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=14,
)
PATHS = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)
WANTED = st.sampled_from([0, 1, 1.0, "1", "", "A", "a", True, False, 0.1, Decimal("0.10"), "true", "x", -1, 2**60])
ENTRIES = st.lists(
    st.builds(
        lambda path, pairs, match: Entry("doc", list(pairs.items()), match, path),
        PATHS,
        st.dictionaries(st.integers(0, 3), WANTED, min_size=1, max_size=4),
        st.sampled_from([Match.EXACT, Match.EXACT, Match.CASEFOLD]),
    )
    | st.builds(lambda name, ordinal: Entry("name", [(ordinal, name)]), st.sampled_from("xyz"), st.integers(0, 3)),
    min_size=1,
    max_size=3,
)
ROWS = st.lists(st.tuples(st.sampled_from("xyz"), DOCUMENTS), min_size=1, max_size=5)
SPEC = TableSpec(
    "docs", (Column("id", Kind.INTEGER, nullable=False), Column("name"), Column("doc", Kind.DOCUMENT)), ("id",)
)
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Place:
    """A table of documents and a connector to it."""

    harness: PostgresHarness | DuckdbHarness
    connector: Connector


@pytest.fixture(scope="module", params=["jsonb", "json", "duckdb"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    harness: PostgresHarness | DuckdbHarness
    if request.param == "duckdb":
        harness = DuckdbHarness(tmp_path_factory.mktemp("documents"))
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        harness = PostgresHarness(server, "citext", request.param)
    harness.create(SPEC)
    yield Place(harness, harness.connect(Limits(batch_rows=2)))
    harness.close()


def numbered(rows: Sequence[tuple[str, Value]]) -> list[tuple[Value, ...]]:
    return [(number, name, document) for number, (name, document) in enumerate(rows)]


def equal(held: Value, wanted: Value, match: Match) -> bool:
    """As JSON compares, by type; widened matches compare texts."""
    if held is None or isinstance(held, Mapping | list):
        return False
    if match is Match.CASEFOLD:
        return str(held).lower() == str(wanted).lower()
    if isinstance(held, int | Decimal) and not isinstance(held, bool):
        number = isinstance(wanted, int | float | Decimal) and not isinstance(wanted, bool)
        return number and held == Decimal(str(wanted))
    return type(held) is type(wanted) and held == wanted


def walk(rows: Sequence[tuple[str, Value]], entries: Sequence[Entry]) -> dict[tuple[int, int], set[Position]]:
    """(ordinal, row) → the places of the ordinal's values in the row that lie in an array."""
    found: dict[tuple[int, int], set[Position]] = {}
    for number, (name, document) in enumerate(rows):
        for entry in entries:
            there = [((), name)] if entry.column == "name" else places(document, entry.inside)
            for position, held in there:
                for ordinal, wanted in entry.pairs:
                    if equal(held, wanted, entry.match):
                        lies = any(isinstance(step, int) for step in position)
                        found.setdefault((ordinal, number), set()).update([("doc", *position)] if lies else [])
    return found


@often
@given(rows=ROWS, entries=ENTRIES)
def test_a_look_up_finds_what_a_walk_finds(place: Place, rows: list[tuple[str, Value]], entries: list[Entry]) -> None:
    place.harness.fill(SPEC, numbered(rows))
    what = Lookup(SPEC.table(), tuple(entries))
    found = read_all(place.connector, what)
    assert len({(row.ordinals, row.key) for row in found}) == len(found)
    expected = walk(rows, entries)
    assert {(row.ordinals[0], row.key[0]): set(row.matched) for row in found} == expected
    assert all(len(set(row.matched)) == len(row.matched) for row in found)
    assert place.connector.count(what) == len({number for _, number in expected})
    for row in found:
        assert mark(row.values[2]) == mark(rows[row.key[0]][1])  # type: ignore[call-overload]


@settings(often, max_examples=40)
@given(rows=ROWS, entries=ENTRIES, masked=st.lists(PATHS, min_size=1, max_size=2), edited=DOCUMENTS, data=st.data())
def test_a_rewrite_leaves_what_the_reference_leaves(
    place: Place,
    rows: list[tuple[str, Value]],
    entries: list[Entry],
    masked: list[Path],
    edited: Value,
    data: st.DataObject,
) -> None:
    """Between access and erasure some documents are turned round or replaced."""
    place.harness.fill(SPEC, numbered(rows))
    found = read_all(place.connector, Lookup(SPEC.table(), tuple(entries)))
    changes: dict[int, Rewrite] = {}
    for row in found:
        original, matched = narrow(row.values[2], [position[1:] for position in row.matched])
        after = original
        for path in masked:
            after = map_places(after, path, lambda value: value if isinstance(value, Mapping) else data.draw(SCALARS))
        rewrite = Rewrite(tuple(masked), (Version(original, after, matched),))
        number = int(str(row.key[0]))
        changes[number] = changes[number].joined(rewrite) if number in changes else rewrite
    edits = [data.draw(st.sampled_from([document, _turned(document), edited])) for _, document in rows]
    now = numbered([(name, document) for (name, _), document in zip(rows, edits, strict=True)])
    place.harness.fill(SPEC, now)
    batch = Erasure(SPEC.table(), ("doc",), [Change((n,), (None,), (rewrite,)) for n, rewrite in changes.items()])
    reference = _reference(now)
    for _ in range(2):
        effects = place.connector.erase(batch, permit)
        assert tally(effects) == tally(MemoryConnector(reference).erase(batch, permit))
        held = {row[0]: mark(row[2]) for row in place.harness.rows(SPEC)}
        assert held == {record["id"]: mark(record["doc"]) for record in reference.tables["docs"].records}


def _turned(value: Value) -> Value:
    if isinstance(value, list):
        return [_turned(item) for item in reversed(value)]
    return {name: _turned(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _reference(rows: Sequence[tuple[Value, ...]]) -> MemoryStore:
    columns = tuple(ColumnSketch(name, "any", text=False, document=name == "doc") for name in ("id", "name", "doc"))
    records = [dict(zip(("id", "name", "doc"), row, strict=True)) for row in rows]
    return MemoryStore(MemoryTable(TableSketch("docs", None, columns, ("id",)), records))
