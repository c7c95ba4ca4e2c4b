"""The files of Habeas itself, to which no connection may lead: who sets up connections would rewrite users and keys.

A file of the ledger must not even be opened and closed by another reader in this process: closing it gives up all of
the process's locks on it (POSIX), and then writes of several processes destroy each other.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from habeas.domain.errors import InputError
from habeas.first_secrets import DEVELOPMENT_KEY, ROOT_CLIENT


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Single files, and folders with all that is in them. Whether they exist may change at any time."""

    files: Sequence[Path]
    folders: Sequence[Path]

    def check(self, path: str) -> None:
        """Raise InputError if the path leads to one of them, be it by a link; nothing is opened."""
        if "\x00" in path:
            raise InputError("the path holds a NUL", hint="no file has such a name")
        given = Path(path)
        if any(_is_one(given, own) for own in self.files) or any(_is_inside(given, own) for own in self.folders):
            raise InputError(
                "the path leads to a file of Habeas itself: its ledger, keys or packages",
                hint="set the secret `path` to a database file of yours, outside of them",
            )


def own_files(ledger_url: str, data_dir: Path) -> OwnFiles:
    """What belongs to the ledger, if that is a file, and to its data folder."""
    url = make_url(ledger_url)
    ledger = Path(str(url.database).removeprefix("file:")) if url.get_backend_name() == "sqlite" else None
    beside = [Path(f"{ledger}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")] if ledger else []
    return OwnFiles([*beside, data_dir / DEVELOPMENT_KEY, data_dir / ROOT_CLIENT], [data_dir / "packages"])


def _is_one(given: Path, own: Path) -> bool:
    """By its place in the file system where both exist, else by its name without links."""
    try:
        return given.samefile(own)
    except OSError:
        return os.path.realpath(given) == os.path.realpath(own)


def _is_inside(given: Path, folder: Path) -> bool:
    return Path(os.path.realpath(given)).is_relative_to(os.path.realpath(folder))
