"""One batch of an erasure in memory: every change applied to a copy of the records, and what became of each.

Raises DataFault where a database would refuse: types, lengths, nulls, uniqueness, foreign keys.
"""

from collections.abc import Mapping, Sequence

from habeas.connectors.memory_table import MemoryStore, MemoryTable, Record
from habeas.connectors.outcomes import effects_by_rows, refused, settle, target_of
from habeas.domain.documents import Rewrite, mark
from habeas.domain.errors import DataFault, Fault, NeedsHuman
from habeas.domain.ports import Effect, Erasure, ForeignKeySketch, Key, Outcome, Value

Applied = tuple[list[Effect], list[Record]]
"""The effects and the records as they are then."""


def check_changes(erasure: Erasure) -> None:
    """Raise Fault unless every change names rows of its own, and a keyless one by all its values."""
    names, changes = erasure.table.key or erasure.table.columns, erasure.changes
    nested = [value for change in changes for value in change.after if isinstance(value, Rewrite)]
    distinct = {mark(change.key) for change in changes if len(change.key) == len(names)}
    if len(distinct) != len(changes) or (nested and not erasure.table.key):
        raise Fault(f"{erasure.table.address}: every change needs a key of its own", hint="report this as a bug")


def apply(store: MemoryStore, table: MemoryTable, records: list[Record], erasure: Erasure) -> Applied:
    """Set or delete; all refused when a trigger interferes."""
    applied = _delete(table, records, erasure) if erasure.delete else _set(table, records, erasure)
    _check_references(store, table, applied[1])
    return applied


def _set(table: MemoryTable, records: list[Record], erasure: Erasure) -> Applied:
    wanted = _mask(table, records, erasure) if erasure.table.key else _mask_without_key(table, records, erasure)
    for column in erasure.columns:
        _check_unique(table, records, column)
    if any(mark(_held(record, erasure.columns)) != mark(after) for record, after in wanted.setting):
        return refused(erasure.changes, "the value was not kept"), records
    return wanted.effects, records


class _Masked:
    """Effects, and the records that were set with what they must hold."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.setting: list[tuple[Record, Key]] = []

    def set(self, table: MemoryTable, record: Record, columns: Sequence[str], after: Key) -> None:
        self.setting.append((record, after))
        for name, value in zip(columns, after, strict=True):
            _check_value(table, name, value)
            trigger = table.triggers.get(name)
            record[name] = trigger(value) if trigger else value


def _mask(table: MemoryTable, records: list[Record], erasure: Erasure) -> _Masked:
    by_key, done = _by(erasure.table.key, records), _Masked()
    for change in erasure.changes:
        found = by_key.get(mark(change.key))
        if not found:
            done.effects.append(Effect(change.key, Outcome.ABSENT))
            continue
        if len(found) > 1:
            raise NeedsHuman(
                f"{erasure.table.address}: the declared primary_key is not unique", hint="correct the dataset"
            )
        record = found[0]
        settled = settle(change, _held(record, erasure.columns), _same)
        done.effects.append(Effect(change.key, settled.outcome))
        if settled.outcome in (Outcome.CHANGED, Outcome.DRIFTED):
            done.set(table, record, erasure.columns, settled.after)
    return done


def _mask_without_key(table: MemoryTable, records: list[Record], erasure: Erasure) -> _Masked:
    by_values, done = _by(erasure.table.columns, records), _Masked()
    targets = [mark(target_of(erasure, change)) for change in erasure.changes]
    claimed: set[int] = set()
    for change, target in zip(erasure.changes, targets, strict=True):
        own = mark(change.key)
        claimed.update(map(id, by_values.get(own, [])[: change.copies if target == own else None]))
    for place, (change, target) in enumerate(zip(erasure.changes, targets, strict=True)):
        here, idle = by_values.get(mark(change.key), []), target == mark(change.key)
        free = [] if idle else [record for record in by_values.get(target, ()) if id(record) not in claimed]
        free = free[: max(0, change.copies - len(here))]
        claimed.update(map(id, free))
        done.effects += effects_by_rows(erasure, place, len(here), len(free), idle=idle)
        for record in () if idle else here:
            done.set(table, record, erasure.columns, change.after)
    return done


def _delete(table: MemoryTable, records: list[Record], erasure: Erasure) -> Applied:
    by_key = _by(erasure.table.key or erasure.table.columns, records)
    effects = []
    for place, change in enumerate(erasure.changes):
        here = len(by_key.get(mark(change.key), ()))
        effects += effects_by_rows(erasure, place, here)
    gone = {id(record) for change in erasure.changes for record in by_key.get(mark(change.key), ())}
    if gone and table.keeps_rows:
        return refused(erasure.changes, "the rows were not deleted"), records
    return effects, [record for record in records if id(record) not in gone]


def _by(names: Sequence[str], records: list[Record]) -> Mapping[object, list[Record]]:
    found: dict[object, list[Record]] = {}
    for record in records:
        found.setdefault(mark(_held(record, names)), []).append(record)
    return found


def _held(record: Record, names: Sequence[str]) -> Key:
    return tuple(record[name] for name in names)


def _same(_place: int, wanted: Value, now: Value) -> bool:
    return mark(wanted) == mark(now)


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


def _check_references(store: MemoryStore, table: MemoryTable, records: Sequence[Record]) -> None:
    """Every row that refers to this table, or of this table, must find its target."""
    for child in store.tables.values():
        for key in child.sketch.foreign_keys:
            target = store.tables.get(key.target_table)
            if target is None or table not in (child, target):
                continue
            ours = records if child is table else child.records
            theirs = records if target is table else target.records
            _check_reference(child, key, ours, theirs)


def _check_reference(
    child: MemoryTable, key: ForeignKeySketch, records: Sequence[Record], targets: Sequence[Record]
) -> None:
    known = {mark(_held(record, key.target_columns)) for record in targets}
    held = (_held(record, key.columns) for record in records)
    if any(None not in values and mark(values) not in known for values in held):
        raise DataFault(
            f"{child.sketch.name}: a row refers to a row of {key.target_table} that would be gone",
            hint="erase the rows that refer to it first",
        )
