"""People prove who they are: nothing happens before, codes are few, and of many who try at once none gets more."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine
from habeas.domain.errors import HabeasError, InputError, NotAllowed, TooSoon
from habeas.domain.identity import parse_identities
from habeas.domain.message import Event
from habeas.domain.request import RequestStatus
from habeas.execution.housekeeping import sweep
from habeas.execution.postman import post_due
from habeas.services import requests, review, verification
from habeas.services.request_views import RequestView
from habeas.services.requests import NewRequest
from habeas.store import messages, tables
from letterbox import read_code, read_outbox, set_up_letterbox, take_down_letterbox, wrong

Start = Callable[..., Engine]
REQUIRED = {"subject_identity_verification_required": True}


def begin(start: Start, sections: dict[str, Any] | None = None, **execution: Any) -> tuple[Engine, Shop, Flaky]:
    shop, engine = Shop(), start(sections=sections, **REQUIRED, **execution)
    connector = Flaky(shop)
    set_up(engine, connector)
    set_up_letterbox(engine.context)
    return engine, shop, connector


def change(engine: Engine, table: sa.Table, **values: Any) -> None:
    with engine.context.ledger.write() as connection:
        connection.execute(table.update().values(values))


def titles(engine: Engine, request_id: str) -> list[str]:
    return [title for title in engine.view(request_id).results if title]  # type: ignore[attr-defined]


def test_nothing_happens_before_the_person_has_proved_who_they_are(start: Start) -> None:
    engine, shop, connector = begin(start)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    view = engine.view(request_id)
    assert (view.status, view.reviewed_at, view.identity_verified_at) == ("identity_unverified", None, None)
    assert view.awaited_code is not None and view.awaited_code.codes_sent == 1
    assert not connector.calls
    [(event, told)] = read_outbox(engine.context, request_id)
    assert event is Event.VERIFICATION and told["minutes"] == 10
    assert len(told["code"]) == 6 and told["code"].isdigit()
    verified = verification.verify(engine.context, request_id, told["code"])
    assert verified.status == "pending" and verified.identity_verified_at is not None
    assert verified.awaited_code is None
    engine.run()
    assert engine.view(request_id).status == "complete"
    assert titles(engine, request_id)[:3] == ["Request created", "Identity verified", "Request approved"]
    assert Event.RECEIPT in [event for event, _ in read_outbox(engine.context, request_id)]


def test_what_staff_submit_counts_at_once_and_is_not_told(start: Start) -> None:
    engine, shop, _ = begin(start)
    item = NewRequest("give", parse_identities(shop.add_person(0)))
    [view] = requests.submit(engine.context, [item], by_staff=True)
    assert isinstance(view, RequestView) and view.status == "pending"
    assert not read_outbox(engine.context, view.id)


def test_after_three_wrong_codes_the_right_one_is_refused_and_a_new_one_helps(start: Start) -> None:
    engine, shop, _ = begin(start)
    [request_id] = engine.submit("give", shop.add_person(0))
    code = read_code(engine.context, request_id)
    for _ in range(3):
        with pytest.raises(NotAllowed, match="not right"):
            verification.verify(engine.context, request_id, wrong(code))
    with pytest.raises(NotAllowed, match="too many"):
        verification.verify(engine.context, request_id, code)
    with engine.context.ledger.read() as connection:
        assert connection.scalar(sa.select(tables.verifications.c.hash)) is None
    view = engine.view(request_id)
    assert view.awaited_code is not None and view.awaited_code.expires_at is None
    with pytest.raises(TooSoon) as soon:
        verification.resend(engine.context, request_id)
    assert 0 < soon.value.seconds <= 60
    change(engine, tables.verifications, sent_at=datetime.now(UTC) - timedelta(minutes=2))
    assert verification.resend(engine.context, request_id).codes_left == 3
    assert verification.verify(engine.context, request_id, read_code(engine.context, request_id)).status == "pending"


def test_codes_are_few_so_that_guessing_is_bounded(start: Start) -> None:
    engine, shop, _ = begin(start, {"security": {"identity_verification_resend_pause_seconds": 0}})
    [request_id] = engine.submit("give", shop.add_person(0))
    for left in (3, 2, 1, 0):
        assert verification.resend(engine.context, request_id).codes_left == left
    with pytest.raises(NotAllowed, match="no more codes"):
        verification.resend(engine.context, request_id)


def test_a_code_that_is_over_is_refused(start: Start) -> None:
    engine, shop, _ = begin(start)
    [request_id] = engine.submit("give", shop.add_person(0))
    code = read_code(engine.context, request_id)
    change(engine, tables.verifications, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(InputError, match="over"):
        verification.verify(engine.context, request_id, code)
    assert engine.view(request_id).status == "identity_unverified"
    assert review.cancel(engine.context, [request_id]).succeeded


def test_a_code_that_is_over_before_the_mail_is_taken_is_not_sent(start: Start) -> None:
    engine, shop, _ = begin(start, {"security": {"identity_verification_resend_pause_seconds": 0}})
    proved, replaced, late = engine.submit("give", *(shop.add_person(number) for number in range(3)))
    verification.verify(engine.context, proved, read_code(engine.context, proved))
    verification.resend(engine.context, replaced)
    past = tables.verifications.update().where(tables.verifications.c.request_id == late)
    with engine.context.ledger.write() as connection:
        connection.execute(past.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    post_due(engine.context)

    def told(request_id: str) -> list[tuple[str, str]]:
        with engine.context.ledger.read() as connection:
            rows, _ = messages.list_messages(connection, 1, 10, request_id=request_id)
        return sorted((row.status, row.failure or "") for row in rows if row.event == Event.VERIFICATION)

    over = ("failed", "the code that it tells is over (ask for another one)")
    assert [told(one) for one in (proved, replaced, late)] == [[over], [over, ("sent", "")], [over]]
    with engine.context.ledger.write() as connection:
        assert messages.retry_failed(connection, proved, datetime.now(UTC)) == 0, "no retry sends it either"


def test_what_nobody_proves_in_time_is_cancelled_by_the_system(start: Start) -> None:
    engine, shop, _ = begin(start, answer_ttl_seconds=60)
    old, renewed = engine.submit("forget", shop.add_person(0), shop.add_person(1), encryption_key="0123456789abcdef")
    code = read_code(engine.context, old)
    change(engine, tables.verifications, sent_at=datetime.now(UTC) - timedelta(minutes=2))
    verification.resend(engine.context, renewed)
    assert sweep(engine.context, "end_waits").done == 1
    view = engine.view(old)
    assert (view.status, view.cancel_reason) == ("canceled", "nobody proved in time whose request it is")
    assert view.finished_processing_at is not None
    [entry] = view.results["Request canceled"]  # type: ignore[attr-defined]
    assert (entry.user_id, entry.message) == ("system", view.cancel_reason)
    with pytest.raises(InputError, match="does not wait for a code"):
        verification.verify(engine.context, old, code)
    with engine.context.ledger.read() as connection:
        keys = dict(connection.execute(sa.select(tables.requests.c.id, tables.requests.c.sealed_encryption_key)).all())
        secrets = set(connection.scalars(sa.select(tables.masking_secrets.c.request_id)))
    assert keys[old] is None and keys[renewed] is not None and old not in secrets
    assert verification.verify(engine.context, renewed, read_code(engine.context, renewed)).status == "pending"
    assert sweep(engine.context, "end_waits").done == 0


def test_whom_no_code_can_reach_is_refused_and_nothing_of_them_is_kept(start: Start) -> None:
    engine, shop, _ = begin(start)
    people = (shop.add_person(0), {"ssn": "078-05-1120"})
    items = [NewRequest("give", parse_identities(person)) for person in people]
    reached, refused = requests.submit(engine.context, items)
    assert isinstance(reached, RequestView)
    assert isinstance(refused, HabeasError) and "cannot be sent" in str(refused)
    take_down_letterbox(engine.context)
    [refused] = requests.submit(engine.context, items[:1])
    assert isinstance(refused, HabeasError) and "provider" in str(refused)
    with engine.context.ledger.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.requests)) == 1


def test_review_and_duplicates_come_after_the_proof(start: Start) -> None:
    engine, shop, _ = begin(start, {"duplicates": {"enabled": True, "hold": True}})
    ann = shop.add_person(0)
    first, second = engine.submit("give", ann, ann)
    later = verification.verify(engine.context, second, read_code(engine.context, second))
    assert (later.duplicate_of, later.reviewed_by) == (None, "system"), "nobody knows who sent the other one"
    held = verification.verify(engine.context, first, read_code(engine.context, first))
    assert (held.duplicate_of, held.reviewed_by) == (second, None)


@pytest.mark.parametrize(
    "more", [{"email": ["mine@example.com", "p0@example.com"]}, {"phone_number": "+15550000001"}, {"customer": 7}]
)
def test_what_a_code_does_not_prove_waits_for_a_reviewer(start: Start, more: dict[str, Any]) -> None:
    engine, shop, connector = begin(start)
    shop.add_person(0)
    [request_id] = engine.submit("give", {"email": "mine@example.com", **more})
    view = verification.verify(engine.context, request_id, read_code(engine.context, request_id))
    assert (view.status, view.reviewed_by) == ("pending", None)
    engine.run()
    assert not connector.calls
    [told] = engine.view(request_id).results["Identity verified"]  # type: ignore[attr-defined]
    assert told.message == "by one address; to be reviewed, as the request names more"
    review.approve(engine.context, [request_id])
    engine.run()
    assert engine.view(request_id).status == "complete"


def test_two_spellings_of_one_address_are_proved_by_one_code(start: Start) -> None:
    engine, _, _ = begin(start)
    [request_id] = engine.submit("give", {"email": ["P0@example.com", "p0@example.com"]})
    view = verification.verify(engine.context, request_id, read_code(engine.context, request_id))
    assert view.reviewed_by == "system"


@pytest.mark.parametrize("guess", [wrong, str], ids=["wrong", "right"])
def test_twenty_at_once_get_no_more_than_the_tries_there_are(start: Start, guess: Callable[[str], str]) -> None:
    engine, shop, connector = begin(start)
    [request_id] = engine.submit("give", shop.add_person(0, orders=0))
    code = guess(read_code(engine.context, request_id))
    outcomes: Counter[str] = Counter()
    barrier = threading.Barrier(20)

    def attempt() -> None:
        barrier.wait()
        try:
            verification.verify(engine.context, request_id, code)
            outcomes["verified"] += 1
        except HabeasError as error:
            outcomes[error.message] += 1

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.run()
    if guess is str:
        assert outcomes == {"verified": 1, "this request does not wait for a code": 19}
        assert Counter(connector.calls)["read people"] == 1
    else:
        assert outcomes == {"the code is not right": 3, "too many wrong codes were tried": 17}
        assert not connector.calls


@pytest.mark.parametrize("status", RequestStatus)
def test_no_way_leads_round_the_proof(start: Start, status: RequestStatus) -> None:
    engine, shop, connector = begin(start)
    [request_id] = engine.submit("forget", shop.add_person(0))
    for event in (review.approve, requests.retry_all, review.deny, review.cancel):
        change(engine, tables.requests, status=status, reviewed_at=datetime.now(UTC))
        result = event(engine.context, [request_id])
        if status is RequestStatus.IDENTITY_UNVERIFIED and event is not review.cancel:
            assert not result.succeeded and len(result.failed) == 1
        engine.run()
        assert not connector.calls, (status, event)


def test_people_are_told_what_staff_decided(start: Start) -> None:
    shop, engine = Shop(), start(require_manual_request_approval=True)
    set_up(engine, shop.connector())
    set_up_letterbox(engine.context)
    one, other = engine.submit("give", shop.add_person(0), shop.add_person(1))
    review.approve(engine.context, [one, one])
    review.deny(engine.context, [other, one], "not a customer")
    assert sorted(event for event, _ in read_outbox(engine.context, one)) == [Event.RECEIPT, Event.APPROVED]
    assert dict(read_outbox(engine.context, other))[Event.DENIED] == {"reason": "not a customer"}
