"""Counting for those who watch: as often as asked, as long as the ledger does not suffer from it."""

import threading
import time

from habeas.execution.context import Context
from habeas.store.census import Census, take_census

_SHARE = 20
"""A census stands for this many times as long as it took: counting takes a twentieth of the time at most."""


class CensusTaker:
    """Takes the census of a ledger. Of several who ask at once one counts; thread-safe."""

    def __init__(self, context: Context) -> None:
        self._ledger = context.ledger
        self._lock = threading.Lock()
        self._last: Census | None = None
        self._stands_until = 0.0

    def take(self) -> Census:
        """A census; as old as counting millions of rows takes time. Raises what the ledger's driver raises."""
        with self._lock:
            if self._last is None or time.monotonic() >= self._stands_until:
                began = time.monotonic()
                with self._ledger.read() as connection:
                    self._last = take_census(connection, self._ledger)
                ended = time.monotonic()
                self._stands_until = ended + _SHARE * (ended - began)
            return self._last
