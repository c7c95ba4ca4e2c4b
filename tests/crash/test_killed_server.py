"""A server that is killed loses nothing and repeats nothing: the next one ends the requests as if undisturbed."""

import time
from dataclasses import replace
from pathlib import Path

from ledgers import Ledger, SqliteLedger
from outcome import Outcome, observe
from shop import PEOPLE, POLICY, Shop
from wide_shop import ERASING, READING, WideShop

from servers.habeas import HabeasServer, submit
from servers.process import wait_for


def test_killed_while_reading(data_dir: Path, ledger: Ledger, shop: Shop, undisturbed: Outcome) -> None:
    with HabeasServer(data_dir, environment=ledger.environment) as server:
        with server.client() as http, shop.locked("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
            shop.register(http)
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            server.kill()
        shop.execute("UPDATE customers SET city = 'moved after the visit'")
        server.start()
        with server.client() as http:
            seen = observe(http, requests, shop)
    assert {row[2] for row in seen.rows["customers"]} == {"moved after the visit"}
    assert replace(seen, rows=undisturbed.rows) == undisturbed
    assert [row[:2] for row in seen.rows["customers"]] == [row[:2] for row in undisturbed.rows["customers"]]


def test_killed_twice_between_and_inside_target_transactions(
    data_dir: Path, ledger: Ledger, shop: Shop, undisturbed: Outcome
) -> None:
    small_batches = {**ledger.environment, "HABEAS__EXECUTION__BATCH_ROWS": "1"}
    with HabeasServer(data_dir, environment=small_batches) as server:
        with server.client() as http, shop.locked("SELECT 1 FROM orders WHERE id = 6 FOR UPDATE"):
            shop.register(http)
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            server.kill()
            server.start()
            shop.wait_until_blocked()
            server.kill()
            done = [place for place, _ in shop.writes()]
            assert done.count("payments") == 16, "the collection before is not done"
            assert 0 < done.count("orders") < 8, "the kill did not fall between two batches of one collection"
        server.start()
        with server.client() as http:
            assert observe(http, requests, shop) == undisturbed


def test_killed_between_the_commit_in_the_target_and_the_ledger(
    data_dir: Path, ledger: Ledger, shop: Shop, undisturbed: Outcome
) -> None:
    with HabeasServer(data_dir, environment=ledger.environment) as server:
        with server.client() as http, shop.locked("SELECT 1 FROM orders FOR UPDATE") as rows:
            shop.register(http)
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            with ledger.held_up():
                rows.rollback()
                wait_for("the change to be committed in the shop", lambda: ("orders", 6) in shop.writes())
                server.kill()
        server.start()
        with server.client() as http:
            assert observe(http, requests, shop) == undisturbed


def test_killed_three_times_at_mariadb_among_four_stores(
    data_dir: Path, wide_undisturbed: Outcome, wide_shop: WideShop
) -> None:
    """In the middle of reading, in the middle of erasing, and between the commit there and the ledger's."""
    ledger = SqliteLedger(data_dir)
    with HabeasServer(data_dir, environment=ledger.environment) as server:
        with server.client() as http, wide_shop.locked(READING):
            wide_shop.register(http)
            requests = submit(http, POLICY, *PEOPLE, **wide_shop.details)
            wide_shop.wait_until_blocked()
            server.kill()
        with wide_shop.locked(ERASING):
            server.start()
            wide_shop.wait_until_blocked()
            server.kill()
        with wide_shop.locked(ERASING) as rows:
            server.start()
            wide_shop.wait_until_blocked()
            with ledger.held_up():
                rows.rollback()
                wait_for("the changes to be committed in MariaDB", lambda: ("orders", 1) in wide_shop.writes())
                server.kill()
        server.start()
        with server.client() as http:
            assert observe(http, requests, wide_shop) == wide_undisturbed


def test_stopped_in_order_gives_its_run_to_the_next_at_once(
    data_dir: Path, ledger: Ledger, shop: Shop, undisturbed: Outcome
) -> None:
    lease = 15
    long_lease = {**ledger.environment, "HABEAS__EXECUTION__LEASE_SECONDS": str(lease)}
    with HabeasServer(data_dir, environment=long_lease) as server:
        with server.client() as http, shop.locked("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
            shop.register(http)
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            server.stop()  # what waits in the shop gives up by its lock time-out, a third of the lease
        stopped = time.monotonic()
        server.start()
        with server.client() as http:
            seen = observe(http, requests, shop)
    assert time.monotonic() - stopped < lease * 2 / 3, "it waited for the lease that the first server held"
    assert seen == undisturbed
