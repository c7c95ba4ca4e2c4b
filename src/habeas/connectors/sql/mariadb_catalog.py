"""Reads the catalog of MariaDB and MySQL: tables, columns, keys, unique and foreign-key constraints, all at once.

A schema is a database; every one that the user may see is described, but for the server's own.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from habeas.connectors.sql.mariadb_types import WORDS, write_type
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch

_EVERYWHERE = "t.{schema} NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
_NAMED = "t.{schema} = :schema AND t.TABLE_NAME = :name"

_TABLES = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, coalesce(e.TRANSACTIONS = 'YES', 1)
FROM information_schema.TABLES AS t LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW') AND {here} ORDER BY 1, 2"""

_COLUMNS = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.COLUMN_NAME, t.DATA_TYPE, t.COLUMN_TYPE, t.CHARACTER_SET_NAME, t.COLLATION_NAME,
  t.CHARACTER_MAXIMUM_LENGTH, t.CHARACTER_OCTET_LENGTH, t.IS_NULLABLE, t.EXTRA
FROM information_schema.COLUMNS AS t WHERE {here} ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME, t.ORDINAL_POSITION"""

_UNIQUE = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.INDEX_NAME, t.COLUMN_NAME, t.SUB_PART
FROM information_schema.STATISTICS AS t WHERE t.NON_UNIQUE = 0 AND {here}
ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME, t.INDEX_NAME, t.SEQ_IN_INDEX"""

_FOREIGN = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME, t.COLUMN_NAME, t.REFERENCED_TABLE_SCHEMA,
  t.REFERENCED_TABLE_NAME, t.REFERENCED_COLUMN_NAME, t.ORDINAL_POSITION
FROM information_schema.KEY_COLUMN_USAGE AS t WHERE t.REFERENCED_TABLE_NAME IS NOT NULL AND {here}"""

_RULES = """
SELECT t.CONSTRAINT_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME, t.UPDATE_RULE
FROM information_schema.REFERENTIAL_CONSTRAINTS AS t WHERE {here}"""
"""Not joined by the store: a join of these two has been seen to end a MariaDB server under load."""

_DOCUMENTS = """
SELECT t.CONSTRAINT_SCHEMA, t.TABLE_NAME, t.CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS AS t
WHERE t.CHECK_CLAUSE LIKE 'json_valid(%' AND {here}"""
"""MariaDB's JSON is a longtext with this check."""

Place: TypeAlias = tuple[str, str]
"""Database and table."""

Rows: TypeAlias = dict[Place, list[Sequence[Any]]]


def read_sketch(connection: Connection) -> Sketch:
    """Every table and view; names without schema are looked up in the session's database."""
    return Sketch(_describe(connection, _EVERYWHERE, {}), _default(connection))


def read_table(connection: Connection, schema: str | None, name: str) -> TableSketch | None:
    """One table of the schema, or of the session's database; None when there is none."""
    schema = schema or _default(connection)
    if schema is None:
        return None
    found = _describe(connection, _NAMED, {"schema": schema, "name": name})
    exact = next((table for table in found if (table.schema, table.name) == (schema, name)), None)
    # the catalog compares without case, as do statements where the server's files do
    return exact or (next(iter(found), None) if _folds(connection) else None)


def _default(connection: Connection) -> str | None:
    found: str | None = connection.execute(text("SELECT DATABASE()")).scalar()
    return found


def _folds(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT @@lower_case_table_names")).scalar())


def _describe(connection: Connection, here: str, names: dict[str, str]) -> tuple[TableSketch, ...]:
    tables = _read(connection, _TABLES, here, names)
    columns, unique, foreign = (_read(connection, query, here, names) for query in (_COLUMNS, _UNIQUE, _FOREIGN))
    rules = _read(connection, _RULES, here, names, "CONSTRAINT_SCHEMA")
    documents: Rows = {}
    if getattr(connection.dialect, "is_mariadb", False):
        documents = _read(connection, _DOCUMENTS, here, names, "CONSTRAINT_SCHEMA")
    return tuple(
        TableSketch(
            name=place[1],
            schema=place[0],
            columns=tuple(_column(row, documents.get(place, ())) for row in columns.get(place, ())),
            primary_key=next(iter(_indexes(unique.get(place, ()), primary=True)), ()),
            unique=tuple(_indexes(unique.get(place, ()), primary=False)),
            foreign_keys=tuple(_foreign_keys(foreign.get(place, ()), rules.get(place, ()))),
            locatable=rows[0][2] != "VIEW",
            obstacle=_obstacle(*rows[0][2:]),
        )
        for place, rows in tables.items()
    )


def _read(connection: Connection, query: str, here: str, names: dict[str, str], schema: str = "TABLE_SCHEMA") -> Rows:
    """Rows by the table they speak of."""
    rows: Rows = {}
    for row in connection.execute(text(query.format(here=here.format(schema=schema))), names):
        rows.setdefault((row[0], row[1]), []).append(row)
    return rows


def _obstacle(kind: str, transactional: int) -> str:
    if kind == "SYSTEM VERSIONED":
        return "the table keeps what its rows held before (system versioning)"
    return "" if transactional else "the table's engine cannot take back what a failed batch has written (not InnoDB)"


def _column(row: Sequence[Any], documents: Sequence[Sequence[Any]]) -> ColumnSketch:
    _, _, name, kind, declared, charset, collation, length, size, nullable, extra = row
    if any(check[2] == f"json_valid(`{name}`)" for check in documents):
        kind = "json"
    return ColumnSketch(
        name=name,
        type=write_type(kind, declared, length, charset, collation),
        text=kind in WORDS,
        nullable=nullable == "YES",
        length=_length(kind, length, size),
        generated=any(word in extra.upper() for word in ("VIRTUAL GENERATED", "STORED GENERATED", "PERSISTENT")),
    )


def _length(kind: str, length: int | None, size: int | None) -> int | None:
    """In characters; a tinytext is bounded in bytes, of which a character may take four."""
    if kind in ("char", "varchar"):
        return length
    return size // 4 if kind == "tinytext" and size is not None else None


def _indexes(rows: Sequence[Sequence[Any]], *, primary: bool) -> list[tuple[str, ...]]:
    """Columns of the unique indexes; those over expressions or prefixes are left out, but for a primary key's."""
    found: dict[str, list[tuple[str | None, int | None]]] = {}
    for _, _, index, column, prefix in rows:
        if (index == "PRIMARY") == primary:
            found.setdefault(index, []).append((column, prefix))
    whole = (parts for parts in found.values() if primary or all(column and not prefix for column, prefix in parts))
    return [tuple(column or "" for column, _ in parts) for parts in whole]


def _foreign_keys(rows: Sequence[Sequence[Any]], rules: Sequence[Sequence[Any]]) -> list[ForeignKeySketch]:
    found: dict[str, list[Sequence[Any]]] = {}
    for row in sorted(rows, key=lambda row: (row[2], row[7])):
        found.setdefault(row[2], []).append(row)
    cascading = {rule[2] for rule in rules if rule[3] == "CASCADE"}
    return [
        ForeignKeySketch(
            columns=tuple(row[3] for row in parts),
            target_schema=parts[0][4],
            target_table=parts[0][5],
            target_columns=tuple(row[6] for row in parts),
            cascades=name in cascading,
        )
        for name, parts in found.items()
    ]
