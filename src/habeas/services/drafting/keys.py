"""The foreign keys of a store's tables as references can follow them, one column each, and those that none can.

Also guesses keys that a store does not declare, from the names of columns; whoever uses them must say so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from habeas.domain.ports import ColumnSketch, ForeignKeySketch, TableSketch
from habeas.services.drafting.kinds import Kind, kind_of
from habeas.services.drafting.links import Key
from habeas.services.drafting.names import (
    Words,
    is_key_name,
    is_of_staff,
    names_an_actor,
    names_its_target,
    names_of_keys,
    names_staff,
    subject_of,
    target_of,
)


class Hindrance(StrEnum):
    """Why no reference follows a foreign key, as its comment ends."""

    SEVERAL = "has several columns, and a reference follows one"
    OUTSIDE = "leads out of this dataset"
    NESTED = "joins arrays or objects, which are no single values"


@dataclass(frozen=True, slots=True, order=True)
class OtherKey:
    """A foreign key that no reference can follow; `schema` is where the parent is, if the store says so."""

    columns: tuple[str, ...]
    schema: str
    parent: str
    targets: tuple[str, ...]
    hindrance: Hindrance


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of one column, sorted, guessed ones among them; by table those that no reference can follow."""

    followable: tuple[Key, ...]
    others: Mapping[str, Sequence[OtherKey]] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By table its columns that the store declares to point elsewhere."""


def find_keys(tables: Sequence[TableSketch]) -> Keys:
    """The keys between these tables of one schema."""
    reader = _Reader(tables)
    declared = {key for table in tables for key in reader.read(table)}
    declared -= reader.parts_of_composites(declared)
    columns = {table.name: _pointing_columns(table) for table in tables}
    guessed = _Guesser(tables).guess_all(columns)
    return Keys(tuple(sorted({*declared, *guessed})), reader.others, columns)


class _Reader:
    """Finds tables and columns by name; stores that fold case may spell them otherwise in a key."""

    def __init__(self, tables: Sequence[TableSketch]) -> None:
        self._tables = {table.name: table for table in tables}
        self._folded = {name.casefold(): table for name, table in self._tables.items()}
        self.others: dict[str, list[OtherKey]] = {}

    def read(self, table: TableSketch) -> Iterator[Key]:
        """The keys of one column; the rest goes to `others`."""
        for sketch in dict.fromkeys(table.foreign_keys):
            parent = self._find(table, sketch)
            columns = _spell(table, sketch.columns)
            targets = _spell(parent, sketch.target_columns) if parent is not None else None
            if parent is None or columns is None or targets is None or len(columns) != len(targets):
                hindrance = Hindrance.OUTSIDE
            elif len(columns) > 1:
                hindrance = Hindrance.SEVERAL
            elif _is_nested(table, columns[0]) or _is_nested(parent, targets[0]):
                hindrance = Hindrance.NESTED
            else:
                yield make_key(table, columns[0], parent, targets[0])
                continue
            other = OtherKey(
                columns=columns or sketch.columns,
                schema=sketch.target_schema if parent is None and sketch.target_schema else "",
                parent=parent.name if parent is not None else sketch.target_table,
                targets=targets or sketch.target_columns,
                hindrance=hindrance,
            )
            self.others.setdefault(table.name, []).append(other)

    def parts_of_composites(self, keys: set[Key]) -> set[Key]:
        """Keys of one column that together are a composite one, which the planner refuses to follow in parts."""
        ends = {(key.child, key.column, key.parent, key.target): key for key in keys}
        found = set[Key]()
        for child, other in ((child, other) for child, others in self.others.items() for other in others):
            if other.hindrance is Hindrance.SEVERAL:
                pairs = zip(other.columns, other.targets, strict=True)
                parts = [ends.get((child, column, other.parent, target)) for column, target in pairs]
                present = [part for part in parts if part is not None]
                found.update(present if len(present) > 1 else ())
        return found

    def _find(self, table: TableSketch, sketch: ForeignKeySketch) -> TableSketch | None:
        if sketch.target_schema not in (None, table.schema):
            return None
        return self._tables.get(sketch.target_table) or self._folded.get(sketch.target_table.casefold())


def make_key(child: TableSketch, column: str, parent: TableSketch, target: str, *, guessed: bool = False) -> Key:
    """A key with what its names and constraints say of it."""
    subject = subject_of(parent.name)
    named = names_its_target(column, subject) or column == target
    return Key(
        child=child.name,
        column=column,
        parent=parent.name,
        target=target,
        named=named,
        unique=(column,) in (child.primary_key, *child.unique),
        actor=names_an_actor(column) or (not named and (is_of_staff(subject) or names_staff(column))),
        guessed=guessed,
    )


def _is_nested(table: TableSketch, column: str) -> bool:
    found = table.column(column)
    return found is not None and found.nested


def _spell(table: TableSketch, columns: Sequence[str]) -> tuple[str, ...] | None:
    """Columns as their table spells them; None when one is not there."""
    folded = {column.name.casefold(): column.name for column in table.columns}
    own = {column.name for column in table.columns}
    found = [name if name in own else folded.get(name.casefold()) for name in columns]
    return None if None in found else tuple(name for name in found if name is not None)


def _pointing_columns(table: TableSketch) -> frozenset[str]:
    """Columns of its foreign keys, as the table spells them."""
    found = (_spell(table, [column]) for key in table.foreign_keys for column in key.columns)
    return frozenset(name for names in found if names is not None for name in names)


class _Guesser:
    """Keys that a store does not declare: `customer_id` looks like that of `customers`, when both are of one kind."""

    def __init__(self, tables: Sequence[TableSketch]) -> None:
        self._tables = tables
        self._parents: dict[Words, list[TableSketch]] = {}
        for table in tables:
            if len(table.primary_key) == 1:
                for target in names_of_keys(subject_of(table.name)):
                    self._parents.setdefault(target, []).append(table)

    def guess_all(self, declared: Mapping[str, frozenset[str]]) -> Iterator[Key]:
        for child in self._tables:
            for column in child.columns:
                if (column.name,) == child.primary_key or column.name in declared[child.name]:
                    continue
                parent = self._guess(child, column) if is_key_name(column.name) else None
                if parent is not None:
                    yield make_key(child, column.name, parent, parent.primary_key[0], guessed=True)

    def _guess(self, child: TableSketch, column: ColumnSketch) -> TableSketch | None:
        """The one table that a column is called after, an exact name before one that ends or begins so."""
        target = target_of(column.name)
        fitting = [
            parent
            for parent in self._parents.get(target, ())
            if parent.name != child.name and kind_of(column) is _kind_of_key(parent)
        ]
        exact = [parent for parent in fitting if subject_of(parent.name) == target]
        best = exact or fitting
        return best[0] if len(best) == 1 else None


def _kind_of_key(table: TableSketch) -> Kind | None:
    column = table.column(table.primary_key[0])
    return None if column is None else kind_of(column)
