"""OneTrust as the front desk: its queue becomes privacy requests, results go there, and it is told how they ended."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Shop
from sqlalchemy.exc import IntegrityError

from engine import Engine, done
from habeas.delivery.onetrust_api import OneTrustApi
from habeas.domain.errors import InputError, NotFound
from habeas.execution import onetrust as telling
from habeas.execution import upload
from habeas.execution.housekeeping import enter_jobs, run_due_jobs
from habeas.execution.onetrust import tell_onetrust
from habeas.services import onetrust, packages, requests, review, storages
from habeas.services.onetrust import Poll, PollingState, poll, poll_due
from habeas.services.storages import StorageDraft
from habeas.store import tables
from servers.onetrust import CLIENT, OneTrustServer

Start = Callable[..., Engine]
SUNDAY = datetime(2026, 11, 22, 3, tzinfo=UTC)
ON_SQLITE = pytest.mark.parametrize("made_ledger", ["sqlite"], indirect=True)
"""For what does not depend on the ledger's SQL."""
SECTIONS = {"security": {"outgoing_allow_list": ["127.0.0.1"]}}
STATUS, RESULTS = "PUT /v2/subtasks/", "POST /api/datasubject/"


class SetClock:
    """Stands until it is set."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def server() -> Iterator[OneTrustServer]:
    served = OneTrustServer()
    yield served
    served.close()


def prepare(start: Start, server: OneTrustServer, people: int = 3, **execution: Any) -> Engine:
    """A shop, and policy `onetrust` whose packages go to the server."""
    engine, shop = start(sections=SECTIONS, **execution), Shop()
    engine.plug("shop", shop.connector())
    engine.describe("shop", Shop.body())
    for number in range(people):
        shop.add_person(number, orders=1, items=1)
    keep_storage(engine, server)
    engine.policy("onetrust", access=["user"], storage="desk")
    return engine


def keep_storage(engine: Engine, server: OneTrustServer, **details: Any) -> None:
    given = {
        "service_name": "shop",
        "onetrust_polling_hr": 3,
        "onetrust_polling_day_of_week": 0,
        "onetrust_base_url": server.url,
        "onetrust_look_back_days": 365,
        **details,
    }
    done(storages.save_storages(engine.context, [StorageDraft(name="desk", type="onetrust", details=given)]))
    tested = storages.save_storage_secrets(engine.context, "desk", CLIENT)
    assert tested.test_status == "succeeded", tested.failure_reason


def queue_two_pages(server: OneTrustServer) -> None:
    server.add("R-0", "p0@example.com", s0="other", t0="fides task")
    server.add("R-1", "p1@example.com", "2026-11-21T10:00:00", s1="fides tasks")
    server.add("R-2", "p2@example.com", "2026-11-21T11:00:00", t2="fides task", u2="fides task")


def made(engine: Engine) -> dict[str, str]:
    """Status by subtask."""
    with engine.context.ledger.read() as connection:
        rows = connection.execute(sa.select(tables.requests.c.external_id, tables.requests.c.status)).all()
    assert len({row.external_id for row in rows}) == len(rows)
    return {str(row.external_id): row.status for row in rows}


def request_of(engine: Engine, subtask: str) -> str:
    with engine.context.ledger.read() as connection:
        found = sa.select(tables.requests.c.id).where(tables.requests.c.external_id == subtask)
        return str(connection.scalar(found))


def let_pass(engine: Engine, **time: float) -> None:
    """What was put off is due again."""
    now = engine.context.clock.now() + timedelta(**time)
    engine.context = replace(engine.context, clock=SetClock(now))


def test_a_queue_of_two_pages_is_carried_out_and_told_of(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    assert poll(engine.context) == [Poll("desk", found=3, created=2, without_subtask=1)]
    assert server.count("GET /api/datasubject/v2/requestqueues/en-us") == 2
    assert made(engine) == {"t0": "pending", "t2": "pending"}
    view = requests.find_request(engine.context, request_of(engine, "t0"))
    assert (view.requested_at, view.policy.key) == (datetime(2026, 11, 20, tzinfo=UTC), "onetrust")
    assert tell_onetrust(engine.context) == 0  # nothing is uploaded yet
    engine.run()
    assert made(engine) == {"t0": "complete", "t2": "complete"}
    assert server.told == []
    assert tell_onetrust(engine.context) == 2
    assert sorted(server.told) == [("t0", "COMPLETED"), ("t2", "COMPLETED")]
    order = [call for call in server.calls if call.startswith((RESULTS, STATUS))]
    assert [call.partition(" ")[0] for call in order] == ["POST", "POST", "PUT", "PUT"]
    [told_of] = server.results["R-0"]
    assert (told_of["language"], told_of["system"]) == ("en-us", "shop")
    assert told_of["results"]["shop:people"] == [{"mail": "p0@example.com", "name": "Name 0"}]
    assert tell_onetrust(engine.context) == 0


@ON_SQLITE
def test_polling_again_makes_nothing_new(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    poll(engine.context)
    asked = server.count("GET /v2/subtasks/")
    assert poll(engine.context) == [Poll("desk", found=3, known=2, without_subtask=1)]
    assert server.count("GET /v2/subtasks/") == asked + 1
    engine.run()
    poll(engine.context)
    assert set(made(engine)) == {"t0", "t2"}


@ON_SQLITE
def test_a_subtask_is_not_told_of_before_its_results_are_there(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server, task_retry_count=0)
    server.add("R-0", "p0@example.com", t0="fides task")
    poll(engine.context)
    server.refuse(RESULTS + "v3", 500)
    engine.run()
    assert (made(engine), tell_onetrust(engine.context), server.results) == ({"t0": "error"}, 0, {})
    requests.retry(engine.context, request_of(engine, "t0"))
    engine.run()
    assert (tell_onetrust(engine.context), server.told, len(server.results["R-0"])) == (1, [("t0", "COMPLETED")], 1)


@pytest.mark.parametrize("status", [429, 500])
@ON_SQLITE
def test_results_are_handed_over_again(start: Start, server: OneTrustServer, status: int | None) -> None:
    engine = prepare(start, server)
    server.add("R-0", "p0@example.com", t0="fides task")
    poll(engine.context)
    server.refuse(RESULTS + "v3", status, status)
    engine.run()
    assert made(engine) == {"t0": "complete"}
    assert (server.count(RESULTS + "v3"), len(server.results["R-0"])) == (3, 1)


@ON_SQLITE
def test_results_that_are_refused_end_that_request_alone(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    for number in range(3):
        server.add(f"R-{number}", f"p{number}@example.com", **{f"t{number}": "fides task"})
    poll(engine.context)
    del server.queue[1]
    [stranger] = engine.submit("onetrust", {"email": "p0@example.com"})
    engine.run()
    assert made(engine) == {"t0": "complete", "t1": "error", "t2": "complete", "None": "error"}
    assert "404" in str(engine.view(request_of(engine, "t1")).failure)
    assert "did not come from OneTrust" in str(engine.view(stranger).failure)


@ON_SQLITE
def test_nobody_at_onetrust_waits_for_a_proof_or_gets_a_receipt(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server, subject_identity_verification_required=True)
    server.add("R-0", "p0@example.com", t0="fides task")
    poll(engine.context)
    engine.run()
    assert made(engine) == {"t0": "complete"}


@ON_SQLITE
def test_staff_may_have_to_approve_and_what_they_deny_is_rejected(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server, require_manual_request_approval=True)
    queue_two_pages(server)
    poll(engine.context)
    engine.run()
    assert made(engine) == {"t0": "pending", "t2": "pending"}
    review.deny(engine.context, [request_of(engine, "t0")], "no such customer")
    review.cancel(engine.context, [request_of(engine, "t2")], "withdrawn")
    tell_onetrust(engine.context)
    assert sorted(server.told) == [("t0", "REJECTED"), ("t2", "REJECTED")]


def test_what_stays_in_error_has_failed_until_a_retry_succeeds(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server, task_retry_count=0)
    server.add("R-0", "p0@example.com", t0="fides task")
    poll(engine.context)
    server.refuse(RESULTS + "v3", 500)
    engine.run()
    let_pass(engine, days=6)
    assert tell_onetrust(engine.context) == 0
    let_pass(engine, days=2)
    assert (tell_onetrust(engine.context), tell_onetrust(engine.context)) == (1, 0)
    requests.retry(engine.context, request_of(engine, "t0"))
    engine.run()
    tell_onetrust(engine.context)
    assert server.told == [("t0", "FAILED"), ("t0", "COMPLETED")]


def finish(engine: Engine, server: OneTrustServer) -> None:
    """Two requests that are complete, and of which nothing was told yet."""
    queue_two_pages(server)
    poll(engine.context)
    engine.run()
    let_pass(engine)
    server.calls.clear()


@pytest.mark.parametrize("status", [500, None])
@ON_SQLITE
def test_a_status_is_told_later_when_onetrust_has_no_time(
    start: Start, server: OneTrustServer, status: int | None
) -> None:
    engine = prepare(start, server)
    finish(engine, server)
    server.refuse(STATUS, status)
    assert (tell_onetrust(engine.context), server.count(STATUS)) == (0, 1)
    let_pass(engine, seconds=1)
    assert (tell_onetrust(engine.context), server.count(STATUS)) == (0, 1)
    let_pass(engine, seconds=2)
    assert (tell_onetrust(engine.context), len(server.told)) == (2, 2)


@ON_SQLITE
def test_a_status_is_not_told_before_onetrust_wants_it(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    finish(engine, server)
    server.refuse(STATUS, 429, Retry_After="600")
    tell_onetrust(engine.context)
    let_pass(engine, seconds=590)
    assert tell_onetrust(engine.context) == 0
    let_pass(engine, seconds=20)
    assert tell_onetrust(engine.context) == 2


@ON_SQLITE
def test_a_status_that_is_refused_is_given_up_and_logged(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    finish(engine, server)
    del server.queue[0]
    assert (tell_onetrust(engine.context), server.told) == (2, [("t2", "COMPLETED")])
    let_pass(engine, days=1)
    assert tell_onetrust(engine.context) == 0
    for subtask, status, told in (("t0", "error", "was not told COMPLETED"), ("t2", "complete", "was told COMPLETED")):
        entries = requests.read_log(engine.context, request_of(engine, subtask), 1, 100).items
        [entry] = [entry for entry in entries if entry.dataset_name == "OneTrust"]
        assert entry.status == status and told in str(entry.message)


@ON_SQLITE
def test_a_token_that_has_run_out_is_replaced(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    server.before = lambda call: (
        server.tokens.clear() if "subtasks" in call and "token" not in server.calls[-2] else None
    )
    assert [one.failure for one in poll(engine.context)] == [None]
    assert set(made(engine)) == {"t0", "t2"}


@pytest.mark.parametrize(
    ("call", "status", "told"),
    [
        ("POST /api/access", 401, "refused the account"),
        ("GET /api/datasubject", 302, "onetrust_base_url"),
        ("GET /api/datasubject", 429, "patience"),
        ("GET /v2/subtasks/R-2", 500, "failed with status 500"),
    ],
)
@ON_SQLITE
def test_a_poll_that_fails_goes_on_later(
    start: Start, server: OneTrustServer, caplog: pytest.LogCaptureFixture, call: str, status: int | None, told: str
) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    server.refuse(call, status)
    [failed] = poll(engine.context)
    assert told in str(failed.failure) and told in caplog.text
    assert poll(engine.context)[0].failure is None
    assert set(made(engine)) == {"t0", "t2"}
    assert "@" not in caplog.text and CLIENT["client_secret"] not in caplog.text


@ON_SQLITE
def test_what_cannot_be_a_request_is_passed_over(
    start: Start, server: OneTrustServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = prepare(start, server)
    server.add("R-0", None, t0="fides task")
    server.add("R-1", "Ann at home", t1="fides task")
    server.add("R-2", "p2@example.com", "not a day", t2="fides task")
    server.add("R-3", "p1@example.com", "2020-01-01T00:00:00", t3="fides task")
    assert poll(engine.context) == [Poll("desk", found=3, created=1, unusable=2)]
    assert set(made(engine)) == {"t2"}
    assert "R-1" in caplog.text and "Ann" not in caplog.text


@ON_SQLITE
def test_policy_and_subtask_may_have_other_names(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    keep_storage(engine, server, onetrust_policy_key="front", onetrust_subtask_name="other")
    assert "no policy 'front'" in str(poll(engine.context)[0].failure)
    engine.policy("front", access=["user"], storage="local")
    assert "does not give to storage 'desk'" in str(poll(engine.context)[0].failure)
    engine.policy("front", access=["user"], storage="desk")
    assert poll(engine.context)[0].created == 1
    assert set(made(engine)) == {"s0"}


@ON_SQLITE
def test_it_is_polled_once_in_its_hour(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    hours = {timedelta(hours=-1): 0, timedelta(): 1, timedelta(hours=1): 1, timedelta(days=6, hours=23): 1}
    engine.context = replace(engine.context, clock=SetClock(SUNDAY))
    with engine.context.ledger.write() as connection:
        connection.execute(tables.storages.update().values(created_at=SUNDAY - timedelta(days=3)))
    for after, polls in {**hours, timedelta(days=7): 2, timedelta(days=40): 3}.items():
        engine.context.clock.time = SUNDAY + after
        poll_due(engine.context)
        assert server.count("GET /api/datasubject") == 2 * polls, after
    assert server.queries[0]["createddate"] == ["20251122"]


def test_how_it_stands_is_shown(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    engine.context = replace(engine.context, clock=SetClock(SUNDAY))
    with engine.context.ledger.write() as connection:
        connection.execute(tables.storages.update().values(created_at=SUNDAY - timedelta(days=3)))
    week = timedelta(days=7)
    assert onetrust.list_states(engine.context) == [PollingState("desk", None, SUNDAY, None, 0, 0)]
    server.refuse("GET /api/datasubject", 500)
    poll_due(engine.context)
    [failing] = onetrust.list_states(engine.context)
    assert (failing.due_at, failing.polled_at) == (SUNDAY + timedelta(minutes=1), None)
    assert "status 500" in str(failing.failure)
    poll(engine.context)
    engine.run()
    assert onetrust.list_states(engine.context) == [PollingState("desk", SUNDAY, SUNDAY + week, None, 2, 2)]
    tell_onetrust(engine.context)
    assert onetrust.list_states(engine.context)[0].untold == 0


@ON_SQLITE
def test_a_poll_that_failed_is_tried_again_after_a_pause(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    clock = SetClock(datetime.now(UTC) + timedelta(days=8))
    engine.context = replace(engine.context, clock=clock)
    server.refuse("GET /api/datasubject", 500, 500)
    server.refuse("GET /api/datasubject", 429, Retry_After="1800")
    for seconds, calls in ((0, 1), (59, 1), (2, 2), (100, 2), (30, 3), (1700, 3), (200, 5), (9999, 5)):
        clock.time += timedelta(seconds=seconds)
        poll_due(engine.context)
        assert server.count("GET /api/datasubject") == calls, seconds
    assert set(made(engine)) == {"t0", "t2"}


@ON_SQLITE
def test_servers_poll_and_tell_as_housekeeping(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    let_pass(engine, days=8)
    enter_jobs(engine.context)
    run_due_jobs(engine.context)
    engine.run()
    let_pass(engine, minutes=2)
    run_due_jobs(engine.context)
    assert sorted(server.told) == [("t0", "COMPLETED"), ("t2", "COMPLETED")]


class Killed(BaseException):
    """Ends a process, as far as the ledger can tell."""


MOMENTS: dict[str, tuple[Any, str]] = {
    "between two portions": (onetrust, "_take_in"),
    "between request and subtask": (onetrust.store, "add_subtask"),
    "after the last request": (onetrust.store, "conclude_poll"),
    "between results and ledger": (upload, "add_packages"),
    "between create and status": (OneTrustApi, "set_status"),
    "between status and ledger": (telling.store, "mark_told"),
}


@pytest.mark.parametrize("moment", MOMENTS)
@ON_SQLITE
def test_whatever_is_killed_each_subtask_is_one_request_and_complete(
    start: Start, server: OneTrustServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    module, name = MOMENTS[moment]
    monkeypatch.setattr(onetrust, "_AT_ONCE", 1)
    genuine, calls = getattr(module, name), iter(range(9))

    def die(*given: Any, **named: Any) -> Any:
        if name == "_take_in" and next(calls) < 1:
            return genuine(*given, **named)
        raise Killed

    with monkeypatch.context() as killed, pytest.raises(Killed):
        killed.setattr(module, name, die)
        poll(engine.context)
        engine.run()
        tell_onetrust(engine.context)
    again = start(sections=SECTIONS)
    again.connectors |= engine.connectors
    with again.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=0.0))
    assert [one.failure for one in poll(again.context)] == [None]
    again.run()
    let_pass(again, minutes=6)
    tell_onetrust(again.context)
    assert made(again) == {"t0": "complete", "t2": "complete"}
    assert set(server.told) == {("t0", "COMPLETED"), ("t2", "COMPLETED")}
    assert len(server.told) == (3 if moment == "between status and ledger" else 2)
    assert set(server.results) == {"R-0", "R-2"}


def test_processes_that_poll_at_the_same_time_make_one_request_each(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    queue_two_pages(server)
    meeting = threading.Barrier(2, timeout=10)
    server.before = lambda call: meeting.wait() if call == "GET /v2/subtasks/R-2/subtasks" else None
    with ThreadPoolExecutor(2) as pool:
        polls = [one for found in pool.map(poll, [engine.context, start(sections=SECTIONS).context]) for one in found]
    assert [one.failure for one in polls] == [None, None]
    assert sum(one.created for one in polls) == 2
    assert set(made(engine)) == {"t0", "t2"}


@ON_SQLITE
def test_a_subtask_can_be_kept_only_once(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    with pytest.raises(IntegrityError), engine.context.ledger.write() as connection:
        for number in range(2):
            onetrust.store.add_subtask(connection, "desk", "t0", "R-0", f"pri_{number}", SUNDAY)


@ON_SQLITE
def test_a_package_cannot_be_fetched_from_onetrust(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    finish(engine, server)
    request_id = request_of(engine, "t0")
    assert packages.access_results(engine.context, request_id) == ["onetrust"]
    with pytest.raises(NotFound, match="went to OneTrust"):
        packages.open_package(engine.context, request_id, "onetrust-give")


@ON_SQLITE
def test_a_poll_is_of_a_storage_for_onetrust(start: Start, server: OneTrustServer) -> None:
    engine = prepare(start, server)
    with pytest.raises(NotFound, match="no storage 'shelf'"):
        poll(engine.context, "shelf")
    with pytest.raises(InputError, match="of type local"):
        poll(engine.context, "local")
    assert poll(engine.context, "desk") == [Poll("desk")]
