"""SQL databases: one connector, a dialect for each store. A driver is imported when its first connection is made."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from habeas.domain.ports import ConnectionType, Connector, Limits, Sketch

CheckPath: TypeAlias = Callable[[str], None]
"""Raises InputError for the path of a file that is no target of anybody's, without opening it."""


def _take_any(path: str) -> None:
    """Refuse no file."""


def connect_sqlite(
    secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None, *, check_path: CheckPath = _take_any
) -> Connector:
    """A connector to the SQLite file at the secret `path`, which must exist."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.sqlite import SqliteDialect

    return SqlConnector(SqliteDialect(), secrets, limits, sketch, lambda: _check_file(check_path, secrets))


def connect_postgres(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to a PostgreSQL database, given by `url` or by its parts."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.postgres import PostgresDialect

    return SqlConnector(PostgresDialect(), secrets, limits, sketch)


def connect_mariadb(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to a MariaDB or MySQL database, given by `url` or by its parts."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.mariadb import MariaDbDialect

    return SqlConnector(MariaDbDialect(), secrets, limits, sketch)


def connect_duckdb(
    secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None, *, check_path: CheckPath = _take_any
) -> Connector:
    """A connector to the DuckDB file at the secret `path`, which must exist."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.duckdb import DuckdbDialect

    return SqlConnector(DuckdbDialect(), secrets, limits, sketch, lambda: _check_file(check_path, secrets))


def _check_file(check_path: CheckPath, secrets: Mapping[str, str]) -> None:
    check_path(secrets["path"])


def connection_types(check_path: CheckPath = _take_any) -> tuple[ConnectionType, ...]:
    """The connection types this package serves; `check_path` is asked before a file is opened or its path stored."""
    parts = ("url", "host", "port", "dbname", "username", "password")
    plain = frozenset({"host", "port", "dbname", "username", "db_schema"})
    places = frozenset({"url", "host", "port", "dbname"})
    either = (frozenset({"url"}), frozenset({"host", "dbname", "username", "password"}))
    return (
        *(
            ConnectionType(
                name,
                {"path": True},
                partial(connect, check_path=check_path),
                title=title,
                plain=frozenset({"path"}),
                check_secrets=partial(_check_file, check_path),
            )
            for name, connect, title in (("sqlite", connect_sqlite, "SQLite"), ("duckdb", connect_duckdb, "DuckDB"))
        ),
        ConnectionType(
            "postgres",
            dict.fromkeys((*parts, "db_schema"), False),
            connect_postgres,
            alternatives=either,
            title="PostgreSQL",
            plain=plain,
            places=places,
        ),
        *(
            ConnectionType(
                name,
                dict.fromkeys(parts, False),
                connect_mariadb,
                alternatives=either,
                title=title,
                plain=plain,
                places=places,
            )
            for name, title in (("mariadb", "MariaDB"), ("mysql", "MySQL"))
        ),
    )
