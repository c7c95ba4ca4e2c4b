"""A commit in a target that comes after the run was taken over changes nothing that the successor does not."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledgers import LEASE
from outcome import TAKEN_OVER
from shop import COLLECTIONS, DATASET, PEOPLE, POLICY, Shop, build_embedded_shop
from tests.engine import Engine, opened

from habeas.domain.ports import Effect, Erasure
from habeas.domain.request import RequestStatus
from habeas.store import tables
from servers.postgres import PostgresServer
from servers.process import wait_for

Look = Callable[[], dict[str, list[tuple[Any, ...]]]]
RETRYING = ("orders", "erasure", "retrying")


class _Held:
    """Holds a connector up between its guard and its commit in one collection."""

    def __init__(self, engine: Engine, collection: str) -> None:
        self.stands, self.may_go_on = threading.Event(), threading.Event()
        self._collection = collection
        connector = engine.context.connectors.get("shop_db")
        self._erase = connector.erase
        connector.erase = self.erase  # type: ignore[method-assign]

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        def guard_and_wait() -> None:
            guard()
            if erasure.table.name == self._collection:
                self.stands.set()
                assert self.may_go_on.wait(2 * LEASE)

        return self._erase(erasure, guard_and_wait)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, tuple[str, dict[str, str]], Look]:
    """The URL of a ledger, and a shop of its kind: how to connect to it, and what is in it."""
    if request.param == "sqlite":
        file = tmp_path / "shop.db"
        build_embedded_shop(file)
        return f"sqlite:///{tmp_path}/habeas.db", ("sqlite", {"path": str(file)}), lambda: _look(file)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    shop: Shop = request.getfixturevalue("shop")
    secrets = server.secrets("crash_shop")
    return server.create_database("crash_late"), ("postgres", secrets), lambda: {**shop.rows(), "writes": shop.writes()}


def test_a_late_commit_is_the_successors_own(
    place: tuple[str, tuple[str, dict[str, str]], Look], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, (kind, secrets), look = place
    before = look()
    with opened(tmp_path, ledger) as late, opened(tmp_path, ledger) as successor:
        late.connect("shop_db", kind, secrets)
        late.describe("shop_db", DATASET)
        late.policy(POLICY, erasure={"null_rewrite": ["user.contact"]})
        requests = late.submit(POLICY, *PEOPLE)
        held = _Held(late, "orders")
        with _running(late), caplog.at_level("INFO", "habeas.execution"):
            assert held.stands.wait(2 * LEASE)
            with late.context.ledger.write() as connection:
                connection.execute(tables.runs.update().values(lease_until=0.0))
            with _running(successor):
                wait_for("the successor to meet the lock", lambda: RETRYING in successor.log(requests[0]))
                held.may_go_on.set()
        assert TAKEN_OVER in caplog.text
        assert [successor.view(request).status for request in requests] == [RequestStatus.COMPLETE] * 2
        _check_counts(successor, requests, before, look())
        with late.context.ledger.read() as connection:
            assert connection.scalar(sa.select(tables.runs.c.fence)) == 2


def _check_counts(engine: Engine, requests: list[str], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Each row of theirs is masked, was written once, and is counted once; no other row was touched."""
    changed = {
        name: sum(engine.counts(request)[f"shop:{name}"]["changed"] for request in requests) for name in COLLECTIONS
    }
    written = [place for place, _ in after["writes"]]
    assert len(set(after["writes"])) == len(written)
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


def _look(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for name in (*COLLECTIONS, "writes")
        }
