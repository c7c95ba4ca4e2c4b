"""PostgreSQL through psycopg 3: sessions with time-outs, relations from arrays.

Every value travels as text and is cast to the column's own type without a length: a cast to another text
type loses citext and char comparisons, a cast with a length truncates and finds the wrong rows.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import psycopg
from psycopg.types.json import set_json_loads
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from habeas.connectors.sql import postgres_catalog, postgres_values
from habeas.connectors.sql.dialect import Dialect, Engines, Rows
from habeas.connectors.sql.failures import Condition, Diagnosis
from habeas.connectors.sql.json_text import read_json
from habeas.connectors.sql.postgres_nesting import PostgresNesting, whole_form
from habeas.connectors.sql.postgres_types import INTEGERS, compare, compared_type, listed_type, own_type, relation
from habeas.connectors.sql.sessions import Sessions
from habeas.connectors.sql.statements import Draft, Relation, Seek, Statement, qualified, quote
from habeas.connectors.sql.values import matched_form, postgres_form
from habeas.domain.dataset import Match
from habeas.domain.errors import InputError
from habeas.domain.ports import ColumnSketch, Limits, Sketch, Table, TableSketch, Value

_ROW_ID = (
    ColumnSketch("tableoid", "oid", text=False, nullable=False),
    ColumnSketch("ctid", "tid", text=False, nullable=False),
)
"""The table's oid too: rows of different partitions share a ctid."""

_JIT_SINCE = 110_000
"""Compiling a walk through documents costs a second, for tables in which it runs for a hundredth of one."""

_LEDGER = """
SELECT 1 FROM pg_catalog.pg_class WHERE relkind = 'r' AND relname IN ('alembic_version', 'data_key', 'audit_log')
GROUP BY relnamespace HAVING count(*) = 3"""
"""Finds tables that only a ledger has together, whatever schema they are in and whoever may read them."""

_STATES = {
    "3D000": Condition.NO_DATABASE,
    "42501": Condition.NOT_ALLOWED,
    "428C9": Condition.NOT_ALLOWED,  # a generated column
    "25006": Condition.NOT_ALLOWED,  # a read-only standby
    "42P01": Condition.MISSING,
    "42703": Condition.MISSING,
    "3F000": Condition.MISSING,
    "55P03": Condition.BUSY,
    "57014": Condition.BUSY,
    "25P03": Condition.BUSY,
    "53100": Condition.FULL,
}
_CLASSES = {
    "08": Condition.UNREACHABLE,
    "22": Condition.DATA,
    "23": Condition.DATA,
    "28": Condition.LOGIN,
    "40": Condition.BUSY,
    "53": Condition.BUSY,
    "57": Condition.UNREACHABLE,
    "58": Condition.FULL,
}
_CONNECT_WORDS = (
    ("password authentication failed", Condition.LOGIN),
    ("no password supplied", Condition.LOGIN),
    ("no pg_hba.conf entry", Condition.LOGIN),
    ("role ", Condition.LOGIN),
    ("database ", Condition.NO_DATABASE),
)


class PostgresDialect(Dialect):
    """Secrets: `url`, or `host`, `port`, `dbname`, `username`, `password`; `db_schema` sets the search path."""

    fenced = True
    nesting = PostgresNesting()
    moved = " RETURNING CAST(n.k0 AS text), CAST(n.k1 AS text), CAST(t.tableoid AS text), CAST(t.ctid AS text)"

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        """Reading sessions commit by themselves: one round trip for a statement instead of three."""
        read, write = _engine(secrets, limits, reads=True), _engine(secrets, limits, reads=False)
        Sessions(_lives, read, write)
        return Engines(read, write, read.execution_options(isolation_level="READ COMMITTED"))

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        return postgres_form(value, column) if match is Match.EXACT else matched_form(value, match)

    def nested_form(self, value: Value, column: ColumnSketch) -> Value | None:
        return whole_form(value, column)

    def is_exact(self, column: ColumnSketch) -> bool:
        """Text may compare by a collation that takes two spellings for one."""
        return column.type in INTEGERS or column.type == "uuid"

    def joins(self, values: tuple[Value, ...]) -> bool:
        return True

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        return relation(seek, alias, draft)

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        return f"CAST({placeholder} AS {compared_type(column, match)})"

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        return compare(f"t.{quote(column.name)}", column, value, match)

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        return ("CAST(t.tableoid AS int8)", "CAST(t.ctid AS text)")

    def row_id(self, sketch: TableSketch) -> tuple[ColumnSketch, ...]:
        return _ROW_ID

    def lock(self, key: Sequence[str]) -> str:
        return f" ORDER BY {', '.join(f't.{quote(name)}' for name in key)} FOR UPDATE OF t"

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        draft = Draft()
        arrays = self._keys(key, draft)
        arrays += [f"CAST({draft.bind([row[place] for row in after])} AS text[])" for place in range(len(columns))]
        names = [f"k{place}" for place in range(len(key.columns))] + [f"a{place}" for place in range(len(columns))]
        sets = (
            f"{quote(column.name)} = CAST(n.a{place} AS {own_type(column)})" for place, column in enumerate(columns)
        )
        return Statement(
            f"UPDATE {qualified(table)} AS t SET {', '.join(sets)} "  # noqa: S608  # identifiers quoted, values bound
            f"FROM unnest({', '.join(arrays)}) AS n({', '.join(names)}) WHERE {self._of_key(key)}",
            draft.parameters,
        )

    def delete(self, table: Table, key: Seek) -> Statement:
        draft = Draft()
        names = ", ".join(f"k{place}" for place in range(len(key.columns)))
        return Statement(
            f"DELETE FROM {qualified(table)} AS t "  # noqa: S608  # identifiers quoted, values bound
            f"USING unnest({', '.join(self._keys(key, draft))}) AS n({names}) WHERE {self._of_key(key)}",
            draft.parameters,
        )

    def _keys(self, key: Seek, draft: Draft) -> list[str]:
        return [
            f"CAST({draft.bind([values[place] for _, values in key.rows])} AS {listed_type(column, key.match)})"
            for place, column in enumerate(key.columns)
        ]

    def _of_key(self, key: Seek) -> str:
        return " AND ".join(self.condition(column, f"n.k{p}", key.match) for p, column in enumerate(key.columns))

    def settle(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def sketch(self, connection: Connection) -> Sketch:
        return postgres_catalog.read_sketch(connection)

    def sketch_table(self, connection: Connection, table: Table) -> TableSketch | None:
        return postgres_catalog.read_table(connection, table.schema, table.name)

    def diagnose(self, error: BaseException) -> Diagnosis:
        if not isinstance(error, psycopg.Error):
            return Diagnosis(Condition.OTHER, type(error).__name__)
        state = error.sqlstate
        if state is None:
            return _diagnose_silent(error)
        condition = _STATES.get(state) or _CLASSES.get(state[:2], Condition.OTHER)
        objects = (error.diag.constraint_name, error.diag.column_name)
        return Diagnosis(condition, f"{state} {type(error).__name__}", tuple(name for name in objects if name))


def _diagnose_silent(error: psycopg.Error) -> Diagnosis:
    """Errors without a state: the driver could not connect, lost the server, or could not convert a value."""
    if isinstance(error, psycopg.DataError):
        return Diagnosis(Condition.DATA, "DataError")
    if isinstance(error, psycopg.OperationalError):
        said = str(error)
        condition = next((found for words, found in _CONNECT_WORDS if f"FATAL:  {words}" in said), None)
        return Diagnosis(condition or Condition.UNREACHABLE, type(error).__name__)
    return Diagnosis(Condition.OTHER, type(error).__name__)


def _url(secrets: Mapping[str, str]) -> URL:
    if given := secrets.get("url"):
        try:
            url = make_url(given)
            if url.get_backend_name() not in ("postgres", "postgresql"):
                raise ValueError("another store")
            return url.set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError, NoSuchModuleError):
            raise InputError(
                "the secret `url` is not a database URL", hint="write postgresql://user:password@host:port/dbname"
            ) from None
    missing = [name for name in ("host", "dbname", "username", "password") if not secrets.get(name)]
    if missing:
        raise InputError(f"the connection has no {', '.join(missing)}", hint="set these secrets, or `url`")
    port = str(secrets.get("port") or 5432)
    if not port.isascii() or not port.isdigit():
        raise InputError("the secret `port` is not a number", hint="e.g. 5432")
    return URL.create(
        "postgresql+psycopg",
        username=secrets["username"],
        password=secrets["password"],
        host=secrets["host"],
        port=int(port),
        database=secrets["dbname"],
    )


def _engine(secrets: Mapping[str, str], limits: Limits, *, reads: bool) -> Engine:
    engine = create_engine(
        _url(secrets),
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.statement_timeout,
        isolation_level="AUTOCOMMIT" if reads else "READ COMMITTED",
        connect_args={
            "connect_timeout": max(2, round(limits.connect_timeout)),
            "application_name": "habeas",
            "client_encoding": "utf8",
            # at login, so that a pooler which lends one session to several refuses it instead of passing it on
            "options": f"-c default_transaction_read_only={'on' if reads else 'off'}",
        },
    )
    settings = {
        "lock_timeout": _milliseconds(limits.lock_timeout),
        "statement_timeout": _milliseconds(limits.statement_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(limits.statement_timeout),
        "intervalstyle": "iso_8601",
        "standard_conforming_strings": "on",
    }
    if schema := secrets.get("db_schema"):
        settings["search_path"] = '"' + schema.replace('"', '""') + '"'

    def configure(connection: psycopg.Connection, _record: object) -> None:
        if connection.info.server_version >= _JIT_SINCE:
            settings["jit"] = "off"
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        ledgers = connection.execute(_LEDGER).fetchall()
        connection.commit()
        if ledgers:
            connection.close()
            raise InputError(
                "the database holds a ledger of Habeas, which is no target",
                hint="give the database of a system of yours",
            )
        postgres_values.keep_spellings(connection)
        set_json_loads(read_json, connection)

    event.listen(engine, "connect", configure)
    return engine


def _lives(session: DBAPIConnection) -> bool:
    connection = cast(psycopg.Connection, session)
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error:
        return False
    return True


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
