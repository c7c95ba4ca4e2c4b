"""A process killed around any commit or inside any package is made up for by the next one, on both ledgers.

Everything is embedded here (but one ledger), so that hundreds of deaths are quick; the lease is ended by hand.
"""

import json
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import AbstractContextManager, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from moments import AFTER_COMMIT, BEFORE_COMMIT, KINDS, PACKAGE_HALF, PACKAGE_KEPT, PACKAGE_WHOLE, die_at, run_and_die
from shop import COLLECTIONS, DATASET, PEOPLE, POLICY, build_embedded_shop
from tests.engine import Engine, opened

from habeas.execution import runner, visit
from habeas.store import tables
from servers.postgres import PostgresServer

QUICK = {"lease_seconds": 30, "batch_rows": 2}


class _Scene:
    """A folder that holds a ledger with three submitted requests, and the shop; `restore` turns time back.

    Two of the requests are of one person: they share every row.
    """

    def __init__(self, folder: Path, postgres: PostgresServer | None) -> None:
        self._now = folder / "now"
        self._then = folder / "then"
        self._note = folder / "died at"
        self._postgres = postgres
        self._url = postgres.create_database("crash_now") if postgres else f"sqlite:///{self._now}/habeas.db"
        self._now.mkdir()
        build_embedded_shop(self._now / "shop.db")
        with self._open() as engine:
            engine.connect("shop_db", "sqlite", {"path": str(self._now / "shop.db")})
            engine.describe("shop_db", DATASET)
            engine.policy(
                POLICY, access=["user"], erasure={"hmac": ["user.contact"], "null_rewrite": ["user.demographic"]}
            )
            self._requests = engine.submit(POLICY, *PEOPLE, PEOPLE[0])
        shutil.copytree(self._now, self._then)
        if postgres:
            postgres.create_database("crash_then", template="crash_now")

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        if self._postgres:
            self._postgres.create_database("crash_now", template="crash_then")

    def die(self, number: int, kinds: Collection[str] = KINDS) -> str:
        """Carry the requests in a process that is killed at its `number`-th moment; its kind, or nothing."""

        def carry() -> None:
            with self._open() as engine:
                _end_leases(engine)
                die_at(engine, number, kinds, self._note)
                engine.run()

        self._note.unlink(missing_ok=True)
        kind = self._note.read_text() if run_and_die(carry) else ""
        for package in self._packages():
            json.loads(package.read_text())  # what has its name is whole
        return kind

    def run(self) -> dict[str, Any]:
        """Carry what is left, once the lease of the dead is over, and what there is to see then."""
        with self._open() as engine:
            _end_leases(engine)
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
        seen["files"] = sorted(path.name for path in self._packages())
        return seen

    def _packages(self) -> list[Path]:
        return [path for path in self._now.glob("packages/*") if path.is_file()]

    def _open(self) -> AbstractContextManager[Engine]:
        return opened(self._now, self._url, **QUICK)


def _end_leases(engine: Engine) -> None:
    """Of the dead: nobody waits for them here."""
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=None))


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Scene:
    for bound in ("_ROWS_IN_MEMORY", "_CHUNKS_IN_MEMORY"):
        monkeypatch.setattr(visit, bound, 0)  # what an attempt has read is kept at once: some dies with it
    return _Scene(tmp_path, request.getfixturevalue("postgres_server") if request.param == "postgresql" else None)


only_sqlite = pytest.mark.parametrize("scene", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("scene", ["postgresql"], indirect=True)


def _die_everywhere(scene: _Scene, kinds: Collection[str]) -> None:
    undisturbed = scene.run()
    died: list[str] = []
    for number in count(1):
        scene.restore()
        kind = scene.die(number, kinds)
        if not kind:
            break
        died.append(kind)
        assert scene.run() == undisturbed, f"killed at moment {number}, {kind}"
    assert set(died) == set(kinds), "some kind of moment never came"
    assert died.count(AFTER_COMMIT) > 20, "hardly anything was killed: the commits are not counted"


@only_sqlite
def test_killed_at_each_moment(scene: _Scene) -> None:
    _die_everywhere(scene, KINDS)


@only_postgresql
def test_killed_after_each_commit(scene: _Scene) -> None:
    """What is killed before a commit finds what it finds after the one before; PostgreSQL takes more time."""
    _die_everywhere(scene, {AFTER_COMMIT, PACKAGE_WHOLE, PACKAGE_KEPT})


def test_the_next_one_is_killed_too(scene: _Scene) -> None:
    undisturbed = scene.run()
    for number in range(3, 40, 6):
        scene.restore()
        assert scene.die(number, KINDS - {PACKAGE_HALF})
        assert scene.die(1 + number % 5)
        assert scene.run() == undisturbed, f"killed at moment {number}, and then again"


@only_sqlite
def test_killed_again_and_again_it_ends_all_the_same_as_long_as_it_comes_on(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = scene.run()
    scene.restore()
    monkeypatch.setattr(runner, "MAX_CLAIMS", 1)
    monkeypatch.setattr(visit, "_ROWS_IN_MEMORY", 1000)
    deaths = 0
    while scene.die(before_commit := 7, {BEFORE_COMMIT}):
        deaths += 1
    assert deaths > 3, f"it hardly died: it makes fewer than {before_commit} commits at a time"
    assert scene.run() == undisturbed
