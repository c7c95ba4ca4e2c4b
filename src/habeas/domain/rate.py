"""How often something may be done: a number in a period, and a limiter that keeps to it."""

import re
import threading
from dataclasses import dataclass

from habeas.domain.clock import Clock

_PERIODS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(rf"([1-9][0-9]{{0,6}})/({'|'.join(_PERIODS)})")
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in `seconds`: all at once, or spread."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read e.g. `60/minute`. Raises ValueError."""
        found = _RATE.fullmatch(text)
        if found is None:
            raise ValueError("a rate is a number, / and second, minute or hour, e.g. 60/minute")
        return cls(int(found[1]), _PERIODS[found[2]])


class Limiter:
    """Keeps each of many callers to a rate (GCRA: one instant per caller); for any thread.

    A caller may do `count` at once, then one each `seconds / count`. Of more than `most` callers, those not seen for
    the longest time are forgotten: memory is bounded, and whoever has that many addresses is not slowed down anyway.
    """

    def __init__(self, rate: Rate, clock: Clock, most: int = 10_000) -> None:
        self._step = rate.seconds / rate.count
        self._seconds = rate.seconds
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._used_until: dict[str, float] = {}

    def take(self, caller: str) -> float:
        """Count one; 0.0. If it is too many it does not count: the seconds until one more is allowed."""
        now = self._clock.now().timestamp()
        with self._lock:
            until = self._used_until.pop(caller, now)
            until = min(max(until, now), now + self._seconds)  # the upper bound: a clock that was set back
            wait = until + self._step - now - self._seconds
            self._used_until[caller] = until if wait > _ROUNDING else until + self._step
            if len(self._used_until) > self._most:
                del self._used_until[next(iter(self._used_until))]
        return wait if wait > _ROUNDING else 0.0
