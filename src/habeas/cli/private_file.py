"""Files that hold a person's data or keys: written whole and for their owner alone, read without repeating them."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from habeas.domain.errors import InputError


def read_bytes(file: Path) -> bytes:
    """The file's content; `-` is standard input. Raises InputError."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def read_text(file: Path) -> str:
    """The same as text."""
    try:
        return read_bytes(file).decode()
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text") from None


@contextmanager
def writing(output: Path) -> Iterator[IO[bytes]]:
    """A file to write to. It appears at the end of the block, or never; one of that name is replaced."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            made = Path(file.name)
            try:
                yield file
                file.flush()
                made.replace(output)
            except BaseException:
                made.unlink()
                raise
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None
