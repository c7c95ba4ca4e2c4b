"""DuckDB: a file opened for each piece of work, relations from lists, no row locks.

Every value travels as text and is cast to the column's own type. Rows are told apart by `rowid` while they are read.
Two writers of one row do not wait for each other: the later one fails and tries again.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from habeas.connectors.sql import duckdb_catalog, duckdb_sessions
from habeas.connectors.sql.dialect import Dialect, Engines, Rows
from habeas.connectors.sql.duckdb_readers import reader
from habeas.connectors.sql.duckdb_types import Type, parse_type
from habeas.connectors.sql.duckdb_values import form, matched_form
from habeas.connectors.sql.failures import Diagnosis
from habeas.connectors.sql.statements import Draft, Relation, Seek, Statement, qualified, quote
from habeas.connectors.sql.values import PHONE_NOISE
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

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        path = secrets.get("path")
        if not path:
            raise InputError("the connection has no path", hint="set the secret `path` to the database file")
        if "?" in path:
            raise InputError("DuckDB opens no path with `?` in it", hint="rename the file or its folder")
        return duckdb_sessions.open_engines(path, limits)

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        return form(value, parse_type(column.type)) if match is Match.EXACT else matched_form(value, match)

    def is_exact(self, column: ColumnSketch) -> bool:
        """Text may compare by a collation, of which the catalog says nothing."""
        return parse_type(column.type).name in _EXACT

    def joins(self, values: tuple[Value, ...]) -> bool:
        return True

    def output(self, column: ColumnSketch) -> str:
        kind = parse_type(column.type)
        name, readable = f"t.{quote(column.name)}", kind.readable()
        return name if readable == kind else f"CAST({name} AS {_sql(readable)})"

    def reader(self, column: ColumnSketch) -> Callable[[Value], Value] | None:
        return reader(parse_type(column.type))

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        outputs = [f"{_unnested(draft.bind([ordinal for ordinal, _ in seek.rows]), 'INTEGER')} AS ord"]
        for place, column in enumerate(seek.columns):
            values = draft.bind([row[place] for _, row in seek.rows])
            outputs.append(f"{_cast(_unnested(values, 'VARCHAR'), column, seek.match)} AS v{place}")
        draft.relations.append(f"{alias} AS MATERIALIZED (SELECT {', '.join(outputs)})")
        return Relation(alias, f"{alias}.ord", tuple(f"{alias}.v{place}" for place in range(len(seek.columns))))

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        return _cast(f"CAST({placeholder} AS VARCHAR)", column, match)

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        name = f"t.{quote(column.name)}"
        if match is Match.CASEFOLD:
            return f"lower(CAST({name} AS VARCHAR)) = lower({value})"
        if match is Match.PHONE:
            return f"translate(CAST({name} AS VARCHAR), '{PHONE_NOISE}', '') = {value}"
        return f"CAST({name} AS VARCHAR) = {value}" if parse_type(column.type).opaque else f"{name} = {value}"

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
            keys.append(f"{_unnested(values, 'VARCHAR')} AS a{place}")
            sets.append(f"{quote(column.name)} = {_stored(f'n.a{place}', column)}")
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


def _sql(kind: Type) -> str:
    """A type inside a statement, where a colon must not begin a parameter."""
    return str(kind).replace(":", "\\:")


def _unnested(placeholder: str, kind: str) -> str:
    return f"unnest(CAST({placeholder} AS {kind}[]))"


def _keys(key: Seek, draft: Draft) -> list[str]:
    """The values of a key as columns k0, k1, … of a relation."""
    bound = (draft.bind([row[place] for _, row in key.rows]) for place in range(len(key.columns)))
    return [
        f"{_cast(_unnested(values, 'VARCHAR'), column, key.match)} AS k{place}"
        for place, (column, values) in enumerate(zip(key.columns, bound, strict=True))
    ]


def _of_key(key: Seek) -> str:
    return " AND ".join(_is_exactly(column, f"n.k{place}") for place, column in enumerate(key.columns))


def _cast(value: str, column: ColumnSketch, match: Match) -> str:
    """Text as a value to compare with the column; null, which equals nothing, where the store cannot cast it."""
    kind = parse_type(column.type)
    if match is not Match.EXACT or kind.opaque or kind.name == "VARCHAR":
        return value
    return f"TRY_CAST({_unfolded(value, kind)} AS {_sql(kind)})"


def _stored(value: str, column: ColumnSketch) -> str:
    """Text as a value to write; an error where the store cannot cast it."""
    kind = parse_type(column.type)
    return f"CAST({_unfolded(value, kind)} AS {_sql(kind)})"


def _unfolded(value: str, kind: Type) -> str:
    """Nested values travel as JSON of texts."""
    return f"CAST(CAST({value} AS JSON) AS {_sql(kind.textual())})" if kind.nested else value


def _is_exactly(column: ColumnSketch, value: str) -> str:
    """The column holds this value of a key: DuckDB's keys tell texts apart that a collation takes for one."""
    kind, name = parse_type(column.type), f"t.{quote(column.name)}"
    if kind.opaque:
        return f"CAST({name} AS VARCHAR) = {value}"
    return f"{name} = {value} AND encode({name}) = encode({value})" if kind.name == "VARCHAR" else f"{name} = {value}"
