"""What the SQL connector asks of a store's dialect. A further store is a further module with such a class.

Dialects inherit from `Dialect`: what a store without nested values or row ids would answer stands here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, Engine

from habeas.connectors.sql.failures import Diagnosis
from habeas.connectors.sql.nested import Nesting
from habeas.connectors.sql.statements import Grammar, Seek, Statement
from habeas.domain.dataset import Match
from habeas.domain.ports import ColumnSketch, Limits, Sketch, Table, TableSketch, Value

Rows: TypeAlias = Sequence[tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Engines:
    """Connection sources: `read` cannot write, `write` holds its locks until the transaction ends.

    `stream` reads results that are too large to hold; None where `read` fetches only what is taken.
    """

    read: Engine
    write: Engine
    stream: Engine | None = None


class Dialect(Grammar, Protocol):
    """Everything a store does in its own way; stateless."""

    fenced: bool
    nesting: Nesting | None = None
    """How nested values are looked into; None where no sketch of the store has nested columns."""
    keeps_row_ids: bool = True
    """False where an update may give a row another id and cannot tell which."""
    moved: str = ""
    """What an update by row ids ends with where they change: it returns the old ids, then the new ones, as text."""

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        """Engines that connect on first use. Raises InputError when a secret is missing or malformed."""
        ...

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        """The bound form of a value; None when the column can never hold it."""
        ...

    def nested_form(self, value: Value, column: ColumnSketch) -> Value | None:
        """The bound form of all that a nested column is to hold; None when it can never hold it."""
        return self.form(value, column)

    def is_exact(self, column: ColumnSketch) -> bool:
        """True when two different bound forms never equal one value of the column."""
        ...

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        """Expressions that tell rows of a locatable table apart without a key; none where the store has no row ids."""
        ...

    def row_id(self, sketch: TableSketch) -> tuple[ColumnSketch, ...]:
        """The columns behind `locator`, by which a locked row is set or deleted; empty where the store has none.

        Rows without key are then set and deleted by all their values.
        """
        return ()

    def reader(self, column: ColumnSketch) -> Callable[[Value], Value] | None:
        """What makes a column's values, nulls apart, of what the driver gives; None where they are so already."""
        return None

    def lock(self, key: Sequence[str]) -> str:
        """What follows a SELECT that locks its rows in the order of the key; may be empty."""
        ...

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        """Set `columns` of the rows with these keys; `after` in bound form, one tuple for each key.

        Where the store has no row ids the key may be all that rows of a keyless table hold, `nulls` included; they
        are the key when they are it by `identity`.
        """
        ...

    def delete(self, table: Table, key: Seek) -> Statement:
        """Delete the rows with these keys, which are as those of `update`."""
        ...

    def settle(self, connection: Connection) -> None:
        """Make deferred constraints and triggers speak before the commit."""
        ...

    def sketch(self, connection: Connection) -> Sketch:
        """All user tables and views."""
        ...

    def sketch_table(self, connection: Connection, table: Table) -> TableSketch | None:
        """One table or view as a name in a statement would find it; None when there is none."""
        ...

    def diagnose(self, error: BaseException) -> Diagnosis:
        """Name the condition of a driver exception."""
        ...
