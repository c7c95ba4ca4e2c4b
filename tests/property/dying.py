"""A process that dies at one of its ledger's commits, or where somebody lets it: nothing of it is recorded any more.

It is played by a block of code: what comes after the block is another process.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


class Died(BaseException):
    """The process has ended here."""


class Mortality:
    """Lets blocks die; `deaths` counts those that did."""

    def __init__(self, ledger: sa.Engine) -> None:
        self.deaths = 0
        self._thread: int | None = None
        self._dead = False
        self._left: int | None = None
        self._recorded = False
        self._commit: Callable[[Any], None] = ledger.dialect.do_commit
        ledger.dialect.do_commit = self._do_commit  # type: ignore[method-assign]

    def doom(self, commits: int, *, recorded: bool) -> None:
        """Let it die at the so-many-th commit from now on, in whichever block; right after it if `recorded`."""
        self._left, self._recorded = commits, recorded

    def spare(self) -> None:
        """Let it live."""
        self._left = None

    def die(self) -> None:
        """Raises Died."""
        self._dead = True
        raise Died

    @contextmanager
    def process(self) -> Iterator[None]:
        """What is done here ends where it dies, without an error."""
        self._thread = threading.get_ident()
        try:
            yield
        except Died:
            self.deaths += 1
        finally:
            self._thread, self._dead = None, False

    def _do_commit(self, connection: Any) -> None:
        if threading.get_ident() != self._thread:
            self._commit(connection)
            return
        if self._dead:
            raise Died
        if self._left is not None:
            self._left -= 1
        if self._left != 0:
            self._commit(connection)
            return
        self._left = None
        if self._recorded:
            self._commit(connection)
        self.die()
