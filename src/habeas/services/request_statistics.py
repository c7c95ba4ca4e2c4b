"""Numbers of requests received in a time, such as 11 CCR 7102 asks for: counts by outcome, and days to the answer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache

from habeas.domain.errors import InputError
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.execution.report import has_exceptions
from habeas.store import configurations
from habeas.store import requests as store
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests by what became of them by now. They add up: `received` is the sum of all others before the days.

    Complied: `complete`, in whole or with exceptions in the report. `open`: neither complete, denied nor canceled.
    Days are from receipt to the end of what was complied with or denied, in days and parts of them; null if none was.
    """

    received: int
    complied_in_whole: int
    complied_with_exceptions: int
    denied: int
    canceled: int
    open: int
    median_days: float | None
    mean_days: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """All requests of a time; `by_action` counts one whose policy has both actions under both; months are `2026-11`."""

    total: Counts
    by_status: Mapping[str, int]
    by_action: Mapping[str, Counts]
    by_month: Mapping[str, Counts]


class _Tally:
    """Counts as they grow: one number per outcome, and one per length in hundredths of a day."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()

    def add(self, outcome: str, length: int | None) -> None:
        self.outcomes[outcome] += 1
        if length is not None:
            self.lengths[length] += 1

    def counts(self) -> Counts:
        names = ("complied_in_whole", "complied_with_exceptions", "denied", "canceled", "open")
        answered = self.lengths.total()
        mean = sum(length * count for length, count in self.lengths.items()) / answered / 100 if answered else None
        return Counts(
            received=self.outcomes.total(),
            median_days=self._median(answered) if answered else None,
            mean_days=None if mean is None else round(mean, 2),
            **{name: self.outcomes[name] for name in names},
        )

    def _median(self, answered: int) -> float:
        """The middle length, or the mean of the two in the middle."""
        middle = [self._at((answered - 1) // 2), self._at(answered // 2)]
        return sum(middle) / 200

    def _at(self, place: int) -> int:
        for length, count in sorted(self.lengths.items()):
            place -= count
            if place < 0:
                return length
        raise IndexError(place)


def count_requests(context: Context, begin: date, end: date) -> Statistics:
    """Numbers of the requests received from the day `begin` on and before the day `end`, in one pass over them.

    Raises InputError when `end` is not later.
    """
    if end <= begin:
        raise InputError("to is not later than from", hint="to is the day after the last")
    total, by_status = _Tally(), Counter[str]()
    by_action: dict[str, _Tally] = {}
    by_month: dict[str, _Tally] = {}
    first, last = (datetime.combine(day, time(), UTC) for day in (begin, end))
    with context.ledger.read() as connection:
        actions = configurations.actions_of(connection, store.policies_of(connection))
        skips = cache(lambda digest: has_exceptions(context.planner.load(digest)))
        for row in store.read_endings(connection, first, last):
            outcome = _outcome(row, row.exceptional or (row.plan_digest is not None and skips(row.plan_digest)))
            length = _length(row) if outcome not in ("open", "canceled") else None
            by_status[row.status] += 1
            for tally in (
                total,
                by_month.setdefault(f"{row.requested_at:%Y-%m}", _Tally()),
                *(by_action.setdefault(action, _Tally()) for action in actions.get(row.policy_key, ())),
            ):
                tally.add(outcome, length)
    return Statistics(total.counts(), dict(sorted(by_status.items())), dict(_shown(by_action)), dict(_shown(by_month)))


def _shown(tallies: Mapping[str, _Tally]) -> Iterator[tuple[str, Counts]]:
    return ((key, tallies[key].counts()) for key in sorted(tallies))


def _outcome(row: Record, exceptional: bool) -> str:
    match row.status:
        case RequestStatus.COMPLETE:
            return "complied_with_exceptions" if exceptional else "complied_in_whole"
        case RequestStatus.DENIED:
            return "denied"
        case RequestStatus.CANCELED:
            return "canceled"
    return "open"


def _length(row: Record) -> int | None:
    """From receipt to the end, in hundredths of a day."""
    ended = row.finished_at or row.reviewed_at
    return None if ended is None else max(0, round((ended - row.requested_at).total_seconds() / 864))
