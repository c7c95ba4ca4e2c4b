"""A commit in a target that comes after the run was taken over changes nothing that the successor does not."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledgers import LEASE
from outcome import TAKEN_OVER, AnyShop, Outcome
from shop import COLLECTIONS, DATASET, PEOPLE, POLICY, EmbeddedShop, Shop
from tests.engine import Engine, opened
from wide_shop import FORGOTTEN, WideShop

from habeas.domain.ports import Effect, Erasure
from habeas.domain.request import RequestStatus
from habeas.store import tables
from servers.postgres import PostgresServer
from servers.process import wait_for

RETRYING = ("orders", "erasure", "retrying")
FORGET = {"null_rewrite": FORGOTTEN}

COUNTS = ("found", "changed", "drifted", "already", "absent", "refused", "shared")


class _Held:
    """Holds a connector up between its guard and its commit in one collection."""

    def __init__(self, engine: Engine, connection: str, collection: str) -> None:
        self.stands, self.may_go_on = threading.Event(), threading.Event()
        self._collection = collection
        connector = engine.context.connectors.get(connection)
        self._erase = connector.erase
        connector.erase = self.erase  # type: ignore[method-assign]

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        def guard_and_wait() -> None:
            guard()
            if erasure.table.name == self._collection:
                self.stands.set()
                assert self.may_go_on.wait(2 * LEASE)

        return self._erase(erasure, guard_and_wait)


Place = tuple[str, tuple[str, dict[str, str]], Shop | EmbeddedShop]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The URL of a ledger, and a shop of its kind with the way to connect to it."""
    if request.param == "sqlite":
        file = tmp_path / "shop.db"
        return f"sqlite:///{tmp_path}/habeas.db", ("sqlite", {"path": str(file)}), EmbeddedShop(file)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    shop: Shop = request.getfixturevalue("shop")
    return server.create_database("crash_late"), ("postgres", server.secrets("crash_shop")), shop


def test_a_late_commit_is_the_successors_own(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger, (kind, secrets), shop = place
    before = shop.rows()
    with opened(tmp_path, ledger) as late, opened(tmp_path, ledger) as successor:
        late.connect("shop_db", kind, secrets)
        late.describe("shop_db", DATASET)
        late.policy(POLICY, erasure=FORGET)
        requests = late.submit(POLICY, *PEOPLE)
        _carry_late(late, successor, requests, _Held(late, "shop_db", "orders"), caplog)
        _check_counts(successor, requests, before, shop)


def test_a_late_commit_in_mariadb_is_the_successors_own(
    wide_undisturbed: Outcome, wide_shop: WideShop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = f"sqlite:///{tmp_path}/habeas.db"
    with opened(tmp_path, ledger) as late, opened(tmp_path, ledger) as successor:
        wide_shop.connect(late)
        late.policy(POLICY, erasure=FORGET)
        requests = late.submit(POLICY, *PEOPLE)
        _carry_late(late, successor, requests, _Held(late, "till_db", "orders"), caplog)
        assert (wide_shop.rows(), wide_shop.writes()) == (wide_undisturbed.rows, wide_undisturbed.writes)
        for request, report in zip(requests, wide_undisturbed.reports, strict=True):
            counts = successor.counts(request)
            for expected in report["collections"]:
                found = counts[expected["address"]]
                assert [found[name] for name in COUNTS] == [expected[name] for name in COUNTS], found


def _carry_late(
    late: Engine, successor: Engine, requests: Sequence[str], held: _Held, caplog: pytest.LogCaptureFixture
) -> None:
    """Carry a run whose first worker commits when the second already waits for its lock."""
    with _running(late), caplog.at_level("INFO", "habeas.execution"):
        assert held.stands.wait(2 * LEASE)
        with late.context.ledger.write() as connection:
            connection.execute(tables.runs.update().values(lease_until=0.0))
        with _running(successor):
            wait_for("the successor to meet the lock", lambda: RETRYING in successor.log(requests[0]))
            held.may_go_on.set()
    assert TAKEN_OVER in caplog.text
    assert [successor.view(request).status for request in requests] == [RequestStatus.COMPLETE] * 2
    with late.context.ledger.read() as connection:
        assert connection.scalar(sa.select(tables.runs.c.fence)) == 2


def _check_counts(engine: Engine, requests: Sequence[str], before: Mapping[str, Any], shop: AnyShop) -> None:
    """Each row of theirs is masked, was written once, and is counted once; no other row was touched."""
    changed = {
        name: sum(engine.counts(request)[f"shop:{name}"]["changed"] for request in requests) for name in COLLECTIONS
    }
    after, writes = shop.rows(), shop.writes()
    written = [place for place, _ in writes]
    assert len(set(writes)) == len(written)
    for name in COLLECTIONS:
        differing = [row for row in after[name] if row not in before[name]]
        assert all(None in row for row in differing)
        assert changed[name] == written.count(name) == len(differing) > 0


@contextmanager
def _running(engine: Engine) -> Iterator[None]:
    """Carries what is due in a thread while the block lasts, and to its end."""
    thread = threading.Thread(target=engine.run)
    thread.start()
    yield
    thread.join()
