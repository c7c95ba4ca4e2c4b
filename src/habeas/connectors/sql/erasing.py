"""One batch of an erasure inside its transaction: lock and classify, set or delete, re-read and compare (design §3).

Row counts are a hint, the re-read is the proof: triggers may change what was set and keep what was deleted. Here rows
have keys; `keyless` does the same for those that are known by all their values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, text

from habeas.connectors.outcomes import refused, settle
from habeas.connectors.sql import keyless
from habeas.connectors.sql.comparing import form_of, forms, normal, readable, readers_of, same
from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.identity import proves, refuse_nested
from habeas.connectors.sql.statements import Seek, Statement, compile_select, resolve
from habeas.domain.documents import Rewrite
from habeas.domain.errors import DataFault, Fault, NeedsHuman
from habeas.domain.ports import Change, ColumnSketch, Effect, Erasure, Outcome, TableSketch, Value

Held = Mapping[int, tuple[Value, ...]]
"""What rows hold now, by the place of their change; absent rows are missing."""


def check_keys(erasure: Erasure) -> None:
    """Raise Fault unless the batch names every row once, DataFault for a null in the key of a table that has one."""
    if not erasure.table.key:
        keyless.check(erasure)
        return
    keys = [change.key for change in erasure.changes]
    if len(set(keys)) != len(keys):
        raise Fault(f"{erasure.table.address}: a key stands twice in one batch", hint="report this as a bug")
    if any(value is None for key in keys for value in key):
        raise DataFault(f"{erasure.table.address}: a row's key holds null", hint="declare a primary_key without nulls")


def erase(dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> list[Effect]:
    """The effects of the batch, set but not committed; all refused when the store did not keep what was set."""
    if not erasure.table.key:
        return keyless.erase(dialect, connection, erasure, sketch)
    nested = any(column.nested for column in resolve(sketch, erasure.table, erasure.columns))
    batch = (_NestedBatch if nested else _Batch)(dialect, connection, erasure, sketch)
    outcomes = batch.classify()
    setting = [place for place, outcome in enumerate(outcomes) if outcome in (Outcome.CHANGED, Outcome.DRIFTED)]
    act = batch.delete if erasure.delete else batch.set
    reason = act(setting) if setting else ""
    if reason:
        return refused(erasure.changes, reason)
    return [Effect(change.key, outcome) for change, outcome in zip(erasure.changes, outcomes, strict=True)]


class _Batch:
    """The changes of one erasure with their keys in bound form."""

    def __init__(self, dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> None:
        self.dialect = dialect
        self.connection = connection
        self.table = erasure.table
        self.changes = erasure.changes
        self.deletes = erasure.delete
        self.key = resolve(sketch, erasure.table, erasure.table.key)
        self.columns = resolve(sketch, erasure.table, erasure.columns)
        self.readers = readers_of(dialect, self.columns)
        self.proven = proves(sketch, erasure.table.key)
        refuse_nested(self.table, self.key)
        self.keys = [forms(self.table, self.key, change.key, "key", dialect.form) for change in self.changes]

    def classify(self) -> list[Outcome]:
        """Lock the rows and compare what they hold with what is wanted and what was there at access."""
        held = self._hold(range(len(self.changes)))
        if self.deletes:
            return [Outcome.CHANGED if place in held else Outcome.ALREADY for place in range(len(self.changes))]
        return [self._outcome(change, held.get(place)) for place, change in enumerate(self.changes)]

    def set(self, places: Sequence[int]) -> str:
        """Write `after` to these rows; returns why the store did not keep it, or nothing."""
        after = [self._forms(self.changes[place].after) for place in places]
        affected = self._execute(self.dialect.update(self.table, self._seek(places), self.columns, after))
        if affected != len(places):
            return f"{affected} of {len(places)} rows were affected"
        held = self._hold(places)
        kept = sum(place in held and self._same(self.changes[place].after, held[place]) for place in places)
        return "" if kept == len(places) else f"{len(places) - kept} of {len(places)} rows did not keep the value"

    def delete(self, places: Sequence[int]) -> str:
        """Delete these rows, which may cascade to others of them; returns why some are still there, or nothing."""
        self._execute(self.dialect.delete(self.table, self._seek(places)))
        left = len(self._hold(places))
        return f"{left} of {len(places)} rows were not deleted" if left else ""

    def _execute(self, statement: Statement) -> int:
        affected = self.connection.execute(text(statement.text), statement.parameters).rowcount
        self.dialect.settle(self.connection)
        return affected

    def _outcome(self, change: Change, held: tuple[Value, ...] | None) -> Outcome:
        if held is None:
            return Outcome.ABSENT
        if self._same(change.after, held):
            return Outcome.ALREADY
        return Outcome.CHANGED if self._same(change.original, held) else Outcome.DRIFTED

    def _hold(self, places: Sequence[int]) -> Held:
        """What the rows of these changes hold, locked; NeedsHuman when a key finds several rows."""
        outputs = [self.dialect.output(column) for column in self.columns]
        tail = self.dialect.lock(self.table.key)
        held: dict[int, tuple[Value, ...]] = {}
        for statement in compile_select(self.dialect, self.table, outputs, [self._seek(places)], tail):
            for place, *values in self.connection.execute(text(statement.text), statement.parameters):
                if place in held:
                    raise NeedsHuman(
                        f"{self.table.address}: the declared primary_key is not unique in the store",
                        hint="declare the columns that tell rows apart",
                    )
                held[place] = readable(values, self.readers)
        return held

    def _seek(self, places: Sequence[int]) -> Seek:
        rows = [(place, self.keys[place]) for place in places]
        return Seek(self.key, rows, key=True, proven=self.proven)

    def _forms(self, values: Sequence[Value | Rewrite]) -> tuple[Value, ...]:
        return forms(self.table, self.columns, values, "masked value", self.dialect.form)

    def _same(self, wanted: Sequence[Value | Rewrite], held: Sequence[Value]) -> bool:
        """True when the row holds these values: by bound form, so that '7' and 7 or padded text count as one."""
        triples = zip(wanted, held, self.columns, strict=True)
        return all(value == now or self._same_form(value, now, column) for value, now, column in triples)

    def _same_form(self, value: Value, now: Value, column: ColumnSketch) -> bool:
        if value is None or now is None:
            return False
        form, other = self.dialect.form(value, column), self.dialect.form(now, column)
        return form is not None and other is not None and str(form) == str(other)


class _NestedBatch(_Batch):
    """A batch with nested columns: what a row must hold is computed from what it holds under the lock."""

    def classify(self) -> list[Outcome]:
        """As without nested columns; rewrites give way to the values they come to."""
        held = self._hold(range(len(self.changes)))
        outcomes = []
        changes = list(self.changes)
        for place, change in enumerate(self.changes):
            if place not in held:
                outcomes.append(Outcome.ABSENT)
                continue
            settled = settle(self._normal(change), held[place], self._same_at)
            outcomes.append(settled.outcome)
            changes[place] = replace(change, after=settled.after)
        self.changes = changes
        return outcomes

    def _normal(self, change: Change) -> Change:
        return replace(change, after=tuple(map(normal, change.after, self.columns)))

    def _forms(self, values: Sequence[Value | Rewrite]) -> tuple[Value, ...]:
        return forms(self.table, self.columns, values, "masked value", partial(form_of, self.dialect))

    def _same(self, wanted: Sequence[Value | Rewrite], held: Sequence[Value]) -> bool:
        return all(
            self._same_at(place, value, now) for place, (value, now) in enumerate(zip(wanted, held, strict=True))
        )

    def _same_at(self, place: int, wanted: Value, now: Value) -> bool:
        return same(self.dialect, self.columns[place], wanted, now)
