"""Counts how the runs end that this process carries."""

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Ending(StrEnum):
    """How carrying a run came to an end."""

    COMPLETE = "complete"  # all steps are done for those that were left
    FAILED = "failed"  # a step could not be done
    GIVEN_BACK = "given_back"  # this process was stopping
    TAKEN_OVER = "taken_over"  # another worker holds it now
    INTERRUPTED = "interrupted"  # the ledger failed; it is due again


class Tally:
    """Thread-safe counts since the process began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Ending] = Counter()

    def add(self, ending: Ending) -> None:
        with self._lock:
            self._counts[ending] += 1

    def counts(self) -> Mapping[Ending, int]:
        """Every ending, also those that have not come."""
        with self._lock:
            return {ending: self._counts[ending] for ending in Ending}
