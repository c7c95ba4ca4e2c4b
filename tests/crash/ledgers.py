"""The two kinds of ledger as crash tests see them: settings for a server, and a way to hold its writes up."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from servers.process import wait_for

PACE = {"HABEAS__EXECUTION__LEASE_SECONDS": "5", "HABEAS__EXECUTION__POLL_SECONDS": "0.1"}
LEASE = 5.0


class SqliteLedger:
    """The embedded ledger of a data folder."""

    environment: Mapping[str, str] = PACE

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "habeas.db"

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """While the block lasts nobody records an outcome."""
        with closing(sqlite3.connect(self._file, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.rollback()

    def is_idle(self) -> bool:
        """True when nobody is in the middle of a write."""
        try:
            with closing(sqlite3.connect(self._file, timeout=0.5, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
        except sqlite3.OperationalError:
            return False
        return True


class PostgresLedger:
    """A ledger in a PostgreSQL database of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.environment: Mapping[str, str] = {**PACE, "HABEAS__DATABASE__URL": url}

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """While the block lasts nobody records an outcome."""
        with psycopg.connect(self._url) as connection:
            connection.execute("LOCK TABLE outcome IN EXCLUSIVE MODE")
            yield
            connection.rollback()

    def is_idle(self) -> bool:
        """True when nobody is in the middle of a write."""
        query = """SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE datname = current_database() AND mode = 'RowExclusiveLock'"""
        with psycopg.connect(self._url) as connection:
            return connection.execute(query).fetchone() is None

    def wait_until_blocked(self) -> None:
        """Wait for a ledger transaction that stands before a lock."""
        query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with psycopg.connect(self._url, autocommit=True) as connection:
            wait_for("a ledger transaction to wait for the lock", lambda: connection.execute(query).fetchone())

    def ask(self, query: LiteralString) -> Any:
        """The only value that a query finds."""
        [[value]] = self.rows(query)
        return value

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(query).fetchall()

    def settle(self, deadline: float = 60.0) -> None:
        """Wait until every transaction that is open on the server now is over."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            [[first]] = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            query = "SELECT 1 WHERE pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %s"
            ended = lambda: connection.execute(query, (first,)).fetchone()  # noqa: E731
            wait_for("the open transactions to end", ended, deadline)

    def let_housekeeping_come(self) -> None:
        """Make every job of housekeeping due now."""
        with psycopg.connect(self._url) as connection:
            connection.execute("UPDATE schedule SET due_at = 0")


Ledger = SqliteLedger | PostgresLedger
