"""One batch of an erasure in a table without key: a change means the rows that hold all its values, null-safe.

The store compares first, so that its indexes serve; what only compares equal (by collation or padding) is left
alone. Locked rows are then set or deleted by the store's own row ids, which are never kept longer (design §3); where
it has none, by all their values once more.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from sqlalchemy import Connection, text

from habeas.connectors.outcomes import effects_by_rows, refused, target_of
from habeas.connectors.sql.comparing import form_of, forms, readable, readers_of, same
from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.statements import Seek, compile_select, resolve
from habeas.domain.documents import Rewrite, mark
from habeas.domain.errors import DataFault, Fault, NeedsHuman
from habeas.domain.ports import Effect, Erasure, Key, TableSketch, Value

RowId: TypeAlias = tuple[Value, ...]
"""The store's own, in bound form; where it has none, what a row holds and its number among those that hold it."""

Found: TypeAlias = tuple[int, RowId]
"""A row and the place of the change it was found for."""


def check(erasure: Erasure) -> None:
    """Raise Fault when a change does not name all values, names those of another, or would rewrite inside of one."""
    table, changes = erasure.table, erasure.changes
    if any(len(change.key) != len(table.columns) for change in changes):
        raise Fault(f"{table.address}: a row without key is not named by all its values", hint="report this as a bug")
    if len({mark(change.key) for change in changes}) != len(changes):
        raise Fault(f"{table.address}: a row stands twice in one batch", hint="report this as a bug")
    if any(isinstance(value, Rewrite) for change in changes for value in change.after):
        raise Fault(f"{table.address}: nested values need a key to be masked", hint="declare a primary_key")


def erase(dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> list[Effect]:
    """The effects of the batch, set but not committed; all refused when the store did not keep what was set.

    A change has one effect for each outcome of its rows: all that were found, and what is missing of `copies`.
    """
    return _Batch(dialect, connection, erasure, sketch).erase()


class _Batch:
    """The changes of one erasure, with what their rows held and are to hold in every declared column."""

    def __init__(self, dialect: Dialect, connection: Connection, erasure: Erasure, sketch: TableSketch) -> None:
        self.dialect = dialect
        self.connection = connection
        self.table = erasure.table
        self.changes = erasure.changes
        self.erasure = erasure
        self.all = resolve(sketch, self.table, self.table.columns)
        self.columns = resolve(sketch, self.table, erasure.columns)
        self.readers = readers_of(dialect, self.all)
        if not sketch.locatable:
            raise NeedsHuman(
                f"{self.table.address}: the store cannot tell rows without a key apart", hint="declare a primary_key"
            )
        self.row_id = dialect.row_id(sketch)
        self.tracks = bool(self.row_id) and dialect.keeps_row_ids
        self.outputs = [*(dialect.locator(sketch) if self.row_id else ()), *map(dialect.output, self.all)]
        self.originals = {place: change.key for place, change in enumerate(self.changes)}
        masked = [] if erasure.delete else self.changes
        self.targets = {place: target_of(erasure, change) for place, change in enumerate(masked)}

    def erase(self) -> list[Effect]:
        """Lock, then set or delete what was found, then compare."""
        found = self._find(self.originals)
        idle = {place for place, target in self.targets.items() if self._is(target, self.originals[place])}
        done = self._find_done(found, idle)
        setting = {place: rows for place, rows in found.items() if place not in idle}
        reason = ""
        if setting:
            reason = self._delete(setting) if self.erasure.delete else self._set(setting)
        if reason:
            return refused(self.changes, reason)
        effects = []
        for place in self.originals:
            here = len(found.get(place, ()))
            effects += effects_by_rows(self.erasure, place, here, done.get(place, 0), idle=place in idle)
        return effects

    def _find_done(self, found: Mapping[int, Sequence[RowId]], idle: set[int]) -> dict[int, int]:
        """How many of the rows that are missing hold what they were to hold; a row counts for one change only."""
        short = {
            place: self.changes[place].copies - len(found.get(place, ())) for place in self.targets if place not in idle
        }
        wanted = {place: self.targets[place] for place, number in short.items() if number > 0}
        own = {place: self.changes[place].copies for place in idle}
        claimed = {row_id for place, rows in found.items() for row_id in rows[: own.get(place)]}
        done = {}
        for place, rows in sorted(self._find(wanted, shared=True).items()):
            free = [row_id for row_id in rows if row_id not in claimed][: short[place]]
            claimed.update(free)
            done[place] = len(free)
        return done

    def _set(self, setting: Mapping[int, Sequence[RowId]]) -> str:
        """Write `after` to these rows; returns why the store did not keep it, or nothing."""
        rows = [(place, row_id) for place, row_ids in setting.items() for row_id in row_ids]
        form = partial(form_of, self.dialect)
        after = {
            place: forms(self.table, self.columns, self.changes[place].after, "masked value", form) for place in setting
        }
        others = self._count_holders(setting, {row_id for _, row_id in rows})
        now = self._update(rows, after)
        if len(now) != len(rows):
            return f"{len(now)} of {len(rows)} rows were affected"
        self.dialect.settle(self.connection)
        if self.tracks:
            kept = sum(self._is(self.targets[place], values) for place, _, values in self._lines(self._by_id(now)))
        else:
            kept = self._count_holders(setting, set()) - others
        return "" if kept == len(rows) else f"{len(rows) - kept} of {len(rows)} rows did not keep the value"

    def _update(self, rows: Sequence[Found], after: Mapping[int, tuple[Value, ...]]) -> Sequence[Found]:
        """Set the rows; returns as many as were affected, with the ids they have then."""
        if not self.row_id:
            self._refuse_chains(after)
        affected = 0
        for seek in self._by_id_or_values(rows):
            masks = [after[place] for place, _ in seek.rows]
            statement = self.dialect.update(self.table, seek, self.columns, masks)
            result = self.connection.execute(text(statement.text + self.dialect.moved), statement.parameters)
            if self.dialect.moved:
                width = len(self.row_id)
                moved = {tuple(ids[:width]): tuple(ids[width:]) for ids in result}
                return [(place, moved[row_id]) for place, row_id in rows if row_id in moved]
            affected += result.rowcount
        return rows[:affected]

    def _refuse_chains(self, places: Iterable[int]) -> None:
        """Without row ids, what one change has set must not be what another looks for: smaller batches part them."""
        originals = {mark(self.originals[place]) for place in places}
        if any(mark(self.targets[place]) in originals for place in places):
            raise DataFault(f"{self.table.address}: masked rows equal others of the batch", hint="it is tried in parts")

    def _count_holders(self, places: Iterable[int], but: set[RowId]) -> int:
        """Rows, other than these, that hold what rows of a change are to hold; only where row ids do not tell."""
        if self.tracks:
            return 0
        found = self._find({place: self.targets[place] for place in places}, shared=True)
        return len({row_id for row_ids in found.values() for row_id in row_ids} - but)

    def _delete(self, setting: Mapping[int, Sequence[RowId]]) -> str:
        """Delete these rows; returns why there are such rows still, or nothing."""
        rows = [(place, row_id) for place, row_ids in setting.items() for row_id in row_ids]
        for seek in self._by_id_or_values(rows):
            statement = self.dialect.delete(self.table, seek)
            self.connection.execute(text(statement.text), statement.parameters)
        self.dialect.settle(self.connection)
        left = sum(map(len, self._find(self.originals).values()))
        return f"{left} of {len(rows)} rows were not deleted" if left else ""

    def _find(self, wanted: Mapping[int, Key], *, shared: bool = False) -> dict[int, list[RowId]]:
        """The rows that hold exactly these values, locked; each for one place only unless places may share them."""
        found: dict[int, list[RowId]] = {}
        seen: set[RowId] = set()
        for seek in self._seeks(wanted):
            for place, row_id, values in self._lines(seek):
                if not self._is(wanted[place], values):
                    self._leave(row_id)
                    continue
                row_id = row_id or (mark(wanted[place]), len(found.get(place, ())))
                if shared or row_id not in seen:
                    seen.add(row_id)
                    found.setdefault(place, []).append(row_id)
        return found

    def _leave(self, row_id: RowId) -> None:
        """A row that only compares equal is left alone; NeedsHuman where nothing but its values could name it."""
        if not row_id:
            raise NeedsHuman(
                f"{self.table.address}: the store takes a row for another that differs in spelling",
                hint="declare the columns that tell rows apart as primary_key",
            )

    def _seeks(self, wanted: Mapping[int, Key]) -> list[Seek]:
        """One for each set of columns that are null; a column that cannot be asked for a value is not asked at all."""
        groups: dict[tuple[bool | None, ...], list[tuple[int, tuple[Value, ...]]]] = defaultdict(list)
        for place, key in wanted.items():
            bound = [form_of(self.dialect, value, column) for value, column in zip(key, self.all, strict=True)]
            kinds = tuple(None if value is None else form is not None for value, form in zip(key, bound, strict=True))
            if not any(kind is not False for kind in kinds):
                raise DataFault(
                    f"{self.table.address}: a row without key cannot be found again by its values",
                    hint="declare a primary_key",
                )
            groups[kinds].append((place, tuple(form for form, kind in zip(bound, kinds, strict=True) if kind)))
        return [
            Seek(
                tuple(column for column, kind in zip(self.all, kinds, strict=True) if kind),
                rows,
                nulls=tuple(column for column, kind in zip(self.all, kinds, strict=True) if kind is None),
                key=not self.row_id,
            )
            for kinds, rows in groups.items()
        ]

    def _by_id(self, rows: Sequence[Found]) -> Seek:
        return Seek(self.row_id, rows)

    def _by_id_or_values(self, rows: Sequence[Found]) -> Sequence[Seek]:
        return [self._by_id(rows)] if self.row_id else self._seeks({place: self.originals[place] for place, _ in rows})

    def _lines(self, seek: Seek) -> Iterator[tuple[int, RowId, tuple[Value, ...]]]:
        """(place, row id in bound form, values) of the rows, locked, a statement at a time."""
        tail, width = self.dialect.lock([column.name for column in self.row_id]), len(self.row_id)
        for statement in compile_select(self.dialect, self.table, self.outputs, [seek], tail):
            for place, *held in self.connection.execute(text(statement.text), statement.parameters):
                row_id = tuple(map(self.dialect.form, held[:width], self.row_id))
                yield place, row_id, readable(held[width:], self.readers)

    def _is(self, wanted: Key, held: Sequence[Value]) -> bool:
        return all(map(partial(same, self.dialect), self.all, wanted, held))
