"""Tables in memory: the reference implementation of the connector contract, used by tests of everything above.

It behaves as a database with types, lengths, uniqueness, foreign keys, collations and triggers would, in the smallest
code; what it writes is in `memory_erasing`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from habeas.connectors.memory_erasing import apply, check_changes
from habeas.connectors.memory_table import MemoryStore, MemoryTable, Record
from habeas.domain.documents import Position, places
from habeas.domain.errors import NeedsHuman, SystemUnavailable
from habeas.domain.ports import (
    Capabilities,
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
    Value,
)

__all__ = ["MemoryConnector", "MemoryStore", "MemoryTable"]

Owners = Mapping[int, set[Position]]
"""Who owns a record, and where inside its arrays their values stand."""


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
            by = ", ".join(what.table.key or what.table.columns)
            if what.delete:
                return f"drop rows of {what.table.name} by {by} = ?"
            sets = ", ".join(f"{column} = ?" for column in what.columns)
            return f"set {sets} in {what.table.name} by {by}"
        ways = (f"{'.'.join(entry.path)} {'in (?, …)' if len(entry.pairs) > 1 else '= ?'}" for entry in what.entries)
        return f"get {', '.join(what.table.columns)} from {what.table.name} where {' or '.join(ways)}"

    def count(self, lookup: Lookup) -> int:
        """How many distinct rows match."""
        return sum(1 for _ in self._matches(lookup))

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """Batches of `limits.batch_rows`; a row with all its ordinals, but alone for each that has places in it."""
        batch: list[Row] = []
        for row in self._rows(lookup):
            batch.append(row)
            if len(batch) == self._limits.batch_rows:
                yield batch
                batch = []
        if batch:
            yield batch

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """Under the store's lock: classify, set a copy, compare, ask the guard, then put the copy in place."""
        check_changes(erasure)
        table = self._table(erasure.table, [*erasure.table.key, *erasure.columns])
        with self._locked(str(erasure.table.address)):
            records = [dict(record) for record in table.records]
            effects, records = apply(self._store, table, records, erasure)
            if all(effect.outcome is not Outcome.REFUSED for effect in effects):
                guard()
                table.records[:] = records
        return effects

    def close(self) -> None:
        """Nothing to give back."""

    def _rows(self, lookup: Lookup) -> Iterator[Row]:
        table = lookup.table
        for number, record, owners in self._matches(lookup):
            key: Key = tuple(record[name] for name in table.key) if table.key else (number,)
            values = tuple(record[name] for name in table.columns)
            if flat := tuple(sorted(owner for owner, positions in owners.items() if not positions)):
                yield Row(key, values, flat)
            for owner, positions in sorted(owners.items()):
                if positions:
                    yield Row(key, values, (owner,), tuple(sorted(positions, key=repr)))

    def _matches(self, lookup: Lookup) -> Iterator[tuple[int, Record, Owners]]:
        table = self._table(lookup.table, [*lookup.table.columns, *(entry.column for entry in lookup.entries)])
        wanted = [(entry, _index(table, entry)) for entry in lookup.entries]
        for number, record in enumerate(list(table.records)):
            owners: dict[int, set[Position]] = {}
            for entry, index in wanted:
                for position, found in _places(table, record, entry):
                    for owner in index.get(table.form(entry.column, found, entry.match), ()):
                        nested = any(isinstance(step, int) for step in position)
                        owners.setdefault(owner, set()).update([(entry.column, *position)] if nested else [])
            if owners:
                yield number, dict(record), owners

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
            raise SystemUnavailable(f"{where}: locked by another session", hint="try again later")
        try:
            yield
        finally:
            self._store.lock.release()


def _places(table: MemoryTable, record: Record, entry: Entry) -> Iterable[tuple[Position, Value]]:
    """What is compared with the entry's values: the column itself, or all that stands at a path below it."""
    if table.is_nested(entry.column):
        return places(record[entry.column], entry.inside)
    return [((), record[entry.column])]


def _index(table: MemoryTable, entry: Entry) -> dict[Value, set[int]]:
    """Ordinals by compared value; null is never looked for."""
    if entry.inside and not table.is_nested(entry.column):
        raise NeedsHuman(f"{table.sketch.name}: nothing stands inside of {entry.column}", hint="correct the dataset")
    index: dict[Value, set[int]] = {}
    for ordinal, value in entry.pairs:
        form = table.form(entry.column, value, entry.match)
        if form is not None:
            index.setdefault(form, set()).add(ordinal)
    return index
