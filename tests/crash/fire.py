"""A fleet on one ledger, and the fire it stands under: any of its processes is killed or frozen every few seconds."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
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
ROLES = ("scheduler", *SERVERS, "worker")

_EVERY = (1.0, 3.0)
_DOWN = (0.2, 2.0)
_FROZEN = (LEASE + 1.0, LEASE + 4.0)
_HUNTED = 0.25
"""How often a worker that carries a run is struck on purpose, and not anybody."""

_AT_ONCE = 3
"""Processes that are down or frozen at most."""

_SETTINGS = {
    "HABEAS__EXECUTION__BATCH_ROWS": "20",
    "HABEAS__EXECUTION__GRACE_SECONDS": "0",
    "HABEAS__LOGGING__LEVEL": "DEBUG",
}
_OPEN: LiteralString = "SELECT count(*) FROM request WHERE status NOT IN ('complete', 'canceled', 'error')"
_STATES: LiteralString = "SELECT status, next_step, failure, count(*) FROM request GROUP BY 1, 2, 3"
_RUNS: LiteralString = """SELECT id, size, next_step, fence, claims, worker,
    lease_until - extract(epoch FROM clock_timestamp()) AS lease FROM run WHERE status = 'ready'"""
_CARRIERS: LiteralString = """SELECT coalesce(array_agg(worker), '{}') FROM run
    WHERE status = 'ready' AND lease_until > extract(epoch FROM clock_timestamp())"""


class Fleet:
    """Two servers that carry nothing out, a Dask scheduler, and four workers of two threads."""

    def __init__(self, folder: Path, ledger: PostgresLedger) -> None:
        self.ledger = ledger
        self.folder = folder
        self.processes: dict[str, Process] = {}
        self._running = ExitStack()
        scheduler = self._running.enter_context(DaskScheduler(folder / "scheduler"))
        address = {"HABEAS__EXECUTION__SCHEDULER_ADDRESS": scheduler.address}
        environment = {**ledger.environment, **_SETTINGS, **address}
        data = folder / "data"
        self.servers = [self._running.enter_context(HabeasServer(data, environment=environment))]
        with ThreadPoolExecutor() as pool:
            second = pool.submit(HabeasServer, data, environment=environment)
            workers = [pool.submit(HabeasWorker, scheduler, data, environment) for _ in WORKERS]
        self.servers.append(self._running.enter_context(second.result()))
        self.workers = [self._running.enter_context(worker.result()) for worker in workers]
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

    def carriers(self) -> list[str]:
        """The workers that hold a lease at this moment."""
        addresses = self.ledger.ask(_CARRIERS)
        said = {name: self.processes[name].log_text() for name in WORKERS}
        return [name for name in WORKERS if any(f"as {address}\n" in said[name] for address in addresses)]

    def logs(self) -> Mapping[Path, str]:
        """What all its processes have written, also before they were started again."""
        return {path: path.read_text(errors="replace") for path in self.folder.rglob("process-*.log")}


@dataclass(frozen=True, slots=True)
class Strike:
    """A process that was killed or frozen `at` seconds into the fire, while so many requests were `open`."""

    at: float
    victim: str
    how: str
    open: int
    carrying: bool

    @property
    def role(self) -> str:
        return self.victim if self.victim in ROLES else self.victim.split()[0]


class Fire:
    """Strikes from `start` to `quench`, at most for so many seconds, when requests are open; victims come back.

    Every process is killed once, and one of each role frozen, before chance alone decides.
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
            victim = self._wait_for(choose)
            if victim is None:
                return
            carrying = victim in self._fleet.carriers()
            strike = Strike(time.monotonic() - begun, victim, how, self._fleet.open_requests(), carrying)
            self.strikes.append(strike)
            self._struck[victim] = self._pool.submit(self._strike, victim, how, self._chance.random())

    def _plan(self) -> Iterator[tuple[Callable[[], list[str]], str]]:
        """Whom to strike, as a choice among those who may be struck then, and how."""
        everyone = list(self._fleet.processes)
        first: list[tuple[Callable[[], list[str]], str]] = [(lambda name=name: [name], KILL) for name in everyone]  # type: ignore[misc]
        frozen = ("scheduler", self._chance.choice(SERVERS))
        first += [(lambda name=name: [name], FREEZE) for name in frozen]  # type: ignore[misc]
        first += [(self._fleet.carriers, FREEZE), (self._fleet.carriers, KILL)]
        self._chance.shuffle(first)
        yield from first
        while True:
            choose = self._fleet.carriers if self._chance.random() < _HUNTED else lambda: everyone
            yield choose, self._chance.choices((KILL, FREEZE), (3, 1))[0]

    def _wait_for(self, choose: Callable[[], list[str]]) -> str | None:
        """One of those who may be struck now; None when the fire is out before there is any."""
        while not self._out.is_set():
            down = {name for name, recovery in self._struck.items() if not recovery.done()}
            able = [name for name in choose() if name not in down] if len(down) < _AT_ONCE else []
            if able and self._fleet.open_requests():
                return self._chance.choice(able)
            self._out.wait(0.05)
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
            process.start(deadline=60)


def _pass(span: tuple[float, float], luck: float) -> None:
    threading.Event().wait(span[0] + luck * (span[1] - span[0]))
