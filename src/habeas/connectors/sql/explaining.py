"""The statements of a look-up or an erasure as people review them: compiled from the stored sketch, without values."""

from collections.abc import Sequence
from dataclasses import replace

from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.identity import identity_of, locators_of
from habeas.connectors.sql.nested import compile_nested, holds_nothing, leads_inside, leaf
from habeas.connectors.sql.statements import Inside, Seek, Statement, compile_select
from habeas.domain.ports import ColumnSketch, Entry, Erasure, Lookup, TableSketch


def statements(dialect: Dialect, what: Lookup | Erasure, sketch: TableSketch | None) -> Sequence[Statement]:
    """What would be sent; columns that the sketch does not know count as text, or as documents where paths enter."""
    sketch = sketch or TableSketch(what.table.name, what.table.schema, ())
    return _erasing(dialect, what, sketch) if isinstance(what, Erasure) else _looking_up(dialect, what, sketch)


def _erasing(dialect: Dialect, erasure: Erasure, sketch: TableSketch) -> Sequence[Statement]:
    """A keyless table is asked for rows that hold certain values, which are then changed by row ids if it has any."""
    table, key = erasure.table, _of_one(_assume(sketch, erasure.table.key))
    found: list[Statement] = []
    if not table.key:
        key = replace(_of_one(_assume(sketch, table.columns)), key=True)
        row_id = dialect.row_id(sketch)
        outputs = [*(dialect.locator(sketch) if row_id else ()), *map(dialect.output, key.columns)]
        lock = dialect.lock([column.name for column in row_id])
        found = compile_select(dialect, table, outputs, [replace(key, key=not row_id)], lock)
        key = _of_one(row_id) if row_id else key
    if erasure.delete:
        return [*found, dialect.delete(table, key)]
    columns = _assume(sketch, erasure.columns)
    return [*found, dialect.update(table, key, columns, [("",) * len(columns)])]


def _looking_up(dialect: Dialect, lookup: Lookup, sketch: TableSketch) -> Sequence[Statement]:
    table, nesting = lookup.table, dialect.nesting
    seeks = [_seek(sketch, entry) for entry in lookup.entries]
    outputs = [*map(dialect.output, _assume(sketch, table.columns))]
    inside = [entry for entry, seek in zip(lookup.entries, seeks, strict=True) if seek.inside]
    if inside and nesting is None:
        raise holds_nothing(table, inside[0].path)
    if not inside or nesting is None:
        return compile_select(dialect, table, outputs, seeks)
    columns = (*sketch.columns, *_assume(TableSketch(table.name, None, ()), table.key))
    known = TableSketch(table.name, table.schema, columns, sketch.primary_key, sketch.unique, (), sketch.locatable)
    identity, _ = identity_of(dialect, table, known)
    outputs = [*locators_of(dialect, table, known), *outputs]
    compiled = compile_nested(dialect, nesting, table, identity, outputs, seeks)
    return [compiled] if compiled else []


def _seek(sketch: TableSketch, entry: Entry) -> Seek:
    rows = [(0, ("",))] * (2 if len(entry.pairs) > 1 else 1)
    (column,) = _assume(sketch, [entry.column])
    if not leads_inside(column, entry.inside):
        return Seek((column,), rows, entry.match)
    if not column.nested:
        column = ColumnSketch(column.name, "json", text=False, document=True)
    return Seek((leaf(column, entry.inside) or column,), rows, entry.match, inside=Inside(column, entry.inside))


def _of_one(columns: tuple[ColumnSketch, ...]) -> Seek:
    return Seek(columns, [(0, ("",) * len(columns))])


def _assume(sketch: TableSketch, names: Sequence[str]) -> tuple[ColumnSketch, ...]:
    return tuple(sketch.column(name) or ColumnSketch(name, "text", text=True) for name in names)
