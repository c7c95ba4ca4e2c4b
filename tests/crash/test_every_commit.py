"""A process killed right before any commit, in the ledger or in the shop, is made up for by the next one.

Everything is embedded here (SQLite), so that hundreds of deaths are quick; the lease is ended by hand.
"""

import os
import shutil
import signal
import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from shop import COLLECTIONS, DATASET, PEOPLE, POLICY, build_embedded_shop
from tests.engine import Engine, opened

from habeas.execution import runner


class _Scene:
    """A folder that holds a ledger with two submitted requests, and the shop; `restore` turns time back."""

    def __init__(self, folder: Path) -> None:
        self._now = folder / "now"
        self._then = folder / "then"
        self._now.mkdir()
        build_embedded_shop(self._now / "shop.db")
        with self._open() as engine:
            engine.connect("shop_db", "sqlite", {"path": str(self._now / "shop.db")})
            engine.describe("shop_db", DATASET)
            engine.policy(POLICY, access=["user"], erasure={"null_rewrite": ["user.contact"]})
            self._requests = engine.submit(POLICY, *PEOPLE)
        shutil.copytree(self._now, self._then)

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)

    def run_and_die(self, number: int) -> bool:
        """Carry the requests in a process that is killed before its `number`-th commit; False when it had fewer."""
        child = os.fork()
        if child == 0:
            try:
                with self._open() as engine:
                    _kill_before(engine, number)
                    engine.run()
            finally:
                os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    def end_leases(self) -> None:
        with closing(sqlite3.connect(self._now / "habeas.db")) as ledger, ledger:
            ledger.execute("UPDATE run SET lease_until = 0 WHERE lease_until IS NOT NULL")

    def run(self) -> dict[str, Any]:
        """Carry what is left, and what there is to see then."""
        with self._open() as engine:
            engine.run()
            seen: dict[str, Any] = {
                request: (
                    engine.view(request).status,
                    engine.log(request),
                    engine.counts(request),
                    engine.package(request, f"{POLICY}-give"),
                )
                for request in self._requests
            }
        with closing(sqlite3.connect(self._now / "shop.db")) as shop:
            for table in (*COLLECTIONS, "writes"):
                seen[table] = shop.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        return seen

    def _open(self) -> AbstractContextManager[Engine]:
        return opened(self._now, f"sqlite:///{self._now}/habeas.db", batch_rows=2)


def _kill_before(engine: Engine, number: int) -> None:
    """Kill this process before its `number`-th commit that may change something."""
    ledger = engine.context.ledger.engine
    left = iter(range(number - 1, -1, -1))

    def count(connection: sa.Connection) -> None:
        reads = connection.engine is ledger and not connection.get_execution_options().get("habeas_write")
        if not reads and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "commit", count)


def test_killed_before_each_commit(tmp_path: Path) -> None:
    scene = _Scene(tmp_path)
    undisturbed = scene.run()
    number = 1
    scene.restore()
    while scene.run_and_die(number):
        scene.end_leases()
        assert scene.run() == undisturbed, f"killed before commit {number}"
        number += 1
        scene.restore()
    assert number > 12, "hardly anything was killed: the commits are not counted"


def test_killed_again_and_again_it_ends_all_the_same_as_long_as_it_comes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = _Scene(tmp_path)
    undisturbed = scene.run()
    scene.restore()
    monkeypatch.setattr(runner, "MAX_CLAIMS", 1)
    deaths = 0
    while scene.run_and_die(before_commit := 7):
        scene.end_leases()
        deaths += 1
    assert deaths > 3, f"it hardly died: it makes fewer than {before_commit} commits at a time"
    assert scene.run() == undisturbed
