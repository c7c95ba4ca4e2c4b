"""SQL databases: one connector, a dialect for each store. A driver is imported when its first connection is made."""

from collections.abc import Mapping

from habeas.domain.ports import ConnectionType, Connector, Limits, Sketch


def connect_sqlite(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to the SQLite file at the secret `path`, which must exist."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.sqlite import SqliteDialect

    return SqlConnector(SqliteDialect(), secrets, limits, sketch)


def connect_postgres(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to a PostgreSQL database, given by `url` or by its parts."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.postgres import PostgresDialect

    return SqlConnector(PostgresDialect(), secrets, limits, sketch)


def connect_duckdb(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to the DuckDB file at the secret `path`, which must exist."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.duckdb import DuckdbDialect

    return SqlConnector(DuckdbDialect(), secrets, limits, sketch)


def connection_types() -> tuple[ConnectionType, ...]:
    """The connection types this package serves."""
    parts = ("url", "host", "port", "dbname", "username", "password", "db_schema")
    return (
        ConnectionType("sqlite", {"path": True}, connect_sqlite),
        ConnectionType("duckdb", {"path": True}, connect_duckdb),
        ConnectionType(
            "postgres",
            dict.fromkeys(parts, False),
            connect_postgres,
            alternatives=(frozenset({"url"}), frozenset({"host", "dbname", "username", "password"})),
        ),
    )
