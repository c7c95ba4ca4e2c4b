"""The ledger's door: an engine on SQLite (WAL) or PostgreSQL, transactions, and the clock of leases.

Write transactions are short and never open across connector I/O. On SQLite they begin IMMEDIATE and
queue in the process, since SQLite's own waiting has no queue (evidence/set-sql.md §8).
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError, SQLAlchemyError

from habeas.domain.clock import Clock
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.store.sealing import Sealer

if TYPE_CHECKING:
    import psycopg  # imported by SQLAlchemy when the ledger is in PostgreSQL

SQLITE_TIMEOUT = 30.0
"""Seconds that SQLite waits for another process's write."""


class Ledger:
    """An opened ledger. Make one with `store.opening.open_ledger`."""

    def __init__(self, engine: sa.Engine, sealer: Sealer, clock: Clock) -> None:
        self.engine = engine
        self.sealer = sealer
        self.clock = clock
        self._writers = threading.Lock()
        self._sqlite = engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        if not self._sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._writers, self.engine.connect() as opened:
            connection = opened.execution_options(habeas_write=True)
            with connection.begin():
                yield connection

    def epoch(self) -> sa.ColumnElement[float]:
        """Now, in epoch seconds, as leases count it: PostgreSQL's own clock, else the process clock."""
        if self._sqlite:
            return sa.literal(self.clock.now().timestamp(), sa.Double)
        return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)

    def close(self) -> None:
        self.engine.dispose()


_JSON: Mapping[str, Any] = {
    "json_serializer": lambda value: msgspec.json.encode(value).decode(),
    "json_deserializer": msgspec.json.decode,
}
_NO_POOL: Mapping[str, Any] = {"poolclass": sa.NullPool}


def make_engine(url: str, *, pooled: bool = True) -> sa.Engine:
    """An engine set up for the ledger; unless `pooled` each connection is closed at once when it is given back.

    Raises InputError for a URL that is neither SQLite nor PostgreSQL.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise InputError("database.url cannot be read", hint="e.g. postgresql://user:password@host/habeas") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        engine = sa.create_engine(
            parsed,
            connect_args={"connect_timeout": 10},
            **({"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True} if pooled else _NO_POOL),
            **_JSON,
        )
        # Many rows are one statement: in the driver's pipeline the session of a frozen process would count as
        # "active", which no time-out of PostgreSQL ends.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        sa.event.listen(engine, "connect", _prepare_postgres)
        return engine
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise InputError("database.url names no ledger we know", hint="use sqlite:///file or postgresql://…")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    pool = {"pool_size": 8, "max_overflow": 24} if pooled else _NO_POOL
    engine = sa.create_engine(parsed, connect_args={"timeout": SQLITE_TIMEOUT}, **pool, **_JSON)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgres(dbapi_connection: "psycopg.Connection", record: object) -> None:
    """A process frozen inside a transaction holds its run's row: PostgreSQL ends it, so that another may claim."""
    dbapi_connection.execute("SET idle_in_transaction_session_timeout = '10s'")
    dbapi_connection.commit()


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, record: object) -> None:
    dbapi_connection.isolation_level = None  # we begin transactions ourselves
    _use_wal(dbapi_connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """A file's first change to WAL needs it alone, and SQLite does not wait for that: try as long as it would."""
    until = time.monotonic() + SQLITE_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("habeas_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def take_turn(connection: sa.Connection) -> None:
    """Until this write transaction ends, no other one that takes its turn begins: for the schema and the keys."""
    if connection.dialect.name == "postgresql":  # in SQLite every write transaction is alone
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7226732)"))


class Damaged(InputError):
    """The file of a SQLite ledger cannot be read any more."""


def check_answers(engine: sa.Engine) -> None:
    """Raises SystemUnavailable when the ledger's database does not answer, InputError when it is none, Damaged."""
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except OperationalError as error:
        if is_full(error):
            raise SystemUnavailable("the ledger's disk is full", hint="free some space") from None
        raise SystemUnavailable(
            "the ledger's database does not answer", hint="check database.url and that its server runs"
        ) from None
    except DatabaseError as error:
        if engine.dialect.name != "sqlite":
            raise
        if getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
            raise Damaged(f"{engine.url.database} is damaged", hint="restore a backup") from None
        raise InputError(
            f"{engine.url.database} is not a SQLite database", hint="restore it, or choose another --data-dir"
        ) from None


def is_full(error: Exception) -> bool:
    """Whether the ledger failed because its disk is full."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return getattr(cause, "sqlite_errorname", None) == "SQLITE_FULL" or getattr(cause, "sqlstate", None) == "53100"


def name_failure(error: SQLAlchemyError) -> str:
    """A failure of the ledger in words that hold no values, for the log."""
    return "its disk is full" if is_full(error) else type(error).__name__
