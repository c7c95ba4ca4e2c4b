"""What a driver's author provides so that the conformance suite can run: a place with tables.

Knows no driver. A harness creates tables and looks at them by its own means, not through the connector.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from habeas.domain.dataset import Address, Match
from habeas.domain.errors import HabeasError
from habeas.domain.ports import Change, Connector, Entry, Erasure, Limits, Lookup, Row, Table, Value


class Kind(StrEnum):
    """Column kinds that every store has. FOLDING: text the store itself compares without regard to case."""

    INTEGER = "integer"
    TEXT = "text"
    FOLDING = "folding"


@dataclass(frozen=True, slots=True)
class Column:
    """A column to create. `length`: longer text is refused by the store."""

    name: str
    kind: Kind = Kind.TEXT
    nullable: bool = True
    unique: bool = False
    length: int | None = None


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table to create, with its rows in the order of its columns."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rows: Sequence[tuple[Value, ...]] = ()

    def table(self, *columns: str) -> Table:
        """The table as a dataset declares it, with these columns or all."""
        names = columns or tuple(column.name for column in self.columns)
        return Table(Address("store", self.name), names, self.key)


class Harness(Protocol):
    """An empty place for one case."""

    def create(self, spec: TableSpec) -> None:
        """Create the table and its rows, with a primary key when `spec.key` is set."""
        ...

    def connect(self, limits: Limits = ...) -> Connector:
        """A connector to the place; the harness closes it."""
        ...

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        """What the table holds now, in any order."""
        ...

    def spoil(self, spec: TableSpec, column: str) -> None:
        """Make the store keep other text than is written to the column (a trigger)."""
        ...

    def lock(self, spec: TableSpec) -> AbstractContextManager[None]:
        """Another session holds the table's rows (or the whole store) for writing."""
        ...


Case: TypeAlias = Callable[[Harness], None]
"""One behaviour of the contract; fails by AssertionError. Its name is its sentence."""


def name_of(case: Case) -> str:
    """The case's sentence."""
    return case.__name__.replace("_", " ")


def lookup(table: Table, column: str, *pairs: tuple[int, Value], match: Match = Match.EXACT) -> Lookup:
    """A look-up by one column."""
    return Lookup(table, (Entry(column, pairs, match),))


def read_all(connector: Connector, what: Lookup) -> list[Row]:
    """Every row of a look-up, batches joined."""
    return [row for batch in connector.read(what) for row in batch]


def owned(rows: Sequence[Row]) -> list[tuple[int, tuple[Value, ...]]]:
    """(ordinal, values) of every match, sorted by their text."""
    return sorted(((ordinal, row.values) for row in rows for ordinal in row.ordinals), key=repr)


def erasure(spec: TableSpec, column: str, *changes: tuple[tuple[Value, ...], Value, Value]) -> Erasure:
    """Changes of one column: (key, original, after)."""
    return Erasure(spec.table(), (column,), [Change(key, (old,), (new,)) for key, old, new in changes])


def permit() -> None:
    """A guard that lets the commit pass."""


@contextmanager
def expect(error: type[HabeasError], *secrets: str) -> Iterator[None]:
    """The block must raise `error`, whose words and context hold none of `secrets`."""
    try:
        yield
    except HabeasError as raised:
        assert type(raised) is error, f"{type(raised).__name__} instead of {error.__name__}: {raised}"
        assert raised.hint, "an error names its mend"
        told = f"{raised} {raised.context}"
        assert not [secret for secret in secrets if secret in told], "a value stands in an error"
        return
    raise AssertionError(f"{error.__name__} was not raised")
