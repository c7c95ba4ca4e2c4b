"""A process killed around any commit or inside any package is made up for by the next one, on both ledgers.

One shop is embedded, so that hundreds of deaths are quick; the other lies in four stores. The lease is ended by hand.
"""

from collections import Counter
from collections.abc import Collection
from itertools import count
from pathlib import Path

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
)
from scene import Scene
from shop import EmbeddedShop
from wide_shop import WideShop

from habeas.execution import runner, visit
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for bound in ("_ROWS_IN_MEMORY", "_CHUNKS_IN_MEMORY"):
        monkeypatch.setattr(visit, bound, 0)  # what an attempt has read is kept at once: some dies with it
    postgres = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    return Scene(tmp_path, EmbeddedShop(tmp_path / "shop.db"), postgres)


@pytest.fixture
def wide_scene(tmp_path: Path, postgres_server: PostgresServer, mariadb_server: MariaDbServer) -> Scene:
    return Scene(tmp_path, WideShop(tmp_path, postgres_server, mariadb_server))


only_sqlite = pytest.mark.parametrize("scene", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("scene", ["postgresql"], indirect=True)


def _die_everywhere(scene: Scene, kinds: Collection[str]) -> Counter[Moment]:
    """The moments it died at; every time the next process made up for it."""
    undisturbed = scene.run()
    died: list[Moment] = []
    for number in count(1):
        scene.restore()
        moment = scene.die(number, kinds)
        assert scene.run() == undisturbed, f"killed at moment {number}, {moment}"
        if moment is None:
            break
        died.append(moment)
    assert {moment.kind for moment in died} == set(kinds), "some kind of moment never came"
    commits = [moment for moment in died if moment.kind in (AFTER_COMMIT, AFTER_RECORD)]
    assert len(commits) > 20, "hardly anything was killed: the commits are not counted"
    return Counter(died)


@only_sqlite
def test_killed_at_each_moment(scene: Scene) -> None:
    _die_everywhere(scene, KINDS)


@only_postgresql
def test_killed_after_each_commit(scene: Scene) -> None:
    """What is killed before a commit finds what it finds after the one before; PostgreSQL takes more time."""
    _die_everywhere(scene, {AFTER_COMMIT, AFTER_RECORD, PACKAGE_WHOLE, PACKAGE_KEPT})


@pytest.mark.timeout(600)
def test_killed_at_each_moment_among_four_stores(wide_scene: Scene) -> None:
    """Documents, rows without key, deleted rows and encrypted packages of several members."""
    died = _die_everywhere(wide_scene, KINDS - {BEFORE_RECORD, PACKAGE_WHOLE})
    stores = {moment.place for moment in died if moment.kind == AFTER_COMMIT}
    assert stores == {"postgresql", "mysql", "duckdb", "sqlite"}


def test_the_next_one_is_killed_too(scene: Scene) -> None:
    undisturbed = scene.run()
    for number in range(3, 40, 6):
        scene.restore()
        assert scene.die(number, KINDS - {PACKAGE_HALF})
        assert scene.die(1 + number % 5)
        assert scene.run() == undisturbed, f"killed at moment {number}, and then again"


@only_sqlite
def test_killed_again_and_again_it_ends_all_the_same_as_long_as_it_comes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
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
