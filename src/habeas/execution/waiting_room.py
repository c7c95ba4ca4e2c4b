"""How many callers of the API may wait for somebody outside at once, so that threads are left for all others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from habeas.domain.errors import TryAgain

SEATS = 8


class WaitingRoom:
    """Seats of this process for calls to the outside that a caller of the API waits for."""

    def __init__(self, seats: int = SEATS) -> None:
        self._free = threading.Semaphore(seats)

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Take a seat while the block lasts. Raises TryAgain at once when none is free."""
        if not self._free.acquire(blocking=False):
            raise TryAgain("too many calls wait for systems outside that are slow to answer", hint="try again later")
        try:
            yield
        finally:
            self._free.release()
