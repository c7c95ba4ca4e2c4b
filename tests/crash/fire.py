"""A fleet on one ledger, and the fire it stands under: any of its processes is killed or frozen every few seconds."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

from ledgers import LEASE, PostgresLedger

from servers.dask import DaskScheduler, HabeasWorker
from servers.habeas import HabeasServer
from servers.process import Process

KILL, FREEZE = "kill", "freeze"
SERVERS = ("server A", "server B")
WORKERS = ("worker 1", "worker 2", "worker 3", "worker 4")
STEPS = ("access", "upload", "erasure")
ROLES = ("scheduler", *SERVERS, "worker")

_EVERY = (0.5, 2.5)
_DOWN = (0.2, 2.0)
_FROZEN = (LEASE + 1.0, LEASE + 4.0)
_HUNTED = 0.5
"""How often a worker is struck while it performs a certain step, and not anybody at any time."""

_HUNT = 3.0
"""Seconds to wait for a worker in that step; then it is anybody."""

_AT_ONCE = 3
"""Processes that are down or frozen at most."""

_SETTINGS = {
    "HABEAS__EXECUTION__BATCH_ROWS": "4",
    "HABEAS__EXECUTION__GRACE_SECONDS": "0",
    "HABEAS__LOGGING__LEVEL": "DEBUG",
}
_OPEN: LiteralString = "SELECT count(*) FROM request WHERE status NOT IN ('complete', 'canceled', 'error')"
_STATES: LiteralString = "SELECT status, next_step, failure, count(*) FROM request GROUP BY 1, 2, 3"
_RUNS: LiteralString = """SELECT id, size, next_step, fence, claims, worker,
    lease_until - extract(epoch FROM clock_timestamp()) AS lease FROM run WHERE status = 'ready'"""
_CARRIERS: LiteralString = """SELECT worker, next_step FROM run
    WHERE status = 'ready' AND lease_until > extract(epoch FROM clock_timestamp())"""


class Fleet:
    """Two servers that carry nothing out, a Dask scheduler, and four workers of two threads."""

    def __init__(self, folder: Path, ledger: PostgresLedger) -> None:
        self.ledger = ledger
        self.folder = folder
        self.processes: dict[str, Process] = {}
        with ExitStack() as running:
            scheduler = running.enter_context(DaskScheduler(folder / "scheduler"))
            address = {"HABEAS__EXECUTION__SCHEDULER_ADDRESS": scheduler.address}
            environment = {**ledger.environment, **_SETTINGS, **address}
            data = folder / "data"
            first = running.enter_context(HabeasServer(data, environment=environment))  # it makes keys and ledger
            with ThreadPoolExecutor() as pool:
                starting = pool.submit(HabeasServer, data, environment=environment)
                workers = [pool.submit(HabeasWorker, scheduler, data, environment) for _ in WORKERS]
            everyone: list[Future[HabeasServer] | Future[HabeasWorker]] = [starting, *workers]
            for started in everyone:
                if started.exception() is None:
                    running.enter_context(started.result())
            self.servers = [first, starting.result()]
            self.workers = [worker.result() for worker in workers]
            self._running = running.pop_all()
        names = ("scheduler", *SERVERS, *WORKERS)
        self.processes = dict(zip(names, (scheduler, *self.servers, *self.workers), strict=True))

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def open_requests(self) -> int:
        """Requests that are neither complete nor in error."""
        count: int = self.ledger.ask(_OPEN)
        return count

    def describe_open(self) -> str:
        """Where requests and runs stand that have not ended."""
        return "\n".join(map(str, [*self.ledger.rows(_STATES), *self.ledger.rows(_RUNS)]))

    def log_in(self) -> dict[str, str]:
        """The header that both servers take as the root client's."""
        with self.servers[0].client() as http:
            return {"Authorization": http.headers["Authorization"]}

    def carriers(self) -> dict[str, set[str]]:
        """The workers that hold a lease at this moment, and the steps that they perform."""
        found = defaultdict(set)
        for address, step in self.ledger.rows(_CARRIERS):
            for name in WORKERS:
                if f"as {address}\n" in self.processes[name].log_text():
                    found[name].add(step)
        return found

    def logs(self) -> Mapping[Path, str]:
        """What all its processes have written, also before they were started again."""
        return {path: path.read_text(errors="replace") for path in self.folder.rglob("process-*.log")}


@dataclass(frozen=True, slots=True)
class Strike:
    """A process that was killed or frozen `at` seconds into the fire, while so many requests were `open`.

    `during` are the steps that a worker was performing.
    """

    at: float
    victim: str
    how: str
    open: int
    during: frozenset[str]

    @property
    def role(self) -> str:
        return self.victim if self.victim in ROLES else self.victim.split()[0]


class Fire:
    """Strikes from `start` to `quench`, at most for so many seconds, when requests are open; victims come back.

    Every process is killed once, one of each role is frozen, and a worker struck in each step, before chance decides.
    """

    def __init__(self, fleet: Fleet, seed: int, seconds: float) -> None:
        self.strikes: list[Strike] = []
        self._fleet = fleet
        self._chance = random.Random(seed)
        self._seconds = seconds
        self._out = threading.Event()
        self._struck: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, "recovery")
        self._thread = ThreadPoolExecutor(1, "fire")
        self._burning: Future[None] | None = None

    def start(self) -> None:
        self._burning = self._thread.submit(self._burn)

    def quench(self) -> None:
        """Strike no more and wait until every victim is back. Raises what went wrong meanwhile."""
        self._out.set()
        self._thread.shutdown()
        self._pool.shutdown()
        for done in filter(None, (self._burning, *self._struck.values())):
            done.result()

    def _burn(self) -> None:
        begun = time.monotonic()
        for choose, how in self._plan():
            if self._out.wait(self._chance.uniform(*_EVERY)) or time.monotonic() - begun > self._seconds:
                return
            found = self._wait_for(choose)
            if found is None:
                return
            victim, during = found
            self._struck[victim] = self._pool.submit(self._strike, victim, how, self._chance.random())
            at, left = time.monotonic() - begun, self._fleet.open_requests()
            self.strikes.append(Strike(at, victim, how, left, frozenset(during)))

    def _plan(self) -> Iterator[tuple[str, str]]:
        """Whom to strike, a process or whoever performs a step, and how."""
        first = [(name, KILL) for name in self._fleet.processes]
        first += [("scheduler", FREEZE), (self._chance.choice(SERVERS), FREEZE)]
        first += [(step, how) for step in STEPS for how in (KILL, FREEZE)]
        self._chance.shuffle(first)
        yield from first
        while True:
            hunted = self._chance.random() < _HUNTED
            whom = self._chance.choice(STEPS if hunted else tuple(self._fleet.processes))
            yield whom, self._chance.choices((KILL, FREEZE), (2, 1))[0]

    def _wait_for(self, whom: str) -> tuple[str, set[str]] | None:
        """The process named and the steps it performs; None when the fire is out before it may be struck.

        For a step: the first worker that is seen performing it, anybody when there is none for long.
        """
        patience = time.monotonic() + _HUNT
        while not self._out.is_set():
            down = {name for name, recovery in self._struck.items() if not recovery.done()}
            able = set(self._fleet.processes) - down if len(down) < _AT_ONCE else set()
            carriers = self._fleet.carriers()
            if whom in STEPS and time.monotonic() < patience:
                able &= {name for name, steps in carriers.items() if whom in steps}
            elif whom not in STEPS:
                able &= {whom}
            if able and self._fleet.open_requests():
                victim = self._chance.choice(sorted(able))
                return victim, carriers.get(victim, set())
            self._out.wait(0.02)
        return None

    def _strike(self, victim: str, how: str, luck: float) -> None:
        process = self._fleet.processes[victim]
        if how == FREEZE:
            process.pause()
            _pass(_FROZEN, luck)
            process.resume()
        else:
            process.kill()
            _pass(_DOWN, luck)
            process.start()


def _pass(span: tuple[float, float], luck: float) -> None:
    threading.Event().wait(span[0] + luck * (span[1] - span[0]))
