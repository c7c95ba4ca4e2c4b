"""What a driver's author provides so that the conformance suite can run: a place with tables.

Knows no driver. A harness creates tables and looks at them by its own means, not through the connector.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from habeas.domain.dataset import Address, Match
from habeas.domain.errors import HabeasError
from habeas.domain.ports import Change, Connector, Effect, Entry, Erasure, Limits, Lookup, Outcome, Row, Table, Value


class Kind(StrEnum):
    """Column kinds. FOLDING: text the store itself compares without regard to case.

    Not every store has the nested ones (`Need`): DOCUMENT holds objects and arrays of any form, ARRAY elements of text.
    """

    INTEGER = "integer"
    TEXT = "text"
    FOLDING = "folding"
    DOCUMENT = "document"
    ARRAY = "array"


class Need(StrEnum):
    """What a case needs and a store may lack by its nature. Its harness then says why (`Harness.lacks`)."""

    ROWS = "rows of its own"
    ANSWERS = "answers of people"
    OTHERS = "others who erase"
    DOCUMENTS = "documents"
    ARRAYS = "arrays"
    UNKEYED = "erasing without a key"
    REFERENCES = "foreign keys"
    TRIGGERS = "triggers"


@dataclass(frozen=True, slots=True)
class Column:
    """A column to create. `length`: longer text is refused by the store.

    `references`: table and column of a foreign-key constraint that refuses what would break it.
    """

    name: str
    kind: Kind = Kind.TEXT
    nullable: bool = True
    unique: bool = False
    length: int | None = None
    references: tuple[str, str] | None = None


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

    lacks: Mapping[Need, str]
    """What the store does not have, and why: such cases stand as "not offered" in the table, never skipped."""

    def create(self, spec: TableSpec) -> None:
        """Create the table and its rows, with a primary key when `spec.key` is set."""
        ...

    def connect(self, limits: Limits = ...) -> Connector:
        """A connector to the place; the harness closes it."""
        ...

    def rows(self, spec: TableSpec) -> list[tuple[Value, ...]]:
        """What the table holds now, in any order; nested values as mappings and lists."""
        ...

    def fill(self, spec: TableSpec, rows: Sequence[tuple[Value, ...]]) -> None:
        """Put these rows in place of all that the table holds, as somebody else would."""
        ...

    def spoil(self, spec: TableSpec, column: str) -> None:
        """Make the store keep other text than is written to the column (a trigger)."""
        ...

    def keep(self, spec: TableSpec) -> None:
        """Make the store keep rows that are deleted (a trigger)."""
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


def outcomes(effects: Sequence[Effect]) -> list[Outcome]:
    """What became of each change of a batch."""
    assert all(isinstance(effect, Effect) for effect in effects)
    return [effect.outcome for effect in effects]


def tally(effects: Sequence[Effect]) -> list[tuple[tuple[Value, ...], Outcome, int]]:
    """(key, outcome, rows) of each effect."""
    return [(effect.key, effect.outcome, effect.rows) for effect in effects]


def deletion(spec: TableSpec, *keys: tuple[Value, ...]) -> Erasure:
    """Rows to delete."""
    return Erasure(spec.table(), (), [Change(key, (), ()) for key in keys], delete=True)


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
