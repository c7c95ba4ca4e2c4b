"""What tells rows of a table apart: a key that a constraint proves, or else the store's own row ids.

Pure: judges by sketches alone.
"""

from collections.abc import Sequence

from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.statements import resolve
from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import ColumnSketch, Table, TableSketch


def proves(sketch: TableSketch, key: Sequence[str]) -> bool:
    """True when a constraint over never-null columns, all within `key`, makes it unique."""
    filled = {column.name for column in sketch.columns if not column.nullable}
    return any(names and set(names) <= filled & set(key) for names in (sketch.primary_key, *sketch.unique))


def refuse_nested(table: Table, key: Sequence[ColumnSketch]) -> None:
    """Raise NeedsHuman when a key column holds objects or arrays: they have no order and no single spelling."""
    if names := [column.name for column in key if column.nested]:
        raise NeedsHuman(
            f"{table.address}: column {names[0]} holds nested values and cannot be a key",
            hint="declare other columns as primary_key, or none",
        )


def locators_of(dialect: Dialect, table: Table, sketch: TableSketch) -> tuple[str, ...]:
    """The store's own row ids to read, unless the declared key is proven to tell rows apart."""
    if table.key and (not sketch.locatable or proves(sketch, table.key)):
        return ()
    if not sketch.locatable:
        raise NeedsHuman(
            f"{table.address}: rows cannot be told apart without a key", hint="declare a primary_key in the dataset"
        )
    return dialect.locator(sketch)


def identity_of(dialect: Dialect, table: Table, sketch: TableSketch) -> tuple[tuple[ColumnSketch, ...], bool]:
    """Columns that tell rows apart inside one statement, row ids first; and whether they surely do."""
    row_id = dialect.row_id(sketch) if sketch.locatable else ()
    return (row_id, True) if row_id else (resolve(sketch, table, table.key), proves(sketch, table.key))


def is_by_content(dialect: Dialect, table: Table, sketch: TableSketch) -> bool:
    """True when nothing but all that rows hold tells them apart: no proven key, and the store has no row ids."""
    return sketch.locatable and not (table.key and proves(sketch, table.key)) and not dialect.locator(sketch)
