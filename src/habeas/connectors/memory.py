"""Tables in memory: the reference implementation of the connector contract, used by tests of everything above.

It behaves as a database with types, lengths, uniqueness, collations and triggers would, in the smallest code.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from habeas.domain.dataset import Match
from habeas.domain.errors import DataFault, Fault, NeedsHuman, SystemUnavailable
from habeas.domain.ports import (
    Capabilities,
    Change,
    Effect,
    Entry,
    Erasure,
    Key,
    Limits,
    Lookup,
    Outcome,
    Row,
    Sketch,
    Table,
    TableSketch,
    Value,
)

Record = dict[str, Value]


@dataclass(slots=True)
class MemoryTable:
    """A table: its sketch, its records, columns compared without regard to case, and triggers.

    Column types are `integer` and `text`; any other type takes every value. A trigger gives the value that is
    stored instead of the one written.
    """

    sketch: TableSketch
    records: list[Record] = field(default_factory=list)
    folding: frozenset[str] = frozenset()
    triggers: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict)

    def form(self, column: str, value: Value, match: Match = Match.EXACT) -> Value | None:
        """What the column compares: None when it can never hold the value."""
        if value is None:
            return None
        sketch = self.sketch.column(column)
        if match is Match.PHONE:
            return str(value).translate(str.maketrans("", "", " -()."))
        if match is Match.CASEFOLD or column in self.folding:
            return str(value).lower()
        if sketch is None or sketch.type not in ("integer", "text"):
            return value
        return str(value) if sketch.type == "text" else _integer(value)


class MemoryStore:
    """Tables by name and one lock, which writers hold and a test may hold."""

    def __init__(self, *tables: MemoryTable) -> None:
        self.tables = {table.sketch.name: table for table in tables}
        self.lock = Lock()


class MemoryConnector:
    """A connector to a `MemoryStore`."""

    def __init__(self, store: MemoryStore, limits: Limits | None = None) -> None:
        self.capabilities = Capabilities()
        self._store = store
        self._limits = limits or Limits()

    def check(self) -> None:
        """Memory is always there."""

    def describe(self) -> Sketch:
        """The sketches the tables were made with."""
        return Sketch(tuple(self._store.tables[name].sketch for name in sorted(self._store.tables)))

    def explain(self, what: Lookup | Erasure) -> str:
        """Words in place of a statement."""
        if isinstance(what, Erasure):
            sets = ", ".join(f"{column} = ?" for column in what.columns)
            return f"set {sets} in {what.table.name} by {', '.join(what.table.key)}"
        ways = (f"{entry.column} {'in (?, …)' if len(entry.pairs) > 1 else '= ?'}" for entry in what.entries)
        return f"get {', '.join(what.table.columns)} from {what.table.name} where {' or '.join(ways)}"

    def count(self, lookup: Lookup) -> int:
        """How many distinct rows match."""
        return sum(1 for _, _, owners in self._matches(lookup) if owners)

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """Batches of `limits.batch_rows`; every row once, with all its ordinals."""
        table = lookup.table
        batch: list[Row] = []
        for place, record, owners in self._matches(lookup):
            key: Key = tuple(record[name] for name in table.key) if table.key else (place,)
            batch.append(Row(key, tuple(record[name] for name in table.columns), owners))
            if len(batch) == self._limits.batch_rows:
                yield batch
                batch = []
        if batch:
            yield batch

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Under the store's lock: classify, set a copy, compare, ask the guard, then put the copy in place."""
        keys = [change.key for change in erasure.changes]
        if not erasure.table.key or len(set(keys)) != len(keys):
            raise Fault(f"{erasure.table.address}: every change needs a key of its own", hint="report this as a bug")
        table = self._table(erasure.table, [*erasure.table.key, *erasure.columns])
        with self._locked(str(erasure.table.address)):
            records = [dict(record) for record in table.records]
            effects = _apply(table, records, erasure)
            if all(effect.outcome is not Outcome.REFUSED for effect in effects):
                guard()
                table.records[:] = records
        return effects

    def close(self) -> None:
        """Nothing to give back."""

    def _matches(self, lookup: Lookup) -> Iterator[tuple[int, Record, tuple[int, ...]]]:
        table = self._table(lookup.table, [*lookup.table.columns, *(entry.column for entry in lookup.entries)])
        wanted = [(entry, _index(table, entry)) for entry in lookup.entries]
        for place, record in enumerate(list(table.records)):
            owners = {
                owner
                for entry, index in wanted
                for owner in index.get(table.form(entry.column, record[entry.column], entry.match), ())
            }
            if owners:
                yield place, dict(record), tuple(sorted(owners))

    def _table(self, table: Table, columns: Iterable[str]) -> MemoryTable:
        found = self._store.tables.get(table.name)
        missing = [name for name in columns if found is not None and found.sketch.column(name) is None]
        if found is None or missing:
            what = f"column {', '.join(missing)}" if missing else "table"
            raise NeedsHuman(f"{table.address}: there is no such {what}", hint="correct the dataset")
        return found

    @contextmanager
    def _locked(self, where: str) -> Iterator[None]:
        if not self._store.lock.acquire(timeout=self._limits.lock_timeout):
            raise SystemUnavailable(f"{where}: locked by another session", hint="it is tried again")
        try:
            yield
        finally:
            self._store.lock.release()


def _integer(value: Value) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None


def _index(table: MemoryTable, entry: Entry) -> dict[Value, set[int]]:
    """Ordinals by compared value; null is never looked for."""
    index: dict[Value, set[int]] = {}
    for ordinal, value in entry.pairs:
        form = table.form(entry.column, value, entry.match)
        if form is not None:
            index.setdefault(form, set()).add(ordinal)
    return index


def _apply(table: MemoryTable, records: list[Record], erasure: Erasure) -> list[Effect]:
    """Set the changes in `records` and say what became of each; all refused when a trigger interferes."""
    by_key = {tuple(record[name] for name in erasure.table.key): record for record in records}
    effects = [_change(table, by_key.get(change.key), change, erasure) for change in erasure.changes]
    for column in erasure.columns:
        _check_unique(table, records, column)
    spoiled = [
        change
        for change, effect in zip(erasure.changes, effects, strict=True)
        if effect.outcome is not Outcome.ABSENT and _held(by_key[change.key], erasure) != change.after
    ]
    if spoiled:
        return [Effect(change.key, Outcome.REFUSED, "the value was not kept") for change in erasure.changes]
    return effects


def _held(record: Record, erasure: Erasure) -> tuple[Value, ...]:
    return tuple(record[name] for name in erasure.columns)


def _change(table: MemoryTable, record: Record | None, change: Change, erasure: Erasure) -> Effect:
    if record is None:
        return Effect(change.key, Outcome.ABSENT)
    before = _held(record, erasure)
    if before == change.after:
        return Effect(change.key, Outcome.ALREADY)
    for name, value in zip(erasure.columns, change.after, strict=True):
        _check_value(table, name, value)
        trigger = table.triggers.get(name)
        record[name] = trigger(value) if trigger else value
    return Effect(change.key, Outcome.CHANGED if before == change.original else Outcome.DRIFTED)


def _check_value(table: MemoryTable, name: str, value: Value) -> None:
    column = table.sketch.column(name)
    if column is None:
        return
    too_long = column.length is not None and isinstance(value, str) and len(value) > column.length
    ill_typed = column.type == "integer" and value is not None and not isinstance(value, int)
    if too_long or ill_typed or (value is None and not column.nullable):
        raise DataFault(f"{table.sketch.name}: column {name} cannot hold the masked value", hint="choose another mask")


def _check_unique(table: MemoryTable, records: Sequence[Record], column: str) -> None:
    if (column,) not in table.sketch.unique:
        return
    held = [form for record in records if (form := table.form(column, record[column])) is not None]
    if len(set(held)) != len(held):
        raise DataFault(f"{table.sketch.name}: column {column} must be unique", hint="choose a mask that differs")
