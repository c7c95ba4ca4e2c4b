"""Reads PostgreSQL's own catalog: tables, columns with base types, keys, unique and foreign-key constraints."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch

_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind IN ('r', 'p', 'm')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
_USER_TABLES = f"{_TABLES} AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema' ORDER BY 2, 3"
_NAMED_TABLE = f"{_TABLES} AND n.nspname = :schema AND c.relname = :name"
_VISIBLE_TABLE = f"{_TABLES} AND c.relname = :name AND pg_table_is_visible(c.oid)"

_COLUMNS = """
WITH RECURSIVE base(oid, base, typmod, filled) AS (
  SELECT oid, oid, -1, false FROM pg_type WHERE typtype <> 'd'
  UNION ALL
  SELECT d.oid, b.base, CASE WHEN d.typtypmod = -1 THEN b.typmod ELSE d.typtypmod END, b.filled OR d.typnotnull
  FROM pg_type AS d JOIN base AS b ON d.typbasetype = b.oid WHERE d.typtype = 'd')
SELECT a.attrelid, a.attname, format_type(coalesce(e.oid, t.oid), -1),
  coalesce(e.typcategory, t.typcategory) = 'S' AND t.typname NOT IN ('name', 'char'),
  NOT (a.attnotnull OR b.filled),
  CASE WHEN t.typname IN ('varchar', 'bpchar') AND greatest(a.atttypmod, b.typmod) > 4
    THEN greatest(a.atttypmod, b.typmod) - 4 END,
  a.attgenerated <> '' OR a.attidentity = 'a', t.typname IN ('json', 'jsonb'), e.oid IS NOT NULL
FROM pg_attribute AS a JOIN base AS b ON b.oid = a.atttypid JOIN pg_type AS t ON t.oid = b.base
  LEFT JOIN pg_type AS e ON e.oid = t.typelem AND e.typarray = t.oid AND e.typname = ANY(CAST(:elements AS text[]))
WHERE a.attrelid = ANY(CAST(:tables AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"""

_ELEMENTS = (
    *("text", "varchar", "bpchar", "int2", "int4", "int8", "numeric", "float4", "float8", "bool"),
    *("uuid", "date", "timestamp", "timestamptz", "bytea", "inet"),
)
"""Elements of arrays that come as lists of the driver's own types; other arrays are one text."""

_UNIQUE = """
SELECT i.indrelid, i.indisprimary, ARRAY(
  SELECT CAST(a.attname AS text) FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS u(number, place)
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.number
  WHERE u.place <= i.indnkeyatts ORDER BY u.place)
FROM pg_index AS i
WHERE i.indrelid = ANY(CAST(:tables AS oid[])) AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indexrelid"""

_FOREIGN = """
SELECT k.conrelid, ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
  n.nspname, c.relname, ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place),
  k.confupdtype = 'c'
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conrelid = ANY(CAST(:tables AS oid[]))
ORDER BY k.oid"""


def read_sketch(connection: Connection) -> Sketch:
    """Every user table and view; names without schema are looked up in the session's first schema."""
    tables = connection.execute(text(_USER_TABLES)).all()
    default = connection.execute(text("SELECT current_schema()")).scalar()
    return Sketch(_describe(connection, tables), default)


def read_table(connection: Connection, schema: str | None, name: str) -> TableSketch | None:
    """One table, found through the search path when no schema is given; None when there is none."""
    query = _NAMED_TABLE if schema else _VISIBLE_TABLE
    tables = connection.execute(text(query), {"schema": schema, "name": name} if schema else {"name": name}).all()
    return next(iter(_describe(connection, tables)), None)


def _describe(connection: Connection, tables: Sequence[Sequence[Any]]) -> tuple[TableSketch, ...]:
    columns, unique, foreign = (
        _grouped(connection, query, [table[0] for table in tables]) for query in (_COLUMNS, _UNIQUE, _FOREIGN)
    )
    return tuple(
        TableSketch(
            name=name,
            schema=schema,
            columns=tuple(ColumnSketch(*row[1:]) for row in columns.get(oid, ())),
            primary_key=next((tuple(row[2]) for row in unique.get(oid, ()) if row[1]), ()),
            unique=tuple(tuple(row[2]) for row in unique.get(oid, ()) if not row[1]),
            foreign_keys=tuple(
                ForeignKeySketch(tuple(row[1]), row[2], row[3], tuple(row[4]), row[5]) for row in foreign.get(oid, ())
            ),
            locatable=locatable,
        )
        for oid, schema, name, locatable in tables
    )


def _grouped(connection: Connection, query: str, tables: list[int]) -> dict[int, list[Sequence[Any]]]:
    rows: dict[int, list[Sequence[Any]]] = {}
    given = {"tables": tables} | ({"elements": list(_ELEMENTS)} if query is _COLUMNS else {})
    for row in connection.execute(text(query), given):
        rows.setdefault(row[0], []).append(row)
    return rows
