"""Requests wait for what people know, go on when they have said it, and lose none of it."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from memory_shop import EMAIL, Flaky, Shop

from engine import Engine, done
from habeas.delivery.opening import open_package
from habeas.domain.errors import InputError
from habeas.domain.ports import Connector
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.housekeeping import forget
from habeas.execution.waiting import end_waits
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, forms, manual_webhooks, policies, requests, review
from habeas.services.manual_webhooks import FieldDraft
from habeas.store import tables

Start = Callable[..., Engine]
ACCESS, ERASURE = ActionType.ACCESS, ActionType.ERASURE


def set_up(engine: Engine, shop: Shop, package_format: str = "json", connector: Connector | None = None) -> None:
    """The shop, a policy `give`, a policy `both` that masks mail addresses too, and people at `desk`."""
    engine.plug("shop", connector or shop.connector())
    engine.describe("shop", shop.body())
    engine.store("packages", package_format)
    engine.policy("give", access=["user"], storage="packages")
    engine.policy("both", access=["user.name"], erasure={"null_rewrite": [EMAIL]}, storage="packages")
    ask(engine, "desk", "Given name", "Shoe size")


def put(engine: Engine, key: str, *, disabled: bool = False) -> None:
    draft = connections.ConnectionDraft(
        name=key, key=key, connection_type="manual_webhook", access=AccessLevel.WRITE, disabled=disabled
    )
    done(connections.save_connections(engine.context, [draft]))


def ask(engine: Engine, key: str, *fields: str) -> None:
    """People at a new connection, who are asked for these fields."""
    put(engine, key)
    manual_webhooks.create_manual_webhook(engine.context, key, [FieldDraft(pii_field=field) for field in fields])


def change(engine: Engine, key: str, *fields: str) -> None:
    manual_webhooks.change_manual_webhook(engine.context, key, [FieldDraft(pii_field=field) for field in fields])


def fill(engine: Engine, request_id: str, key: str = "desk", action: ActionType = ACCESS, **answers: Any) -> None:
    forms.save_form(engine.context, request_id, action, key, answers)


def go_on(engine: Engine, request_id: str) -> None:
    forms.resume(engine.context, request_id)
    engine.run()


def status(engine: Engine, request_id: str) -> str:
    return str(engine.view(request_id).status)


def awaited(engine: Engine, request_id: str) -> list[tuple[str, str]]:
    details = engine.view(request_id).action_required_details
    return [(form.connection_key, str(form.action_type)) for form in (details and details.forms) or ()]


def kept(engine: Engine) -> list[tuple[str, str]]:
    """Forms in the ledger, as (action, connection)."""
    with engine.context.ledger.read() as connection:
        query = sa.select(tables.forms.c.action, tables.forms.c.place).order_by(*tables.forms.primary_key)
        return [(row.action, row.place) for row in connection.execute(query)]


def let_time_pass(engine: Engine, **time: int) -> None:
    past = datetime.now(UTC) - timedelta(**time)
    with engine.context.ledger.write() as connection:
        connection.execute(tables.requests.update().values(updated_at=past, finished_at=past, waits_until=past))


def test_what_people_say_is_in_the_package_under_its_labels_and_nowhere_else(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    assert status(engine, request_id) == "requires_input"
    assert awaited(engine, request_id) == [("desk", "access")]
    fill(engine, request_id, given_name="Ottilie", shoe_size="")
    go_on(engine, request_id)
    assert status(engine, request_id) == "complete"
    package = json.loads(engine.package(request_id, "give-give"))
    assert package["desk"] == [{"given_name": "Ottilie", "shoe_size": ""}]
    assert list(package) == ["shop:people", "shop:orders", "shop:items", "desk"]
    view = engine.view(request_id)
    assert view.action_required_details is None and view.resume_endpoint is None
    with engine.context.ledger.read() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert "Ottilie" not in repr(tuple(row)), table.name
    own = [
        item for item in requests.read_log(engine.context, request_id, 1, 100).items if item.connection_key == "desk"
    ]
    assert [(str(item.status), item.message) for item in own] == [
        ("paused", "the access form of desk has to be filled"),
        ("complete", "the access form of desk is saved"),
    ]
    assert engine.view(request_id).task_status_by_dataset["Manual webhook"] == "complete"  # type: ignore[attr-defined]


def test_every_package_has_the_answers_whatever_its_rule_targets(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    engine.policy("twice", access=["user.name"])
    add_rule(engine, "twice", "also", "user.financial")
    [request_id] = engine.submit("twice", shop.add_person(0))
    engine.run()
    fill(engine, request_id, given_name="Ann")
    go_on(engine, request_id)
    said = [{"given_name": "Ann", "shoe_size": None}]
    assert json.loads(engine.package(request_id, "twice-give"))["desk"] == said
    assert json.loads(engine.package(request_id, "also")) == {"desk": said}


def add_rule(engine: Engine, policy: str, key: str, category: str) -> None:
    """A further access rule, into storage `local`."""
    draft = policies.RuleDraft(name=key, key=key, action_type="access", storage_destination_key="local")
    done(policies.save_rules(engine.context, policy, [draft]))
    done(policies.save_targets(engine.context, policy, key, [policies.TargetDraft(data_category=category)]))


def test_answers_are_a_member_of_their_own_in_csv_and_encrypted_like_the_rest(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop, "csv")
    key = "0123456789abcdef"
    [request_id] = engine.submit("give", shop.add_person(0), encryption_key=key)
    engine.run()
    fill(engine, request_id, given_name="=Ann", shoe_size=None)
    go_on(engine, request_id)
    sealed = engine.package_bytes(request_id, "give-give")
    with ZipFile(io.BytesIO(sealed)) as package:
        assert b"Ann" not in package.read("desk.csv")
        manifest = json.loads(package.read("manifest.json"))
    assert {
        "collection": "desk",
        "columns": ["given_name", "shoe_size"],
        "encrypted": True,
        "name": "desk.csv",
        "rows": 1,
    } in (manifest["members"])
    with ZipFile(io.BytesIO(open_package(sealed, key.encode()))) as package:
        assert package.read("desk.csv").decode() == "given_name,shoe_size\r\n'=Ann,\r\n"


def test_what_people_erased_is_in_the_report_and_stays_there(start: Start) -> None:
    shop, engine = Shop(), start(grace_seconds=60)
    set_up(engine, shop)
    [request_id] = engine.submit("both", shop.add_person(0))
    engine.run()
    assert awaited(engine, request_id) == [("desk", "access"), ("desk", "erasure")]
    fill(engine, request_id, given_name="Ann")
    with pytest.raises(InputError, match="the erasure form of desk"):
        forms.resume(engine.context, request_id)
    fill(engine, request_id, action=ERASURE, given_name=True)
    go_on(engine, request_id)
    confirmed = [{"connection_key": "desk", "erased": {"given_name": True, "shoe_size": None}}]
    assert requests.report(engine.context, request_id)["confirmed"] == confirmed
    assert shop.people.records[0]["mail"] is None
    let_time_pass(engine, minutes=2)
    forget(engine.context)
    assert kept(engine) == [("erasure", "desk")]
    assert requests.report(engine.context, request_id)["confirmed"] == confirmed


def test_answers_find_no_data(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    ask(engine, "names", "email")
    shop.add_person(1)
    [request_id] = engine.submit("give", {"email": "nobody@example.com"})
    engine.run()
    fill(engine, request_id)
    fill(engine, request_id, "names", email="p1@example.com")
    go_on(engine, request_id)
    assert {place["found"] for place in engine.counts(request_id).values()} == {0}


def test_only_members_without_answers_wait(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    first, second, third = engine.submit("give", *(shop.add_person(number) for number in range(3)))
    engine.run()
    for one in (first, third):
        fill(engine, one, given_name=one)
        forms.resume(engine.context, one)
    change(engine, "desk", "Given name", "Hat size")
    engine.run()
    assert {status(engine, one) for one in (first, second, third)} == {"requires_input"}
    change(engine, "desk", "Shoe size", "Given name")
    fill(engine, second)
    go_on(engine, second)
    for one in (first, third):
        go_on(engine, one)
    assert {status(engine, one) for one in (first, second, third)} == {"complete"}
    said = json.loads(engine.package(first, "give-give"))["desk"]
    assert said == [{"given_name": first, "shoe_size": None}]


def test_changed_fields_have_to_be_saved_again(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    fill(engine, request_id, given_name="Ann")
    change(engine, "desk", "Given name", "Hat size")
    with pytest.raises(InputError, match="the access form of desk"):
        forms.resume(engine.context, request_id)
    seen = forms.read_form(engine.context, request_id, ACCESS, "desk")
    assert seen == forms.FilledForm(False, {"given_name": "Ann", "hat_size": None})
    fill(engine, request_id, given_name="Ann", hat_size="7")
    go_on(engine, request_id)
    assert json.loads(engine.package(request_id, "give-give"))["desk"] == [{"given_name": "Ann", "hat_size": "7"}]


def test_a_manual_webhook_of_later_does_not_stop_a_request_that_has_started(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    ask(engine, "later", "Hat size")
    fill(engine, request_id)
    with pytest.raises(InputError, match="not asked"):
        fill(engine, request_id, "later")
    go_on(engine, request_id)
    assert status(engine, request_id) == "complete"
    [next_one] = engine.submit("give", shop.add_person(1))
    engine.run()
    assert awaited(engine, next_one) == [("desk", "access"), ("later", "access")]


def test_a_retry_does_not_ask_who_has_answered(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    flaky = Flaky(shop)
    flaky.failing["read items"] = 1
    set_up(engine, shop, connector=flaky)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    fill(engine, request_id, given_name="Ann")
    go_on(engine, request_id)
    assert status(engine, request_id) == "error"
    ask(engine, "later", "Hat size")
    requests.retry(engine.context, request_id)
    engine.run()
    assert status(engine, request_id) == "complete"
    assert json.loads(engine.package(request_id, "give-give"))["desk"] == [{"given_name": "Ann", "shoe_size": None}]


@pytest.mark.parametrize("ending", ["disabled", "connection deleted", "definition deleted"])
def test_who_is_asked_for_nothing_any_more_goes_on(start: Start, ending: str) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    ask(engine, "other", "Hat size")
    one, two = engine.submit("give", *(shop.add_person(number) for number in range(2)))
    engine.run()
    fill(engine, one, given_name="Ann")
    match ending:
        case "disabled":
            put(engine, "other", disabled=True)
        case "connection deleted":
            connections.delete_connection(engine.context, "other")
        case _:
            manual_webhooks.delete_manual_webhook(engine.context, "other")
    assert (status(engine, one), status(engine, two)) == ("in_processing", "requires_input")
    assert awaited(engine, two) == [("desk", "access")]
    engine.run()
    assert (status(engine, one), status(engine, two)) == ("complete", "requires_input")
    assert set(json.loads(engine.package(one, "give-give"))) >= {"desk"}
    (entry,) = engine.view(one).results["Request resumed"]  # type: ignore[attr-defined]
    assert (entry.user_id, entry.message) == ("system", "other asks for nothing any more")


def test_nobody_is_asked_by_a_disabled_connection_or_one_without_fields(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    put(engine, "desk", disabled=True)
    put(engine, "empty")
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    assert status(engine, request_id) == "complete"
    assert "desk" not in json.loads(engine.package(request_id, "give-give"))


def test_who_waits_too_long_ends_in_error_and_a_retry_asks_again(start: Start) -> None:
    shop, engine = Shop(), start(answer_ttl_seconds=60)
    set_up(engine, shop)
    ask(engine, "other", "Hat size")
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    fill(engine, request_id, given_name="Ann")
    assert end_waits(engine.context) == 0
    let_time_pass(engine, minutes=2)
    assert end_waits(engine.context) == 1
    view = engine.view(request_id)
    assert view.status is RequestStatus.ERROR and view.failure and "nobody answered" in view.failure
    requests.retry(engine.context, request_id)
    engine.run()
    assert awaited(engine, request_id) == [("other", "access")]
    fill(engine, request_id, "other")
    go_on(engine, request_id)
    assert status(engine, request_id) == "complete"


def test_answers_go_after_the_grace_and_with_what_is_abandoned(start: Start) -> None:
    shop, engine = Shop(), start(grace_seconds=60, temporary_ttl_seconds=60)
    set_up(engine, shop)
    ended, left, canceled = engine.submit("give", *(shop.add_person(number) for number in range(3)))
    engine.run()
    for one in (ended, left, canceled):
        fill(engine, one, given_name="Ann")
    go_on(engine, ended)
    done_with = review.cancel(engine.context, [canceled])
    assert not done_with.failed
    forget(engine.context)
    assert len(kept(engine)) == 3
    let_time_pass(engine, minutes=2)
    end_waits(engine.context)
    forget(engine.context)
    assert len(kept(engine)) == 1, "the request that ended in error just now can be retried with its answers"
    let_time_pass(engine, minutes=2)
    forget(engine.context)
    assert kept(engine) == []
    requests.retry(engine.context, left)
    engine.run()
    assert awaited(engine, left) == [("desk", "access")]


def test_another_process_finds_who_waits_and_what_was_said(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop)
    waiting, resumed = engine.submit("give", *(shop.add_person(number) for number in range(2)))
    engine.run()
    for one in (waiting, resumed):
        fill(engine, one, given_name="Ann")
    forms.resume(engine.context, resumed)
    other = start()
    other.connectors["shop"] = engine.connectors["shop"]
    other.run()
    assert (status(other, waiting), status(other, resumed)) == ("requires_input", "complete")
    go_on(other, waiting)
    said = [json.loads(other.package(one, "give-give"))["desk"] for one in (waiting, resumed)]
    assert said == [[{"given_name": "Ann", "shoe_size": None}]] * 2
