"""Tables and records in memory, and how their columns compare values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock

from habeas.domain.dataset import Match
from habeas.domain.ports import TableSketch, Value

Record = dict[str, Value]


@dataclass(slots=True)
class MemoryTable:
    """A table: its sketch, its records, columns compared without regard to case, and triggers.

    Column types are `integer` and `text`; any other type takes every value. Nested values are mappings and lists. A
    trigger gives the value that is stored instead of the one written; a table that `keeps_rows` deletes none.
    """

    sketch: TableSketch
    records: list[Record] = field(default_factory=list)
    folding: frozenset[str] = frozenset()
    triggers: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict)
    keeps_rows: bool = False

    def is_nested(self, column: str) -> bool:
        """Whether paths lead into a column."""
        sketch = self.sketch.column(column)
        return sketch is not None and sketch.nested

    def form(self, column: str, value: Value, match: Match = Match.EXACT) -> Value | None:
        """What the column, or a place inside of it, compares: None when it can never hold the value."""
        if value is None or isinstance(value, Mapping | list):
            return None
        sketch = self.sketch.column(column)
        if match is Match.PHONE:
            return str(value).translate(str.maketrans("", "", " -()."))
        if match is Match.CASEFOLD or column in self.folding:
            return str(value).lower()
        if sketch is None or sketch.document or sketch.fields:
            return _typed(value)
        if sketch.type not in ("integer", "text"):
            return value
        return str(value) if sketch.type == "text" else _integer(value)


class MemoryStore:
    """Tables by name and one lock, which writers hold and a test may hold."""

    def __init__(self, *tables: MemoryTable) -> None:
        self.tables = {table.sketch.name: table for table in tables}
        self.lock = Lock()


def _integer(value: Value) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None


def _typed(value: Value) -> Value:
    """As documents compare: 1 and 1.0 are one number, true is none, and '1' is text."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return "number", Decimal(repr(value)) if isinstance(value, float) else value
    return type(value), value
