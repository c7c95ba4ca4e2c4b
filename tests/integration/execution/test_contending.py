"""Twenty people at once answer for, retry and cancel the same fifty requests: each ends once and runs once at most."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random

from memory_shop import Shop

from engine import Engine, done
from habeas.connectors.memory import MemoryConnector, MemoryStore
from habeas.domain.errors import HabeasError, InputError
from habeas.domain.ports import Lookup
from habeas.domain.request import ActionType, RequestStatus
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, forms, manual_webhooks, requests, review
from habeas.services.manual_webhooks import FieldDraft

Start = Callable[..., Engine]
MANY, HANDS = 50, 20


class Counting(MemoryConnector):
    """Counts how often each person is looked up."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.people: Counter[str] = Counter()

    def read(self, lookup: Lookup):  # type: ignore[no-untyped-def]
        if lookup.table.name == "people":
            self.people.update(str(value) for entry in lookup.entries for _, value in entry.pairs)
        return super().read(lookup)


def all_at_once(ids: list[str], cancel: Callable[[str], object], *ways: Callable[[str], object]) -> None:
    """Every hand goes through all requests in its own order and tries a way that it draws; one cancels every other."""
    problems: list[BaseException] = []

    def go_through(number: int) -> None:
        random = Random(number)
        for request_id in random.sample(ids, len(ids)):
            try:
                with suppress(InputError):
                    (random.choice(ways) if number or random.random() < 0.5 else cancel)(request_id)
            except HabeasError as problem:
                problems.append(problem)

    hands = [threading.Thread(target=go_through, args=(number,)) for number in range(HANDS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert not problems


def test_forms_resumed_retried_and_cancelled_by_many(start: Start) -> None:
    shop, engine = Shop(), start()
    connector = Counting(shop.store)
    engine.plug("shop", connector)
    engine.describe("shop", shop.body())
    engine.policy("give", access=["user"])
    desk = connections.ConnectionDraft(
        name="desk", key="desk", connection_type="manual_webhook", access=AccessLevel.WRITE
    )
    done(connections.save_connections(engine.context, [desk]))
    manual_webhooks.create_manual_webhook(engine.context, "desk", [FieldDraft(pii_field="Name")])
    ids = engine.submit("give", *(shop.add_person(number, orders=0) for number in range(MANY)))
    engine.run()
    context = engine.context

    def fill_and_resume(request_id: str) -> None:
        forms.save_form(context, request_id, ActionType.ACCESS, "desk", {"name": "Ann"}, "clerk")
        forms.resume(context, request_id, "clerk")

    all_at_once(
        ids,
        lambda request_id: review.cancel(context, [request_id], "clerk"),
        fill_and_resume,
        lambda request_id: forms.resume(context, request_id, "clerk"),
        lambda request_id: requests.retry(context, request_id, "clerk"),
    )
    before = Counter(engine.view(request_id).status for request_id in ids)
    assert before.keys() <= {RequestStatus.IN_PROCESSING, RequestStatus.CANCELED, RequestStatus.REQUIRES_INPUT}
    assert before[RequestStatus.CANCELED] and before[RequestStatus.IN_PROCESSING]
    engine.run()
    after = Counter(engine.view(request_id).status for request_id in ids)
    assert after[RequestStatus.COMPLETE] == before[RequestStatus.IN_PROCESSING]
    assert after[RequestStatus.CANCELED] == before[RequestStatus.CANCELED]
    assert set(connector.people.values()) == {1}
    assert len(connector.people) == after[RequestStatus.COMPLETE]
    resumed = [engine.view(one).results.get("Request resumed", []) for one in ids]  # type: ignore[attr-defined]
    assert max(len(entries) for entries in resumed) == 1
