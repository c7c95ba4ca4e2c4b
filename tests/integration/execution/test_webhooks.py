"""Policy webhooks: what receivers are told, what their answers do, and what is called again."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up

from engine import Engine
from habeas.domain.errors import InputError, NotAuthenticated
from habeas.domain.request import RequestStatus
from habeas.execution.housekeeping import sweep
from habeas.execution.waiting import end_waits
from habeas.services import requests, webhooks
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import tables
from habeas.store.webhooks import forget_finished
from letterbox import read_outbox, set_up_letterbox
from servers.receiver import Answer, Call, Receiver

Start = Callable[..., Engine]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()
    yield served
    served.close()


@dataclass
class Later:
    """A clock that is ahead."""

    ahead: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def prepare(
    start: Start, receiver: Receiver, phase: Phase, *paths: str, direction: str = "two_way"
) -> tuple[Shop, Engine]:
    """A shop whose policy `give` has these webhooks, and its engine."""
    shop, engine = Shop(), start(sections={"security": {"outgoing_allow_list": ["127.0.0.1"]}})
    set_up(engine, shop.connector())
    for path in paths:
        engine.connect(path[1:], "https", {"url": receiver.url(path), "authorization": "secret"})
    drafts = [WebhookDraft(connection_config_key=path[1:], direction=Direction(direction)) for path in paths]
    webhooks.replace_webhooks(engine.context, "give", phase, drafts)
    return shop, engine


def go_on() -> Answer:
    return Answer(body={"halt": False})


def test_a_halted_request_goes_on_with_the_next_webhook(start: Start, receiver: Receiver) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first", "/second")
    receiver.answers |= {"/first": Answer(body={"halt": True}), "/second": go_on()}
    shop.add_person(0)
    [request_id] = engine.submit("give", {"email": "former@example.com"})
    engine.run()
    view = engine.view(request_id)
    assert (view.status, view.resume_endpoint) == (RequestStatus.PAUSED, f"/privacy-request/{request_id}/resume")
    [call] = receiver.calls
    assert call.json == {
        "privacy_request_id": request_id,
        "direction": "two_way",
        "callback_type": "pre",
        "identity": {"email": "former@example.com", "phone_number": None},
    }
    assert (call.headers["authorization"], call.headers["reply-to"]) == ("secret", view.resume_endpoint)
    token = call.headers["reply-to-token"]
    with pytest.raises(NotAuthenticated):
        webhooks.resume(engine.context, request_id, token + "0", None)
    webhooks.resume(engine.context, request_id, token, {"email": "p0@example.com"})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert [call.path for call in receiver.calls] == ["/first", "/second"]
    assert receiver.calls[1].json["identity"]["email"] == "p0@example.com"
    assert engine.counts(request_id)["shop:people"]["found"] == 1
    with pytest.raises(InputError):
        webhooks.resume(engine.context, request_id, token, None)


def test_a_request_that_nobody_resumes_in_time_can_be_retried(start: Start, receiver: Receiver) -> None:
    """As long as it waits, the token of its call lets it go on; after that a retry asks anew."""
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")
    receiver.answers["/first"] = Answer(body={"halt": True})
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.PAUSED
    life = timedelta(seconds=engine.context.settings.execution.privacy_request_delay_timeout)
    assert end_waits(replace(engine.context, clock=Later(life - timedelta(minutes=1)))) == 0
    assert end_waits(replace(engine.context, clock=Later(life + timedelta(seconds=1)))) == 1
    receiver.answers["/first"] = go_on()
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert len({call.headers["idempotency-key"] for call in receiver.calls}) == 2


@pytest.mark.parametrize("phase", Phase)
def test_a_retry_calls_all_webhooks_of_the_phase_again(start: Start, receiver: Receiver, phase: Phase) -> None:
    shop, engine = prepare(start, receiver, phase, "/first", "/second", direction="one_way")
    receiver.answers["/second"] = Answer(500)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    del receiver.answers["/second"]
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert [call.path for call in receiver.calls] == ["/first", "/second"] * 2
    assert len({call.headers["idempotency-key"] for call in receiver.calls}) == 4


def test_a_call_that_was_not_recorded_is_repeated_as_the_same(start: Start, receiver: Receiver) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")

    def answer_and_stop(call: Call) -> Answer:
        engine.stopping.set()
        return go_on()

    receiver.answers["/first"] = answer_and_stop
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run(once=True)
    engine.stopping.clear()
    receiver.answers["/first"] = go_on()
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    first, second = receiver.calls
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.headers["reply-to-token"] == second.headers["reply-to-token"]


def test_a_token_counts_from_the_halt_however_long_ago_the_call_was_first_made(
    start: Start, receiver: Receiver
) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")

    def halt_and_stop(call: Call) -> Answer:
        engine.stopping.set()
        return Answer(body={"halt": True})

    receiver.answers["/first"] = halt_and_stop
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run(once=True)
    engine.stopping.clear()
    with engine.context.ledger.write() as connection:
        connection.execute(tables.webhook_calls.update().values(created_at=datetime.now(UTC) - timedelta(days=1)))
    receiver.answers["/first"] = Answer(body={"halt": True})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.PAUSED
    webhooks.resume(engine.context, request_id, receiver.calls[-1].headers["reply-to-token"], None)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"halt": "no"},
        [],
        {"halt": False, "derived_identity": {"email": "nobody"}},
        {"halt": False, "derived_identity": {"email": "nobody" * 200 + "@example.com"}},
    ],
    ids=range(5),
)
def test_a_wrong_answer_ends_that_request_alone(start: Start, receiver: Receiver, body: object) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")
    receiver.answers["/first"] = lambda call: Answer(body=body) if b"p0@" in call.body else go_on()
    bad, good = engine.submit("give", shop.add_person(0), shop.add_person(1))
    engine.run()
    assert [engine.view(one).status for one in (bad, good)] == [RequestStatus.ERROR, RequestStatus.COMPLETE]
    assert "webhook" in str(engine.view(bad).failure)
    assert "nobody" not in str(engine.view(bad).failure)


def test_of_two_lists_saved_at_once_one_stands(start: Start, receiver: Receiver) -> None:
    _, engine = prepare(start, receiver, Phase.PRE, "/first")
    both = threading.Barrier(2, timeout=30)

    def replace_list(keys: str) -> None:
        drafts = [WebhookDraft(connection_config_key="first", direction=Direction.ONE_WAY, key=key) for key in keys]
        for _ in range(5):
            both.wait()
            webhooks.replace_webhooks(engine.context, "give", Phase.PRE, drafts)
            both.wait()
            found = webhooks.list_webhooks(engine.context, "give", Phase.PRE, 1, 50).items
            assert [(hook.key, hook.order) for hook in found] in ([("a", 0), ("b", 1)], [("c", 0), ("d", 1)])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(replace_list, ("ab", "cd")))


def test_derived_identities_are_never_written_to(start: Start, receiver: Receiver) -> None:
    _, engine = prepare(start, receiver, Phase.PRE, "/first")
    set_up_letterbox(engine.context)
    receiver.answers["/first"] = Answer(body={"halt": False, "derived_identity": {"email": "p0@example.com"}})
    [request_id] = engine.submit("give", {"phone_number": "+15551234567"})
    engine.run()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    assert read_outbox(engine.context, request_id) == []


def test_a_request_that_lacks_an_identity_asks_for_it_again_when_it_is_retried(
    start: Start, receiver: Receiver
) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")
    receiver.answers["/first"] = go_on()
    shop.add_person(0)
    [request_id] = engine.submit("give", {"phone_number": "+15551234567"})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    receiver.answers["/first"] = Answer(body={"halt": False, "derived_identity": {"email": "p0@example.com"}})
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert engine.counts(request_id)["shop:people"]["found"] == 1


def test_what_a_webhook_derived_by_mistake_is_forgotten_when_it_is_called_again(
    start: Start, receiver: Receiver
) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first", "/second")
    mistake = Answer(body={"halt": False, "derived_identity": {"email": "p1@example.com"}})
    receiver.answers |= {"/first": mistake, "/second": Answer(500)}
    shop.add_person(1)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    receiver.calls.clear()
    receiver.answers |= {"/first": go_on(), "/second": go_on()}
    requests.retry(engine.context, request_id)
    engine.run()
    assert {call.json["identity"]["email"] for call in receiver.calls} == {"p0@example.com"}
    assert "Name 0" in engine.package(request_id, "give-give")


def test_derived_identities_of_an_abandoned_request_go_with_its_rows(start: Start, receiver: Receiver) -> None:
    _, engine = prepare(start, receiver, Phase.PRE, "/first", "/second")
    derived = {"halt": False, "derived_identity": {"email": "p0@example.com"}}
    receiver.answers |= {"/first": Answer(body=derived), "/second": Answer(500)}
    [request_id] = engine.submit("give", {"email": "former@example.com"})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    with engine.context.ledger.write() as connection:
        connection.execute(tables.requests.update().values(updated_at=datetime(2020, 1, 1, tzinfo=UTC)))
    sweep(engine.context, "forget")
    with engine.context.ledger.read() as connection:
        assert not connection.execute(sa.select(tables.derived_identities)).first()
    receiver.calls.clear()
    receiver.answers |= {"/first": go_on(), "/second": go_on()}
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert {call.json["identity"]["email"] for call in receiver.calls} == {"former@example.com"}


def test_derived_identities_go_with_the_grace(start: Start, receiver: Receiver) -> None:
    shop, engine = prepare(start, receiver, Phase.PRE, "/first")
    receiver.answers["/first"] = Answer(body={"halt": False, "derived_identity": {"email": "p0@example.com"}})
    shop.add_person(0)
    engine.submit("give", {"email": "former@example.com"})
    engine.run()
    later = engine.context.clock.now() + timedelta(seconds=1)
    with engine.context.ledger.write() as connection:
        assert forget_finished(connection, later, 10) == 2
        assert forget_finished(connection, later, 10) == 0
