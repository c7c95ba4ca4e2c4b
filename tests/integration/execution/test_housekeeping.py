"""What is kept for a request goes when it is not needed any more, and not before."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine
from habeas.bootstrap import Application, dispatching
from habeas.domain.request import RequestStatus
from habeas.execution import housekeeping
from habeas.execution.housekeeping import INTERVAL, JOBS, enter_jobs, forget, run_due_jobs
from habeas.services import requests
from habeas.store import tables
from servers.process import wait_for

Start = Callable[..., Engine]


def count(engine: Engine, table: sa.Table) -> int:
    with engine.context.ledger.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def let_time_pass(engine: Engine, **time: int) -> None:
    with engine.context.ledger.write() as connection:
        past = datetime.now(UTC) - timedelta(**time)
        connection.execute(tables.requests.update().values(updated_at=past, finished_at=past))


def test_rows_of_a_complete_request_go_after_the_grace_and_its_report_stays(start: Start) -> None:
    shop, engine = Shop(), start(grace_seconds=60)
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("forget", shop.add_person(0))
    engine.run()
    before = requests.report(engine.context, request_id)
    assert forget(engine.context) == 0 and count(engine, tables.chunks) > 0
    let_time_pass(engine, minutes=2)
    forget(engine.context)
    assert count(engine, tables.chunks) == 0
    assert requests.report(engine.context, request_id) == before
    assert count(engine, tables.masking_secrets) == 0


def test_an_abandoned_request_starts_afresh_when_it_is_retried(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0, temporary_ttl_seconds=60)
    flaky = Flaky(shop)
    flaky.failing["read items"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("give", shop.add_person(0))
    engine.run()
    let_time_pass(engine, minutes=2)
    forget(engine.context)
    assert count(engine, tables.chunks) == 0
    flaky.calls.clear()
    requests.retry(engine.context, request_id, "test")
    engine.run()
    assert flaky.calls == ["read people", "read orders", "read items"]
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_a_request_that_began_to_erase_keeps_its_rows(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0, temporary_ttl_seconds=60)
    flaky = Flaky(shop)
    flaky.failing["erase people"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("forget", shop.add_person(0))
    engine.run()
    let_time_pass(engine, minutes=2)
    forget(engine.context)
    assert count(engine, tables.chunks) > 0
    requests.retry(engine.context, request_id, "test")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert shop.people.records[0]["mail"] is None


def test_each_due_job_is_taken_once(start: Start) -> None:
    engine = start()
    enter_jobs(engine.context)
    enter_jobs(engine.context)
    assert count(engine, tables.schedules) == len(JOBS)
    run_due_jobs(engine.context)
    with engine.context.ledger.read() as connection:
        due = list(connection.scalars(sa.select(tables.schedules.c.due_at)))
    assert all(moment > datetime.now(UTC).timestamp() for moment in due)


def test_requests_do_not_wait_for_housekeeping(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, done = threading.Event(), threading.Event()

    def delete_for_ever(_: object) -> int:
        busy.set()
        done.wait(30)
        return 0

    monkeypatch.setattr(housekeeping, "JOBS", {"forget": delete_for_ever})
    shop, engine = Shop(), start(poll_seconds=0.05)
    set_up(engine, shop.connector())
    with dispatching(Application(engine.context, threading.Event())):
        try:
            wait_for("housekeeping to begin", busy.is_set)
            (request_id,) = engine.submit("give", shop.add_person(0))
            wait_for("the request", lambda: engine.view(request_id).status is RequestStatus.COMPLETE)
        finally:
            done.set()


def test_a_job_whose_time_was_set_by_a_clock_that_was_moved_back_is_due(start: Start) -> None:
    engine = start()
    enter_jobs(engine.context)
    now = datetime.now(UTC).timestamp()
    with engine.context.ledger.write() as connection:
        connection.execute(tables.schedules.update().values(due_at=now + 3600))
    run_due_jobs(engine.context)
    with engine.context.ledger.read() as connection:
        due = list(connection.scalars(sa.select(tables.schedules.c.due_at)))
    assert all(now < moment < now + 2 * INTERVAL for moment in due)
