"""Whether a row holds certain values, by their bound forms and, inside of them, by content. Contacts no server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from habeas.connectors.sql.dialect import Dialect
from habeas.connectors.sql.json_text import content, read_json, write_json
from habeas.domain.documents import Rewrite
from habeas.domain.errors import DataFault, NeedsHuman
from habeas.domain.ports import ColumnSketch, Table, Value

FormOf: TypeAlias = Callable[[Value, ColumnSketch], Value | None]
Reader: TypeAlias = Callable[[Value], Value]


def form_of(dialect: Dialect, value: Value, column: ColumnSketch) -> Value | None:
    """The bound form of all that a column holds, nested or not."""
    return dialect.nested_form(value, column) if column.nested else dialect.form(value, column)


def forms(
    table: Table, columns: Sequence[ColumnSketch], values: Sequence[Value | Rewrite], what: str, form_of: FormOf
) -> tuple[Value, ...]:
    """Bound forms; DataFault when a value can never be held by its column. Null stays null where it may."""
    bound = tuple(form_of(value, column) for value, column in zip(values, columns, strict=True))
    for value, form, column in zip(values, bound, columns, strict=True):
        if form is None and isinstance(value, Rewrite):
            raise NeedsHuman(
                f"{table.address}: the store holds nothing inside of column {column.name}",
                hint="correct the dataset's fields, then plan the request anew",
            )
        if form is None and value is not None:
            raise DataFault(
                f"{table.address}: a {what} is not of the type of column {column.name}",
                hint="compare the column's type with the masking strategy",
            )
    return bound


def same(dialect: Dialect, column: ColumnSketch, value: Value, now: Value) -> bool:
    """True when `now`, as read, is `value`; '7' and 7 or padded text count as one where the column takes them so."""
    if column.nested and content(value) == content(now):
        return True
    if not column.nested and value == now:
        return True
    if value is None or now is None:
        return False
    form, other = form_of(dialect, value, column), form_of(dialect, now, column)
    return form is not None and other is not None and str(form) == str(other)


def readers_of(dialect: Dialect, columns: Sequence[ColumnSketch]) -> dict[int, Reader]:
    """What makes values of ours of those that the driver gives, by the place of the column; empty for most tables."""
    readers = ((place, dialect.reader(column)) for place, column in enumerate(columns))
    return {place: reader for place, reader in readers if reader is not None}


def readable(values: Sequence[Value], readers: Mapping[int, Reader]) -> tuple[Value, ...]:
    """Values of ours from those that the driver gives."""
    if not readers:
        return tuple(values)
    return tuple(
        readers[place](value) if place in readers and value is not None else value for place, value in enumerate(values)
    )


def normal(value: Value | Rewrite, column: ColumnSketch) -> Value | Rewrite:
    """A value for a document as it would be read back, so that masks of any type are recognised later on."""
    if not column.document:
        return value
    if isinstance(value, Rewrite):
        versions = (
            replace(one, original=normal(one.original, column), after=normal(one.after, column))
            for one in value.versions
        )
        return replace(value, versions=tuple(versions))
    text = write_json(value)
    return value if text is None else read_json(text)
