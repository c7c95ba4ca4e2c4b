"""SQLite: files opened in place, never created; a writer takes the file's lock at once.

Relations are JSON through `json_each`. The column stands left of `=` (its collation decides) and the value
has no affinity, as a bound parameter has none: both make the join mean what `column = ?` means.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text

from habeas.connectors.sql.dialect import Dialect, Engines, Rows
from habeas.connectors.sql.failures import Condition, Diagnosis
from habeas.connectors.sql.files import is_file
from habeas.connectors.sql.statements import Draft, Relation, Seek, Statement, qualified, quote
from habeas.connectors.sql.values import PHONE_NOISE, matched_form, sqlite_form
from habeas.domain.dataset import Match
from habeas.domain.errors import InputError
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Limits, Sketch, Table, TableSketch, Value

_ROW_IDS = ("rowid", "_rowid_", "oid")
_LENGTH = re.compile(r"\((\d+)\)")

_CONDITIONS = {
    "SQLITE_BUSY": Condition.BUSY,
    "SQLITE_LOCKED": Condition.BUSY,
    "SQLITE_INTERRUPT": Condition.BUSY,
    "SQLITE_FULL": Condition.FULL,
    "SQLITE_IOERR": Condition.FULL,
    "SQLITE_CANTOPEN": Condition.NO_FILE,
    "SQLITE_NOTADB": Condition.NO_FILE,
    "SQLITE_CORRUPT": Condition.NO_FILE,
    "SQLITE_READONLY": Condition.NOT_ALLOWED,
    "SQLITE_PERM": Condition.NOT_ALLOWED,
    "SQLITE_AUTH": Condition.NOT_ALLOWED,
    "SQLITE_CONSTRAINT": Condition.DATA,
    "SQLITE_TOOBIG": Condition.DATA,
    "SQLITE_MISMATCH": Condition.DATA,
}

_TABLES = """
SELECT name, type = 'table' AND NOT wr FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND substr(name, 1, 7) <> 'sqlite_'
AND (:name IS NULL OR lower(name) = lower(:name)) ORDER BY name"""
_COLUMNS = 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(:name) WHERE hidden <> 1 ORDER BY cid'
_UNIQUE = """
SELECT i.name, c.name FROM pragma_index_list(:name) AS i CROSS JOIN pragma_index_info(i.name) AS c
WHERE i."unique" AND NOT i.partial ORDER BY i.name, c.seqno"""
_FOREIGN = """
SELECT id, "table", "from", "to", on_update FROM pragma_foreign_key_list(:name) ORDER BY id, seq"""


class SqliteDialect(Dialect):
    """The secret is `path`. Not fenced: SQLite has no statement time-out of its own."""

    fenced = False

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        path = secrets.get("path")
        if not path:
            raise InputError("the connection has no path", hint="set the secret `path` to the database file")
        file = Path(path).absolute()
        return Engines(_engine(file, "ro", "BEGIN", limits), _engine(file, "rw", "BEGIN IMMEDIATE", limits))

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        return sqlite_form(value) if match is Match.EXACT else matched_form(value, match)

    def is_exact(self, column: ColumnSketch) -> bool:
        """Affinity and collations take two spellings for one."""
        return False

    def joins(self, values: tuple[Value, ...]) -> bool:
        """JSON cuts text at NUL, has no bytes and reads floats by other rules than the driver."""
        return all(isinstance(value, int) or (isinstance(value, str) and "\x00" not in value) for value in values)

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        rows = json.dumps([[ordinal, *values] for ordinal, values in seek.rows], ensure_ascii=False)
        cells = [f"json_extract({alias}.value, '$[{place}]')" for place in range(len(seek.columns) + 1)]
        return Relation(f"json_each({draft.bind(rows)}) AS {alias}", cells[0], tuple(cells[1:]))

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        return placeholder

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        name = f"t.{quote(column.name)}"
        if match is Match.CASEFOLD:
            return f"LOWER({name}) = LOWER({value})"
        if match is Match.PHONE:
            for noise in PHONE_NOISE:
                name = f"REPLACE({name}, '{noise}', '')"
        return f"{name} = {value}"

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        return (f"t.{_row_id(column.name for column in sketch.columns)}",)

    def row_id(self, sketch: TableSketch) -> tuple[ColumnSketch, ...]:
        name = _row_id(column.name for column in sketch.columns)
        return (ColumnSketch(name, "INTEGER", text=False, nullable=False),) if name else ()

    def lock(self, key: Sequence[str]) -> str:
        return ""

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        sets = [f"{quote(column.name)} = :a{place}" for place, column in enumerate(columns)]
        return Statement(
            f"UPDATE {qualified(table)} AS t SET {', '.join(sets)} WHERE {self._of_key(key)}",  # noqa: S608  # identifiers quoted, values bound
            [
                {f"a{n}": value for n, value in enumerate(new)} | {f"k{n}": value for n, value in enumerate(values)}
                for (_, values), new in zip(key.rows, after, strict=True)
            ],
        )

    def delete(self, table: Table, key: Seek) -> Statement:
        return Statement(
            f"DELETE FROM {qualified(table)} AS t WHERE {self._of_key(key)}",  # noqa: S608  # identifiers quoted, values bound
            [{f"k{n}": value for n, value in enumerate(values)} for _, values in key.rows],
        )

    def _of_key(self, key: Seek) -> str:
        keys = [self.identity(column, f":k{place}") for place, column in enumerate(key.columns)]
        return " AND ".join([*keys, *(f"t.{quote(column.name)} IS NULL" for column in key.nulls)])

    def settle(self, connection: Connection) -> None:
        """Deferred foreign keys are counted by SQLite and refused at COMMIT."""

    def sketch(self, connection: Connection) -> Sketch:
        found = connection.execute(text(_TABLES), {"name": None}).all()
        return Sketch(tuple(_table_sketch(connection, name, bool(locatable)) for name, locatable in found))

    def sketch_table(self, connection: Connection, table: Table) -> TableSketch | None:
        if table.schema not in (None, "main"):
            return None
        found = connection.execute(text(_TABLES), {"name": table.name}).first()
        return _table_sketch(connection, found[0], bool(found[1])) if found else None

    def diagnose(self, error: BaseException) -> Diagnosis:
        name: str = getattr(error, "sqlite_errorname", None) or type(error).__name__
        said = str(error)
        if name == "SQLITE_ERROR" and said.startswith(("no such table", "no such column", "no such view")):
            return Diagnosis(Condition.MISSING, name)
        if said.startswith("Could not decode to UTF-8"):
            return Diagnosis(Condition.DATA, "invalid UTF-8 in text")
        family = "_".join(name.split("_")[:2])
        return Diagnosis(_CONDITIONS.get(family, Condition.OTHER), name)


def _engine(file: Path, mode: str, begin: str, limits: Limits) -> Engine:
    uri = f"{file.as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        if not is_file(file):
            error = sqlite3.OperationalError("no file")
            error.sqlite_errorname = "SQLITE_CANTOPEN"
            raise error
        connection = sqlite3.connect(
            uri, uri=True, timeout=limits.lock_timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _row_id(columns: Iterable[str]) -> str | None:
    taken = {name.lower() for name in columns}
    return next((name for name in _ROW_IDS if name not in taken), None)


def _table_sketch(connection: Connection, name: str, has_row_id: bool) -> TableSketch:
    rows = connection.execute(text(_COLUMNS), {"name": name}).all()
    key = tuple(row[0] for row in sorted((row for row in rows if row[3]), key=lambda row: row[3]))
    filled = set(key) if not has_row_id or (len(key) == 1 and _is_row_id(rows)) else set()
    return TableSketch(
        name=name,
        schema=None,
        columns=tuple(
            _column_sketch(column, type_, not_null or column in filled, generated=hidden > 1)
            for column, type_, not_null, _, hidden in rows
        ),
        primary_key=key,
        unique=tuple(names for names in _unique(connection, name) if names != key),
        foreign_keys=_foreign_keys(connection, name),
        locatable=has_row_id and _row_id(row[0] for row in rows) is not None,
    )


def _unique(connection: Connection, name: str) -> list[tuple[str, ...]]:
    """Columns of every unique index; those over expressions are left out."""
    found: dict[str, list[str | None]] = {}
    for index, column in connection.execute(text(_UNIQUE), {"name": name}):
        found.setdefault(index, []).append(column)
    return [tuple(column or "" for column in columns) for columns in found.values() if None not in columns]


def _is_row_id(rows: Sequence[Sequence[Any]]) -> bool:
    """True when the only key column is INTEGER PRIMARY KEY, which is the row id and never null."""
    return any(pk and type_.upper() == "INTEGER" for _, type_, _, pk, _ in rows)


def _column_sketch(name: str, declared: str, not_null: bool, *, generated: bool) -> ColumnSketch:
    kind = declared.upper()
    text_like = not kind or any(word in kind for word in ("CHAR", "CLOB", "TEXT"))
    length = _LENGTH.search(declared) if text_like else None
    return ColumnSketch(
        name=name,
        type=declared,
        text=text_like and "INT" not in kind,
        nullable=not not_null,
        length=int(length.group(1)) if length else None,
        generated=generated,
    )


def _foreign_keys(connection: Connection, name: str) -> tuple[ForeignKeySketch, ...]:
    found: dict[int, list[Sequence[Any]]] = {}
    for row in connection.execute(text(_FOREIGN), {"name": name}):
        found.setdefault(row[0], []).append(row)
    keys = []
    for rows in found.values():
        parent, cascades = rows[0][1], rows[0][4] == "CASCADE"
        targets = tuple(row[3] for row in rows)
        if None in targets:  # the parent's primary key is meant
            columns = connection.execute(text(_COLUMNS), {"name": parent}).all()
            targets = tuple(row[0] for row in sorted((row for row in columns if row[3]), key=lambda row: row[3]))
        if len(targets) != len(rows):
            continue  # the parent is missing or has no such key: SQLite takes the declaration and never keeps it
        keys.append(ForeignKeySketch(tuple(row[2] for row in rows), None, parent, targets, cascades))
    return tuple(keys)
