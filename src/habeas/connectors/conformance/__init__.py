"""The suite every connector passes: named cases over a `Harness` that the driver's author writes.

A case whose `needs_of` a harness lacks by its nature is not run; its cell in the table says why.
"""

from collections.abc import Iterable

from habeas.connectors.conformance import (
    asking,
    deleting,
    describing,
    erasing,
    nested_erasing,
    nested_reading,
    reading,
    unkeyed,
)
from habeas.connectors.conformance.harness import Case, Column, Harness, Kind, Need, TableSpec, name_of

_STORED: tuple[tuple[tuple[Case, ...], tuple[Need, ...]], ...] = (
    (describing.STORED, ()),
    (reading.CASES, ()),
    (erasing.CASES, ()),
    (deleting.CASES, ()),
    (nested_reading.CASES, (Need.DOCUMENTS,)),
    (nested_reading.ARRAYS, (Need.ARRAYS,)),
    (erasing.TRIGGERED, (Need.TRIGGERS,)),
    (nested_erasing.CASES, (Need.DOCUMENTS,)),
    (nested_erasing.UNKEYED, (Need.DOCUMENTS, Need.UNKEYED)),
    (nested_erasing.ARRAYS, (Need.ARRAYS,)),
    (unkeyed.CASES, (Need.UNKEYED,)),
    (unkeyed.TRIGGERED, (Need.UNKEYED, Need.TRIGGERS)),
    (deleting.UNKEYED, (Need.UNKEYED,)),
    (deleting.REFERRED, (Need.REFERENCES,)),
    (deleting.TRIGGERED, (Need.TRIGGERS,)),
    (deleting.UNKEYED_TRIGGERED, (Need.UNKEYED, Need.TRIGGERS)),
)
_NEEDING: tuple[tuple[tuple[Case, ...], tuple[Need, ...]], ...] = (
    *((cases, (Need.ROWS, *needs)) for cases, needs in _STORED),
    (asking.ASKED, (Need.ANSWERS,)),
    (asking.SUBMITTED, (Need.OTHERS,)),
)

CASES: tuple[Case, ...] = (*describing.CASES, *(case for cases, _ in _NEEDING for case in cases))
"""Every case of the contract."""


def needs_of(case: Case) -> Iterable[Need]:
    """What a store must have for the case; nothing for most."""
    return (need for cases, needs in _NEEDING if case in cases for need in needs)


def not_offered(case: Case, harness: Harness) -> str:
    """Why the harness's store cannot have the case; nothing when it must pass."""
    return next((f"not offered: {harness.lacks[need]}" for need in needs_of(case) if need in harness.lacks), "")


__all__ = ["CASES", "Case", "Column", "Harness", "Kind", "Need", "TableSpec", "name_of", "needs_of", "not_offered"]
