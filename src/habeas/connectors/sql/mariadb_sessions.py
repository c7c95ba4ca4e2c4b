"""Sessions of MariaDB and MySQL through PyMySQL: with time-outs, strict, in UTC, and streams that can be left.

Three kinds: reading ones cannot write, writing ones hold their locks until they commit, and a stream has a session
of its own that ends with it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pymysql
from pymysql.connections import Connection as _Connection
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import SSCursor
from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from habeas.connectors.sql.dialect import Engines
from habeas.connectors.sql.sessions import Sessions
from habeas.domain.errors import InputError, NeedsHuman
from habeas.domain.ports import Limits

_STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
"""Truncated values are errors; nothing else bends what a statement means (ANSI_QUOTES, NO_BACKSLASH_ESCAPES, …)."""

_SETTLED = {
    "sql_mode": _STRICT,
    "time_zone": "+00:00",
    "sql_safe_updates": 0,
    "sql_select_limit": 2**64 - 1,
    "sql_big_selects": 1,
    "sql_auto_is_null": 0,
    "foreign_key_checks": 1,
    "unique_checks": 1,
}
"""What a server may have preset, and would make other rows be found or kept."""

_BY_INDEX: Mapping[bool, Mapping[str, object]] = {
    True: {"join_cache_level": 0},
    False: {"optimizer_switch": "block_nested_loop=off"},
}
"""MariaDB or not → without join buffers a key is looked up by its index in small tables too: nothing else is locked."""

_OLDEST = {True: (10, 6), False: (8, 0, 19)}
"""MariaDB or not → the first version with JSON_TABLE and collations in it."""

_URL_OPTIONS = frozenset({"ssl_ca", "ssl_cert", "ssl_key", "ssl_capath", "ssl_cipher", "ssl_check_hostname"})


def open_engines(secrets: Mapping[str, str], limits: Limits) -> Engines:
    """Engines that connect on first use. Raises InputError for secrets that are no place."""
    url = _url(secrets)
    read, write, stream = (_engine(url, limits, kind) for kind in ("read", "write", "stream"))
    Sessions(_lives, read, write)
    return Engines(read, write, stream)


class Session(_Connection):  # type: ignore[misc]  # the driver has no types
    """A session that refuses what the server would not take, and ends when a stream is left unfinished."""

    longest = 2**24
    """Bytes of the longest statement that the server takes (max_allowed_packet)."""

    def query(self, sql: str | bytes, unbuffered: bool = False) -> Any:
        """Send a statement; one that is too long would end the session."""
        sent = sql.encode(self.encoding, "surrogateescape") if isinstance(sql, str) else sql
        if len(sent) >= self.longest:
            raise pymysql.err.DataError(ER.NET_PACKET_TOO_LARGE, "the statement is longer than max_allowed_packet")
        return super().query(sent, unbuffered)

    def cursor(self, cursor: Any = None) -> Any:
        """A cursor of this class; a streaming one is ours."""
        return super().cursor(_Stream if cursor is SSCursor else cursor)

    def abandon(self) -> None:
        """Close the socket without a word; the server ends what it was sending."""
        self._force_close()


class _Stream(SSCursor):  # type: ignore[misc]  # the driver has no types
    """Reads rows as they are asked for. The driver's own would read all that is left before it closes."""

    connection: Session | None
    _result: Any

    def close(self) -> None:
        session, result = self.connection, self._result
        if session is not None and result is not None and result.unbuffered_active:
            session.abandon()
            result.unbuffered_active = False
            self._result = self.connection = None
            return
        super().close()

    __del__ = close


def _lives(session: DBAPIConnection) -> bool:
    try:
        session.ping(reconnect=False)
    except pymysql.Error:
        return False
    return True


def _engine(url: URL, limits: Limits, kind: str) -> Engine:
    pool: dict[str, Any] = {"pool_size": limits.pool_size, "max_overflow": 0, "pool_timeout": limits.statement_timeout}
    engine = create_engine(
        url,
        **({"poolclass": NullPool} if kind == "stream" else pool),
        isolation_level="READ COMMITTED" if kind == "write" else "AUTOCOMMIT",
        # what commits by itself leaves nothing to roll back: one round trip for a statement instead of two
        pool_reset_on_return="rollback" if kind == "write" else None,
        skip_autocommit_rollback=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": max(2.0, limits.connect_timeout),
            # the server gives up first, if it can
            "read_timeout": max(2.0, limits.statement_timeout * 1.25),
            "write_timeout": max(2.0, limits.statement_timeout * 1.25),
            "program_name": "habeas",
            "conv": _CONVERSIONS,
            "local_infile": False,
        },
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", partial(_configure, limits, kind))
    return engine


def _connect(_dialect: object, _record: object, places: Sequence[Any], options: Mapping[str, Any]) -> Session:
    """The driver reads the files of TLS itself, and says no more than Python does when it cannot."""
    try:
        return Session(*places, **options)
    except OSError as error:
        raise pymysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, type(error).__name__) from None


def _configure(limits: Limits, kind: str, session: Session, _record: object) -> None:
    server = session.get_server_info()
    mariadb = "mariadb" in server.lower()
    _check_version(server, mariadb=mariadb)
    settings: dict[str, object] = {**_SETTLED, **_time_outs(limits, kind, mariadb=mariadb)}
    if kind == "write":
        settings |= _BY_INDEX[mariadb]
    with session.cursor() as cursor:
        cursor.execute(f"SET SESSION {', '.join(f'{name} = %s' for name in settings)}", tuple(settings.values()))
        if kind != "write":
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute("SELECT @@max_allowed_packet")
        session.longest = int(cursor.fetchone()[0])


def _time_outs(limits: Limits, kind: str, *, mariadb: bool) -> dict[str, float]:
    """Whole seconds, but for statements. MySQL bounds SELECT only; there the driver's own time-out does the rest.

    A stream may take as long as its rows come: its first rows were read in time by a statement before it.
    """
    statement, lock = limits.statement_timeout, max(1, round(limits.lock_timeout))
    settings: dict[str, float] = {
        "innodb_lock_wait_timeout": lock,
        "lock_wait_timeout": lock,
        "net_write_timeout": max(60, round(2 * statement)),
    }
    bounded = 0.0 if kind == "stream" else statement
    if mariadb:
        return settings | {
            "max_statement_time": round(bounded, 3),
            "idle_transaction_timeout": max(1, round(statement)),
        }
    settings["max_execution_time"] = round(bounded * 1000)
    return settings | ({"wait_timeout": max(1, round(statement))} if kind == "write" else {})


def _check_version(server: str, *, mariadb: bool) -> None:
    """Raise NeedsHuman when the server has no JSON_TABLE."""
    words = server.removeprefix("5.5.5-") if mariadb else server
    version = tuple(int(part) for part in words.split("-")[0].split(".") if part.isdigit())
    if version < _OLDEST[mariadb]:
        raise NeedsHuman(
            "the database server is too old: it has no JSON_TABLE", hint="use MariaDB 10.6 or MySQL 8.0.19, or newer"
        )


def _url(secrets: Mapping[str, str]) -> URL:
    if given := secrets.get("url"):
        return _read_url(given)
    missing = [name for name in ("host", "dbname", "username", "password") if not secrets.get(name)]
    if missing:
        raise InputError(f"the connection has no {', '.join(missing)}", hint="set these secrets, or `url`")
    port = str(secrets.get("port") or 3306)
    if not port.isascii() or not port.isdigit():
        raise InputError("the secret `port` is not a number", hint="e.g. 3306")
    return URL.create(
        "mysql+pymysql",
        username=secrets["username"],
        password=secrets["password"],
        host=secrets["host"],
        port=int(port),
        database=secrets["dbname"],
    )


def _read_url(given: str) -> URL:
    try:
        url = make_url(given)
        known = url.get_backend_name() in ("mariadb", "mysql") and url.host and url.database
    except (ArgumentError, ValueError, NoSuchModuleError):
        known = None
    if not known:
        raise InputError(
            "the secret `url` is not a database URL", hint="write mariadb://user:password@host:port/dbname"
        ) from None
    if unknown := set(url.query) - _URL_OPTIONS:
        raise InputError(
            f"the secret `url` has options that are not known: {', '.join(sorted(unknown))}",
            hint=f"remove them; known are {', '.join(sorted(_URL_OPTIONS))}",
        )
    return url.set(drivername="mysql+pymysql")


def _aware(said: str) -> dt.datetime | str:
    """A TIMESTAMP is a moment; sessions see it in UTC. Text where Python has no such time."""
    moment = conversions[FIELD_TYPE.TIMESTAMP](said)
    return moment.replace(tzinfo=dt.UTC) if isinstance(moment, dt.datetime) else moment


def _bits(said: Sequence[int]) -> int:
    return int.from_bytes(bytes(said), "big")


_CONVERSIONS = {**conversions, FIELD_TYPE.TIMESTAMP: _aware, FIELD_TYPE.BIT: _bits}
