"""Collections that only people can look into: members wait for an answer, and its rows then are the collection's."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import EMAIL, NAME, Flaky, Shop, make_field, set_up

from engine import Engine
from habeas.connectors.memory import MemoryConnector
from habeas.domain.clock import SystemClock
from habeas.domain.errors import InputError
from habeas.domain.ports import Lookup, Row
from habeas.domain.request import RequestStatus
from habeas.execution.waiting import end_waits
from habeas.services import connections, manual_collections, requests
from habeas.services.fields import InvalidFields
from habeas.store import tables

Start = Callable[..., Engine]


class InHundredDays:
    """A clock that is ahead."""

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(days=100)


def desk(*, key: bool = True) -> dict[str, Any]:
    """A card index in a drawer: found by a person's id in the shop, it has the number of an order."""
    fields = [
        make_field("card", key=key),
        make_field("person", refers_to="people.id"),
        make_field("remark", "user.content"),
        make_field("order_id"),
    ]
    return {"fides_key": "desk", "name": "Desk", "collections": [{"name": "cards", "fields": fields}]}


def shop_behind_the_desk() -> dict[str, Any]:
    """The shop, whose items are found by what stands on the cards too."""
    body = Shop.body()
    order_id = body["collections"][2]["fields"][1]
    reference = {"dataset": "desk", "field": "cards.order_id", "direction": "from"}
    order_id["fides_meta"]["references"].append(reference)
    return body


def set_up_desk(engine: Engine, shop: Shop) -> None:
    set_up(engine, shop.connector())
    engine.connect("desk", "manual", {})
    engine.describe("desk", desk())
    engine.describe("shop", shop_behind_the_desk())


def status(engine: Engine, request_id: str) -> RequestStatus:
    return engine.view(request_id).status


def needed(engine: Engine, request_id: str) -> list[tuple[str, dict[str, Any], Any, Any]]:
    """(collection, locators, get, update) of all that people are asked for."""
    details = engine.view(request_id).action_required_details
    assert details is not None
    return [(one.collection, dict(one.locators), one.get, one.update) for one in details.action_needed or ()]


def answer(engine: Engine, request_id: str, *rows: dict[str, Any], collection: str | None = None) -> None:
    manual_collections.answer(engine.context, request_id, rows, collection)
    engine.run()


def package(engine: Engine, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.package(request_id, "give-give"))
    return found


CARD = {"card": 7, "person": 0, "remark": "likes tea", "order_id": 900}


def test_a_person_is_asked_and_the_answer_leads_on(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    shop.items.records.append({"id": 90000, "order_id": 900, "label": "known by a card alone"})
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    view = engine.view(request_id)
    assert (view.status, view.paused_at is not None) == (RequestStatus.PAUSED, True)
    assert view.resume_endpoint == f"/privacy-request/{request_id}/manual_input"
    assert view.action_required_details is not None
    assert (view.action_required_details.step, view.action_required_details.collection) == ("access", "desk:cards")
    assert needed(engine, request_id) == [
        ("desk:cards", {"person": [0]}, ["card", "order_id", "person", "remark"], None)
    ]
    log = engine.log(request_id)
    assert ("cards", "access", "paused") in log
    assert ("orders", "access", "complete") in log, "what does not hang on the answer goes on"
    assert "items" not in {collection for collection, _, _ in log}
    answer(engine, request_id, CARD)
    assert status(engine, request_id) is RequestStatus.COMPLETE
    assert package(engine, request_id)["desk:cards"] == [{"remark": "likes tea"}]
    assert {"label": "known by a card alone"} in package(engine, request_id)["shop:items"]
    counts = engine.counts(request_id)
    assert (counts["desk:cards"]["found"], counts["shop:items"]["found"]) == (1, 5)
    assert engine.log(request_id).count(("orders", "access", "complete")) == 1, "nothing is visited twice"


def test_nothing_found_is_an_answer(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    answer(engine, request_id)
    assert status(engine, request_id) is RequestStatus.COMPLETE
    assert "desk:cards" not in package(engine, request_id)


def test_nobody_is_asked_about_whom_nothing_leads_there(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", {"email": "nobody@example.com"})
    engine.run()
    assert status(engine, request_id) is RequestStatus.COMPLETE


def test_one_waits_while_the_others_of_its_run_go_on(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(2)]
    set_up_desk(engine, shop)
    [first, second, stranger] = engine.submit("give", *people, {"email": "nobody@example.com"})
    engine.run()
    assert [status(engine, one) for one in (first, second)] == [RequestStatus.PAUSED] * 2
    assert status(engine, stranger) is RequestStatus.COMPLETE
    answer(engine, second, CARD | {"person": 1})
    assert [status(engine, one) for one in (first, second)] == [RequestStatus.PAUSED, RequestStatus.COMPLETE]
    answer(engine, first)
    assert status(engine, first) is RequestStatus.COMPLETE
    assert package(engine, second)["desk:cards"] == [{"remark": "likes tea"}]
    assert "desk:cards" not in package(engine, first)


def test_another_process_goes_on_after_the_answer(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    engine.close()
    engine = start()
    engine.plug("shop", shop.connector())
    engine.run()
    assert status(engine, request_id) is RequestStatus.PAUSED
    answer(engine, request_id, CARD)
    assert status(engine, request_id) is RequestStatus.COMPLETE
    assert engine.log(request_id).count(("people", "access", "complete")) == 1


def test_who_does_not_answer_in_time_is_asked_again_on_retry(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    assert end_waits(engine.context) == 0
    assert end_waits(replace(engine.context, clock=InHundredDays())) == 1
    view = engine.view(request_id)
    assert view.status is RequestStatus.ERROR
    assert view.action_required_details is not None
    assert view.action_required_details.collection == "desk:cards"
    with pytest.raises(InputError, match="no collection waits"):
        manual_collections.answer(engine.context, request_id, [CARD])
    requests.retry(engine.context, request_id)
    engine.run()
    assert status(engine, request_id) is RequestStatus.PAUSED
    answer(engine, request_id, CARD)
    assert status(engine, request_id) is RequestStatus.COMPLETE


def test_the_log_says_that_a_person_is_asked_once_it_is_so(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    flaky = Flaky(shop)
    flaky.failing["read orders"] = 1
    engine.plug("shop", flaky)
    [request_id] = engine.submit("give", person)
    engine.run()
    assert status(engine, request_id) is RequestStatus.ERROR
    assert ("cards", "access", "paused") not in engine.log(request_id), "another collection has failed: nobody is asked"
    requests.retry(engine.context, request_id)
    engine.run()
    assert status(engine, request_id) is RequestStatus.PAUSED
    assert engine.log(request_id).count(("cards", "access", "paused")) == 1


def test_fields_and_keys_of_an_answer_are_checked_without_repeating_it(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    for rows, says in (
        ([CARD, {"card": 8, "Ann": 1}], "1: unknown field; known are card, order_id, person, remark"),
        ([{"remark": "Ann"}], "0: the key is required: card"),
        ([CARD, CARD | {"remark": "Ann"}], "1: an earlier row has the same key"),
    ):
        with pytest.raises(InvalidFields) as refused:
            manual_collections.answer(engine.context, request_id, rows)
        assert str(refused.value) == says
    with pytest.raises(InputError, match="those that do: desk:cards"):
        manual_collections.answer(engine.context, request_id, [CARD], "desk:other")
    assert status(engine, request_id) is RequestStatus.PAUSED


def set_up_attic(engine: Engine, dataset: str = "attic") -> None:
    """Boxes that people look into too."""
    engine.connect("attic", "manual", {})
    fields = [make_field("box", key=True), make_field("mail", EMAIL, identity="email")]
    engine.describe("attic", {"fides_key": dataset, "name": "a", "collections": [{"name": "boxes", "fields": fields}]})


@pytest.mark.parametrize("ending", ["disabled", "deleted"])
def test_where_nobody_is_asked_any_more_nobody_is_waited_for(start: Start, ending: str) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(3)]
    set_up_desk(engine, shop)
    set_up_attic(engine)
    first, second, erased = [*engine.submit("give", *people[:2]), *engine.submit("forget", people[2])]
    engine.run()
    answer(engine, first, collection="desk:cards")
    answer(engine, erased, collection="desk:cards")
    answer(engine, erased, {"box": 1}, collection="attic:boxes")
    assert [place for place, *_ in needed(engine, erased)] == ["attic:boxes"]
    if ending == "disabled":
        engine.connect("attic", "manual", {}, disabled=True)
    else:
        connections.delete_connection(engine.context, "attic")
    engine.run()
    assert [status(engine, one) for one in (first, second, erased)] == ["complete", "paused", "complete"]
    assert [place for place, *_ in needed(engine, second)] == ["desk:cards"]
    answer(engine, second)
    assert status(engine, second) is RequestStatus.COMPLETE
    (entry,) = engine.view(first).results["Request resumed"]  # type: ignore[attr-defined]
    assert (entry.user_id, entry.message) == ("system", "attic asks for nothing any more")


def test_no_other_dataset_is_taken_for_that_of_a_connection_that_was_disabled(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    set_up_attic(engine, "DESK")
    [request_id] = engine.submit("give", person)
    engine.run()
    assert [place for place, *_ in needed(engine, request_id)] == ["DESK:boxes", "desk:cards"]
    engine.connect("attic", "manual", {}, disabled=True)
    engine.run()
    assert "Request resumed" not in engine.view(request_id).results  # type: ignore[attr-defined]
    assert [place for place, *_ in needed(engine, request_id)] == ["desk:cards"]


def test_nobody_waits_at_a_connection_that_was_disabled_while_others_were_read(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(2)]
    set_up_desk(engine, shop)

    class Meddler(MemoryConnector):
        """While orders are read the desk is closed."""

        def read(self, lookup: Lookup) -> Iterator[list[Row]]:
            if lookup.table.name == "orders":
                engine.connect("desk", "manual", {}, disabled=True)
            yield from super().read(lookup)

    engine.plug("shop", Meddler(shop.store))
    ids = engine.submit("give", *people)
    engine.run()
    assert [status(engine, one) for one in ids] == [RequestStatus.COMPLETE] * 2
    assert [engine.counts(one)["desk:cards"]["reason"] for one in ids] == ["the connection is disabled"] * 2


def test_an_answer_that_is_nested_without_end_is_refused(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    deep: Any = "Ann"
    for level in range(600):
        deep = [deep] if level % 2 else {"Ann": deep}
    with pytest.raises(InvalidFields) as refused:
        manual_collections.answer(engine.context, request_id, [CARD, CARD | {"card": 8, "remark": deep}])
    assert str(refused.value) == "1: nested in more than 100 levels"
    answer(engine, request_id, CARD | {"remark": [[["Ann"]]]})
    assert status(engine, request_id) is RequestStatus.COMPLETE


def typed_desk() -> dict[str, Any]:
    """The card index, whose fields say of what type they are."""
    body = desk()
    types = {"card": "integer", "remark": "string", "order_id": "integer"}
    for item in body["collections"][0]["fields"]:
        item["fides_meta"] |= {"data_type": types[item["name"]]} if item["name"] in types else {}
    body["collections"][0]["fields"] += [
        {"name": "paid", "data_categories": ["user.content"], "fides_meta": {"data_type": "float"}},
        {"name": "vip", "data_categories": ["user.content"], "fides_meta": {"data_type": "boolean"}},
        {"name": "calls", "data_categories": ["user.content"], "fides_meta": {"data_type": "integer[]"}},
        {
            "name": "home",
            "fields": [{"name": "floor", "data_categories": ["user.content"], "fides_meta": {"data_type": "integer"}}],
        },
    ]
    return body


def test_an_answer_is_read_in_the_types_of_the_dataset_and_leads_on(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    shop.items.records.append({"id": 90000, "order_id": 900, "label": "known by a card alone"})
    set_up_desk(engine, shop)
    engine.describe("desk", typed_desk())
    [request_id] = engine.submit("give", person)
    engine.run()
    written = {"paid": "12345678901234567.89", "vip": "true", "calls": ["1", None, 2], "home": {"floor": "3"}}
    answer(engine, request_id, {"card": "7", "remark": 5, "order_id": 900.0} | written, {"card": 8, "paid": True})
    assert status(engine, request_id) is RequestStatus.COMPLETE
    first, second = package(engine, request_id)["desk:cards"]
    read = {"paid": "12345678901234567.89", "vip": True, "calls": [1, None, 2], "home": {"floor": 3}}
    assert first == {"remark": "5"} | read, "a number that would be rounded stays as it was written"
    assert (second["paid"], second["remark"]) == (1, None)
    assert {"label": "known by a card alone"} in package(engine, request_id)["shop:items"]


_NOT_OF_THEIR_TYPES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"order_id": "seven"}, "1.order_id: not of the field's data_type integer"),
    ({"order_id": 7.5}, "1.order_id: not of the field's data_type integer"),
    ({"order_id": [7]}, "1.order_id: not of the field's data_type integer"),
    ({"card": "eight"}, "1.card: not of the field's data_type integer"),
    ({"remark": {"said": "seven"}}, "1.remark: not of the field's data_type string"),
    ({"paid": "Infinity"}, "1.paid: not of the field's data_type float"),
    ({"paid": 10**400}, "1.paid: not of the field's data_type float"),
    ({"paid": "1e-99999999999999999999"}, "1.paid: not of the field's data_type float"),
    ({"vip": "seven"}, "1.vip: not of the field's data_type boolean"),
    ({"calls": [1, "seven", "eight"]}, "1.calls: not of the field's data_type integer[]"),
    ({"home": "seven"}, "1.home: not of the field's data_type object"),
    ({"home": {"floor": "seven"}}, "1.home.floor: not of the field's data_type integer"),
)


def test_what_cannot_be_of_its_type_is_refused_without_repeating_it(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    engine.describe("desk", typed_desk())
    [request_id] = engine.submit("give", person)
    engine.run()
    for given, says in _NOT_OF_THEIR_TYPES:
        with pytest.raises(InvalidFields) as refused:
            manual_collections.answer(engine.context, request_id, [CARD, CARD | {"card": 8} | given])
        assert str(refused.value) == says
    assert status(engine, request_id) is RequestStatus.PAUSED
    assert needed(engine, request_id), "nothing is answered"
    with pytest.raises(InvalidFields, match="1: an earlier row has the same key"):
        manual_collections.answer(engine.context, request_id, [CARD, CARD | {"card": "7"}])


def test_of_several_that_wait_each_is_answered_by_name(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    set_up_attic(engine)
    [request_id] = engine.submit("give", person)
    engine.run()
    assert [collection for collection, *_ in needed(engine, request_id)] == ["attic:boxes", "desk:cards"]
    with pytest.raises(InputError, match="attic:boxes, desk:cards"):
        manual_collections.answer(engine.context, request_id, [])
    answer(engine, request_id, {"box": 1, "mail": "p0@example.com"}, collection="attic:boxes")
    assert status(engine, request_id) is RequestStatus.PAUSED
    answer(engine, request_id)
    assert status(engine, request_id) is RequestStatus.COMPLETE
    assert package(engine, request_id)["attic:boxes"] == [{"mail": "p0@example.com"}]


def test_a_person_erases_and_says_how_many_rows(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(2)]
    set_up_desk(engine, shop)
    first, second = engine.submit("forget", *people)
    engine.run()
    answer(engine, first, CARD)
    answer(engine, second)
    assert status(engine, second) is RequestStatus.COMPLETE, "where nothing was found nobody has to erase"
    view = engine.view(first)
    assert (view.status, view.resume_endpoint) == (RequestStatus.PAUSED, f"/privacy-request/{first}/erasure_confirm")
    assert needed(engine, first) == [("desk:cards", {"person": [0], "card": [7]}, None, {"remark": "hmac"})]
    assert ("cards", "erasure", "paused") in engine.log(first)
    held = {record["mail"] for record in shop.people.records}
    assert held == {"p0@example.com", None}, "what comes after it in the order of erasure waits"
    with pytest.raises(InputError, match="step erasure"):
        manual_collections.answer(engine.context, first, [CARD])
    manual_collections.confirm(engine.context, first, 1)
    engine.run()
    assert status(engine, first) is RequestStatus.COMPLETE
    counts = engine.counts(first)["desk:cards"]
    assert (counts["found"], counts["changed"], counts["verified"]) == (1, 1, False)
    assert requests.report(engine.context, first)["exceptions"] == []
    assert engine.counts(first)["shop:people"]["verified"], "what Habeas has changed and read again is proved"
    assert {record["mail"] for record in shop.people.records} == {None}


def test_a_person_may_erase_more_rows_than_were_found(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("forget", person)
    engine.run()
    answer(engine, request_id, CARD)
    manual_collections.confirm(engine.context, request_id, 99)
    engine.run()
    counts = engine.counts(request_id)["desk:cards"]
    assert [counts[name] for name in ("found", "changed", "submitted", "verified")] == [1, 99, 0, False]


def test_what_a_person_has_not_erased_is_an_exception(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("forget", person)
    engine.run()
    answer(engine, request_id, CARD, CARD | {"card": 8}, CARD | {"card": 9})
    manual_collections.confirm(engine.context, request_id, 1)
    engine.run()
    counts = engine.counts(request_id)["desk:cards"]
    assert [counts[name] for name in ("found", "changed", "submitted", "verified")] == [3, 1, 2, False]
    exceptions = requests.report(engine.context, request_id)["exceptions"]
    assert "desk:cards: 2 erasures were asked of others and are not proved" in exceptions


def test_rows_without_key_are_asked_for_and_kept(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    engine.describe("desk", desk(key=False))
    engine.policy("both", access=[NAME, "user.content"], erasure={"null_rewrite": ["user.content"]})
    [request_id] = engine.submit("both", person)
    engine.run()
    answer(engine, request_id, {"remark": "same"}, {"remark": "same"})
    assert needed(engine, request_id) == [("desk:cards", {"person": [0]}, None, {"remark": "null_rewrite"})]
    assert json.loads(engine.package(request_id, "both-give"))["desk:cards"] == [{"remark": "same"}] * 2
    manual_collections.confirm(engine.context, request_id, 2)
    engine.run()
    assert engine.counts(request_id)["desk:cards"]["changed"] == 2


def test_answers_are_sealed(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up_desk(engine, shop)
    [request_id] = engine.submit("give", person)
    engine.run()
    answer(engine, request_id, CARD)
    with engine.context.ledger.read() as connection:
        [form] = connection.execute(sa.select(tables.forms))
    assert form.labels == ["card", "order_id", "person", "remark"]
    assert b"likes tea" not in form.sealed_answers
    assert b"locators" not in form.sealed_question
