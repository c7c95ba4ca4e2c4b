"""Compares what the engine did with what plain SQL says. A check returns its sentence or raises DemoFailure.

No sentence holds a value of a person: tables, columns and numbers only.
"""

import json
from collections.abc import Mapping, Sequence

from habeas.client import Json
from habeas.demo.databases import Cells
from habeas.demo.facts import Holding, Snapshot
from habeas.demo.failure import DemoFailure

KEPT_BY_LAW = ("shop:orders", "invoice_name")
"""The one field of the person that the datasets forbid to erase."""


def check_package(package: Mapping[str, Sequence[Cells]], holdings: Sequence[Holding]) -> str:
    """The package holds exactly the person's rows and the columns that access gives, whatever their order."""
    expected = {holding.table.address: holding.given() for holding in holdings if holding.table.given and holding.rows}
    if package.keys() != expected.keys():
        odd = ", ".join(sorted(package.keys() ^ expected.keys()))
        raise DemoFailure(f"the package and plain SQL disagree on the collections {odd}")
    for address, rows in expected.items():
        if sorted(map(_text, rows)) != sorted(map(_text, package[address])):
            raise DemoFailure(f"the package and plain SQL disagree on the rows of {address}")
    count = sum(map(len, expected.values()))
    return f"the package holds the same {count} rows of {len(expected)} collections as plain SQL finds"


def check_rows(before: Snapshot, after: Snapshot) -> None:
    """Masking adds and removes no row; the other checks of snapshots rest on this one."""
    moved = sorted({address for address, _ in before.keys() ^ after.keys()})
    if moved:
        raise DemoFailure(f"erasing added or removed rows of {', '.join(moved)}, though it only masks")


def check_others(before: Snapshot, after: Snapshot, holdings: Sequence[Holding]) -> str:
    """Nothing but the person's erased columns differs between the two snapshots."""
    stray = _changed(before, after) - _to_erase(holdings)
    if stray:
        where = sorted({f"{address}.{column}" for address, _, column in stray})
        raise DemoFailure(f"erasing changed {len(stray)} fields that it must not touch: {', '.join(where)}")
    mine = sum(len(holding.rows) for holding in holdings)
    return f"the other {len(before) - mine:,} rows of the company are what they were, byte for byte"


def check_masked(before: Snapshot, after: Snapshot, holdings: Sequence[Holding]) -> str:
    """Every column to erase was changed, in the way the policy says."""
    expected = _to_erase(holdings)
    left = expected - _changed(before, after)
    left |= {cell for cell in expected if not _is_masked(cell, after, holdings)}
    if left:
        where = sorted({f"{address}.{column}" for address, _, column in left})
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


Cell = tuple[str, int, str]


def _changed(before: Snapshot, after: Snapshot) -> set[Cell]:
    return {
        (address, row, column)
        for (address, row), cells in before.items()
        for column, value in cells.items()
        if after[address, row][column] != value
    }


def _to_erase(holdings: Sequence[Holding]) -> set[Cell]:
    return {
        (holding.table.address, row, column)
        for holding in holdings
        for row in holding.rows
        for column in holding.table.erased
    }


def _is_masked(cell: Cell, after: Snapshot, holdings: Sequence[Holding]) -> bool:
    address, row, column = cell
    table = next(holding.table for holding in holdings if holding.table.address == address)
    value = after[address, row][column]
    if column in table.blanked:
        return value is None
    if column in table.overwritten:
        return value == "MASKED"
    return isinstance(value, str) and (column != "email" or value.endswith("@erased.example"))


def _text(row: Cells) -> str:
    return json.dumps(row, sort_keys=True)
