"""Destination `local`: packages in a folder of the server's own disk, readable by its user alone.

A package appears whole or not at all. Knows nothing of what a package holds.
"""

import contextlib
import errno
import glob
import math
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from habeas.delivery.naming import FORMATS, check_details, check_name
from habeas.domain.errors import InputError, NotFound, SystemUnavailable
from habeas.domain.ports import StorageType

_MENDS = {
    errno.ENOSPC: ("the disk is full", "free some space, then retry the request"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or raise the quota, then retry the request"),
    errno.EROFS: ("the disk is read-only", "mount it writable or set details.path to another folder"),
}
_PARTS = ".parts"
"""Packages that are being written; on the same disk, so that they appear at once when they are whole."""

_DEFAULT_MEND = "let the server's user write to this folder or set details.path to another one"


class LocalFolder:
    """A Destination. The folder is made when it is first needed, with mode 0700; files have mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left: list[str] | None = None  # parts that were there when the first package was written

    def check(self) -> None:
        """Raises SystemUnavailable when a file cannot be written here."""
        with self._naming_the_mend():
            self._make_folder()
            with tempfile.TemporaryFile(dir=self._folder) as probe:
                probe.write(b"0")

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Destination`; raises InputError when `name` has path parts."""
        return self._written(self._path(name))

    def read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Destination`."""
        path = self._path(name)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"package {name} is gone", hint="it was removed from its folder") from error
        except OSError as error:
            raise self._unavailable(error) from error

    def discard_unfinished(self, before: datetime, is_abandoned: Callable[[str], bool]) -> int:
        """See `Destination`."""
        with self._naming_the_mend():
            old = [part for part in self._list_parts() if _written_at(part) < before.timestamp()]
        abandoned = [part for part in old if is_abandoned(part.name.rpartition(".")[0])]
        for part in abandoned:
            _remove(part)
        return len(abandoned)

    def delete(self, name: str) -> None:
        """See `Destination`."""
        path = self._path(name)
        with self._naming_the_mend():
            if self._folder.exists():
                for part in (self._folder / _PARTS).glob(f"{glob.escape(name)}.*"):
                    part.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                self._sync_folder()

    def location(self, name: str) -> str:
        """The absolute path."""
        return str(self._path(name))

    def link(self, name: str, seconds: int) -> None:
        """There is none: whoever has the path still needs the server's disk."""

    @contextlib.contextmanager
    def _written(self, path: Path) -> Iterator[BinaryIO]:
        with self._naming_the_mend():
            part = self._parts(path.name) / f"{path.name}.{secrets.token_hex(8)}"
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            except BaseException:
                _remove(part)
                self._left = None  # another try looks at the folder anew
                raise
            self._sync_folder()

    def _parts(self, name: str) -> Path:
        """Where parts are written; those of this package that a killed process left behind are gone."""
        parts = self._folder / _PARTS
        if self._left is None:
            self._make_folder()
            parts.mkdir(mode=0o700, exist_ok=True)
            self._left = os.listdir(parts)  # noqa: PTH208  # names are all we need
        for other in self._left:
            if other.startswith(f"{name}."):
                _remove(parts / other)
        return parts

    def _list_parts(self) -> list[Path]:
        try:
            return list((self._folder / _PARTS).iterdir())
        except FileNotFoundError:
            return []

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        return self._folder.absolute() / check_name(name)

    @contextlib.contextmanager
    def _naming_the_mend(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, TimeoutError):
            raise  # of whoever produces the bytes, not of the disk
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> SystemUnavailable:
        reason, mend = _MENDS.get(error.errno or 0, (os.strerror(error.errno or errno.EIO), _DEFAULT_MEND))
        return SystemUnavailable(f"packages cannot be kept in {self._folder}: {reason}", hint=mend)


def _written_at(part: Path) -> float:
    """When it was last written to, in epoch seconds; in the future when it is gone."""
    try:
        return part.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def local_storage(default_folder: Path) -> StorageType:
    """Storage type `local`; without `path` packages go into `default_folder`."""
    details = {"path": False, "naming": False}

    def connect(given: Mapping[str, object], secrets: Mapping[str, str]) -> LocalFolder:
        check_details("local", given, details)
        return LocalFolder(_read_folder(given) or default_folder)

    return StorageType("local", FORMATS, details, connect)


def _read_folder(details: Mapping[str, object]) -> Path | None:
    path = details.get("path")
    if path is None:
        return None
    if not isinstance(path, str) or "\x00" in path or not Path(path).is_absolute():
        raise InputError("details.path must be an absolute path", hint="start it with /")
    return Path(path)
