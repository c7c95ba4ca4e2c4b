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


def connect_mariadb(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to a MariaDB or MySQL database, given by `url` or by its parts."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.mariadb import MariaDbDialect

    return SqlConnector(MariaDbDialect(), secrets, limits, sketch)


def connect_duckdb(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    """A connector to the DuckDB file at the secret `path`, which must exist."""
    from habeas.connectors.sql.connector import SqlConnector
    from habeas.connectors.sql.duckdb import DuckdbDialect

    return SqlConnector(DuckdbDialect(), secrets, limits, sketch)


def connection_types() -> tuple[ConnectionType, ...]:
    """The connection types this package serves."""
    parts = ("url", "host", "port", "dbname", "username", "password")
    file = frozenset({"path"})
    plain = frozenset({"host", "port", "dbname", "username", "db_schema"})
    either = (frozenset({"url"}), frozenset({"host", "dbname", "username", "password"}))
    return (
        ConnectionType("sqlite", {"path": True}, connect_sqlite, title="SQLite", plain=file),
        ConnectionType("duckdb", {"path": True}, connect_duckdb, title="DuckDB", plain=file),
        ConnectionType(
            "postgres",
            dict.fromkeys((*parts, "db_schema"), False),
            connect_postgres,
            alternatives=either,
            title="PostgreSQL",
            plain=plain,
        ),
        ConnectionType("mariadb", dict.fromkeys(parts, False), connect_mariadb, either, title="MariaDB", plain=plain),
        ConnectionType("mysql", dict.fromkeys(parts, False), connect_mariadb, either, title="MySQL", plain=plain),
    )
