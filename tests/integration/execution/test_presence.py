"""Every process that serves or carries is known in the ledger as long as it lives, on both ledgers."""

import logging
import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up
from sqlalchemy.exc import OperationalError

from engine import Engine
from habeas import __version__
from habeas.bootstrap import serving, working
from habeas.execution import presence
from habeas.execution.dispatcher import form_runs
from habeas.execution.housekeeping import enter_jobs, run_due_jobs
from habeas.execution.postman import post_due
from habeas.execution.presence import forget_dead_processes
from habeas.services.health import read_workers
from habeas.store import tables, workers
from habeas.store.ledger import Ledger
from letterbox import set_up_letterbox
from servers.process import wait_for

Start = Callable[..., Engine]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.05)


def living(engine: Engine) -> list[workers.Process]:
    with engine.context.ledger.read() as connection:
        return [seen.process for seen in workers.living(connection, engine.context.ledger)]


def known(engine: Engine) -> int:
    with engine.context.ledger.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(tables.workers)).scalar_one()


def silence(engine: Engine, seconds: float) -> None:
    """The processes were last seen so long ago."""
    with engine.context.ledger.write() as connection:
        connection.execute(tables.workers.update().values(seen_at=engine.context.ledger.epoch() - seconds))


def test_a_process_is_known_from_its_start_to_its_end(start: Start) -> None:
    engine = start(threads=3)
    assert living(engine) == []
    with serving(engine.application):
        (seen,) = living(engine)
        assert (seen.kind, seen.version, seen.threads) == ("server", __version__, 3)
        assert list(seen.keys) == ["development"]
        assert "development:" not in str(seen.keys)
    assert known(engine) == 0


def test_servers_that_only_serve_and_workers_are_told_apart(start: Start) -> None:
    engine, other = start(threads=3), start()
    with serving(engine.application, executor=False), working(other.application, 7):
        assert [(seen.kind, seen.threads) for seen in living(engine)] == [("server", 0), ("worker", 7)]
        assert [carrier.threads for carrier in read_workers(engine.context).processes] == [7]


def test_who_shows_no_sign_of_life_is_dead_and_is_forgotten_after_a_day(start: Start) -> None:
    engine = start()
    with engine.context.ledger.write() as connection:
        dead = workers.Process("dead", "server", "0", 1, {}, engine.context.clock.now())
        workers.enter(connection, engine.context.ledger, dead)
    assert [seen.id for seen in living(engine)] == ["dead"]
    for seconds in (workers.SILENT + 5, -workers.SILENT - 5):  # the clock was moved back since
        silence(engine, seconds)
        assert living(engine) == []
        assert forget_dead_processes(engine.context) == 0
    silence(engine, 25 * 3600)
    enter_jobs(engine.context)
    run_due_jobs(engine.context)
    assert known(engine) == 0


def test_a_living_process_shows_itself_again_and_again(start: Start) -> None:
    engine = start()
    with serving(engine.application, executor=False):
        silence(engine, workers.SILENT + 5)
        wait_for("a sign of life", lambda: living(engine))
        with engine.context.ledger.write() as connection:  # e.g. a ledger restored from a backup
            connection.execute(tables.workers.delete())
        wait_for("the process to be known again", lambda: living(engine))


def test_a_ledger_that_fails_is_logged_once_for_each_time_it_is_away(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = start()
    write_in_order, tries = Ledger.write, []

    @contextmanager
    def fail(ledger: Ledger) -> Any:
        tries.append(threading.current_thread().name)
        raise OperationalError("canary", {}, Exception("canary"))
        yield

    with caplog.at_level(logging.WARNING), serving(engine.application, executor=False):
        for outage in (1, 2):
            monkeypatch.setattr(Ledger, "write", fail)
            tries.clear()
            wait_for("some tries", lambda: len(tries) > 4)
            assert [record.message for record in caplog.records] == [
                "the ledger failed (OperationalError): no sign of life until it is back"
            ] * outage
            monkeypatch.setattr(Ledger, "write", write_in_order)
            silence(engine, workers.SILENT + 5)
            wait_for("a sign of life", lambda: living(engine))
    assert "canary" not in caplog.text
    assert known(engine) == 0


# health


def test_a_ledger_without_a_process_that_carries_is_not_healthy(start: Start) -> None:
    engine = start()
    assert read_workers(engine.context).problem == "no process carries runs"
    with serving(engine.application, executor=False):
        assert read_workers(engine.context).workers == "unhealthy"
    with working(engine.application, 2):
        health = read_workers(engine.context)
        assert (health.workers, health.problem, health.processes[0].kind) == ("healthy", None, "worker")
        assert 0 <= health.processes[0].seen_seconds_ago < 30


def let_time_pass(engine: Engine, seconds: float) -> None:
    past = engine.context.clock.now() - timedelta(seconds=seconds)
    with engine.context.ledger.write() as connection:
        for table in (tables.requests, tables.runs):
            connection.execute(table.update().values(updated_at=past))
        connection.execute(tables.workers.update().values(started_at=past))


@pytest.mark.parametrize("formed", [False, True], ids=["request", "run"])
def test_due_work_that_nobody_takes_is_not_healthy(start: Start, formed: bool) -> None:
    engine, shop = start(lease_seconds=2), Shop()
    set_up(engine, shop.connector())
    with working(engine.application, 1):
        engine.submit("give", shop.add_person(0))
        if formed:
            form_runs(engine.context)
        let_time_pass(engine, 19)
        assert read_workers(engine.context).problem is None
        let_time_pass(engine, 21)
        assert read_workers(engine.context).problem == "due work has stood still for more than 20 seconds"
        engine.run()
        let_time_pass(engine, 21)
        assert read_workers(engine.context).problem is None


def test_work_that_waits_for_its_turn_or_for_a_paused_connection_is_well(start: Start) -> None:
    engine, shop = start(lease_seconds=2), Shop()
    set_up(engine, shop.connector())
    with working(engine.application, 1):
        engine.submit("give", shop.add_person(0))
        form_runs(engine.context)
        let_time_pass(engine, 21)
        with engine.context.ledger.write() as connection:
            now = engine.context.clock.now()
            connection.execute(tables.runs.update().values(waits_for="shop"))
            connection.execute(tables.connections.update().values(paused_at=now))
        assert read_workers(engine.context).problem is None
        with engine.context.ledger.write() as connection:
            connection.execute(tables.connections.update().values(paused_at=None))
        assert read_workers(engine.context).problem is not None
        engine.submit("give", shop.add_person(1))
        let_time_pass(engine, 21)
        with engine.context.ledger.write() as connection:  # the first is carried, the second waits
            connection.execute(tables.runs.update().values(lease_until=engine.context.ledger.epoch() + 2))
        assert read_workers(engine.context).problem is None


def test_a_process_that_has_just_started_is_given_time(start: Start) -> None:
    engine, shop = start(lease_seconds=2), Shop()
    set_up(engine, shop.connector())
    engine.submit("give", shop.add_person(0))
    let_time_pass(engine, 3600)
    with working(engine.application, 1):
        assert read_workers(engine.context).problem is None


def test_due_messages_that_nobody_sends_are_not_healthy(start: Start) -> None:
    engine, shop = start(lease_seconds=2), Shop()
    set_up(engine, shop.connector())
    set_up_letterbox(engine.context)
    engine.submit("give", shop.add_person(0))
    engine.submit("give", shop.add_person(1))
    engine.run()
    now = engine.context.clock.now().timestamp()

    def change(*where: Any, **values: Any) -> str | None:
        with engine.context.ledger.write() as connection:
            connection.execute(tables.messages.update().where(*where).values(values))
        return read_workers(engine.context).problem

    with working(engine.application, 1):
        let_time_pass(engine, 21)
        stuck = "due messages have stood still for more than 20 seconds"
        assert change(due_at=now - 15) is None
        assert change(due_at=now - 25) == stuck
        with engine.context.ledger.read() as connection:
            one = tables.messages.c.id == connection.scalars(sa.select(tables.messages.c.id)).first()
        assert change(one, due_at=now + 290, attempts=1) is None  # somebody is sending that one
        assert change(one, due_at=now + 3600, attempts=4) == stuck  # put off for an hour
        post_due(engine.context)
        assert read_workers(engine.context).problem is None
        assert change(one, status="due", due_at=now - 25, sent_at=None) is None  # others have just been sent
