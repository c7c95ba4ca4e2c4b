"""The hostile connector misbehaves as named, and in no other way."""

import pytest

from habeas.connectors.conformance.harness import lookup, read_all
from habeas.connectors.hostile import DriverError, HostileConnector, Misbehaviour
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.domain.dataset import Address
from habeas.domain.ports import Change, ColumnSketch, Erasure, Limits, Outcome, Table, TableSketch

TABLE = Table(Address("store", "people"), ("id", "name"), ("id",))
WHAT = lookup(TABLE, "name", (0, "Ann"))
BATCH = Erasure(TABLE, ("name",), [Change((number,), ("Ann",), ("m",)) for number in range(3)])


@pytest.fixture
def store() -> MemoryStore:
    columns = (ColumnSketch("id", "integer", text=False), ColumnSketch("name", "text", text=True))
    records: list[dict[str, object]] = [{"id": number, "name": "Ann"} for number in range(3)]
    return MemoryStore(MemoryTable(TableSketch("people", None, columns, ("id",)), records))


def hostile(store: MemoryStore, does: Misbehaviour, calls: list[str]) -> HostileConnector:
    return HostileConnector(MemoryConnector(store, Limits(batch_rows=2)), does, lambda: calls.append("wait"))


def names(store: MemoryStore) -> list[object]:
    return [record["name"] for record in store.tables["people"].records]


def test_it_raises_after_the_first_rows_and_before_the_commit(store: MemoryStore) -> None:
    connector = hostile(store, Misbehaviour.RAISES_MID_BATCH, [])
    batches = connector.read(WHAT)
    assert len(next(batches)) == 2
    with pytest.raises(DriverError):
        next(batches)
    with pytest.raises(DriverError):
        connector.erase(BATCH, lambda: None)
    assert names(store) == ["Ann"] * 3


def test_it_returns_a_row_without_owner(store: MemoryStore) -> None:
    rows = read_all(hostile(store, Misbehaviour.NO_OWNER, []), WHAT)
    assert [row.ordinals for row in rows] == [(0,), (), ()]


def test_it_repeats_rows(store: MemoryStore) -> None:
    rows = read_all(hostile(store, Misbehaviour.REPEATS_ROWS, []), WHAT)
    assert [row.key for row in rows] == [(0,), (0,), (1,), (1,), (2,), (2,)]


def test_it_waits_between_batches_and_before_the_guard(store: MemoryStore) -> None:
    calls: list[str] = []
    connector = hostile(store, Misbehaviour.SLEEPS_PAST_LEASE, calls)
    assert len(read_all(connector, WHAT)) == 3
    assert calls == ["wait", "wait"]
    connector.erase(BATCH, lambda: calls.append("guard"))
    assert calls[2:] == ["wait", "guard"]


def test_it_changes_one_row_too_few(store: MemoryStore) -> None:
    effects = hostile(store, Misbehaviour.ONE_ROW_TOO_FEW, []).erase(BATCH, lambda: None)
    assert [effect.outcome for effect in effects] == [Outcome.CHANGED] * 2
    assert names(store) == ["m", "m", "Ann"]


@pytest.mark.parametrize("does", list(Misbehaviour))
def test_everything_else_behaves(does: Misbehaviour, store: MemoryStore) -> None:
    connector = hostile(store, does, [])
    connector.check()
    assert connector.count(WHAT) == 3
    assert connector.describe() is not None
    assert connector.explain(WHAT)
    assert does.description and issubclass(does.outcome, Exception)
    connector.close()
