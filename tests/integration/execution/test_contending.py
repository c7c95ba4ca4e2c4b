"""Twenty people press every button of the same requests at once: each press counts once, each request runs once."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from memory_shop import Flaky, Shop, make_field, set_up

from engine import Engine, acting, done
from habeas.domain.errors import InputError
from habeas.domain.request import ActionType, RequestStatus
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, forms, manual_collections, manual_webhooks, requests, review
from habeas.services.manual_webhooks import FieldDraft

Start = Callable[..., Engine]
Act = Callable[[str, str], bool]
THREADS, REQUESTS = 20, 50


def drawer() -> dict[str, Any]:
    fields = [make_field("card", key=True), make_field("person", refers_to="people.id"), make_field("order_id")]
    return {"fides_key": "drawer", "name": "Drawer", "collections": [{"name": "cards", "fields": fields}]}


def shop_behind_the_drawer() -> dict[str, Any]:
    """The shop, whose items are looked for once the cards are known."""
    body = Shop.body()
    reference = {"dataset": "drawer", "field": "cards.order_id", "direction": "from"}
    body["collections"][2]["fields"][1]["fides_meta"]["references"].append(reference)
    return body


def set_up_people(engine: Engine) -> None:
    """People at `desk` are asked before the run, and those at `drawer` in it."""
    draft = connections.ConnectionDraft(
        name="desk", key="desk", connection_type="manual_webhook", access=AccessLevel.WRITE
    )
    done(connections.save_connections(engine.context, [draft]))
    manual_webhooks.create_manual_webhook(engine.context, "desk", [FieldDraft(pii_field="Shoe size")])
    engine.connect("drawer", "manual", {})
    engine.describe("drawer", drawer())
    engine.describe("shop", shop_behind_the_drawer())


def contend(ids: list[str], actions: dict[str, Act]) -> Counter[tuple[str, str]]:
    """All threads do these things to all requests, each in its own order; how often each was done to each."""
    counted: Counter[tuple[str, str]] = Counter()
    unexpected: list[BaseException] = []
    lock, together = threading.Lock(), threading.Barrier(THREADS)

    def press(number: int) -> None:
        own = random.Random(number)
        mixed = own.sample(ids, len(ids))
        together.wait()
        for one in mixed:
            name = "cancel" if own.random() < 0.01 else own.choice([name for name in actions if name != "cancel"])
            try:
                if not actions[name](one, str(number)):
                    continue
            except InputError:
                continue
            except BaseException as error:
                unexpected.append(error)
                return
            with lock:
                counted[one, name] += 1

    threads = [threading.Thread(target=press, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not unexpected
    return counted


def test_each_press_counts_once_and_each_request_runs_once(start: Start) -> None:
    shop, engine = Shop(), start(require_manual_request_approval=True, task_retry_count=0)
    people = [shop.add_person(number, orders=1, items=1) for number in range(REQUESTS)]
    connector = Flaky(shop)
    set_up(engine, connector)
    set_up_people(engine)
    ids = engine.submit("give", *people)
    context = engine.context

    def statuses() -> Counter[RequestStatus]:
        return Counter(engine.view(one).status for one in ids)

    def fill(one: str, actor: str) -> bool:
        forms.save_form(acting(context, actor), one, ActionType.ACCESS, "desk", {"shoe_size": actor})
        return False  # may be said again and again while the request waits

    def leave(one: str, actor: str) -> bool:
        return bool(forms.resume(acting(context, actor), one))

    def answer(one: str, actor: str) -> bool:
        return bool(manual_collections.answer(acting(context, actor), one, []))

    def retry(one: str, actor: str) -> bool:
        return bool(requests.retry(acting(context, actor), one))

    def approve(one: str, actor: str) -> bool:
        return bool(review.approve(acting(context, actor), [one]).succeeded)

    def cancel(one: str, actor: str) -> bool:
        return bool(review.cancel(acting(context, actor), [one]).succeeded)

    stages: list[tuple[RequestStatus, dict[str, Act]]] = [
        (RequestStatus.PENDING, {"approve": approve}),
        (RequestStatus.REQUIRES_INPUT, {"fill": fill, "leave": leave}),
        (RequestStatus.PAUSED, {"answer": answer}),
        (RequestStatus.ERROR, {"retry": retry}),
    ]
    canceled: set[str] = set()
    for waiting, actions in stages:
        assert statuses() == +Counter({waiting: REQUESTS - len(canceled), RequestStatus.CANCELED: len(canceled)})
        pressed = contend(ids, {**actions, "cancel": cancel})
        assert max(pressed.values()) == 1, "nothing is done twice"
        now_canceled = {one for one, name in pressed if name == "cancel"}
        assert not now_canceled & canceled
        assert not {one for one, name in pressed if name != "cancel"} & canceled, "an end is an end"
        canceled |= now_canceled
        connector.failing = {"read items": REQUESTS} if waiting is RequestStatus.PAUSED else {}
        engine.run()
    assert statuses() == +Counter(
        {RequestStatus.COMPLETE: REQUESTS - len(canceled), RequestStatus.CANCELED: len(canceled)}
    )
    for one in set(ids) - canceled:
        log = engine.log(one)
        assert log.count(("people", "access", "complete")) == log.count(("items", "access", "complete")) == 1
