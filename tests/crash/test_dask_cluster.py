"""Runs carried by a Dask cluster end as they do in one server, whatever dies meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from ledgers import PostgresLedger
from outcome import TAKEN_OVER, Outcome, observe
from shop import PEOPLE, POLICY, Shop

from servers.dask import DaskScheduler, HabeasWorker
from servers.habeas import HabeasServer, submit
from servers.process import wait_for


@dataclass
class Cluster:
    """A scheduler, two workers, and a server that carries nothing out itself."""

    scheduler: DaskScheduler
    workers: list[HabeasWorker]
    http: httpx.Client
    ledger: PostgresLedger

    def busy_worker(self) -> HabeasWorker:
        """The worker that has claimed the only run."""
        address = self.ledger.ask("SELECT worker FROM run")
        return next(worker for worker in self.workers if f"as {address}\n" in worker.log_text())


@pytest.fixture
def cluster(data_dir: Path, tmp_path: Path, postgres_ledger: PostgresLedger, shop: Shop) -> Iterator[Cluster]:
    with ExitStack() as running:
        scheduler = running.enter_context(DaskScheduler(tmp_path / "scheduler"))
        environment = {**postgres_ledger.environment, "HABEAS__EXECUTION__SCHEDULER_ADDRESS": scheduler.address}
        server = running.enter_context(HabeasServer(data_dir, environment=environment))
        workers = [running.enter_context(HabeasWorker(scheduler, data_dir, environment)) for _ in range(2)]
        http = running.enter_context(server.client())
        shop.register(http)
        yield Cluster(scheduler, workers, http, postgres_ledger)


def test_a_cluster_carries_runs(cluster: Cluster, shop: Shop, undisturbed: Outcome) -> None:
    assert observe(cluster.http, submit(cluster.http, POLICY, *PEOPLE), shop) == undisturbed


def test_a_worker_killed_during_erasure_is_replaced(cluster: Cluster, shop: Shop, undisturbed: Outcome) -> None:
    with shop.locked("SELECT 1 FROM orders FOR UPDATE"):
        requests = submit(cluster.http, POLICY, *PEOPLE)
        shop.wait_until_blocked()
        cluster.busy_worker().kill()
    assert observe(cluster.http, requests, shop) == undisturbed


def test_a_frozen_worker_is_replaced(cluster: Cluster, shop: Shop, undisturbed: Outcome) -> None:
    with shop.locked("SELECT 1 FROM orders FOR UPDATE"):
        requests = submit(cluster.http, POLICY, *PEOPLE)
        shop.wait_until_blocked()
        frozen = cluster.busy_worker()
        frozen.pause()
    assert observe(cluster.http, requests, shop) == undisturbed
    frozen.resume()
    wait_for("the worker to see that it was replaced", lambda: TAKEN_OVER in frozen.log_text(), say=frozen.log_text)
    assert observe(cluster.http, requests, shop) == undisturbed


def test_a_scheduler_killed_during_reading_may_come_back(cluster: Cluster, shop: Shop, undisturbed: Outcome) -> None:
    with shop.locked("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
        requests = submit(cluster.http, POLICY, *PEOPLE)
        shop.wait_until_blocked()
        worker = cluster.busy_worker()
        cluster.scheduler.kill()
        wait_for("the worker to see it", lambda: "Stopping worker" in worker.log_text(), say=worker.log_text)
    cluster.scheduler.start()
    assert observe(cluster.http, requests, shop) == undisturbed
    assert cluster.ledger.ask("SELECT fence FROM run") > 1
