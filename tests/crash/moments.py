"""Moments of a run at which a process may die: around every commit, and while packages are written.

A child process is forked, counts the moments it comes to, notes the one it dies at, and dies there.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from tests.engine import Engine

from habeas.domain.ports import Destination
from habeas.store.ledger import Ledger

BEFORE_COMMIT, AFTER_COMMIT = "between a statement and its commit", "right after a commit"
BEFORE_RECORD, AFTER_RECORD = "before the ledger's commit", "right after the ledger's commit"
PACKAGE_HALF, PACKAGE_WHOLE = "in the middle of a package", "before a package that is whole gets its name"
PACKAGE_KEPT = "before a package that has its name is recorded"
UPLOAD_BEGUN, PART_SENT = "right after an upload in parts has begun", "right after a part of a package was sent"
BEFORE_UPLOAD, AFTER_UPLOAD = "before the parts of a package are one", "right after the parts of a package became one"
UPLOADS = frozenset({UPLOAD_BEGUN, PART_SENT, BEFORE_UPLOAD, AFTER_UPLOAD})
"""Moments of packages that go into a bucket in parts. All others are of commits, and of packages in a folder."""

KINDS = frozenset({BEFORE_COMMIT, AFTER_COMMIT, BEFORE_RECORD, AFTER_RECORD, PACKAGE_HALF, PACKAGE_WHOLE, PACKAGE_KEPT})

_IN_JSON, _IN_ZIP = 3, 32
"""One of so many writes to a package is a moment. A member of a zip takes many, of which each has its turn."""

PassMoment = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """One of the kinds, and at which kind of store or in which package."""

    kind: str
    place: str


def die_at(engine: Engine, number: int, kinds: Collection[str], note: Path) -> None:
    """From now on this process is killed at its `number`-th moment of these kinds; `note` then tells `read_moment`."""
    left = iter(range(number - 1, -1, -1))

    def pass_moment(kind: str, place: str) -> None:
        if kind in kinds and next(left) == 0:
            note.write_text(f"{kind}\n{place}")
            os.kill(os.getpid(), signal.SIGKILL)

    _watch_commits(engine.context.ledger.engine, pass_moment)
    _watch_packages(engine, pass_moment)
    if not UPLOADS.isdisjoint(kinds):
        _watch_uploads(pass_moment)


def read_moment(note: Path) -> Moment:
    """The moment at which a process was killed."""
    return Moment(*note.read_text().split("\n"))


def run_and_die(work: Callable[[], None]) -> bool:
    """Do the work in a child process; whether it was killed. AssertionError when it failed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL), "the work failed in the process that was to be killed"
    return ended != 0


def _watch_commits(ledger: sa.Engine, pass_moment: PassMoment) -> None:
    """Of the ledger's transactions those that write; the stores' reading ones do not commit."""
    thread = threading.local()
    write = Ledger.write
    commit: Callable[..., None] = DefaultDialect.do_commit

    @contextmanager
    def writing(self: Ledger) -> Iterator[sa.Connection]:
        with write(self) as connection:
            thread.writes = True
            yield connection

    def do_commit(dialect: DefaultDialect, dbapi_connection: Any) -> None:
        records = dialect is ledger.dialect
        counts = not records or getattr(thread, "writes", False)
        if counts:
            pass_moment(BEFORE_RECORD if records else BEFORE_COMMIT, dialect.name)
        commit(dialect, dbapi_connection)
        if counts:
            pass_moment(AFTER_RECORD if records else AFTER_COMMIT, dialect.name)
        if records:
            thread.writes = False

    Ledger.write = writing  # type: ignore[method-assign]
    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def _watch_packages(engine: Engine, pass_moment: PassMoment) -> None:
    types = cast("dict[str, Any]", engine.context.storage_types)
    local = types["local"]
    types["local"] = replace(local, connect=lambda *given: _Watched(local.connect(*given), pass_moment))
    packages = os.sep + "packages" + os.sep

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and packages in str(arguments[1]):
            pass_moment(PACKAGE_WHOLE, Path(arguments[1]).name)

    sys.addaudithook(audit)


def _watch_uploads(pass_moment: PassMoment) -> None:
    import s3fs

    ask = s3fs.S3FileSystem.call_s3

    def watched(files: Any, method: str, *given: Any, **details: Any) -> Any:
        place = details.get("Key", "")
        if method == "complete_multipart_upload":
            pass_moment(BEFORE_UPLOAD, place)
        answer = ask(files, method, *given, **details)
        if moment := _UPLOADING.get(method):
            pass_moment(moment, place)
        return answer

    s3fs.S3FileSystem.call_s3 = watched


_UPLOADING = {
    "create_multipart_upload": UPLOAD_BEGUN,
    "upload_part": PART_SENT,
    "complete_multipart_upload": AFTER_UPLOAD,
}


class _Watched:
    """A destination whose files are on the disk as soon as they are written to."""

    def __init__(self, destination: Destination, pass_moment: PassMoment) -> None:
        self._destination = destination
        self._pass_moment = pass_moment
        self.check, self.read = destination.check, destination.read
        self.location, self.link = destination.location, destination.link
        self.discard_unfinished = destination.discard_unfinished
        self.delete = destination.delete

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        with self._destination.write(name) as file:
            often = _IN_ZIP if name.endswith(".zip") else _IN_JSON
            yield cast(BinaryIO, _Flushed(file, often, lambda: self._pass_moment(PACKAGE_HALF, name)))
        self._pass_moment(PACKAGE_KEPT, name)


class _Flushed:
    """Each so-many-th write is a moment: a package of a few rows takes many."""

    def __init__(self, file: BinaryIO, often: int, pass_moment: Callable[[], None]) -> None:
        self._file = file
        self._often = often
        self._pass_moment = pass_moment
        self._writes = 0

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._file.flush()
        self._writes += 1
        if self._writes % self._often == 0:
            self._pass_moment()
        return written
