"""Compares what the engine erased with what plain SQL says. A check returns its sentence or raises DemoFailure.

No sentence holds a value of a person: tables, columns and numbers only.
"""

from collections.abc import Sequence

from habeas.client import Json
from habeas.demo.facts import Cell, Holding, Snapshot, column_of, count_elements
from habeas.demo.failure import DemoFailure

KEPT_BY_LAW = ("shop:orders", "invoice_name")
"""The one field of the person that the datasets forbid to erase."""


def check_rows(before: Snapshot, after: Snapshot) -> None:
    """Masking adds and removes no row and no element; the other checks of snapshots rest on this one."""
    moved = sorted({address for address, _ in before.keys() ^ after.keys()})
    if moved:
        raise DemoFailure(f"erasing added or removed rows of {', '.join(moved)}, though it only masks")
    torn = sorted({address for address, row in before if before[address, row].keys() != after[address, row].keys()})
    if torn:
        raise DemoFailure(f"erasing added or removed elements in rows of {', '.join(torn)}, though it only masks")


def check_others(before: Snapshot, after: Snapshot, holdings: Sequence[Holding]) -> str:
    """Nothing but the person's erased columns differs between the two snapshots."""
    stray = _changed(before, after) - _to_erase(holdings)
    if stray:
        where = sorted({f"{address}.{column_of(cell)}" for address, _, cell in stray})
        raise DemoFailure(f"erasing changed {len(stray)} fields that it must not touch: {', '.join(where)}")
    rows = len(before) - sum(len(holding.rows) for holding in holdings)
    mine, posts, _ = count_elements(holdings, before)
    return f"the other {rows:,} rows, and {posts - mine} posts of others beside hers, are what they were, byte for byte"


def check_masked(before: Snapshot, after: Snapshot, holdings: Sequence[Holding]) -> str:
    """Every column to erase was changed, in the way the policy says."""
    expected = _to_erase(holdings)
    left = expected - _changed(before, after)
    left |= {cell for cell in expected if not _is_masked(cell, after, holdings)}
    if left:
        where = sorted({f"{address}.{column_of(cell)}" for address, _, cell in left})
        raise DemoFailure(f"{len(left)} fields are not masked as the policy says: {', '.join(where)}")
    rows = len({(address, row) for address, row, _ in expected})
    return f"{len(expected)} fields in {rows} rows are masked as the policy says"


def check_report(report: Json, holdings: Sequence[Holding]) -> str:
    """The report tells the same numbers, what was masked was verified, and the kept field is named with a reason."""
    lines = {line["address"]: line for line in report["collections"]}
    for holding in holdings:
        table, rows = holding.table, len(holding.rows)
        line = lines.get(table.address)
        if line is None or not line["reached"] or line["found"] != rows:
            raise DemoFailure(f"the report does not say that {rows} rows of {table.address} were found")
        if line["changed"] != (rows if table.erased else 0):
            raise DemoFailure(f"the report does not say that {rows} rows of {table.address} were changed")
        if table.erased and not line["verified"]:
            raise DemoFailure(f"the report does not say that {table.address} was verified")
    address, field = KEPT_BY_LAW
    if not any(item["path"].endswith(field) and item["reason"] for item in lines[address]["skipped"]):
        raise DemoFailure(f"the report does not say why {address}.{field} was kept")
    return "the report tells the same numbers, and why one field was kept"


def _changed(before: Snapshot, after: Snapshot) -> set[Cell]:
    return {
        (address, row, cell)
        for (address, row), cells in before.items()
        for cell, value in cells.items()
        if after[address, row][cell] != value
    }


def _to_erase(holdings: Sequence[Holding]) -> set[Cell]:
    return {cell for holding in holdings for cell in holding.to_erase()}


def _is_masked(cell: Cell, after: Snapshot, holdings: Sequence[Holding]) -> bool:
    address, row, name = cell
    table = next(holding.table for holding in holdings if holding.table.address == address)
    column, value = column_of(name), after[address, row][name]
    if column in table.blanked:
        return value is None
    if column in table.overwritten:
        return value == "MASKED"
    return isinstance(value, str) and (column != "email" or value.endswith("@erased.example"))
