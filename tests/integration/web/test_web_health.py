"""What anybody may ask: whether the ledger and the processes that carry runs are well."""

import pytest
from sqlalchemy.exc import OperationalError
from tests.integration.web.conftest import Caller

from habeas.execution.context import Context
from habeas.store import workers
from habeas.store.opening import needed_revision


def test_the_ledgers_schema_is_shown(anyone: Caller, context: Context) -> None:
    answer = anyone("GET", "/health/database")
    needed = needed_revision()
    healthy = {"database": "healthy", "dialect": "sqlite", "revision": needed, "needed_revision": needed}
    assert (answer.status_code, answer.json()) == (200, healthy)
    with context.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    answer = anyone("GET", "/health/database")
    assert (answer.status_code, answer.json()) == (503, {**healthy, "database": "unhealthy", "revision": "9999"})


@pytest.mark.parametrize("path", ["/health/database", "/health/workers"])
def test_a_ledger_that_is_away_is_not_healthy(
    anyone: Caller, context: Context, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def refuse() -> None:
        raise OperationalError("canary", {}, Exception("canary"))

    monkeypatch.setattr(context.ledger.engine, "connect", refuse)
    answer = anyone("GET", path)
    assert answer.status_code == 503
    assert "canary" not in answer.text


def test_processes_that_carry_runs_are_shown_without_their_names(anyone: Caller, context: Context) -> None:
    answer = anyone("GET", "/health/workers")
    assert (answer.status_code, answer.json()["workers"]) == (503, "unhealthy")
    process = workers.Process("host-canary", "worker", "1.2", 4, {"key-canary": "f"}, context.clock.now())
    with context.ledger.write() as connection:
        workers.enter(connection, context.ledger, process)
    answer = anyone("GET", "/health/workers")
    assert answer.status_code == 200
    (shown,) = answer.json()["processes"]
    assert shown.pop("seen_seconds_ago") < 30
    assert shown == {"kind": "worker", "version": "1.2", "threads": 4}
    assert "canary" not in answer.text
