"""Housekeeping at any moment changes nothing that anybody could see: no answer of the API, and no later outcome.

Random lives of requests (failing reads and erasures, retries, runs that were given back half done) are led twice, once
with sweeps between any two events, once without.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import EMAIL, NAME, Flaky, Shop

from engine import Engine, opened
from habeas.domain.errors import NotFound
from habeas.domain.ports import Lookup, Row
from habeas.domain.request import RequestStatus
from habeas.execution.housekeeping import JOBS, sweep
from habeas.services import packages, requests
from habeas.services.request_views import IdentityShape
from habeas.store import tables

OPERATIONS = [f"{verb} {table}" for verb in ("read", "erase") for table in ("people", "orders", "items")]
POLICIES = ("give", "forget", "both")
KEPT = (tables.chunks, tables.runs, tables.members, tables.tasks, tables.masking_secrets)
Event = tuple[str, Any]


class Stopping(Flaky):
    """Stops the worker when so many reads are left."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self.reads_left: int | None = None
        self.stop: Callable[[], None] = lambda: None

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        if self.reads_left is not None:
            self.reads_left -= 1
            if self.reads_left < 0:
                self.stop()
        yield from super().read(lookup)


@dataclass(slots=True)
class Life:
    """Requests being led through events; `swept` tells how much housekeeping did, None when there is none."""

    engine: Engine
    shop: Shop = field(default_factory=Shop)
    connector: Stopping = field(init=False)
    requests: list[str] = field(default_factory=list)
    swept: dict[str, int] | None = None

    def __post_init__(self) -> None:
        self.connector = Stopping(self.shop)
        self.connector.stop = self.engine.stopping.set
        self.engine.plug("shop", self.connector)
        self.engine.describe("shop", Shop.body())
        masks = {"string_rewrite": [EMAIL, NAME, "user.behavior"]}
        masked = {"rewrite_value": "MASKED"}
        self.engine.policy("give", access=["user"])
        self.engine.policy("forget", erasure=masks, configuration=masked)
        self.engine.policy("both", access=["user"], erasure=masks, configuration=masked)

    def live(self, events: list[Event]) -> None:
        for verb, what in events:
            getattr(self, f"_{verb}")(what)
            if self.swept is not None:
                self._sweep()

    def _submit(self, policies: list[str]) -> None:
        for policy in policies:
            person = self.shop.add_person(len(self.requests))
            self.requests += self.engine.submit(policy, person)

    def _run(self, failing: dict[str, int]) -> None:
        self.connector.failing = dict(failing)
        self.engine.run()

    def _stop_after(self, reads: int) -> None:
        """Runs are carried until so many reads are done, and given back in the middle."""
        self.connector.failing, self.connector.reads_left = {}, reads
        try:
            self.engine.run(once=True)
        finally:
            self.connector.reads_left = None
            self.engine.stopping.clear()

    def _retry(self, draws: list[float]) -> None:
        failed = [one for one in self.requests if self.engine.view(one).status is RequestStatus.ERROR]
        for request_id, draw in zip(failed, draws, strict=False):
            if draw < 0.6:
                requests.retry(self.engine.context, request_id)

    def _sweep(self) -> None:
        """A few hours later; nobody sees a difference."""
        past = datetime.now(UTC) - timedelta(hours=3)
        with self.engine.context.ledger.write() as connection:
            ended = tables.requests.c.finished_at.is_not(None)
            connection.execute(tables.requests.update().where(ended).values(updated_at=past, finished_at=past))
            connection.execute(tables.runs.update().values(updated_at=past))
        before = self.answers()
        for job in JOBS:
            assert self.swept is not None
            self.swept[job] = self.swept.get(job, 0) + sweep(self.engine.context, job).done
        assert self.answers() == before

    def answers(self) -> list[object]:
        """Everything the API says of every request."""
        context = self.engine.context
        found: list[object] = []
        for one in self.requests:
            view = asdict(requests.find_request(context, one, IdentityShape.PLAIN, verbose=True))
            view["results"].pop("Package downloaded", None)  # by this very look
            found.append(view)
            found.append(requests.read_log(context, one, 1, 100))
            found.append(_or_none(partial(requests.report, context, one)))
            found.append(_or_none(partial(packages.access_results, context, one)))
            found += self.packages(one)
        return found

    def packages(self, request_id: str) -> list[object]:
        return [_or_none(partial(self.package, request_id, policy)) for policy in POLICIES]

    def package(self, request_id: str, policy: str) -> bytes:
        with packages.open_package(self.engine.context, request_id, f"{policy}-give").stream as file:
            return file.read()

    def outcome(self) -> list[object]:
        """What does not depend on times and ids."""
        ended: list[object] = [
            (self.engine.view(one).status, self.engine.counts(one), self.packages(one)) for one in self.requests
        ]
        return [*ended, self.shop.people.records, self.shop.orders.records, self.shop.items.records]


def _or_none(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except NotFound:
        return None


def draw_events(chance: random.Random) -> list[Event]:
    def failing() -> dict[str, int]:
        return {one: 1 for one in OPERATIONS if chance.random() < 0.25}

    events: list[Event] = []
    for _ in range(5):
        events.append(("submit", [chance.choice(POLICIES) for _ in range(chance.randint(1, 4))]))
        if chance.random() < 0.5:
            events.append(("stop_after", chance.randint(0, 3)))
        events.append(("run", failing()))
        events.append(("retry", [chance.random() for _ in range(20)]))
    return [*events, ("run", {}), ("retry", [0.0] * 20), ("run", {})]


@pytest.mark.parametrize("seed", range(3))
def test_sweeping_between_any_two_events_changes_nothing(
    start: Callable[..., Engine], tmp_path: Path, seed: int
) -> None:
    events = draw_events(random.Random(seed))
    execution = {"grace_seconds": 3600, "task_retry_count": 0, "run_size": 3}
    with opened(tmp_path / "undisturbed", f"sqlite:///{tmp_path}/undisturbed.db", **execution) as engine:
        undisturbed = Life(engine)
        undisturbed.live(events)
        expected = undisturbed.outcome()
    swept = Life(start(**execution), swept={})
    swept.live(events)
    assert swept.outcome() == expected
    assert swept.swept and swept.swept["forget"] > 0 and swept.swept["drop_ended_runs"] > 0
    statuses = {swept.engine.view(one).status for one in swept.requests}
    assert statuses == {RequestStatus.COMPLETE}
    with swept.engine.context.ledger.read() as connection:
        left = [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in KEPT]
    assert left == [0] * len(KEPT), "when all is complete nothing is kept"
