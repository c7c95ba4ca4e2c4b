"""The machine's clock is moved back by an hour: leases and due times that lie ahead now hold nothing up.

The ledger is embedded: there leases are counted by the clock of the server that is moved here (test_fence has both).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import LEASE, PACE
from outcome import Outcome, observe
from shop import PEOPLE, POLICY, Shop, while_reading_and_erasing

from servers.clock import HOUR, MovableClock
from servers.habeas import HabeasServer, submit


@pytest.fixture
def clock(tmp_path: Path) -> MovableClock:
    """An hour ahead, so that it can be moved back to the present."""
    clock = MovableClock(tmp_path)
    clock.set(HOUR)
    return clock


@pytest.fixture
def server(data_dir: Path, clock: MovableClock) -> Iterator[HabeasServer]:
    with HabeasServer(data_dir, environment={**PACE, **clock.environment}) as server:
        yield server


@while_reading_and_erasing
def test_moved_back_while_a_run_is_carried(
    server: HabeasServer, clock: MovableClock, shop: Shop, undisturbed: Outcome, lock: str
) -> None:
    with server.client() as http:
        shop.register(http)
        with shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            clock.set(0)
        assert observe(http, requests, shop, 2 * LEASE) == undisturbed
        again = submit(http, POLICY, {"email": "nobody@example.com"})
        assert observe(http, again, shop, LEASE).statuses == ["complete"]


def test_moved_back_after_a_crash(server: HabeasServer, clock: MovableClock, shop: Shop, undisturbed: Outcome) -> None:
    """The lease of the dead lies an hour ahead: nobody waits for it."""
    with server.client() as http, shop.locked("SELECT 1 FROM orders FOR UPDATE"):
        shop.register(http)
        requests = submit(http, POLICY, *PEOPLE)
        shop.wait_until_blocked()
        server.kill()
    clock.set(0)
    server.start()
    with server.client() as http:
        assert observe(http, requests, shop, 2 * LEASE) == undisturbed
