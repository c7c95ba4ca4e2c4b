"""The person's own folder: the key that nobody else has, what they downloaded, and what `habeas decrypt` made of it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from habeas.demo.failure import DemoFailure
from habeas.domain.errors import InputError

Decrypt: TypeAlias = Callable[[Path, Path, Path], None]
"""What `habeas decrypt` does: opens a file into another one with the key in a third; InputError when it cannot."""

KEY = "key"


@dataclass(frozen=True, slots=True)
class Home:
    """A folder that is made when it is first needed; files of the same names are replaced."""

    folder: Path
    decrypt: Decrypt

    def make_key(self) -> str:
        """A new key of 32 bytes, which is also kept in the folder."""
        key = secrets.token_urlsafe(24)
        self.keep(KEY, key.encode())
        return key

    def keep(self, name: str, content: bytes) -> None:
        """A file that only this user can read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_bytes(content)

    def open(self, sealed: str, opened: str) -> bytes:
        """Decrypt one file into another; what it holds then. Raises DemoFailure when it does not open."""
        try:
            self.decrypt(self.folder / sealed, self.folder / opened, self.folder / KEY)
        except InputError as error:
            raise DemoFailure(f"{sealed} cannot be decrypted: {error.message}") from None
        return (self.folder / opened).read_bytes()

    def check_strangers_key(self, *sealed: str) -> None:
        """Raises DemoFailure when a file opens with another key than the one kept here."""
        stranger, opened = self.folder / "strangers-key", self.folder / "strangers-file"
        self.keep(stranger.name, secrets.token_urlsafe(24).encode())
        for name in sealed:
            try:
                self.decrypt(self.folder / name, opened, stranger)
            except InputError:
                continue
            raise DemoFailure(f"{name} opens with a key that is not hers")
        stranger.unlink()
