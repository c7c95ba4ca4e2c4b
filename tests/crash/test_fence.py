"""A fence that another has passed opens nothing in the ledger any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import PEOPLE, POLICY, EmbeddedShop
from tests.engine import opened

from habeas.domain.errors import LeaseLost
from habeas.execution.dispatcher import form_runs
from habeas.store import runs, tables
from habeas.store.ledger import Ledger
from servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Ledger]:
    """A ledger with one formed run."""
    url = f"sqlite:///{tmp_path}/habeas.db"
    if request.param == "postgresql":
        url = postgres_server.create_database("crash_fence")
    with opened(tmp_path, url) as engine:
        EmbeddedShop(tmp_path / "shop.db").connect(engine)
        engine.policy(POLICY, access=["user"])
        engine.submit(POLICY, *PEOPLE)
        form_runs(engine.context)
        yield engine.context.ledger


def test_only_the_newest_fence_holds(ledger: Ledger) -> None:
    with ledger.write() as connection:
        [run] = runs.due_runs(connection, ledger, 10, [], lease=60)
        old = runs.claim(connection, ledger, run.id, "old", lease=-1)
        new = runs.claim(connection, ledger, run.id, "new", lease=60)
        assert old is not None and new is not None
        assert runs.claim(connection, ledger, run.id, "late", lease=60) is None, "claimed under a living lease"
        assert not runs.renew(connection, ledger, run.id, old.fence, lease=60)
        assert not runs.is_leased(connection, ledger, run.id, old.fence)
        with pytest.raises(LeaseLost):
            runs.hold(connection, run.id, old.fence)
        runs.release(connection, run.id, old.fence)
        assert runs.is_leased(connection, ledger, run.id, new.fence), "the old holder gave the new one's lease away"
        runs.hold(connection, run.id, new.fence)


def test_a_lease_from_a_clock_that_was_moved_back_holds_nothing_up(ledger: Ledger) -> None:
    with ledger.write() as connection:
        [run] = runs.due_runs(connection, ledger, 10, [], lease=5)
        assert runs.claim(connection, ledger, run.id, "dead", lease=5) is not None
        assert runs.due_runs(connection, ledger, 10, [], lease=5) == []
        connection.execute(tables.runs.update().values(lease_until=tables.runs.c.lease_until + 3600))
        assert len(runs.due_runs(connection, ledger, 10, [], lease=5)) == 1
        assert runs.claim(connection, ledger, run.id, "new", lease=5) is not None
        assert runs.due_runs(connection, ledger, 10, [], lease=5) == []
