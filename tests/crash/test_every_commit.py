"""A process killed around any commit or inside any package is made up for by the next one, on both ledgers.

One shop is embedded, so that hundreds of deaths are quick; the other lies in four stores. The lease is ended by hand.
"""

import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from moments import (
    AFTER_COMMIT,
    AFTER_RECORD,
    BEFORE_COMMIT,
    BEFORE_RECORD,
    KINDS,
    PACKAGE_HALF,
    PACKAGE_KEPT,
    PACKAGE_WHOLE,
    Moment,
    die_at,
    read_moment,
    run_and_die,
)
from shop import PEOPLE, POLICY, EmbeddedShop
from tests.engine import Engine, opened
from wide_shop import WideShop

from habeas.execution import runner, visit
from habeas.store import tables
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

QUICK = {"lease_seconds": 30, "batch_rows": 2, "visits": 1}
"""One visit after the other, so that moments come in the same order every time."""

MASKS = {"hmac": ["user.contact"], "null_rewrite": ["user.demographic"]}


class _Shop(Protocol):
    storage: str
    details: Mapping[str, Any]

    def reset(self) -> None: ...
    def connect(self, engine: Engine) -> None: ...
    def rows(self) -> Mapping[str, Any]: ...
    def writes(self) -> list[tuple[str, int]]: ...
    def open(self, package: bytes) -> Any: ...


class _Scene:
    """A folder that holds a ledger with three submitted requests, and a shop; `restore` turns time back.

    Two of the requests are of one person: they share every row.
    """

    def __init__(self, folder: Path, shop: _Shop, postgres: PostgresServer | None = None) -> None:
        self._now = folder / "now"
        self._then = folder / "then"
        self._note = folder / "died at"
        self._shop = shop
        self._postgres = postgres
        self._url = postgres.create_database("crash_now") if postgres else f"sqlite:///{self._now}/habeas.db"
        self._now.mkdir()
        with self._open() as engine:
            shop.connect(engine)
            engine.policy(POLICY, access=["user"], erasure=MASKS, storage=shop.storage)
            self._requests = engine.submit(POLICY, *PEOPLE, PEOPLE[0], **shop.details)
        shutil.copytree(self._now, self._then)
        if postgres:
            postgres.create_database("crash_then", template="crash_now")

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        self._shop.reset()
        if self._postgres:
            self._postgres.create_database("crash_now", template="crash_then")

    def die(self, number: int, kinds: Collection[str] = KINDS) -> Moment | None:
        """Carry the requests in a process that is killed at its `number`-th moment of these kinds, if it comes so far.

        What has a package's name is whole then.
        """

        def carry() -> None:
            with self._open() as engine:
                _end_leases(engine)
                die_at(engine, number, kinds, self._note)
                engine.run()

        died = run_and_die(carry)
        for package in self._packages():
            self._shop.open(package.read_bytes())
        return read_moment(self._note) if died else None

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
                    self._shop.open(engine.package_bytes(request, f"{POLICY}-give")),
                )
                for request in self._requests
            }
        files = sorted(path.name for path in self._packages())
        return {**seen, "rows": self._shop.rows(), "writes": self._shop.writes(), "files": files}

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
    postgres = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    return _Scene(tmp_path, EmbeddedShop(tmp_path / "shop.db"), postgres)


@pytest.fixture
def wide_scene(tmp_path: Path, postgres_server: PostgresServer, mariadb_server: MariaDbServer) -> _Scene:
    return _Scene(tmp_path, WideShop(tmp_path, postgres_server, mariadb_server))


only_sqlite = pytest.mark.parametrize("scene", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("scene", ["postgresql"], indirect=True)


def _die_everywhere(scene: _Scene, kinds: Collection[str]) -> Counter[Moment]:
    """The moments it died at; every time the next process made up for it."""
    undisturbed = scene.run()
    died: list[Moment] = []
    for number in count(1):
        import time

        t0 = time.time()
        scene.restore()
        t1 = time.time()
        moment = scene.die(number, kinds)
        t2 = time.time()
        print(number, moment, f"{t1 - t0:.2f} {t2 - t1:.2f}", flush=True)
        assert scene.run() == undisturbed, f"killed at moment {number}, {moment}"
        if moment is None:
            break
        died.append(moment)
    assert {moment.kind for moment in died} == set(kinds), "some kind of moment never came"
    commits = [moment for moment in died if moment.kind in (AFTER_COMMIT, AFTER_RECORD)]
    assert len(commits) > 20, "hardly anything was killed: the commits are not counted"
    return Counter(died)


@only_sqlite
def test_killed_at_each_moment(scene: _Scene) -> None:
    _die_everywhere(scene, KINDS)


@only_postgresql
def test_killed_after_each_commit(scene: _Scene) -> None:
    """What is killed before a commit finds what it finds after the one before; PostgreSQL takes more time."""
    _die_everywhere(scene, {AFTER_COMMIT, AFTER_RECORD, PACKAGE_WHOLE, PACKAGE_KEPT})


def test_killed_at_each_moment_among_four_stores(wide_scene: _Scene) -> None:
    """Documents, rows without key, deleted rows and encrypted packages of several members."""
    died = _die_everywhere(wide_scene, KINDS - {BEFORE_RECORD})
    stores = {moment.place for moment in died if moment.kind == AFTER_COMMIT}
    assert stores == {"postgresql", "mysql", "duckdb", "sqlite"}


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
    while scene.die(before_commit := 7, {BEFORE_COMMIT, BEFORE_RECORD}):
        deaths += 1
    assert deaths > 3, f"it hardly died: it makes fewer than {before_commit} commits at a time"
    assert scene.run() == undisturbed
