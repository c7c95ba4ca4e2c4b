"""Rates: how they are written, and that a limiter keeps to one, forgets, and forgives a clock that was set back."""

from datetime import datetime, timedelta

import pytest
from tests.unit.services.wiring import MovableClock

from habeas.domain.rate import Limiter, Rate


class SteppedClock(MovableClock):
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self._started = super().now()

    def now(self) -> datetime:
        return self._started + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "rate"), [("1/second", Rate(1, 1)), ("60/minute", Rate(60, 60)), ("9/hour", Rate(9, 3600))]
)
def test_a_rate_is_a_number_in_a_period(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["0/minute", "-1/minute", "60", "60/day", "60 / minute", "1.5/hour", "60/minutes"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="60/minute"):
        Rate.parse(text)


def test_as_many_as_allowed_at_once_and_then_one_by_one() -> None:
    clock = SteppedClock()
    limiter = Limiter(Rate(6, 60), clock)
    assert [limiter.take("a") for _ in range(6)] == [0.0] * 6
    assert limiter.take("a") == pytest.approx(10, abs=0.01)
    assert limiter.take("b") == 0.0
    clock.forward(4)
    assert limiter.take("a") == pytest.approx(6, abs=0.01)
    clock.forward(6)
    assert [limiter.take("a") > 0 for _ in range(2)] == [False, True]
    clock.forward(3600)
    assert [limiter.take("a") > 0 for _ in range(7)] == [False] * 6 + [True]


def test_over_an_hour_no_more_pass_than_the_rate_and_one_burst() -> None:
    clock, passed = SteppedClock(), 0
    limiter = Limiter(Rate(10, 60), clock)
    for _ in range(3600):
        passed += limiter.take("a") == 0.0
        clock.forward(1)
    assert 600 <= passed <= 610


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    clock = SteppedClock()
    limiter = Limiter(Rate(1, 60), clock)
    limiter.take("a")
    clock.forward(-86400)
    assert limiter.take("a") <= 60
    clock.forward(61)
    assert limiter.take("a") == 0.0


def test_memory_is_bounded_and_who_keeps_calling_is_not_forgotten() -> None:
    limiter = Limiter(Rate(1, 60), SteppedClock(), most=3)
    for caller in ("often", "b", "c", "d", "e"):
        limiter.take(caller)
        assert caller == "often" or limiter.take("often") > 0
    assert limiter.take("b") == 0.0
