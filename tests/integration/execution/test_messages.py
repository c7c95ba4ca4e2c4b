"""Messages: put into the outbox with what they tell of, sent once by the postman, never deciding over a request."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up
from postbox import activate
from tests.unit.services.wiring import MovableClock

from engine import Engine
from habeas.connectors.hostile import HostileConnector, Misbehaviour
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.identity import Identity
from habeas.domain.message import Channel, Event, Message
from habeas.domain.request import RequestStatus
from habeas.execution import outbox
from habeas.execution.housekeeping import sweep
from habeas.execution.postman import pause_after, post_due
from habeas.services import told
from habeas.store import messages, requests, tables

Start = Callable[..., Engine]


@pytest.fixture
def engine(start: Start) -> Iterator[Engine]:
    made = start(sections={"notifications": {"send_request_receipt_notification": False}})
    set_up(made, Shop().connector())
    yield made


def statuses(engine: Engine) -> list[tuple[str, str]]:
    with engine.context.ledger.read() as connection:
        return [(row.event, row.status) for row in messages.list_messages(connection, 1, 100)[0]]


def make_due(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        connection.execute(tables.messages.update().values(due_at=0))


def test_a_complete_request_is_told_once(engine: Engine) -> None:
    box = activate(engine)
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    engine.run()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    assert post_due(engine.context) == 1
    assert post_due(engine.context) == 0
    assert [(one.recipient, one.subject) for one in box.taken] == [("ann@example.com", "Your data is ready")]
    assert request_id in box.taken[0].text
    assert ("privacy_request_complete_access", "access", "complete") in engine.log(request_id)


def test_nothing_is_kept_of_a_message_that_was_sent(engine: Engine) -> None:
    activate(engine)
    engine.submit("give", {"email": "ann@example.com"})
    engine.run()
    post_due(engine.context)
    with engine.context.ledger.read() as connection:
        row = connection.execute(sa.select(tables.messages)).one()
    assert (row.status, row.sealed_recipient, row.sealed_variables) == ("sent", None, None)


def test_messages_that_take_their_time_are_sent_by_one_postman_alone(engine: Engine) -> None:
    """There are more than are sent within the time for which a postman claims some."""
    clock, box = MovableClock(), activate(engine)
    engine.context = replace(engine.context, clock=clock)
    engine.submit("give", *({"email": f"p{number}@example.com"} for number in range(7)))
    engine.run()

    def take_a_minute(message: Message) -> None:
        box.taken.append(message)
        clock.ahead += timedelta(minutes=1)
        box.send = box.taken.append  # type: ignore[method-assign]
        post_due(engine.context)
        box.send = take_a_minute  # type: ignore[method-assign]

    box.send = take_a_minute  # type: ignore[method-assign]
    while any(status == "due" for _, status in statuses(engine)):
        post_due(engine.context)
        clock.ahead += timedelta(minutes=1)
    assert sorted(one.recipient for one in box.taken) == [f"p{number}@example.com" for number in range(7)]


def test_without_a_provider_nobody_is_told(engine: Engine) -> None:
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    engine.run()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    assert statuses(engine) == []


def test_mail_that_is_down_leaves_the_request_complete_and_is_sent_later(engine: Engine) -> None:
    box = activate(engine)
    box.failure = SystemUnavailable("the mail server does not answer")
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    engine.run()
    assert post_due(engine.context) == 0
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    assert statuses(engine) == [("privacy_request_complete_access", "due")]
    box.failure = None
    make_due(engine)
    assert post_due(engine.context) == 1


def test_a_message_that_will_never_be_taken_fails_and_a_retry_sends_it_alone(engine: Engine) -> None:
    box = activate(engine)
    box.failure = InputError("the mail server refused the recipient (550)")
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    engine.run()
    post_due(engine.context)
    assert statuses(engine) == [("privacy_request_complete_access", "failed")]
    assert ("privacy_request_complete_access", "access", "error") in engine.log(request_id)
    box.failure = None
    with engine.context.ledger.write() as connection:
        assert messages.retry_failed(connection, request_id, engine.context.clock.now()) == 1
    assert post_due(engine.context) == 1
    assert engine.view(request_id).status == RequestStatus.COMPLETE


def test_a_message_is_given_up_when_its_time_is_over(engine: Engine) -> None:
    box = activate(engine)
    box.failure = SystemUnavailable("the mail server does not answer")
    engine.submit("give", {"email": "ann@example.com"})
    engine.run()
    tries = 0
    while statuses(engine)[0][1] == "due":
        make_due(engine)
        post_due(engine.context)
        tries += 1
        assert tries < 100
    assert sum(pause_after(attempt) for attempt in range(1, tries + 1)) > 172800
    assert pause_after(tries) == 4 * 3600


def add_phone(engine: Engine, request_id: str) -> None:
    """Let the request be of a person who gave a phone number alone."""
    with engine.context.ledger.write() as connection:
        connection.execute(tables.identities.delete())
        phone = [(request_id, [Identity("phone_number", ("+1 555 123 4567",))])]
        requests.add_identities(connection, engine.context.ledger.sealer, phone)


def test_whoever_has_no_e_mail_is_passed_over(engine: Engine) -> None:
    activate(engine)
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    add_phone(engine, request_id)
    engine.run()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    assert statuses(engine) == []
    assert ("privacy_request_complete_access", "access", "skipped") in engine.log(request_id)


def test_whoever_has_no_e_mail_gets_a_text_message(engine: Engine) -> None:
    activate(engine)
    box = activate(engine, Channel.SMS)
    add_phone(engine, engine.submit("give", {"email": "ann@example.com"})[0])
    engine.run()
    assert post_due(engine.context) == 1
    assert [(one.recipient, one.subject) for one in box.taken] == [("+15551234567", "")]
    assert box.taken[0].text.startswith("your data is ready.")


def test_the_staff_are_told_at_once_when_enough_requests_are_in_error(engine: Engine) -> None:
    box = activate(engine)
    context = engine.context
    staff = ["dpo@example.com", "it@example.com"]
    with context.ledger.write() as connection:
        messages.save_staff_notice(connection, context.ledger.sealer, staff, 2, context.clock.now())
    shop = Shop()
    shop.add_person(1)
    shop.add_person(2)
    engine.connectors["shop"] = HostileConnector(shop.connector(), Misbehaviour.NO_OWNER)
    engine.submit("give", {"email": "p1@example.com"})
    engine.run()
    assert post_due(context) == 0
    engine.submit("give", {"email": "p2@example.com"})
    engine.run()
    assert post_due(context) == 2
    assert {(one.recipient, one.subject) for one in box.taken} == {
        (address, "2 privacy requests in error") for address in staff
    }


def fail(engine: Engine, times: int) -> None:
    """So many requests end in `error`; nobody is found by a phone number."""
    engine.submit("give", *[{"phone_number": "+15551234567"}] * times)
    engine.run()


def let_failures_age(engine: Engine) -> None:
    past = datetime.now(UTC) - timedelta(seconds=engine.context.settings.execution.temporary_ttl_seconds + 60)
    with engine.context.ledger.write() as connection:
        connection.execute(tables.failures.update().values(created_at=past))


def count_failures(engine: Engine) -> int:
    with engine.context.ledger.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(tables.failures)).scalar_one()


def test_failures_that_the_staff_were_told_of_go_after_a_time_and_others_are_still_told(engine: Engine) -> None:
    box = activate(engine)
    told.save_staff_notice(engine.context, ["dpo@example.com"], 2)
    fail(engine, 3)
    fail(engine, 1)
    assert sweep(engine.context, "forget_messages").done == 0
    let_failures_age(engine)
    assert sweep(engine.context, "forget_messages").done == 3
    assert count_failures(engine) == 1
    fail(engine, 1)
    post_due(engine.context)
    assert [one.subject for one in box.taken] == ["3 privacy requests in error", "2 privacy requests in error"]


def test_failures_that_nobody_is_to_be_told_of_go_after_a_time(engine: Engine) -> None:
    fail(engine, 2)
    sweep(engine.context, "forget_messages")
    assert count_failures(engine) == 2
    let_failures_age(engine)
    assert sweep(engine.context, "forget_messages").done == 2
    assert count_failures(engine) == 0


def test_what_a_step_sends_itself_has_one_id_and_is_left_alone_by_the_postman(engine: Engine) -> None:
    box = activate(engine)
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    context = engine.context
    made = set()
    for _ in range(2):
        with context.ledger.write() as connection:
            given = (Event.ERASURE_INSTRUCTIONS, request_id, "list", "dpo@example.com")
            made.add(outbox.intend(context, connection, *given))
    assert len(made) == 1
    assert (post_due(context), box.taken) == (0, [])
    with context.ledger.write() as connection:
        outbox.conclude(context, connection, list(made))
    with context.ledger.read() as connection:
        row = connection.execute(sa.select(tables.messages)).one()
    assert (row.status, row.sealed_recipient) == ("sent", None)
