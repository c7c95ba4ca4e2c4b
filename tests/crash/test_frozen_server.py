"""A server that freezes past its lease is replaced; when it wakes it changes nothing, in the ledger or the shop."""

import time
from pathlib import Path

import pytest
from ledgers import LEASE, Ledger, PostgresLedger
from outcome import TAKEN_OVER, Outcome, observe
from shop import PEOPLE, POLICY, Shop, while_reading_and_erasing
from wide_shop import ERASING, READING, WideShop

from servers.habeas import HabeasServer, submit
from servers.process import wait_for


@while_reading_and_erasing
def test_frozen_while_its_statement_runs(
    data_dir: Path, ledger: Ledger, shop: Shop, undisturbed: Outcome, lock: str
) -> None:
    with HabeasServer(data_dir, environment=ledger.environment) as first, first.client() as http:
        shop.register(http)
        with shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            _freeze(first, ledger)
        frozen = time.monotonic()
        with HabeasServer(data_dir, environment=ledger.environment) as second, second.client() as other:
            seen = observe(other, requests, shop, deadline=2 * LEASE)
            assert time.monotonic() - frozen < 2 * LEASE
            assert seen == undisturbed
            first.resume()
            wait_for(
                "the first to see that it was replaced", lambda: TAKEN_OVER in first.log_text(), say=first.log_text
            )
            assert observe(other, requests, shop) == undisturbed
        assert observe(http, requests, shop) == undisturbed


def test_frozen_inside_a_ledger_transaction(
    data_dir: Path, postgres_ledger: PostgresLedger, shop: Shop, undisturbed: Outcome
) -> None:
    """The frozen transaction holds the run's row: the ledger must end it, or nobody could take the run over."""
    environment = postgres_ledger.environment
    with HabeasServer(data_dir, environment=environment) as first, first.client() as http:
        shop.register(http)
        with shop.locked("SELECT 1 FROM orders FOR UPDATE") as rows:
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            with postgres_ledger.held_up():
                rows.rollback()
                postgres_ledger.wait_until_blocked()
                first.pause()
        with HabeasServer(data_dir, environment=environment) as second, second.client() as other:
            assert observe(other, requests, shop) == undisturbed
            first.resume()
            wait_for("the first to give up", lambda: "the ledger failed" in first.log_text(), say=first.log_text)
            assert observe(http, requests, shop) == undisturbed


@pytest.mark.parametrize("lock", [READING, ERASING], ids=["reading", "erasing"])
def test_frozen_while_its_statement_runs_in_mariadb(
    data_dir: Path, postgres_ledger: PostgresLedger, wide_undisturbed: Outcome, wide_shop: WideShop, lock: str
) -> None:
    """What it sent gets its lock while it is frozen: MariaDB ends that session before the lease does."""
    environment = postgres_ledger.environment
    with HabeasServer(data_dir, environment=environment) as first, first.client() as http:
        wide_shop.register(http)
        with wide_shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE, **wide_shop.details)
            wide_shop.wait_until_blocked()
            first.pause()
        with HabeasServer(data_dir, environment=environment) as second, second.client() as other:
            assert observe(other, requests, wide_shop) == wide_undisturbed
            first.resume()
            wait_for(
                "the first to see that it was replaced", lambda: TAKEN_OVER in first.log_text(), say=first.log_text
            )
            assert observe(http, requests, wide_shop) == wide_undisturbed


def test_frozen_between_the_commit_in_mariadb_and_the_ledger(
    data_dir: Path, postgres_ledger: PostgresLedger, wide_undisturbed: Outcome, wide_shop: WideShop
) -> None:
    environment = postgres_ledger.environment
    with HabeasServer(data_dir, environment=environment) as first, first.client() as http:
        wide_shop.register(http)
        with wide_shop.locked(ERASING) as rows:
            requests = submit(http, POLICY, *PEOPLE, **wide_shop.details)
            wide_shop.wait_until_blocked()
            with postgres_ledger.held_up():
                rows.rollback()
                postgres_ledger.wait_until_blocked()
                first.pause()
        with HabeasServer(data_dir, environment=environment) as second, second.client() as other:
            assert observe(other, requests, wide_shop) == wide_undisturbed
            first.resume()
            wait_for("the first to give up", lambda: "the ledger failed" in first.log_text(), say=first.log_text)
            assert observe(http, requests, wide_shop) == wide_undisturbed


def _freeze(server: HabeasServer, ledger: Ledger) -> None:
    """Pause it outside of ledger transactions: a frozen writer holds all of SQLite up, and no ledger mends that."""

    def pause() -> bool:
        server.pause()
        if not ledger.is_idle():
            server.resume()
            return False
        return True

    wait_for("the server to be frozen outside of a ledger transaction", pause)
