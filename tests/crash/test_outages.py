"""A database crashes in the middle of a run and comes back: the ledger's, or the one with people in it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from ledgers import LEASE, PostgresLedger, SqliteLedger
from outcome import Outcome, observe
from shop import PEOPLE, POLICY, Shop
from wide_shop import WideShop

from servers.habeas import HabeasServer, read_log, submit
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer
from servers.process import wait_for

READING, ERASING = "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", "SELECT 1 FROM orders WHERE id = 6 FOR UPDATE"
in_the_middle = pytest.mark.parametrize("lock", [READING, ERASING], ids=["reading", "erasing"])


@pytest.fixture(scope="module")
def frail() -> Iterator[PostgresServer]:
    """A PostgreSQL that tests may crash; what it has committed is on the disk."""
    server = PostgresServer(durable=True)
    yield server
    server.remove()


@in_the_middle
def test_the_ledger_crashes_and_comes_back(
    data_dir: Path, frail: PostgresServer, shop: Shop, undisturbed: Outcome, lock: str
) -> None:
    ledger = PostgresLedger(frail.create_database("ledger"))
    small_batches = {**ledger.environment, "HABEAS__EXECUTION__BATCH_ROWS": "1"}
    with HabeasServer(data_dir, environment=small_batches) as server, server.client() as http:
        shop.register(http)
        with shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            frail.kill()
        wait_for("the run to be left", lambda: "left for later: the ledger failed" in server.log_text(), 2 * LEASE)
        assert http.get("/health").status_code == 503
        answer = http.get(f"/api/v1/privacy-request/{requests[0]}")
        assert (answer.status_code, "ledger's database does not answer" in answer.text) == (503, True)
        frail.start()
        assert observe(http, requests, shop) == undisturbed
        assert ledger.ask("SELECT fence FROM run") > 1


def test_the_ledger_ends_a_session_in_the_middle_of_a_write(
    data_dir: Path, postgres_ledger: PostgresLedger, shop: Shop, undisturbed: Outcome
) -> None:
    """That says nothing of the work: the requests must not end in error, though the ledger could write it down."""
    end_waiting = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    with HabeasServer(data_dir, environment=postgres_ledger.environment) as server, server.client() as http:
        shop.register(http)
        with shop.locked(ERASING) as rows:
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            with postgres_ledger.held_up():
                rows.rollback()
                postgres_ledger.wait_until_blocked()
                assert postgres_ledger.ask(end_waiting) > 0
                wait_for("the run to be left", lambda: "left for later: the ledger failed" in server.log_text())
        assert observe(http, requests, shop) == undisturbed


@in_the_middle
def test_the_shop_crashes_and_comes_back(
    data_dir: Path, frail: PostgresServer, undisturbed: Outcome, lock: str
) -> None:
    """It is tried again; each try is in the log, and all else is as if nothing had been."""
    small_batches = {**SqliteLedger(data_dir).environment, "HABEAS__EXECUTION__BATCH_ROWS": "1"}
    shop = Shop(frail, "shop")
    with HabeasServer(data_dir, environment=small_batches) as server, server.client() as http:
        shop.register(http)
        with pytest.raises(psycopg.OperationalError), shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            frail.kill()
        wait_for("it to be tried again", lambda: _retries(http, requests[0]))
        frail.start()
        seen = observe(http, requests, shop)
    logs = [[entry for entry in log if entry[2] != "retrying"] for log in seen.logs]
    assert replace(seen, logs=logs) == undisturbed


def test_mariadb_goes_down_and_comes_back(
    data_dir: Path, mariadb_server: MariaDbServer, wide_undisturbed: Outcome, wide_shop: WideShop
) -> None:
    """Some of its rows are masked by then, and those of other stores."""
    small_batches = {**SqliteLedger(data_dir).environment, "HABEAS__EXECUTION__BATCH_ROWS": "1"}
    with HabeasServer(data_dir, environment=small_batches) as server, server.client() as http:
        wide_shop.register(http)
        with wide_shop.locked("SELECT 1 FROM orders WHERE id = 5 FOR UPDATE"):
            requests = submit(http, POLICY, *PEOPLE, **wide_shop.details)
            wide_shop.wait_until_blocked()
            masked = {place for place, _ in wide_shop.writes()}
            assert masked == {"letters", "scans", "orders"}, "it does not stand in the middle of the orders"
            mariadb_server.stop()
        wait_for("it to be tried again", lambda: any(_retries(http, request) for request in requests))
        mariadb_server.start()
        seen = observe(http, requests, wide_shop)
    logs = [[entry for entry in log if entry[2] != "retrying"] for log in seen.logs]
    assert replace(seen, logs=logs) == wide_undisturbed


def _retries(http: httpx.Client, request: str) -> list[tuple[str, str, str]]:
    return [entry for entry in read_log(http, request) if entry[2] == "retrying"]
