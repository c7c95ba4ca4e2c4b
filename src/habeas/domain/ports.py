"""The protocols that plug-ins implement: connectors, masking strategies, destinations (clock: `clock.py`).

Implementations import `domain` and their driver, nothing else of ours; only `bootstrap` names them.

Which error a connector raises, and what follows:

| raise | when | what follows |
|---|---|---|
| SystemUnavailable | no connection, login refused, locked, time-out, deadlock | retried with back-off |
| DataFault | the statement fails because of the values sent or a row's constraint | the batch is halved |
| NeedsHuman | table or column missing, no privilege | the collection fails, no retry |
| Fault | anything else | the collection fails, no retry |
| Waiting | a person has to look, or to erase, and has not answered yet | these people wait, the others go on |
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, ClassVar, Protocol, TypeAlias

from habeas.domain.dataset import Address, Match
from habeas.domain.documents import Position, Rewrite

Value: TypeAlias = object
"""A column's value as the driver gives it."""

Key: TypeAlias = tuple[object, ...]
"""Primary-key values in the order of `Table.key`; for a keyless table whatever locates the row in this read."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a connector must know of a collection: where it is and which columns are declared.

    `columns` are read, all of them and never another; `key` is empty for a keyless table.
    """

    address: Address
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    schema: str | None = None

    @property
    def name(self) -> str:
        return self.address.collection


@dataclass(frozen=True, slots=True)
class Entry:
    """One way into a table: rows whose `column` equals a value belong to the ordinal beside it.

    With `inside`, any of the values under these names in the column counts, through every array on the way.
    Pairs are distinct; values are never null. Several entries of a lookup are alternatives.
    """

    column: str
    pairs: Sequence[tuple[int, Value]]
    match: Match = Match.EXACT
    inside: tuple[str, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """Names from the column down."""
        return (self.column, *self.inside)


Answer: TypeAlias = Sequence[Mapping[str, Value]]
"""The rows that somebody has found, by column; none when nothing was found."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A set-based read of one table for many people: ordinals are the people's places in their run.

    `answers`: what was answered by hand, by ordinal; only for connection types of `SystemType.MANUAL`.
    """

    table: Table
    entries: tuple[Entry, ...]
    answers: Mapping[int, Answer] = field(default_factory=dict)


class Waiting(Exception):
    """A connector cannot go on for some people before somebody has answered.

    From `read`, after the rows of all others: `ordinals` are those who wait. From `erase`, before anything is written:
    whoever owns a row of the batch waits, and `ordinals` is empty.
    """

    def __init__(self, ordinals: Collection[int] = ()) -> None:
        super().__init__("a person has to answer")
        self.ordinals = frozenset(ordinals)


@dataclass(frozen=True, slots=True)
class Row:
    """A row with the ordinals it matched by the store's own comparison.

    `values` stand in the order of `Table.columns`. The same row may come several times with
    different ordinals; never twice with the same one. `matched`: where inside arrays the values of these
    ordinals were found, by all entries of the lookup; a row that has some comes alone for each ordinal.
    """

    key: Key
    values: tuple[Value, ...]
    ordinals: tuple[int, ...]
    matched: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One row to mask: its key, what it held at access, what it must hold after (same order as `Erasure.columns`).

    A `Rewrite` as `after` says what becomes of a nested value: it is applied to what the locked row holds; the
    original beside it is not used. In a keyless table the key is all that was read, in the order of
    `Table.columns`, and `copies` is how many rows held that.
    """

    key: Key
    original: tuple[Value, ...]
    after: tuple[Value | Rewrite, ...]
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Erasure:
    """A batch of changes to `columns` of one table; keys are distinct. With `delete` rows go and `columns` is empty."""

    table: Table
    columns: tuple[str, ...]
    changes: Sequence[Change]
    delete: bool = False


class Outcome(StrEnum):
    """What became of rows of an erasure."""

    CHANGED = "changed"  # held the original, now holds `after`, or is deleted
    DRIFTED = "drifted"  # held something else, now holds `after`
    ALREADY = "already"  # held `after` before, or was gone before it was to be deleted
    ABSENT = "absent"  # no such row any more, or none of the elements to change in it
    REFUSED = "refused"  # the store would not keep `after`; the whole batch was rolled back
    SUBMITTED = "submitted"  # somebody else was asked to erase it, and nothing can be read again to prove it


@dataclass(frozen=True, slots=True)
class Effect:
    """The outcome for one key; `reason` is set when refused and holds no value of the row.

    `rows`: how many rows it became of; other than one only in a keyless table.
    """

    key: Key
    outcome: Outcome
    reason: str = ""
    rows: int = 1


@dataclass(frozen=True, slots=True)
class ColumnSketch:
    """A column as the store describes it. `text`: it can hold any text. `generated`: only the store may set it.

    `pinned`: the store refuses to change it in rows to which rows of another table refer, whatever they refer by.

    Nested columns: `document` holds objects and arrays of any form (JSON); otherwise `array` says that there are
    elements, `levels` how many arrays lead to one, `fields` which members an object has, and `text` speaks of an
    element.
    """

    name: str
    type: str
    text: bool
    nullable: bool = True
    length: int | None = None
    generated: bool = False
    document: bool = False
    array: bool = False
    fields: tuple["ColumnSketch", ...] = ()
    pinned: bool = False
    levels: int = 1

    @property
    def nested(self) -> bool:
        """Whether paths lead into it."""
        return self.document or self.array or bool(self.fields)


@dataclass(frozen=True, slots=True)
class ForeignKeySketch:
    """A real foreign-key constraint of a table. `cascades`: changes of the parent key follow by ON UPDATE CASCADE."""

    columns: tuple[str, ...]
    target_schema: str | None
    target_table: str
    target_columns: tuple[str, ...]
    cascades: bool = False


@dataclass(frozen=True, slots=True)
class TableSketch:
    """A table as the store describes it. `locatable`: rows can be told apart without a key (false for views).

    `obstacle`: why its rows must not be erased: what was masked would stay elsewhere, or could not be taken back.
    """

    name: str
    schema: str | None
    columns: tuple[ColumnSketch, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKeySketch, ...] = ()
    locatable: bool = True
    obstacle: str = ""

    def column(self, name: str) -> ColumnSketch | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a store says of its own tables; `default_schema` is where names without schema are looked up."""

    tables: tuple[TableSketch, ...] = ()
    default_schema: str | None = None

    def table(self, schema: str | None, name: str) -> TableSketch | None:
        wanted = schema or self.default_schema
        return next((table for table in self.tables if table.name == name and table.schema == wanted), None)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a connector can do. `fenced`: target sessions time out before a lease ends (design §3)."""

    fenced: bool = True
    max_parallel: int = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep a connector inside its run's lease and memory. Times in seconds."""

    statement_timeout: float = 20.0
    lock_timeout: float = 10.0
    connect_timeout: float = 10.0
    pool_size: int = 4
    batch_rows: int = 2000
    linger: float = 0.0
    """How long what is costly to open, and closed to others meanwhile, may stay open after its last use."""


class Connector(Protocol):
    """A connected system. Methods are called from several threads at once, up to `capabilities.max_parallel`."""

    capabilities: Capabilities

    def check(self) -> None:
        """Raise a HabeasError that says what is wrong and names the mend; return when all is well."""
        ...

    def describe(self) -> Sketch | None:
        """Columns, keys, uniqueness, nullability and foreign keys; None when the store cannot say."""
        ...

    def explain(self, what: Lookup | Erasure) -> str:
        """The statement text with placeholders in place of values. Contacts no server."""
        ...

    def count(self, lookup: Lookup) -> int:
        """How many distinct rows the lookup matches."""
        ...

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """Stream the matching rows in batches of bounded size; nothing when the lookup has no pairs.

        May end with Waiting.
        """
        ...

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Classify, set and verify in one transaction; call `guard` right before the commit.

        One effect per change, in order; for a change of a keyless table one for each outcome, whose rows add up to
        `copies` or more. All `refused` and nothing written when verification differs. When `guard` raises, nothing
        is committed and its error passes through. May raise Waiting instead.
        """
        ...

    def close(self) -> None:
        """Give back connections. May be called twice."""
        ...


class ConnectorFactory(Protocol):
    """How `bootstrap` makes a connector of one type."""

    def __call__(self, secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
        """`sketch` is the stored description, used by `explain`; reads and erasures ask the store itself."""
        ...


class SystemType(StrEnum):
    """What sort of thing a connection leads to."""

    DATABASE = "database"
    SAAS = "saas"
    MANUAL = "manual"  # people, who are asked to look and to erase
    EMAIL = "email"  # somebody who is asked by e-mail to erase, and tells nothing
    WEBHOOK = "webhook"  # a receiver of calls


def _take_any(secrets: Mapping[str, str]) -> None:
    """Refuse nothing."""


@dataclass(frozen=True, slots=True)
class ConnectionType:
    """A kind of connection: its name, the secrets it takes, and how to make its connector."""

    name: str
    secrets: Mapping[str, bool]
    """Secret field → required."""
    connect: ConnectorFactory
    alternatives: tuple[frozenset[str], ...] = ()
    """Sets of fields of which exactly one set must be present, e.g. ({url}, {host, dbname, …})."""
    erases: bool = True
    """False when such systems can be read only; the plan then names every field that stays."""
    title: str = ""
    """Its name for people, if that is another."""
    system: SystemType = SystemType.DATABASE
    holds_data: bool = True
    """False when such a connection has no collections: datasets cannot be saved on it, and no plan names it."""
    plain: frozenset[str] = frozenset()
    """Secret fields that a page may show while somebody types them, e.g. a host; the others are shown as dots."""
    gives: bool = True
    """Whether an access request gets something from such systems, or from the people behind them."""
    places: frozenset[str] | None = None
    """Secret fields that say where the system is; None: any may. Hidden ones are never sent to a place that they were
    not stored with: who changes one of these gives all that are not `plain` again."""
    check_secrets: Callable[[Mapping[str, str]], None] = field(default=_take_any, repr=False)
    """Asked before secrets are stored, without connecting: raises InputError for a place that is not to be reached."""


Secrets: TypeAlias = Mapping[str, str]
"""Masking secrets of one request and strategy, by kind (`salt`, `key`); each is 32 random bytes in URL-safe base64."""


class MaskingStrategy(Protocol):
    """Turns values into masked ones; a pure function of value, configuration and secrets."""

    name: ClassVar[str]
    secret_kinds: ClassVar[tuple[str, ...]]
    """Which secrets it needs, e.g. ("key", "salt"); empty for none."""
    text_only: ClassVar[bool]
    """True when the masked value is text, so that columns of other types fall back to null."""

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        """A list as long as `values`; None for None. `length` cuts masked text (data-plane §3.3, §4.1)."""
        ...


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    """One key of a strategy's configuration, for checks and for the list of strategies."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class StrategyType:
    """A masking strategy: name, configuration keys and maker (which raises InputError when misconfigured)."""

    name: str
    description: str
    make: Callable[[Mapping[str, object]], MaskingStrategy]
    secret_kinds: tuple[str, ...] = ()
    text_only: bool = True
    constant: bool = False
    """True when the masked value is the same for all rows."""
    null: bool = False
    """True when the masked value is null."""
    fills_null: bool = False
    """True when null is replaced too. A value stands in for it, one for each row: several nulls may be unique."""
    keeps: bool = False
    """True when the value stays as it is; such fields are left out of the erasure."""
    configuration: tuple[ConfigurationKey, ...] = ()


class Destination(Protocol):
    """A place for packages. A package is named by its file name, e.g. `pri_….json`."""

    def check(self) -> None:
        """Raise a HabeasError when packages cannot be written here."""
        ...

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A binary file that appears under `name` only when the block ends without an error; replaces an older one.

        Raises SystemUnavailable when the destination refuses (full, down), and DataFault, from the end of the block
        too, when it refuses this package, whatever becomes of others.
        """
        ...

    def read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The package's bytes; raises NotFound when it is gone."""
        ...

    def discard_unfinished(self, before: datetime, is_abandoned: Callable[[str], bool]) -> int:
        """Remove what writing left behind that ended with its process; how many.

        Only what was last written to before, and whose package's name `is_abandoned`. Safe to repeat.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the package and all that is left of attempts to write it; nothing happens when it is gone."""
        ...

    def location(self, name: str) -> str:
        """Where it is, for people: a path or an address. Grants nothing."""
        ...

    def link(self, name: str, seconds: int) -> str | None:
        """An address that gives the package to whoever has it, for so long; None where there is no such thing."""
        ...


@dataclass(frozen=True, slots=True)
class StorageType:
    """A kind of storage: the details and secrets it takes and how to make its destination."""

    name: str
    formats: tuple[str, ...]
    details: Mapping[str, bool]
    """Detail field → required."""
    connect: Callable[[Mapping[str, object], Mapping[str, str]], Destination] = field(repr=False)
    """From details and secrets. Raises InputError for wrong details; secrets that lack are told when they are used."""
    secrets: Mapping[str, bool] = field(default_factory=dict)
    """Secret field → required."""
