"""The suite every connector passes: named cases over a `Harness` that the driver's author writes."""

from habeas.connectors.conformance import describing, erasing, reading
from habeas.connectors.conformance.harness import Case, Column, Harness, Kind, TableSpec, name_of

CASES: tuple[Case, ...] = (*describing.CASES, *reading.CASES, *erasing.CASES)
"""Every case of the contract."""

__all__ = ["CASES", "Case", "Column", "Harness", "Kind", "TableSpec", "name_of"]
