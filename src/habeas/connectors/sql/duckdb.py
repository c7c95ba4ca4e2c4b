"""DuckDB: a file opened for a while, relations from lists, no row locks.

Every value travels as text and is cast to the column's own type. Rows are told apart by `rowid` while they are read.
Two writers of one row do not wait for each other: the later one fails and tries again.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from habeas.connectors.sql import duckdb_catalog, duckdb_sessions
from habeas.connectors.sql.dialect import Dialect, Engines, Rows
from habeas.connectors.sql.duckdb_comparing import comparable, compare, is_exactly, relation, sql, stored, unnested
from habeas.connectors.sql.duckdb_nesting import DuckdbNesting
from habeas.connectors.sql.duckdb_readers import reader
from habeas.connectors.sql.duckdb_types import parse_type
from habeas.connectors.sql.duckdb_values import form, matched_form
from habeas.connectors.sql.failures import Diagnosis
from habeas.connectors.sql.statements import Draft, Relation, Seek, Statement, qualified, quote
from habeas.domain.dataset import Match
from habeas.domain.errors import InputError
from habeas.domain.ports import ColumnSketch, Limits, Sketch, Table, TableSketch, Value

_EXACT = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UUID"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)


_ROW_ID = ColumnSketch("rowid", "BIGINT", text=False, nullable=False)


class DuckdbDialect(Dialect):
    """The secret is `path`. Not fenced: DuckDB has no statement time-out."""

    fenced = False
    nesting = DuckdbNesting()
    keeps_row_ids = False  # rows with an indexed column or a list are deleted and inserted anew

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        path = secrets.get("path")
        if not path:
            raise InputError("the connection has no path", hint="set the secret `path` to the database file")
        if "?" in path:
            raise InputError("DuckDB opens no path with `?` in it", hint="rename the file or its folder")
        return duckdb_sessions.open_engines(path, limits)

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        return form(value, parse_type(column.type)) if match is Match.EXACT else matched_form(value, match)

    def nested_form(self, value: Value, column: ColumnSketch) -> Value | None:
        """A document that must not be null holds JSON's null."""
        if value is None and column.document and not (column.array or column.nullable):
            return "null"
        return self.form(value, column)

    def is_exact(self, column: ColumnSketch) -> bool:
        """Text may compare by a collation, of which the catalog says nothing."""
        return parse_type(column.type).name in _EXACT

    def joins(self, values: tuple[Value, ...]) -> bool:
        return True

    def output(self, column: ColumnSketch) -> str:
        kind = parse_type(column.type)
        name, readable = f"t.{quote(column.name)}", kind.readable()
        return name if readable == kind else f"CAST({name} AS {sql(readable)})"

    def reader(self, column: ColumnSketch) -> Callable[[Value], Value] | None:
        return reader(parse_type(column.type))

    def spelling(self, column: ColumnSketch) -> str:
        name = f"t.{quote(column.name)}"
        return f"encode({name})" if parse_type(column.type).name == "VARCHAR" else name

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        return relation(seek, alias, draft)

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        return comparable(f"CAST({placeholder} AS VARCHAR)", column, match)

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        return compare(f"t.{quote(column.name)}", column, value, match)

    def identity(self, column: ColumnSketch, value: str) -> str:
        return is_exactly(f"t.{quote(column.name)}", column, value)

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        return ("t.rowid",)

    def row_id(self, sketch: TableSketch) -> tuple[ColumnSketch, ...]:
        return (_ROW_ID,)

    def lock(self, key: Sequence[str]) -> str:
        return ""

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        draft = Draft()
        keys, sets = _keys(key, draft), []
        for place, column in enumerate(columns):
            values = draft.bind([row[place] for row in after])
            keys.append(f"{unnested(values)} AS a{place}")
            sets.append(f"{quote(column.name)} = {stored(f'n.a{place}', column)}")
        return Statement(
            f"UPDATE {qualified(table)} AS t SET {', '.join(sets)} "  # noqa: S608  # identifiers quoted, values bound
            f"FROM (SELECT {', '.join(keys)}) AS n WHERE {_of_key(key)}",
            draft.parameters,
        )

    def delete(self, table: Table, key: Seek) -> Statement:
        draft = Draft()
        return Statement(
            f"DELETE FROM {qualified(table)} AS t "  # noqa: S608  # identifiers quoted, values bound
            f"USING (SELECT {', '.join(_keys(key, draft))}) AS n WHERE {_of_key(key)}",
            draft.parameters,
        )

    def settle(self, connection: Connection) -> None:
        """Constraints speak at once."""

    def sketch(self, connection: Connection) -> Sketch:
        return duckdb_catalog.read_sketch(connection)

    def sketch_table(self, connection: Connection, table: Table) -> TableSketch | None:
        return duckdb_catalog.read_table(connection, table.schema, table.name)

    def diagnose(self, error: BaseException) -> Diagnosis:
        return duckdb_sessions.diagnose(error)


def _keys(key: Seek, draft: Draft) -> list[str]:
    """The values of a key as columns k0, k1, … of a relation."""
    bound = (unnested(draft.bind([row[place] for _, row in key.rows])) for place in range(len(key.columns)))
    pairs = enumerate(zip(key.columns, bound, strict=True))
    return [f"{comparable(values, column, key.match)} AS k{place}" for place, (column, values) in pairs]


def _of_key(key: Seek) -> str:
    columns = enumerate(key.columns)
    return " AND ".join(is_exactly(f"t.{quote(column.name)}", column, f"n.k{place}") for place, column in columns)
