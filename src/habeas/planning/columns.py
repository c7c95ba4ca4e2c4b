"""Columns: what a store's sketch says of each column that decides whether and how it can be masked.

Without a sketch a column counts as nullable text that nothing refers to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from habeas.domain.ports import ColumnSketch, Sketch, TableSketch


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """`unique`: part of a unique constraint. `child`/`parent`: which side of a foreign key it is on.

    A parent whose key changes cascade is free to change and does not count.
    """

    text: bool = True
    nullable: bool = True
    length: int | None = None
    primary: bool = False
    unique: bool = False
    child: bool = False
    parent: bool = False
    generated: bool = False


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts by column, and whether the store tells of the table at all."""

    columns: Mapping[str, ColumnFacts]
    keys: tuple[frozenset[str], ...] = ()
    """Sets of columns that the store keeps unique."""
    known: bool = False

    def column(self, name: str) -> ColumnFacts:
        return self.columns.get(name, _UNKNOWN)


_UNKNOWN = ColumnFacts()
NO_FACTS = TableFacts({})


class SketchFacts:
    """The facts of all tables of one sketch, ready for look-up by schema and name."""

    def __init__(self, sketch: Sketch) -> None:
        self._default_schema = sketch.default_schema
        self._tables = {(table.schema, table.name): table for table in sketch.tables}
        self._parents = {
            (key.target_schema or sketch.default_schema, key.target_table, column)
            for table in sketch.tables
            for key in table.foreign_keys
            if not key.cascades
            for column in key.target_columns
        }

    def table(self, schema: str | None, name: str) -> TableFacts:
        """Facts of one table; none when the sketch does not hold it."""
        table = self._tables.get((schema or self._default_schema, name))
        if table is None:
            return NO_FACTS
        keys = tuple(frozenset(columns) for columns in (table.primary_key, *table.unique) if columns)
        return TableFacts({column.name: self._column(table, column) for column in table.columns}, keys, known=True)

    def _column(self, table: TableSketch, column: ColumnSketch) -> ColumnFacts:
        name = column.name
        return ColumnFacts(
            text=column.text,
            nullable=column.nullable,
            length=column.length,
            primary=name in table.primary_key,
            unique=any(name in columns for columns in table.unique),
            child=any(name in key.columns for key in table.foreign_keys),
            parent=column.pinned or (table.schema, table.name, name) in self._parents,
            generated=column.generated,
        )
