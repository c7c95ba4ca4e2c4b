"""What is kept for a request goes when it is not needed any more, and not before."""

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine, done
from habeas.bootstrap import Application, dispatching
from habeas.domain.request import RequestStatus
from habeas.execution import housekeeping
from habeas.execution.housekeeping import INTERVAL, INTERVALS, JOBS, enter_jobs, forget, jobs_of, run_due_jobs, sweep
from habeas.services import requests, storages
from habeas.store import schedules, tables
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
    requests.retry(engine.context, request_id)
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
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert shop.people.records[0]["mail"] is None


def test_each_due_job_is_taken_once(start: Start) -> None:
    engine = start()
    enter_jobs(engine.context)
    enter_jobs(engine.context)
    assert count(engine, tables.schedules) == len(jobs_of(engine.context))
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


def read_schedule(engine: Engine) -> dict[str, schedules.Job]:
    with engine.context.ledger.read() as connection:
        return {job.name: job for job in schedules.jobs_of(connection)}


def test_a_job_whose_time_was_set_by_a_clock_that_was_moved_back_is_due(start: Start) -> None:
    engine = start()
    enter_jobs(engine.context)
    now = datetime.now(UTC).timestamp()
    with engine.context.ledger.write() as connection:
        connection.execute(tables.schedules.update().values(due_at=now + 10 * 24 * 3600))
    run_due_jobs(engine.context)
    for name, job in read_schedule(engine).items():
        assert now < job.due_at < now + 2 * INTERVALS.get(name, INTERVAL)


def test_a_round_says_when_it_ended_and_what_it_did(start: Start) -> None:
    shop, engine = Shop(), start(grace_seconds=60)
    set_up(engine, shop.connector())
    engine.submit("give", shop.add_person(0))
    engine.run()
    let_time_pass(engine, minutes=2)
    enter_jobs(engine.context)
    assert all(job.ran_at is None for job in read_schedule(engine).values())
    began = datetime.now(UTC)
    run_due_jobs(engine.context)
    jobs = read_schedule(engine)
    assert all(began <= job.ran_at <= datetime.now(UTC) for job in jobs.values() if job.ran_at)
    assert jobs["forget"].done == 3 and jobs["drop_expired_tokens"].done == 0
    again = sweep(engine.context, "forget")
    assert (again.done, again.ran_before) == (0, jobs["forget"].ran_at)


def test_a_job_that_fails_is_due_again_a_minute_later_and_holds_up_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise RuntimeError("a bug")

    engine = start()
    monkeypatch.setattr(housekeeping, "JOBS", {"drop_unused_plans": fail, "forget": forget})
    enter_jobs(engine.context)
    with pytest.raises(RuntimeError):
        run_due_jobs(engine.context)
    run_due_jobs(engine.context)
    failed, ran = read_schedule(engine)["drop_unused_plans"], read_schedule(engine)["forget"]
    assert failed.ran_at is None and ran.ran_at is not None
    assert failed.due_at <= datetime.now(UTC).timestamp() + INTERVAL


def test_ended_runs_go_when_no_request_needs_their_rows(start: Start) -> None:
    shop, engine = Shop(), start(grace_seconds=60, task_retry_count=0)
    flaky = Flaky(shop)
    set_up(engine, flaky)
    engine.submit("give", shop.add_person(0))
    engine.run()
    flaky.failing["read items"] = 1
    (retried,) = engine.submit("give", shop.add_person(1))
    engine.run()
    let_time_pass(engine, minutes=2)
    sweep(engine.context, "forget")
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(updated_at=datetime.now(UTC) - timedelta(minutes=2)))
    assert sweep(engine.context, "drop_ended_runs").done == 1
    assert count(engine, tables.runs) == count(engine, tables.members) == 1 and count(engine, tables.tasks) == 3
    flaky.calls.clear()
    requests.retry(engine.context, retried)
    engine.run()
    assert flaky.calls == ["read items"], "what the run before has read is still there"
    assert engine.view(retried).status is RequestStatus.COMPLETE


def store_at(engine: Engine, key: str, path: Path) -> None:
    draft = storages.StorageDraft(name=key, key=key, type="local", format="json", details={"path": str(path)})
    done(storages.save_storages(engine.context, [draft]))


def test_a_run_of_which_nothing_was_kept_stays_as_long_as_an_outcome_names_it(start: Start, tmp_path: Path) -> None:
    """SQLite gives the number of a deleted task to the next one: a retry would read what is another's."""
    shop, engine, occupied = Shop(), start(grace_seconds=0, task_retry_count=0), tmp_path / "occupied"
    set_up(engine, shop.connector())
    occupied.touch()
    store_at(engine, "broken", occupied)
    engine.policy("full", access=["user"], storage="broken")
    (stranger,) = engine.submit("full", {"email": "nobody@example.com"})
    engine.run()
    assert engine.view(stranger).status is RequestStatus.ERROR
    for job in JOBS:
        sweep(engine.context, job)
    (other,) = engine.submit("give", shop.add_person(0))
    engine.run()
    occupied.unlink()
    requests.retry(engine.context, stranger)
    engine.run()
    assert json.loads(engine.package(stranger, "full-give")) == {}
    assert len(json.loads(engine.package(other, "give-give"))["shop:people"]) == 1


def test_plans_that_nothing_refers_to_go_after_a_day(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("give", shop.add_person(0))
    engine.run()
    before = requests.report(engine.context, request_id)
    yesterday, now = datetime.now(UTC) - timedelta(hours=25), datetime.now(UTC)
    with engine.context.ledger.write() as connection:
        connection.execute(tables.plans.update().values(created_at=yesterday))
        for digest, made in (("old", yesterday), ("new", now)):
            connection.execute(tables.plans.insert().values(digest=digest, body=b"{}", created_at=made))
    assert sweep(engine.context, "drop_unused_plans").done == 1
    with engine.context.ledger.read() as connection:
        left = set(connection.scalars(sa.select(tables.plans.c.digest)))
    assert left == {before["plan_digest"], "new"}
    assert requests.report(engine.context, request_id) == before


def test_a_package_key_of_a_request_that_could_not_be_planned_goes_after_the_time_to_live(start: Start) -> None:
    engine = start(temporary_ttl_seconds=60)
    set_up(engine, Shop().connector())
    (request_id,) = engine.submit("give", {"phone_number": "+4915799812345"}, encryption_key="0123456789abcdef")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR

    def has_key() -> bool:
        with engine.context.ledger.read() as connection:
            return connection.execute(sa.select(tables.requests.c.sealed_encryption_key)).scalar_one() is not None

    sweep(engine.context, "forget")
    assert has_key()
    let_time_pass(engine, minutes=2)
    sweep(engine.context, "forget")
    assert not has_key()
    assert engine.view(request_id).failure, "the request itself stays"


def test_parts_of_packages_go_unless_a_run_carries_their_request_or_it_is_not_ours(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    ended, carried = (engine.submit("give", shop.add_person(number))[0] for number in range(2))
    engine.run()
    with engine.context.ledger.write() as connection:
        connection.execute(tables.requests.update().where(tables.requests.c.id == carried).values(run_id="run_1"))
    parts = engine.context.settings.data_dir / "packages" / ".parts"
    unknown = "pri_00000000-0000-4000-8000-000000000000"
    for request_id in (ended, carried, unknown, "notes"):
        part = parts / f"{request_id}.json.0123456789abcdef"
        part.write_bytes(b"half")
        os.utime(part, (0, 0))
    assert sweep(engine.context, "drop_unfinished_packages").done == 1
    assert {part.name.partition(".")[0] for part in parts.iterdir()} == {carried, unknown, "notes"}
    assert engine.package(ended, "give-give"), "the package itself stays"


def test_a_storage_that_does_not_answer_keeps_no_other_from_being_tidied(start: Start, tmp_path: Path) -> None:
    engine = start()
    occupied = tmp_path / "occupied"
    occupied.touch()
    store_at(engine, "broken", occupied)
    assert sweep(engine.context, "drop_unfinished_packages").done == 0
