"""Others are asked by e-mail to erase: one mail per person and dataset, each sent once, and what one says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import EMAIL, NAME, Shop, make_field, set_up

from engine import Engine
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.message import Channel, Message, ProviderType
from habeas.domain.request import RequestStatus
from habeas.execution import erasure_emails
from habeas.services import connections, requests
from habeas.services.request_views import VerboseRequestView
from habeas.store import messages, tables

Start = Callable[..., Engine]


class Post:
    """Takes e-mails, or refuses those to some recipients."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.refuses: dict[str, Exception] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def send(self, message: Message) -> None:
        if message.recipient in self.refuses:
            raise self.refuses[message.recipient]
        self.taken.append(message)
        self.meanwhile()

    def told(self) -> list[str]:
        return [message.recipient for message in self.taken]


def install(engine: Engine, post: Post) -> None:
    """Make the post the active provider of e-mails."""
    kind = ProviderType("post", Channel.EMAIL, {}, {}, lambda details, secrets: post)
    engine.context = replace(engine.context, provider_types={"post": kind})
    now = engine.context.clock.now()
    row = {"key": "post", "id": "post", "name": "post", "type": "post", "details": {}, "active": True}
    with engine.context.ledger.write() as connection:
        if not messages.active_providers(connection):
            connection.execute(tables.message_providers.insert().values(**row, created_at=now, updated_at=now))


def lines(text: str) -> list[str]:
    """What a mail says, line by line."""
    return [line for line in text.splitlines() if line]


def refers_to(name: str, dataset: str, field: str, category: str | None = None) -> dict[str, Any]:
    made = make_field(name, category)
    made["fides_meta"]["references"] = [{"dataset": dataset, "field": field, "direction": "from"}]
    return made


def carrier() -> dict[str, Any]:
    """Parcels are found by a person's id in the shop, stops by the parcels of the carrier's own."""
    parcels = [make_field("no", key=True), refers_to("customer", "shop", "people.id"), make_field("street", NAME)]
    stops = [make_field("id", key=True), refers_to("parcel", "carrier", "parcels.no"), make_field("signed", NAME)]
    collections = [{"name": "parcels", "fields": parcels}, {"name": "stops", "fields": stops}]
    return {"fides_key": "carrier", "name": "Carrier", "collections": collections}


def agency() -> dict[str, Any]:
    fields = [make_field("id", key=True), make_field("mail", EMAIL, identity="email")]
    return {"fides_key": "agency", "name": "Agency", "collections": [{"name": "leads", "fields": fields}]}


def set_up_mailed(engine: Engine, shop: Shop, post: Post, *bodies: Mapping[str, Any]) -> None:
    set_up(engine, shop.connector())
    install(engine, post)
    for body in bodies or (agency(), carrier()):
        key = str(body["fides_key"])
        engine.connect(key, "email", {"to_email": f"{key}@example.com", "test_email": "me@example.com"})
        engine.describe(key, body)


def test_one_mail_for_each_dataset_says_what_to_erase(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(4)
    set_up_mailed(engine, shop, post)
    [request_id] = engine.submit("forget", person)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert sorted(post.told()) == ["agency@example.com", "carrier@example.com"]
    said = {message.recipient: message.text for message in post.taken}
    assert lines(said["agency@example.com"])[1:] == [
        "agency:leads",
        "Rows with any of:",
        "- mail: p4@example.com",
        "Fields to erase:",
        "- mail (null_rewrite)",
        f"Request {request_id}",
    ]
    assert lines(said["carrier@example.com"])[1:-1] == [
        "carrier:parcels",
        "Rows with any of:",
        "- customer: 4",
        "Fields to erase:",
        "- street (hash)",
        "carrier:stops",
        "Rows with any of:",
        "- parcel: carrier:parcels:no",
        "Fields to erase:",
        "- signed (hash)",
    ]
    place = engine.counts(request_id)["agency:leads"]
    assert (place["submitted"], place["changed"], place["verified"]) == (1, 0, False)
    report = requests.report(engine.context, request_id)
    assert "agency:leads: 1 erasures were asked of others and are not proved" in report["exceptions"]
    view = engine.view(request_id)
    assert isinstance(view, VerboseRequestView)
    assert sorted(entry.message for entry in view.results["Erasure e-mail sent"]) == ["agency", "carrier"]


def test_what_failed_is_sent_by_a_retry_and_nothing_twice(start: Start) -> None:
    shop, engine, post = Shop(), start(task_retry_count=0), Post()
    person = shop.add_person(0)
    set_up_mailed(engine, shop, post)
    post.refuses["carrier@example.com"] = SystemUnavailable("the mail server does not answer")
    [request_id] = engine.submit("forget", person)
    engine.run()
    view = engine.view(request_id)
    assert view.status is RequestStatus.ERROR
    assert view.action_required_details is not None
    assert view.action_required_details.step == "erasure_emails"
    assert {record["mail"] for record in shop.people.records} == {None}
    assert post.told() == ["agency@example.com"]
    post.refuses.clear()
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert post.told() == ["agency@example.com", "carrier@example.com"]


@pytest.mark.parametrize("refusal", [InputError("no such mailbox"), SystemUnavailable("busy")], ids=["input", "busy"])
def test_a_failure_of_one_dataset_leaves_others_alone(refusal: Exception, start: Start) -> None:
    shop, engine, post = Shop(), start(task_retry_count=0), Post()
    people = [shop.add_person(number) for number in range(2)]
    set_up_mailed(engine, shop, post, carrier())
    post.refuses["carrier@example.com"] = refusal
    ids = engine.submit("forget", *people, {"email": "nobody@example.com"})
    engine.run()
    assert [engine.view(one).status for one in ids] == [RequestStatus.ERROR] * 2 + [RequestStatus.COMPLETE]
    assert not post.taken


def test_a_dataset_without_anything_to_erase_is_passed_by(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(0)
    idle = agency()
    idle["collections"][0]["fields"][1]["data_categories"] = ["system.operations"]
    set_up_mailed(engine, shop, post, idle, carrier())
    engine.submit("forget", person)
    engine.run()
    assert post.told() == ["carrier@example.com"]


def test_a_collection_without_key_is_not_asked_about(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(0)
    keyless = agency()
    keyless["collections"][0]["fields"][0] = make_field("id")
    set_up_mailed(engine, shop, post, keyless)
    [request_id] = engine.submit("forget", person)
    engine.run()
    assert not post.taken
    assert engine.counts(request_id)["agency:leads"]["skipped"]


def test_a_policy_that_only_gives_sends_nothing(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(0)
    set_up_mailed(engine, shop, post)
    [request_id] = engine.submit("give", person)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert not post.taken


def test_a_paused_connection_is_waited_for_and_a_disabled_one_passed_over(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(0)
    set_up_mailed(engine, shop, post)
    post.meanwhile = lambda: connections.pause_connection(engine.context, "carrier")
    [request_id] = engine.submit("forget", person)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
    assert post.told() == ["agency@example.com"]
    assert ("parcels", "erasure", "paused") in engine.log(request_id)
    post.meanwhile = lambda: None
    connections.resume_connection(engine.context, "carrier")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    engine.connect("carrier", "email", {"to_email": "carrier@example.com"}, disabled=True)
    engine.submit("forget", person)
    engine.run()
    assert sorted(post.told()) == ["agency@example.com", "agency@example.com", "carrier@example.com"]


def test_a_retry_says_of_nobody_who_was_asked_that_they_were_passed_over(start: Start) -> None:
    """The agency was asked about one of two when its connection was disabled."""
    shop, engine, post = Shop(), start(task_retry_count=0), Post()
    set_up_mailed(engine, shop, post)
    post.refuses["carrier@example.com"] = SystemUnavailable("the mail server does not answer")
    people = shop.add_person(0), shop.add_person(1)
    post.meanwhile = lambda: post.refuses.update({"agency@example.com": SystemUnavailable("busy")})
    ids = engine.submit("forget", *people)
    engine.run()
    assert post.told() == ["agency@example.com"]
    engine.connect("agency", "email", {"to_email": "agency@example.com"}, disabled=True)
    post.refuses.clear()
    for request_id in ids:
        requests.retry(engine.context, request_id)
    engine.run()
    assert post.told() == ["agency@example.com", *["carrier@example.com"] * 2]
    leads = [engine.counts(request_id)["agency:leads"] for request_id in ids]
    assert sorted((one["submitted"], one["reason"]) for one in leads) == [(0, "the connection is disabled"), (1, None)]


def test_a_death_after_acceptance_repeats_the_same_message(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, engine, post = Shop(), start(lease_seconds=1), Post()
    person = shop.add_person(0)
    set_up_mailed(engine, shop, post, agency())
    [request_id] = engine.submit("forget", person)

    class Killed(BaseException):
        """Ends the worker there and then."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(erasure_emails.outbox, "conclude", die)
        engine.run()
    assert len(post.taken) == 1
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=None))
    engine = start()
    engine.plug("shop", shop.connector())
    install(engine, post)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    first, second = post.taken
    assert first == second
    assert first.id.startswith("msg_")


def test_nothing_of_a_mail_stays_in_the_ledger(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    person = shop.add_person(0)
    set_up_mailed(engine, shop, post)
    engine.submit("forget", person)
    engine.run()
    with engine.context.ledger.read() as connection:
        kept = list(connection.execute(sa.select(tables.messages).where(tables.messages.c.part.is_not(None))))
    assert {(row.part, row.status, row.sealed_recipient, row.sealed_variables) for row in kept} == {
        ("agency", "sent", None, None),
        ("carrier", "sent", None, None),
    }


def test_testing_the_connection_sends_a_sample(start: Start) -> None:
    shop, engine, post = Shop(), start(), Post()
    set_up_mailed(engine, shop, post, agency())
    assert connections.try_connection(engine.context, "agency").test_status == "succeeded"
    assert post.told() == ["me@example.com"]
    assert "nothing has to be done" in post.taken[0].text
    with engine.context.ledger.write() as connection:
        connection.execute(tables.message_providers.delete())
    tested = connections.try_connection(engine.context, "agency")
    assert (tested.test_status, "no message provider is active" in str(tested.failure_reason)) == ("failed", True)
