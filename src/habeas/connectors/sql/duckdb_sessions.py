"""Opening a DuckDB file: for a piece of work, and closed soon after it is done so that others may open it.

One process may write a file, or several may read it; inside of one process a file is open in one way at a time.
So readers of a connection share the file, a writer has it alone, and whoever finds it taken waits a while.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.event import listen
from sqlalchemy.exc import TimeoutError as PoolTimeout

from habeas.connectors.sql.dialect import Engines
from habeas.connectors.sql.failures import Condition, Diagnosis
from habeas.connectors.sql.files import is_file
from habeas.domain.ports import Limits

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    # a name in a dataset or view must never lead to another file, to code from elsewhere or to Python's variables
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "1GB",
}
_SESSION = "SET enable_progress_bar = false; SET TimeZone = 'UTC'"
"""A progress bar would be written to standard output."""

_PAUSE = 0.02
"""Seconds between two tries at a file that is taken."""

_TAKEN = ("Could not set lock on file", "with a different configuration than existing connections")

_WORDS = (
    (duckdb.IOException, "Could not set lock on file", Condition.BUSY),
    (duckdb.IOException, "does not exist", Condition.NO_FILE),
    (duckdb.IOException, "Is a directory", Condition.NO_FILE),
    (duckdb.IOException, "Permission denied", Condition.NO_FILE),
    (duckdb.IOException, "Read-only file system", Condition.NOT_ALLOWED),
    (duckdb.IOException, "not a valid DuckDB database file", Condition.NO_FILE),
    (duckdb.IOException, "database file with version number", Condition.NO_FILE),
    (duckdb.IOException, "Corrupt", Condition.NO_FILE),
    (duckdb.PermissionException, "Loading external extensions", Condition.NO_FILE),
    (duckdb.TransactionException, "read-only", Condition.NOT_ALLOWED),
    (duckdb.InvalidInputException, "read-only mode", Condition.NOT_ALLOWED),
    (duckdb.BinderException, "Ambiguous reference to catalog or schema", Condition.AMBIGUOUS),
    (duckdb.BinderException, "generated column", Condition.NOT_ALLOWED),
    (duckdb.BinderException, "Can only update base table", Condition.NOT_ALLOWED),
    (duckdb.BinderException, "Can only delete from base table", Condition.NOT_ALLOWED),
)
_CLASSES = (
    (duckdb.ConnectionException, Condition.BUSY),
    (duckdb.IOException, Condition.FULL),
    (duckdb.TransactionException, Condition.BUSY),
    (duckdb.OutOfMemoryException, Condition.BUSY),
    (duckdb.InterruptException, Condition.BUSY),
    (duckdb.CatalogException, Condition.MISSING),
    (duckdb.BinderException, Condition.MISSING),
    (duckdb.PermissionException, Condition.NOT_ALLOWED),
    (duckdb.IntegrityError, Condition.DATA),
    (duckdb.DataError, Condition.DATA),
    (duckdb.InvalidInputException, Condition.DATA),
)


def open_engines(path: str, limits: Limits) -> Engines:
    """Engines over one file. It is never created; a reader opens it so that it cannot write."""
    # a path with a root is never taken for a URL or for memory
    file = _File(Path(path).absolute(), limits.lock_timeout, limits.linger)
    return Engines(_engine(file, reads=True), _engine(file, reads=False))


def diagnose(error: BaseException) -> Diagnosis:
    """The condition of a driver's exception, by its class and the beginning of what it says."""
    said = str(error).partition("\n")[0]
    found = next((condition for kind, words, condition in _WORDS if isinstance(error, kind) and words in said), None)
    known = next((condition for kind, condition in _CLASSES if isinstance(error, kind)), Condition.OTHER)
    return Diagnosis(found or known, type(error).__name__)


class _File:
    """Lets in readers together or one writer alone; a writer who waits goes before readers who come later.

    The file is opened for the first who enters and closed `linger` seconds after the last has left: opening takes
    longer than what is mostly asked. `patience`: seconds to wait for one's turn, and for other processes.
    """

    def __init__(self, path: Path, patience: float, linger: float) -> None:
        self._path = path
        self._patience = patience
        self._linger = linger
        self._turn = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0
        self._opening = threading.Lock()
        self._opened: _Opened | None = None
        self._left_at = 0.0
        self._timer: threading.Timer | None = None

    def enter(self, *, reads: bool) -> duckdb.DuckDBPyConnection:
        """A connection of one's own, once it is one's turn; `leave` has to follow.

        Raises SQLAlchemy's TimeoutError when it does not come, and what DuckDB raises.
        """
        until = time.monotonic() + self._patience
        self._take_turn(reads=reads)
        try:
            with self._opening:
                return self._connect(until, reads=reads)
        except BaseException:
            self.leave(reads=reads)
            raise

    def leave(self, *, reads: bool) -> None:
        """Give the turn to others."""
        with self._turn:
            self._readers -= reads
            self._writing = self._writing and reads
            self._left_at = time.monotonic()
            self._close_later()
            self._turn.notify_all()

    def close(self) -> None:
        """Close the file now if nobody is in."""
        with self._turn:
            if self._is_free():
                self._close()

    def _take_turn(self, *, reads: bool) -> None:
        with self._turn:
            self._waiting += not reads
            try:
                if not self._turn.wait_for(self._is_open_to_reader if reads else self._is_free, self._patience):
                    raise PoolTimeout
            finally:
                self._waiting -= not reads
                self._turn.notify_all()
            self._readers += reads
            self._writing = not reads

    def _is_open_to_reader(self) -> bool:
        """A file that was put in the place of the one that is open is opened when all have left that."""
        joins = not self._readers or self._opened is None or self._opened.identity == _identify(self._path)
        return joins and not self._writing and not self._waiting

    def _is_free(self) -> bool:
        return not self._writing and not self._readers

    def _connect(self, until: float, *, reads: bool) -> duckdb.DuckDBPyConnection:
        opened = self._open(until, reads=reads)
        try:
            return opened.cursor().execute(_SESSION)
        except duckdb.Error:
            self._close()  # what cannot be used any more is not to be used again
            raise

    def _open(self, until: float, *, reads: bool) -> duckdb.DuckDBPyConnection:
        """The file, opened in this way; who opens it anew is the first who is in."""
        identity = _identify(self._path)
        if self._opened is not None and (self._opened.reads, self._opened.identity) != (reads, identity):
            self._close()
        if self._opened is None:
            self._opened = _Opened(_open(self._path, until, reads=reads), reads, identity)
        return self._opened.connection

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.connection.close()

    def _close_later(self) -> None:
        """Close the file when it has been left alone long enough; a process that ends waits for that: DuckDB cannot be
        called from a thread that Python lets go of."""
        if not self._is_free():
            return
        left = self._left_at + self._linger - time.monotonic()
        if left <= 0:
            self._close()
        elif self._timer is None:
            self._timer = threading.Timer(left, self._look_again)
            self._timer.start()

    def _look_again(self) -> None:
        with self._turn:
            self._timer = None
            self._close_later()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that is open, in which way, and which file it was."""

    connection: duckdb.DuckDBPyConnection
    reads: bool
    identity: tuple[int, int] | None


def _identify(path: Path) -> tuple[int, int] | None:
    """What tells the file apart from another that is put in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Session:
    """A connection as SQLAlchemy asks for one: closing it closes the file and gives up its turn."""

    notices = ()  # duckdb-engine looks for PostgreSQL's

    def __init__(self, connection: duckdb.DuckDBPyConnection, leave: Callable[[], None]) -> None:
        self.begin = connection.begin
        self.commit = connection.commit
        self.rollback = connection.rollback
        self._connection = connection
        self._leave: Callable[[], None] | None = leave

    def cursor(self) -> "_Cursor":
        return _Cursor(self, self._connection)

    def close(self) -> None:
        leave, self._leave = self._leave, None
        if leave is None:
            return
        try:
            self._connection.close()
        finally:
            leave()


class _Cursor:
    """Runs statements; a row count, which DuckDB returns as a row, stands where it belongs."""

    arraysize = 1

    def __init__(self, session: _Session, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = session
        self.rowcount = -1
        self.description: Any = None
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._connection.execute(statement, parameters or None)
        # without types, so that nobody but us makes something of a value
        described = self._connection.description or ()
        self.rowcount, self.description = -1, [(name, *[None] * 6) for name, *_ in described] or None
        if statement.startswith(("UPDATE", "DELETE")):
            counted = self._connection.fetchone()
            self.rowcount, self.description = (counted[0] if counted else -1), None

    def fetchone(self) -> Any:
        return self._connection.fetchone()

    def fetchmany(self, size: int = 1) -> list[Any]:
        return self._connection.fetchmany(size)

    def fetchall(self) -> list[Any]:
        return self._connection.fetchall()

    def close(self) -> None:
        """The connection holds the result."""


def _engine(file: _File, *, reads: bool) -> Engine:
    def connect() -> _Session:
        return _Session(file.enter(reads=reads), partial(file.leave, reads=reads))

    engine = create_engine("duckdb://", creator=connect, poolclass=NullPool)
    listen(engine, "engine_disposed", lambda _: file.close())
    return engine


def _open(file: Path, until: float, *, reads: bool) -> duckdb.DuckDBPyConnection:
    """The file opened; while another process holds it, or other work in this one, tried again for a while."""
    while True:
        if not is_file(file):
            raise duckdb.IOException("the file does not exist")
        try:
            return duckdb.connect(str(file), read_only=reads, config=_SETTINGS)
        except duckdb.Error as error:
            if time.monotonic() >= until or not any(words in str(error) for words in _TAKEN):
                raise
        time.sleep(_PAUSE)
