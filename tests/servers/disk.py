"""A small disk of its own for what a test writes, which can be filled up and cleared."""

import errno
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = b"\0" * 4096


class SmallDisk:
    """A file system in memory at `folder` while the block lasts. Mounting takes root, or sudo without a password."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self._size = size

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        owner = f"uid={os.getuid()},gid={os.getgid()},mode=700"
        self._as_root("mount", "-t", "tmpfs", "-o", f"size={self._size},{owner}", "tmpfs", str(self.folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._as_root("umount", "--lazy", str(self.folder))

    def fill(self, leaving: int = 0) -> None:
        """Leave no more room than so many bytes."""
        try:
            with self._filler.open("ab", buffering=0) as file:
                while True:
                    file.write(_BLOCK)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
        os.truncate(self._filler, self._filler.stat().st_size - leaving)

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink()

    @staticmethod
    def _as_root(*command: str) -> None:
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        done = subprocess.run([*sudo, *command], check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"a small disk cannot be (un)mounted: {done.stderr}"
