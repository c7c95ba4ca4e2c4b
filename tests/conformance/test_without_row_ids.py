"""Tables without key in a store without row ids: SQLite with its own taken away, so that all values must do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harnesses import LIMITS, SqliteHarness

from habeas.connectors.conformance import CASES as ALL
from habeas.connectors.conformance import Case, Column, Kind, Need, TableSpec, name_of, needs_of, unkeyed
from habeas.connectors.conformance.harness import permit, tally
from habeas.connectors.sql.connector import SqlConnector
from habeas.connectors.sql.sqlite import SqliteDialect
from habeas.domain.errors import DataFault, NeedsHuman
from habeas.domain.ports import Change, ColumnSketch, Connector, Erasure, Limits, Outcome, TableSketch

CASES = [case for case in ALL if Need.UNKEYED in needs_of(case) and Need.DOCUMENTS not in needs_of(case)]


class WithoutRowIds(SqliteDialect):
    """`exact`: it can ask for values that no collation takes for another."""

    exact = True

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        return ()

    def row_id(self, sketch: TableSketch) -> tuple[ColumnSketch, ...]:
        return ()

    def identity(self, column: ColumnSketch, value: str) -> str:
        return f"{super().identity(column, value)}{' COLLATE BINARY' if self.exact else ''}"


class Folding(WithoutRowIds):
    exact = False


class Harness(SqliteHarness):
    def connect(self, limits: Limits = LIMITS) -> Connector:
        self.connectors.append(SqlConnector(WithoutRowIds(), {"path": str(self.path)}, limits))
        return self.connectors[-1]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("one", CASES, ids=name_of)
def test_a_case_of_tables_without_key(one: Case, harness: Harness) -> None:
    one(harness)


def test_there_are_such_cases() -> None:
    assert set(unkeyed.CASES) < set(CASES)


def test_what_masked_rows_would_be_found_by_is_parted(harness: Harness) -> None:
    """The engine halves a batch with a data fault, until the two changes stand in batches of their own."""
    spec = TableSpec("log", (Column("a"), Column("b")), rows=(("x", None), ("y", "z")))
    harness.create(spec)
    first, second = Change(("x", None), ("x", None), ("y", "z")), Change(("y", "z"), ("y", "z"), (None, None))
    connector = harness.connect()
    with pytest.raises(DataFault, match="equal others of the batch"):
        connector.erase(Erasure(spec.table(), ("a", "b"), [first, second]), permit)
    assert sorted(harness.rows(spec)) == list(spec.rows)
    for change in (first, second):
        effects = connector.erase(Erasure(spec.table(), ("a", "b"), [change]), permit)
        assert [effect.outcome for effect in effects] == [Outcome.CHANGED]


def test_rows_that_such_a_store_takes_for_one_are_refused(harness: Harness, tmp_path: Path) -> None:
    spec = TableSpec("log", (Column("a", Kind.FOLDING), Column("b")), rows=(("ann", "x"), ("ANN", "x")))
    harness.create(spec)
    connector = SqlConnector(Folding(), {"path": str(harness.path)}, LIMITS)
    with pytest.raises(NeedsHuman, match="differs in spelling"):
        connector.erase(Erasure(spec.table(), ("b",), [Change(("ann", "x"), ("x",), ("m",))]), permit)
    connector.close()
    assert sorted(harness.rows(spec)) == sorted(spec.rows)


def test_rows_that_another_batch_has_masked_are_counted_beside(harness: Harness) -> None:
    spec = TableSpec("log", (Column("a"), Column("b")), rows=(("x", None), ("x", None), (None, None)))
    harness.create(spec)
    batch = Erasure(spec.table(), ("a",), [Change(("x", None), ("x",), (None,), 4)])
    assert tally(harness.connect().erase(batch, permit)) == [
        (("x", None), Outcome.CHANGED, 2),
        (("x", None), Outcome.ALREADY, 1),
        (("x", None), Outcome.ABSENT, 1),
    ]
    assert harness.rows(spec) == [(None, None)] * 3
