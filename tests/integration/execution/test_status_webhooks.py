"""Status webhooks: what subscribers are told of, in which order, how often, and how they know that it is true."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine, acting
from habeas.domain.errors import InputError, NotAllowed, NotFound
from habeas.domain.request import RequestStatus
from habeas.domain.scopes import SCOPES
from habeas.execution.housekeeping import sweep
from habeas.execution.status_telling import GIVE_UP_SECONDS, pause_after, tell_due
from habeas.services import clients, requests, review, status_webhooks
from habeas.services.clients import ClientDraft
from habeas.services.status_webhooks import StatusWebhookChange, StatusWebhookDraft
from habeas.services.tokens import find_holder
from habeas.store import tables
from servers.receiver import Answer, Call, Receiver

Start = Callable[..., Engine]
SECTIONS = {"security": {"outgoing_allow_list": ["127.0.0.1"], "oauth_root_client_id": "root"}}
ANN = {"email": "ann@example.com"}
ON_ONE_LEDGER = pytest.mark.parametrize("made_ledger", ["sqlite"], indirect=True)
tell = partial(tell_due, find_holder=find_holder)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()
    yield served
    served.close()


@pytest.fixture
def engine(start: Start) -> Engine:
    made = start(sections=SECTIONS)
    set_up(made, Shop().connector())
    return made


def subscribe(engine: Engine, url: str, **wanted: Any) -> tuple[str, str]:
    """A subscription of a new client that may read requests: its id and secret."""
    made = clients.create_client(acting(engine.context, "root", *SCOPES), ClientDraft(["privacy-request:read"]))
    caller = acting(engine.context, made.client_id, "privacy-request:read")
    subscribed = status_webhooks.create_webhook(caller, StatusWebhookDraft(url=url, **wanted))
    return subscribed.webhook.id, subscribed.secret


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """(request, status) of each call, as they came."""
    return [(call.json["data"]["id"], call.json["data"]["status"]) for call in receiver.calls]


def move_on(engine: Engine, seconds: float) -> None:
    """Let this much time go by for everything that is due."""
    with engine.context.ledger.write() as connection:
        for table, names in ((tables.deliveries, ("due_at", "since")), (tables.status_webhooks, ("rests_until",))):
            connection.execute(table.update().values({name: table.c[name] - seconds for name in names}))


def deliveries(engine: Engine) -> list[Any]:
    with engine.context.ledger.read() as connection:
        return list(connection.execute(sa.select(tables.deliveries).order_by(tables.deliveries.c.number)).mappings())


def signature_of(call: Call, secret: str) -> str:
    """As the Standard Webhooks specification has it, written down anew."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body])
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_every_move_is_told_once_in_order_and_signed(engine: Engine, receiver: Receiver) -> None:
    _, secret = subscribe(engine, receiver.url("/tickets"))
    [request_id] = engine.submit("give", ANN)
    engine.run()
    assert tell(engine.context) == 3
    assert tell(engine.context) == 0
    assert told(receiver) == [(request_id, status) for status in ("pending", "in_processing", "complete")]
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 3
    for call in receiver.calls:
        assert call.headers["webhook-signature"] == signature_of(call, secret)
        assert call.headers["content-type"] == "application/json"
        assert set(call.json) == {"type", "timestamp", "data"}
        assert call.json["type"] == "privacy_request.status_changed"
        assert call.json["data"]["policy_key"] == "give"
        assert set(call.json["data"]) == {"id", "status", "policy_key"}


def test_moves_by_people_failures_and_retries_are_told(engine: Engine, receiver: Receiver) -> None:
    shop = Shop()
    person, connector = shop.add_person(0), Flaky(shop)
    engine.plug("shop", connector)
    subscribe(engine, receiver.url("/"))
    unplanned, failed, canceled = engine.submit("give", {"phone_number": "+15551234567"}, person, ANN)
    review.cancel(engine.context, [canceled], "asked to")
    connector.failing["read people"] = 99
    engine.run()
    for request_id in (unplanned, failed):
        requests.retry(engine.context, request_id)
    engine.run()
    tell(engine.context)
    moves = {one: [status for request_id, status in told(receiver) if request_id == one] for one in (unplanned, failed)}
    assert moves[unplanned] == ["pending", "error", "in_processing", "error"]
    assert moves[failed] == ["pending", "in_processing", "error", "in_processing", "error"]
    assert [status for request_id, status in told(receiver) if request_id == canceled] == ["pending", "canceled"]


def test_only_what_is_wanted_is_told(engine: Engine, receiver: Receiver) -> None:
    engine.policy("give2", access=["user"])
    subscribe(engine, receiver.url("/ends"), statuses=[RequestStatus.COMPLETE, RequestStatus.ERROR])
    subscribe(engine, receiver.url("/other"), policy_keys=["give2"], statuses=[RequestStatus.PENDING])
    subscribe(engine, receiver.url("/off"), disabled=True)
    one, other = engine.submit("give", ANN) + engine.submit("give2", ANN)
    engine.run()
    tell(engine.context)
    assert sorted((call.path, call.json["data"]["id"], call.json["data"]["status"]) for call in receiver.calls) == [
        *sorted(("/ends", request_id, "complete") for request_id in (one, other)),
        ("/other", other, "pending"),
    ]


def test_a_call_that_fails_is_repeated_as_the_same_and_later_ones_wait(engine: Engine, receiver: Receiver) -> None:
    subscribe(engine, receiver.url("/"))
    receiver.answers["/"] = Answer(503)
    engine.submit("give", ANN)
    engine.run()
    for failures in (1, 2):
        assert tell(engine.context) == 0
        assert len(receiver.calls) == failures
        move_on(engine, pause_after(failures))
    first = deliveries(engine)[0]
    assert (first.state, first.attempts, first.http_status) == ("due", 2, 503)
    receiver.answers["/"] = Answer(204)
    assert tell(engine.context) == 3
    assert [status for _, status in told(receiver)] == ["pending"] * 3 + ["in_processing", "complete"]
    assert len({(call.headers["webhook-id"], call.body) for call in receiver.calls[:3]}) == 1


@ON_ONE_LEDGER
def test_a_call_that_was_taken_but_not_recorded_is_repeated_as_the_same(engine: Engine, receiver: Receiver) -> None:
    subscribe(engine, receiver.url("/"), statuses=[RequestStatus.PENDING])
    engine.submit("give", ANN)

    class Killed(BaseException):
        pass

    send = engine.context.outgoing.send

    def send_and_die(*given: Any, **named: Any) -> Any:
        send(*given, **named)
        raise Killed

    engine.context.outgoing.send = send_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        tell(engine.context)
    engine.context.outgoing.send = send  # type: ignore[method-assign]
    assert tell(engine.context) == 0  # another process may still be at it
    move_on(engine, 301)
    assert tell(engine.context) == 1
    first, second = receiver.calls
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_what_is_not_taken_within_a_day_is_given_up(engine: Engine, receiver: Receiver) -> None:
    webhook_id, _ = subscribe(engine, receiver.url("/"))
    receiver.answers["/"] = Answer(500)
    ids = engine.submit("give", *({"email": f"p{number}@example.com"} for number in range(8)))
    engine.run()
    move_on(engine, GIVE_UP_SECONDS + 1)
    tell(engine.context)
    assert [one.state for one in deliveries(engine)] == ["failed"] * 24
    del receiver.answers["/"]
    assert tell(engine.context) == 0
    root = acting(engine.context, "root", *SCOPES)
    since = engine.context.clock.now() - timedelta(hours=1)
    assert status_webhooks.replay(root, webhook_id, since, None).count == 24
    receiver.calls.clear()
    assert tell(engine.context) == 24
    moves = [status for request_id, status in told(receiver) if request_id == ids[0]]
    assert moves == ["pending", "in_processing", "complete"]


@ON_ONE_LEDGER
def test_what_is_replayed_has_the_same_id(engine: Engine, receiver: Receiver) -> None:
    webhook_id, secret = subscribe(engine, receiver.url("/"))
    engine.submit("give", ANN)
    engine.run()
    tell(engine.context)
    root, again = acting(engine.context, "root", *SCOPES), receiver.calls[1]
    future = engine.context.clock.now() + timedelta(hours=1)
    assert status_webhooks.replay(root, webhook_id, future, None).count == 0
    assert status_webhooks.replay(root, webhook_id, None, [again.headers["webhook-id"], "dlv_unknown"]).count == 1
    assert tell(engine.context) == 1
    assert receiver.calls[-1].headers["webhook-id"] == again.headers["webhook-id"]
    assert receiver.calls[-1].body == again.body
    assert receiver.calls[-1].headers["webhook-signature"] == signature_of(receiver.calls[-1], secret)
    for since, ids in ((None, None), (future, ["x"])):
        with pytest.raises(InputError):
            status_webhooks.replay(root, webhook_id, since, ids)


@ON_ONE_LEDGER
def test_a_receiver_that_is_gone_is_told_nothing_more(engine: Engine, receiver: Receiver) -> None:
    webhook_id, _ = subscribe(engine, receiver.url("/"))
    receiver.answers["/"] = Answer(410)
    engine.submit("give", ANN)
    tell(engine.context)
    engine.run()
    tell(engine.context)
    assert len(receiver.calls) == 1
    root = acting(engine.context, "root", *SCOPES)
    view = status_webhooks.find_webhook(root, webhook_id)
    assert (view.disabled, view.failure) == (True, "the receiver answered 410")
    del receiver.answers["/"]
    status_webhooks.change_webhook(root, webhook_id, StatusWebhookChange(disabled=False))
    engine.submit("give", ANN)
    assert tell(engine.context) == 1


@ON_ONE_LEDGER
def test_a_receiver_that_asks_for_time_gets_it(engine: Engine, receiver: Receiver) -> None:
    subscribe(engine, receiver.url("/"), statuses=[RequestStatus.PENDING])
    receiver.answers["/"] = Answer(429, headers={"Retry-After": "600"})
    engine.submit("give", ANN)
    tell(engine.context)
    del receiver.answers["/"]
    engine.submit("give", ANN)
    move_on(engine, 590)
    assert tell(engine.context) == 0
    move_on(engine, 11)
    assert tell(engine.context) == 2


@ON_ONE_LEDGER
def test_nobody_is_told_who_may_not_read_requests(engine: Engine, receiver: Receiver) -> None:
    webhook_id, _ = subscribe(engine, receiver.url("/"))
    root = acting(engine.context, "root", *SCOPES)
    holder = status_webhooks.find_webhook(root, webhook_id).client_id
    clients.change_scopes(root, holder, ["policy:read"])
    engine.submit("give", ANN)
    assert tell(engine.context) == 0
    assert (receiver.calls, deliveries(engine)[0].state) == ([], "failed")
    with pytest.raises(NotAllowed, match="privacy-request:read"):
        draft = StatusWebhookDraft(url=receiver.url("/"))
        status_webhooks.create_webhook(acting(engine.context, holder, "policy:read"), draft)


def test_subscriptions_go_with_their_client(engine: Engine, receiver: Receiver) -> None:
    webhook_id, _ = subscribe(engine, receiver.url("/"))
    root = acting(engine.context, "root", *SCOPES)
    engine.submit("give", ANN)
    clients.delete_client(root, status_webhooks.find_webhook(root, webhook_id).client_id)
    with pytest.raises(NotFound):
        status_webhooks.find_webhook(root, webhook_id)
    assert tell(engine.context) == 0
    assert (receiver.calls, deliveries(engine)) == ([], [])


@ON_ONE_LEDGER
def test_both_secrets_sign_for_a_day(engine: Engine, receiver: Receiver) -> None:
    webhook_id, old = subscribe(engine, receiver.url("/"))
    new = status_webhooks.rotate_secret(acting(engine.context, "root", *SCOPES), webhook_id).secret
    assert status_webhooks.test_webhook(acting(engine.context, "root", *SCOPES), webhook_id).taken
    [call] = receiver.calls
    assert call.json["type"] == "status_webhook.test"
    assert call.headers["webhook-signature"].split() == [signature_of(call, new), signature_of(call, old)]


@ON_ONE_LEDGER
def test_a_url_of_the_own_network_is_not_called(start: Start, receiver: Receiver) -> None:
    engine = start(sections={"security": {"oauth_root_client_id": "root"}})
    set_up(engine, Shop().connector())
    webhook_id, _ = subscribe(engine, receiver.url("/"))
    engine.submit("give", ANN)
    tell(engine.context)
    answer = status_webhooks.test_webhook(acting(engine.context, "root", *SCOPES), webhook_id)
    assert (answer.taken, answer.http_status) == (False, None)
    assert "https" in str(answer.failure)
    assert receiver.calls == []


def test_old_deliveries_are_swept(engine: Engine, receiver: Receiver) -> None:
    subscribe(engine, receiver.url("/"))
    engine.submit("give", ANN)
    tell(engine.context)
    assert sweep(engine.context, "forget_deliveries").done == 0
    move_on(engine, engine.context.settings.execution.temporary_ttl_seconds + 1)
    assert sweep(engine.context, "forget_deliveries").done == 1
    assert deliveries(engine) == []


@ON_ONE_LEDGER
def test_urls_and_secrets_are_sealed(engine: Engine, receiver: Receiver) -> None:
    _, secret = subscribe(engine, receiver.url("/hook-token-17"))
    with engine.context.ledger.read() as connection:
        kept = connection.execute(sa.select(tables.status_webhooks)).mappings().one()
    assert not any(part in str(dict(kept)) for part in (secret, secret[6:], "hook-token-17"))


def test_two_servers_tell_each_move_once_and_in_order(start: Start, engine: Engine, receiver: Receiver) -> None:
    subscribe(engine, receiver.url("/"))
    ids = engine.submit("give", *({"email": f"p{number}@example.com"} for number in range(12)))
    engine.run()
    other = start(sections=SECTIONS)
    with ThreadPoolExecutor(2) as servers:
        while sum(servers.map(tell, [engine.context, other.context])):
            pass
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == len(receiver.calls) == 36
    for request_id in ids:
        moves = [status for told_of, status in told(receiver) if told_of == request_id]
        assert moves == ["pending", "in_processing", "complete"]
