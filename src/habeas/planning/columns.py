"""Columns: what a store's sketch says of each column that decides whether and how it can be masked.

Without a sketch a column counts as nullable text that nothing refers to, and a table as one whose rows can be found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from habeas.domain.ports import ColumnSketch, Sketch, TableSketch

TableName: TypeAlias = tuple[str | None, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """`unique`: part of a unique constraint. `child`/`parent`: which side of a foreign key it is on.

    A parent whose key changes cascade is free to change and does not count.
    """

    sketch: ColumnSketch | None = None
    primary: bool = False
    unique: bool = False
    child: bool = False
    parent: bool = False

    @property
    def nullable(self) -> bool:
        return self.sketch is None or self.sketch.nullable

    @property
    def generated(self) -> bool:
        return self.sketch is not None and self.sketch.generated

    @property
    def nested(self) -> bool:
        return self.sketch is not None and self.sketch.nested

    def member(self, names: Sequence[str]) -> ColumnSketch | None:
        """What the store says of a place inside the column; None where it cannot say."""
        here = self.sketch
        for name in names:
            here = next((member for member in here.fields if member.name == name), None) if here else None
        return here


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts by column, and whether the store tells of the table at all."""

    columns: Mapping[str, ColumnFacts]
    keys: tuple[frozenset[str], ...] = ()
    """Sets of columns that the store keeps unique."""
    known: bool = False
    locatable: bool = True
    """Whether rows can be found without a key."""
    name: TableName = (None, "")
    children: frozenset[TableName] = frozenset()
    """Other tables with a foreign key to this one."""

    def column(self, name: str) -> ColumnFacts:
        return self.columns.get(name, _UNKNOWN)


_UNKNOWN = ColumnFacts()
NO_FACTS = TableFacts({})


class SketchFacts:
    """The facts of all tables of one sketch, ready for look-up by schema and name."""

    def __init__(self, sketch: Sketch) -> None:
        self._default_schema = sketch.default_schema
        self._tables: dict[TableName, TableSketch] = {(table.schema, table.name): table for table in sketch.tables}
        self._parents: set[tuple[TableName, str]] = set()
        self._children: dict[TableName, set[TableName]] = {}
        for name, table in self._tables.items():
            for key in table.foreign_keys:
                parent = (key.target_schema or sketch.default_schema, key.target_table)
                if not key.cascades:
                    self._parents |= {(parent, column) for column in key.target_columns}
                if parent != name:
                    self._children.setdefault(parent, set()).add(name)

    def table(self, schema: str | None, name: str) -> TableFacts:
        """Facts of one table; none when the sketch does not hold it."""
        full_name = (schema or self._default_schema, name)
        table = self._tables.get(full_name)
        if table is None:
            return NO_FACTS
        return TableFacts(
            columns={column.name: self._column(table, column) for column in table.columns},
            keys=tuple(frozenset(columns) for columns in (table.primary_key, *table.unique) if columns),
            known=True,
            locatable=table.locatable,
            name=full_name,
            children=frozenset(self._children.get(full_name, ())),
        )

    def _column(self, table: TableSketch, column: ColumnSketch) -> ColumnFacts:
        name = column.name
        return ColumnFacts(
            column,
            primary=name in table.primary_key,
            unique=any(name in columns for columns in table.unique),
            child=any(name in key.columns for key in table.foreign_keys),
            parent=column.pinned or ((table.schema, table.name), name) in self._parents,
        )
