"""A connector that breaks the contract on demand, to prove that the engine notices.

Wraps a well-behaved connector; every misbehaviour names the outcome the engine owes to it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum

from habeas.domain.errors import Fault, HabeasError, LeaseLost
from habeas.domain.ports import Connector, Effect, Erasure, Lookup, Row, Sketch

DRIVER_TEXT = "duplicate value (secret@example.com)"
"""What the foreign exception says: text that must appear in no log, message or answer."""


class Misbehaviour(Enum):
    """What goes wrong, and the error by which the engine must end the task."""

    RAISES_MID_BATCH = ("raises a foreign exception after the first rows, or between set and commit", Fault)
    NO_OWNER = ("returns a row without ordinals", Fault)
    REPEATS_ROWS = ("returns every row twice with the same ordinal", Fault)
    SLEEPS_PAST_LEASE = ("waits between batches and before the commit", LeaseLost)
    ONE_ROW_TOO_FEW = ("changes all rows but the last and reports one effect too few", Fault)

    def __init__(self, description: str, outcome: type[HabeasError]) -> None:
        self.description = description
        self.outcome = outcome


class DriverError(Exception):
    """A foreign exception, as an unforeseen driver failure would be."""


class HostileConnector:
    """`inner`, with one misbehaviour. `wait` is called where a hostile store would sleep."""

    def __init__(self, inner: Connector, misbehaviour: Misbehaviour, wait: Callable[[], None] = lambda: None) -> None:
        self.capabilities = inner.capabilities
        self._inner = inner
        self._does = misbehaviour
        self._wait = wait

    def check(self) -> None:
        self._inner.check()

    def describe(self) -> Sketch | None:
        return self._inner.describe()

    def explain(self, what: Lookup | Erasure) -> str:
        return self._inner.explain(what)

    def count(self, lookup: Lookup) -> int:
        return self._inner.count(lookup)

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        """The inner batches, spoiled; each batch is spoiled after it was read in order."""
        for batch in self._inner.read(lookup):
            match self._does:
                case Misbehaviour.NO_OWNER:
                    yield [*batch[:-1], replace(batch[-1], ordinals=())]
                case Misbehaviour.REPEATS_ROWS:
                    yield [row for row in batch for _ in range(2)]
                case Misbehaviour.RAISES_MID_BATCH:
                    yield batch
                    raise DriverError(DRIVER_TEXT)
                case Misbehaviour.SLEEPS_PAST_LEASE:
                    yield batch
                    self._wait()
                case _:
                    yield batch

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        """The inner erasure, spoiled."""
        match self._does:
            case Misbehaviour.ONE_ROW_TOO_FEW:
                return self._inner.erase(replace(erasure, changes=erasure.changes[:-1]), guard)
            case Misbehaviour.RAISES_MID_BATCH:
                return self._inner.erase(erasure, _raise)
            case Misbehaviour.SLEEPS_PAST_LEASE:

                def wait_then_guard() -> None:
                    self._wait()
                    guard()

                return self._inner.erase(erasure, wait_then_guard)
        return self._inner.erase(erasure, guard)

    def close(self) -> None:
        self._inner.close()


def _raise() -> None:
    raise DriverError(DRIVER_TEXT)
