"""What the SQL connector asks of a store's dialect. A further store is a further module with such a class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, Engine

from habeas.connectors.sql.failures import Diagnosis
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

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        """Engines that connect on first use. Raises InputError when a secret is missing or malformed."""
        ...

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        """The bound form of a value; None when the column can never hold it."""
        ...

    def is_exact(self, column: ColumnSketch) -> bool:
        """True when two different bound forms never equal one value of the column."""
        ...

    def reader(self, columns: Sequence[ColumnSketch]) -> Callable[[Sequence[Value]], tuple[Value, ...]]:
        """What makes values, as the driver gives them for the `output` of these columns, values of ours."""
        ...

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        """Expressions that tell rows of a locatable table apart without a key."""
        ...

    def lock(self, key: Sequence[str]) -> str:
        """What follows a SELECT that locks its rows in the order of the key; may be empty."""
        ...

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        """Set `columns` of the rows with these keys; `after` in bound form, one tuple for each key."""
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
