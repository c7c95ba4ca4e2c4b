"""Reads DuckDB's own catalog: tables and views, columns with their types, keys, unique indexes and foreign keys.

SQLAlchemy's reflection does not work with DuckDB. A name is found without regard to case, as DuckDB itself does.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from habeas.connectors.sql.duckdb_types import Type, parse_type, sketch_column
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch

DEFAULT_SCHEMA = "main"

_Name: TypeAlias = tuple[str, str]
"""Schema and table."""

_HERE = "database_name = current_database() AND NOT internal"
_TABLES = f"""
SELECT schema_name, table_name, true FROM duckdb_tables() WHERE {_HERE}
UNION ALL SELECT schema_name, view_name, false FROM duckdb_views() WHERE {_HERE} ORDER BY 1, 2"""  # noqa: S608
_COLUMNS = f"""
SELECT schema_name, table_name, column_name, data_type, is_nullable, is_generated
FROM duckdb_columns() WHERE {_HERE} ORDER BY table_oid, column_index"""  # noqa: S608
_CONSTRAINTS = """
SELECT schema_name, table_name, constraint_type, constraint_column_names, expression,
  referenced_table, referenced_column_names
FROM duckdb_constraints() WHERE database_name = current_database() ORDER BY table_oid, constraint_index"""
_INDEXES = """
SELECT schema_name, table_name, is_unique, CAST(expressions AS VARCHAR[])
FROM duckdb_indexes() WHERE database_name = current_database() ORDER BY index_oid"""

_SHORTER = re.compile(r"(?:length|len|char_length|character_length)\([^()]+\) (<=|<) (\d+)")


def read_sketch(connection: Connection) -> Sketch:
    """Every user table and view of the file."""
    tables = connection.execute(text(_TABLES)).all()
    return Sketch(_describe(connection, [((schema, name), base) for schema, name, base in tables]), DEFAULT_SCHEMA)


def read_table(connection: Connection, schema: str | None, name: str) -> TableSketch | None:
    """One table or view; None when there is none."""
    wanted = ((schema or DEFAULT_SCHEMA).lower(), name.lower())
    tables = connection.execute(text(_TABLES)).all()
    found = [((place, table), base) for place, table, base in tables if (place.lower(), table.lower()) == wanted]
    return next(iter(_describe(connection, found)), None)


@dataclass(slots=True)
class _Rules:
    """What the constraints and indexes of one table say. `indexed`: columns of any index, `computed`: expressions."""

    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKeySketch] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    computed: list[str] = field(default_factory=list)

    def is_indexed(self, column: str) -> bool:
        """Whether an index speaks of the column."""
        word = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)", re.IGNORECASE)
        return column in self.indexed or any(map(word.search, self.computed))


def _describe(connection: Connection, tables: Sequence[tuple[_Name, bool]]) -> tuple[TableSketch, ...]:
    columns: dict[_Name, list[Sequence[Any]]] = defaultdict(list)
    for row in connection.execute(text(_COLUMNS)):
        columns[row[0], row[1]].append(row[2:])
    rules = _read_rules(connection)
    parents = {
        (schema, key.target_table)
        for (schema, name), rule in rules.items()
        for key in rule.foreign_keys
        if key.target_table != name
    }
    return tuple(
        _table_sketch(name, base, columns[name], rules.get(name, _Rules()), referenced=name in parents)
        for name, base in tables
    )


def _table_sketch(
    name: _Name, base: bool, columns: Sequence[Sequence[Any]], rules: _Rules, *, referenced: bool
) -> TableSketch:
    return TableSketch(
        name=name[1],
        schema=name[0],
        columns=tuple(_column_sketch(row, rules, referenced=referenced) for row in columns),
        primary_key=rules.primary_key,
        unique=tuple(names for names in rules.unique if names != rules.primary_key),
        foreign_keys=tuple(rules.foreign_keys),
        # a column of this name hides the row id
        locatable=base and all(row[0].lower() != "rowid" for row in columns),
    )


def _column_sketch(row: Sequence[Any], rules: _Rules, *, referenced: bool) -> ColumnSketch:
    name, type_, nullable, generated = row
    kind = parse_type(type_)
    return sketch_column(
        name,
        kind,
        nullable=nullable,
        length=rules.lengths.get(name),
        generated=generated,
        pinned=referenced and (rules.is_indexed(name) or _holds_list(kind)),
    )


def _holds_list(kind: Type) -> bool:
    """Whether DuckDB updates such a column by deleting the row and inserting it anew, as it does with indexed ones."""
    if kind.members:
        return any(_holds_list(inner) for _, inner in kind.members)
    return kind.element is not None or (kind.opaque and kind.name not in ("BIT", "BIGNUM"))


def _read_rules(connection: Connection) -> Mapping[_Name, _Rules]:
    rules: dict[_Name, _Rules] = defaultdict(_Rules)
    for schema, table, kind, names, expression, target, target_names in connection.execute(text(_CONSTRAINTS)):
        rule = rules[schema, table]
        match kind:
            case "PRIMARY KEY":
                rule.primary_key = tuple(names)
                rule.indexed.update(names)
            case "UNIQUE":
                rule.unique.append(tuple(names))
                rule.indexed.update(names)
            case "FOREIGN KEY":  # never into another schema; the changes of a key are never passed on
                rule.foreign_keys.append(ForeignKeySketch(tuple(names), schema, target, tuple(target_names)))
                rule.indexed.update(names)
            case "CHECK":
                rule.lengths |= _lengths(names, expression)
    for schema, table, unique, expressions in connection.execute(text(_INDEXES)):
        rule = rules[schema, table]
        computed = [expression for expression in expressions if expression.startswith("(")]
        columns = tuple(_unquote(expression) for expression in expressions if expression not in computed)
        rule.computed += computed
        rule.indexed.update(columns)
        if unique and not computed:
            rule.unique.append(columns)
    return rules


def _lengths(names: Sequence[str], check: str) -> dict[str, int]:
    """The longest text that a check lets into its column. DuckDB takes no length from VARCHAR(10) itself."""
    if len(set(names)) != 1 or " OR " in check or "NOT " in check or "CASE " in check:
        return {}
    found = [int(limit) - (sign == "<") for sign, limit in _SHORTER.findall(check)]
    return {names[0]: min(found)} if found else {}


def _unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
