"""One batch of an erasure inside its transaction: lock and classify, set, re-read and compare (design §3).

Row counts are a hint, the re-read is the proof: triggers may change what was set.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.statements import Seek, compile_select, resolve
from habeas.domain.errors import DataFault, Fault, NeedsHuman
from habeas.domain.ports import Change, ColumnSketch, Effect, Erasure, Outcome, TableSketch, Value

Held = Mapping[int, tuple[Value, ...]]
"""What rows hold now, by the place of their change; absent rows are missing."""


def check_keys(erasure: Erasure) -> None:
    """Raise Fault unless the table has a key and the batch names every row once, DataFault for a null in a key."""
    keys = [change.key for change in erasure.changes]
    if not erasure.table.key:
        raise Fault(f"{erasure.table.address}: cannot erase without a key", hint="declare a primary_key")
    if len(set(keys)) != len(keys):
        raise Fault(f"{erasure.table.address}: a key stands twice in one batch", hint="report this as a bug")
    if any(value is None for key in keys for value in key):
        raise DataFault(f"{erasure.table.address}: a row's key holds null", hint="declare a primary_key without nulls")


def erase(dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> list[Effect]:
    """The effects of the batch, set but not committed; all refused when the store did not keep what was set."""
    batch = _Batch(dialect, connection, erasure, sketch)
    outcomes = batch.classify()
    setting = [place for place, outcome in enumerate(outcomes) if outcome in (Outcome.CHANGED, Outcome.DRIFTED)]
    reason = batch.set(setting) if setting else ""
    if reason:
        return [Effect(change.key, Outcome.REFUSED, reason) for change in erasure.changes]
    return [Effect(change.key, outcome) for change, outcome in zip(erasure.changes, outcomes, strict=True)]


class _Batch:
    """The changes of one erasure with their keys in bound form."""

    def __init__(self, dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> None:
        self.dialect = dialect
        self.connection = connection
        self.table = erasure.table
        self.changes = erasure.changes
        self.key = resolve(sketch, erasure.table, erasure.table.key)
        self.columns = resolve(sketch, erasure.table, erasure.columns)
        self.keys = [self._forms(self.key, change.key, "key") for change in self.changes]

    def classify(self) -> list[Outcome]:
        """Lock the rows and compare what they hold with what is wanted and what was there at access."""
        held = self._hold(range(len(self.changes)))
        return [self._outcome(change, held.get(place)) for place, change in enumerate(self.changes)]

    def set(self, places: Sequence[int]) -> str:
        """Write `after` to these rows; returns why the store did not keep it, or nothing."""
        after = [self._forms(self.columns, self.changes[place].after, "masked value") for place in places]
        statement = self.dialect.update(self.table, self._seek(places), self.columns, after)
        affected = self.connection.execute(text(statement.text), statement.parameters).rowcount
        if affected != len(places):
            return f"{affected} of {len(places)} rows were affected"
        self.dialect.settle(self.connection)
        held = self._hold(places)
        kept = sum(self._same(self.changes[place].after, held.get(place)) for place in places)
        return "" if kept == len(places) else f"{len(places) - kept} of {len(places)} rows did not keep the value"

    def _outcome(self, change: Change, held: tuple[Value, ...] | None) -> Outcome:
        if held is None:
            return Outcome.ABSENT
        if self._same(change.after, held):
            return Outcome.ALREADY
        return Outcome.CHANGED if self._same(change.original, held) else Outcome.DRIFTED

    def _hold(self, places: Sequence[int]) -> Held:
        """What the rows of these changes hold, locked; NeedsHuman when a key finds several rows."""
        outputs = [self.dialect.output(column) for column in self.columns]
        readers = [self.dialect.reader(column) for column in self.columns]
        tail = self.dialect.lock(self.table.key)
        held: dict[int, tuple[Value, ...]] = {}
        for statement in compile_select(self.dialect, self.table, outputs, [self._seek(places)], tail):
            for place, *values in self.connection.execute(text(statement.text), statement.parameters):
                if place in held:
                    raise NeedsHuman(
                        f"{self.table.address}: the declared primary_key is not unique in the store",
                        hint="declare the columns that tell rows apart",
                    )
                held[place] = tuple(
                    read(value) if read and value is not None else value
                    for read, value in zip(readers, values, strict=True)
                )
        return held

    def _seek(self, places: Sequence[int]) -> Seek:
        return Seek(self.key, [(place, self.keys[place]) for place in places])

    def _forms(self, columns: Sequence[ColumnSketch], values: Sequence[Value], what: str) -> tuple[Value, ...]:
        """Bound forms; DataFault when a value can never be held by its column. Null stays null."""
        forms = tuple(self.dialect.form(value, column) for value, column in zip(values, columns, strict=True))
        for value, form, column in zip(values, forms, columns, strict=True):
            if form is None and value is not None:
                raise DataFault(
                    f"{self.table.address}: a {what} is not of the type of column {column.name}",
                    hint="compare the column's type with the masking strategy",
                )
        return forms

    def _same(self, wanted: Sequence[Value], held: Sequence[Value] | None) -> bool:
        """True when the row holds these values: by bound form, so that '7' and 7 or padded text count as one."""
        if held is None:
            return False
        triples = zip(wanted, held, self.columns, strict=True)
        return all(value == now or self._same_form(value, now, column) for value, now, column in triples)

    def _same_form(self, value: Value, now: Value, column: ColumnSketch) -> bool:
        if value is None or now is None:
            return False
        form, other = self.dialect.form(value, column), self.dialect.form(now, column)
        return form is not None and other is not None and str(form) == str(other)
