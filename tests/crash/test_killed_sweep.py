"""Housekeeping killed around any commit: nobody sees it, and the next round does the rest, on both ledgers."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from moments import AFTER_RECORD, BEFORE_RECORD, die_at, read_moment, run_and_die
from shop import PEOPLE, POLICY, EmbeddedShop
from tests.engine import Engine, opened

from habeas.domain.request import RequestStatus
from habeas.execution import housekeeping
from habeas.execution.housekeeping import JOBS, sweep
from habeas.store import grants, tables
from servers.postgres import PostgresServer

LONG_AGO = datetime.now(UTC) - timedelta(days=30)
KEPT = (tables.chunks, tables.runs, tables.members, tables.tasks, tables.tokens)


class Yard:
    """A ledger full of what nobody needs any more; `restore` brings it back."""

    def __init__(self, folder: Path, postgres: PostgresServer | None) -> None:
        self._now, self._then, self._note = folder / "now", folder / "then", folder / "died at"
        self._postgres = postgres
        self._url = postgres.create_database("sweep_now") if postgres else f"sqlite:///{self._now}/habeas.db"
        with opened(self._now, self._url) as engine:
            shop = EmbeddedShop(folder / "shop.db")
            shop.connect(engine)
            engine.policy(POLICY, access=["user"], erasure={"null_rewrite": ["user.contact"]})
            self._requests = [request for person in PEOPLE for request in engine.submit(POLICY, person)]
            engine.run()
            self._make_old(engine)
            self.answers = self._ask(engine)
        (self._now / "packages" / ".parts").mkdir(exist_ok=True)
        part = self._now / "packages" / ".parts" / f"{self._requests[0]}.json.dead"
        part.write_bytes(b"half")
        os.utime(part, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
        shutil.copytree(self._now, self._then)
        if postgres:
            postgres.create_database("sweep_then", template="sweep_now")

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        if self._postgres:
            self._postgres.create_database("sweep_now", template="sweep_then")

    def die(self, number: int) -> str | None:
        """Sweep in a process that is killed at its `number`-th moment; which that was."""

        def work() -> None:
            with opened(self._now, self._url) as engine:
                die_at(engine, number, {BEFORE_RECORD, AFTER_RECORD}, self._note)
                self._sweep(engine)

        return read_moment(self._note).kind if run_and_die(work) else None

    def finish(self) -> tuple[list[int], list[object], list[str]]:
        """Sweep to the end: what is kept then, what the API answers, which parts of packages lie about."""
        with opened(self._now, self._url) as engine:
            assert self._ask(engine) == self.answers, "the death can be seen"
            self._sweep(engine)
            with engine.context.ledger.read() as connection:
                left = [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in KEPT]
            return left, self._ask(engine), [part.name for part in (self._now / "packages" / ".parts").iterdir()]

    def _make_old(self, engine: Engine) -> None:
        with engine.context.ledger.write() as connection:
            connection.execute(tables.requests.update().values(updated_at=LONG_AGO, finished_at=LONG_AGO))
            connection.execute(tables.runs.update().values(updated_at=LONG_AGO))
            for name in ("one", "two"):
                grants.add_token(connection, name, name, "client", [], LONG_AGO, LONG_AGO)

    def _ask(self, engine: Engine) -> list[Any]:
        views = [engine.view(request) for request in self._requests]
        assert {view.status for view in views} == {RequestStatus.COMPLETE}
        return [(view, engine.log(view.id), engine.counts(view.id)) for view in views]

    def _sweep(self, engine: Engine) -> None:
        for job in JOBS:
            sweep(engine.context, job)


@pytest.mark.parametrize(("ledger", "step"), [("sqlite", 3), ("postgresql", 7)])
def test_a_sweep_killed_around_any_commit_is_made_up_for(
    ledger: str, step: int, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every third moment, on PostgreSQL at every seventh: each takes half a second to turn time back."""
    for portion in ("_PORTION", "_RUNS"):
        monkeypatch.setattr(housekeeping, portion, 2)
    yard = Yard(tmp_path, request.getfixturevalue("postgres_server") if ledger == "postgresql" else None)
    undisturbed = yard.finish()
    assert undisturbed == ([0] * len(KEPT), yard.answers, [])
    for number in count(1, step):
        yard.restore()
        moment = yard.die(number)
        assert yard.finish() == undisturbed, f"killed at moment {number}, {moment}"
        if moment is None:
            break
    assert number > 30
