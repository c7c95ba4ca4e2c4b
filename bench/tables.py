"""Tables that are measured, each described once: what it holds, how its rows are invented, how people are found in it.

The engine's datasets, the tables in every store and the statements of the script by hand all come from here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Column:
    """`type`: int, text or moment, which every store calls by a name of its own; an object where it has `members`."""

    type: str
    category: str = ""
    members: Mapping[str, "Column"] = field(default_factory=dict)
    array: bool = False


INT, TEXT = Column("int"), Column("text")


@dataclass(frozen=True, slots=True)
class Table:
    """`ways`: column (`object.member`) → where its values come from, `identity` or `table.column`.

    `rows`: a SELECT in DuckDB's SQL. `given` and `masked` by a policy; `masked`: column → True when the masked value
    is computed (HMAC), False for null.
    """

    name: str
    columns: Mapping[str, Column]
    ways: Mapping[str, str]
    rows: str
    key: str | None = "id"
    unique: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    masked: Mapping[str, bool] = field(default_factory=dict)


def creation(table: Table, type_of: Callable[[Column], str]) -> str:
    """The statement that creates a table in a store."""
    marks = dict.fromkeys(table.unique, " UNIQUE") | ({table.key: " PRIMARY KEY"} if table.key else {})
    columns = (f"{name} {type_of(column)}{marks.get(name, '')}" for name, column in table.columns.items())
    return f"CREATE TABLE {table.name} ({', '.join(columns)})"


def indexes(table: Table) -> Iterator[str]:
    """The statements that index the columns by which people are found; nothing is indexed inside of objects."""
    for column in table.ways:
        if column not in (table.key, *table.unique) and column in table.columns:
            yield f"CREATE INDEX {table.name}_{column} ON {table.name} ({column})"


def dataset(name: str, tables: Sequence[Table]) -> dict[str, Any]:
    """The tables as a dataset that the API takes."""
    collections = [
        {
            "name": table.name,
            "fields": [_field(name, table, column, [inner]) for inner, column in table.columns.items()],
        }
        for table in tables
    ]
    return {"fides_key": name, "name": name, "collections": collections}


def _field(key: str, table: Table, column: Column, path: list[str]) -> dict[str, Any]:
    meta: dict[str, Any] = {"primary_key": True} if path == [table.key] else {}
    if column.members:
        meta["data_type"] = f"object{'[]' * column.array}"
    sources = table.ways.get(".".join(path), "").split()
    if IDENTITY in sources:
        meta["identity"] = "email"
    references = [{"dataset": key, "field": source, "direction": "from"} for source in sources if "." in source]
    if references:
        meta["references"] = references
    made = {"name": path[-1], "fides_meta": meta, "data_categories": [column.category] if column.category else []}
    members = [_field(key, table, member, [*path, name]) for name, member in column.members.items()]
    return made | ({"fields": members} if members else {})
