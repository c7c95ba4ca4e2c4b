"""A retry takes the present configuration until something is erased, and reads only what does not stand any more."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from memory_shop import NAME, Flaky, Shop, set_up

from engine import Engine, done
from habeas.domain.errors import InputError, NotFound, SystemUnavailable
from habeas.domain.message import Channel, Message, ProviderType
from habeas.domain.ports import Destination, Lookup, Row
from habeas.domain.request import LogStatus, RequestStatus
from habeas.execution.expiry import expire_packages
from habeas.execution.housekeeping import forget
from habeas.execution.postman import post_due
from habeas.services import packages, requests, review, webhooks
from habeas.services.policies import RuleDraft, TargetDraft, delete_rule, save_rules, save_targets
from habeas.services.request_views import VerboseRequestView
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import tables

Start = Callable[..., Engine]
CHANGED = "the configuration has changed since, but the plan stays as it was: "


def shop_of(*names: str) -> dict[str, Any]:
    """The shop's dataset with these collections alone."""
    body = Shop.body()
    return {**body, "collections": [one for one in body["collections"] if one["name"] in names]}


def without_field(body: dict[str, Any], collection: str, field: str) -> dict[str, Any]:
    def strip(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "fields": [own for own in one["fields"] if own["name"] != field]}

    return {**body, "collections": [strip(one) if one["name"] == collection else one for one in body["collections"]]}


class Stand:
    """A shop whose packages cannot be written before `mend`."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.shop = Shop()
        self.flaky = Flaky(self.shop)
        self._packages = folder / "data" / "packages"
        set_up(engine, self.flaky)

    def stop(self, policy: str, body: dict[str, Any], **details: Any) -> str:
        """A request that was read under this dataset and stopped before its package was written; its id."""
        self.engine.describe("shop", body)
        self._packages.touch()
        (request_id,) = self.engine.submit(policy, self.shop.add_person(0), **details)
        self.engine.run()
        assert self.engine.view(request_id).status is RequestStatus.ERROR
        self.flaky.calls.clear()
        return request_id

    def retry(self, request_id: str) -> None:
        """Retry with packages that can be written."""
        if self._packages.is_file():
            self._packages.unlink()
        requests.retry(self.engine.context, request_id)
        self.engine.run()

    def complete(self, request_id: str) -> dict[str, Any]:
        """Retry what must complete; its package."""
        self.retry(request_id)
        assert self.engine.view(request_id).status is RequestStatus.COMPLETE
        package: dict[str, Any] = json.loads(self.engine.package(request_id, "give-give"))
        return package


@pytest.fixture
def stand(start: Start, tmp_path: Path) -> Stand:
    return Stand(start(task_retry_count=0, temporary_ttl_seconds=60), tmp_path)


def messages_of(engine: Engine, request_id: str, collection: str) -> list[str]:
    items = requests.read_log(engine.context, request_id, 1, 1000).items
    return [item.message for item in items if collection in (item.collection_name, item.dataset_name)]


def retried(engine: Engine, request_id: str) -> list[str]:
    """What the audit log says of its retries."""
    return [entry.message for entry in engine.view(request_id).results["Request retried"]]  # type: ignore[index,union-attr]


def test_a_new_collection_is_read_and_packaged_and_nothing_else_is_read_again(stand: Stand) -> None:
    request_id = stand.stop("give", shop_of("people", "orders"))
    stand.engine.describe("shop", Shop.body())
    package = stand.complete(request_id)
    assert stand.flaky.calls == ["read items"]
    assert {name: len(rows) for name, rows in package.items()} == {"shop:people": 1, "shop:orders": 2, "shop:items": 4}
    assert any("planned in" in said for said in messages_of(stand.engine, request_id, "items"))


def test_a_changed_collection_and_all_that_it_leads_to_are_read_again(stand: Stand) -> None:
    request_id = stand.stop("give", without_field(Shop.body(), "orders", "note"))
    stand.engine.describe("shop", Shop.body())
    package = stand.complete(request_id)
    assert stand.flaky.calls == ["read orders", "read items"]
    assert sorted(row["note"] for row in package["shop:orders"]) == ["note 0", "note 1"]


def test_rows_of_a_collection_that_left_its_dataset_are_not_packaged(stand: Stand) -> None:
    request_id = stand.stop("give", Shop.body())
    stand.engine.describe("shop", shop_of("people", "orders"))
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders"}
    assert stand.flaky.calls == []
    assert any("left out" in said for said in messages_of(stand.engine, request_id, "items"))


def test_nothing_is_read_again_when_nothing_has_changed(stand: Stand) -> None:
    request_id = stand.stop("give", Shop.body())
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders", "shop:items"}
    assert stand.flaky.calls == []
    assert retried(stand.engine, request_id) == ["from upload"]


def test_what_was_passed_over_is_read_when_its_connection_is_back(start: Start, tmp_path: Path) -> None:
    engine = start(task_retry_count=0)
    stand = Stand(engine, tmp_path)

    class Leaving(Flaky):
        """Its connection is disabled while the people are read."""

        def read(self, lookup: Lookup) -> Iterator[list[Row]]:
            if lookup.table.name == "people":
                engine.connect("shop", "memory", {"name": "shop"}, disabled=True)
            return super().read(lookup)

    engine.plug("shop", Leaving(stand.shop))
    request_id = stand.stop("give", Shop.body())
    engine.plug("shop", stand.flaky)
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders", "shop:items"}
    assert stand.flaky.calls == ["read orders", "read items"]


def test_a_configuration_that_cannot_be_planned_leaves_the_plan_and_the_log_says_so(stand: Stand) -> None:
    request_id = stand.stop("give", Shop.body())
    body = Shop.body()
    del body["collections"][0]["fields"][1]["fides_meta"]["identity"]
    stand.engine.describe("shop", body)
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders", "shop:items"}
    (said,) = messages_of(stand.engine, request_id, "Retry")
    assert said.startswith(f"{CHANGED}it cannot be planned now")


def test_once_something_is_erased_the_plan_stays_and_the_log_says_so_once(start: Start, tmp_path: Path) -> None:
    engine = start(task_retry_count=0)
    stand = Stand(engine, tmp_path)
    stand.flaky.failing["erase people"] = 1
    (request_id,) = engine.submit("forget", stand.shop.add_person(0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    before = engine.counts(request_id)["shop:orders"]["changed"]
    assert before == 2
    stand.flaky.calls.clear()
    engine.describe("shop", shop_of("people"))
    stand.retry(request_id)
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert [call for call in stand.flaky.calls if call.startswith("erase")] == ["erase people"]
    assert engine.counts(request_id)["shop:orders"]["changed"] == before
    assert messages_of(engine, request_id, "Retry") == [f"{CHANGED}the request has begun to erase"]


def give_names_too(engine: Engine, policy: str = "give", storage: str = "local") -> None:
    """A second access rule."""
    rule = RuleDraft(name="names", key="names", action_type="access", storage_destination_key=storage)
    done(save_rules(engine.context, policy, [rule]))
    done(save_targets(engine.context, policy, "names", [TargetDraft(data_category=NAME)]))


def test_a_package_that_would_come_out_otherwise_is_not_served_and_made_again(stand: Stand) -> None:
    engine = stand.engine
    engine.describe("shop", shop_of("people", "orders"))
    give_names_too(engine)
    with engine.context.ledger.write() as connection:  # as if it came from storage.default_key, which is unset now
        connection.execute(tables.rules.update().where(tables.rules.c.key == "names").values(storage_key=None))
    (request_id,) = engine.submit("give", stand.shop.add_person(0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    assert set(json.loads(engine.package(request_id, "give-give"))) == {"shop:people", "shop:orders"}
    engine.describe("shop", Shop.body())
    stand.flaky.failing["read items"] = 1
    stand.retry(request_id)
    assert engine.view(request_id).status is RequestStatus.ERROR
    assert packages.access_results(engine.context, request_id) == []
    with pytest.raises(NotFound, match="made again"):
        engine.package(request_id, "give-give")
    give_names_too(engine)
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders", "shop:items"}
    assert set(json.loads(engine.package(request_id, "names"))) == {"shop:people"}
    assert len(packages.access_results(engine.context, request_id)) == 2


def test_the_package_of_a_rule_that_was_deleted_is_removed_and_served_no_more(start: Start, tmp_path: Path) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    set_up(engine, Flaky(shop))
    engine.store("vault")
    give_names_too(engine, storage="vault")
    lock_vault(engine, locked=True)
    (request_id,) = engine.submit("give", shop.add_person(0))
    engine.run()
    assert [package.rule_key for package in packages.list_packages(engine.context, request_id)] == ["give-give"]
    delete_rule(engine.context, "give", "give-give")
    lock_vault(engine, locked=False)
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    (left,) = packages.list_packages(engine.context, request_id)
    assert left.rule_key == "names"
    assert [path for path in (tmp_path / "data" / "packages").rglob("pri_*") if path.is_file()] == [Path(left.url)]
    with pytest.raises(NotFound, match="no package of rule 'give-give'"):
        engine.package(request_id, "give-give")


def test_the_last_package_is_removed_where_no_rule_gives_any_more(start: Start, tmp_path: Path) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    set_up(engine, Flaky(shop))
    engine.store("vault")
    engine.policy("both", access=["user"], erasure={"null_rewrite": ["user.contact"]})
    give_names_too(engine, "both", "vault")
    lock_vault(engine, locked=True)
    (request_id,) = engine.submit("both", shop.add_person(0))
    engine.run()
    (given,) = packages.list_packages(engine.context, request_id)
    assert Path(given.url).is_file()
    for rule in (given.rule_key, "names"):
        delete_rule(engine.context, "both", rule)
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert not Path(given.url).exists() and packages.list_packages(engine.context, request_id) == []


def lock_vault(engine: Engine, *, locked: bool) -> None:
    """Whether packages can be written into the storage `vault`: its type does not let anybody in."""

    def refuse(*_: object) -> Destination:
        raise SystemUnavailable("the vault is locked")

    types = cast(dict[str, Any], engine.context.storage_types)
    types["vault"] = replace(types["local"], connect=refuse)
    with engine.context.ledger.write() as connection:
        kind = "vault" if locked else "local"
        connection.execute(tables.storages.update().where(tables.storages.c.key == "vault").values(type=kind))


def stop_after_upload(engine: Engine, shop: Shop) -> None:
    """Set up the shop so that requests of policy `give` end in error once their packages are written."""
    set_up(engine, Flaky(shop))
    engine.connect("receiver", "https", {"url": "http://127.0.0.1/"})  # which the guard refuses
    draft = WebhookDraft(connection_config_key="receiver", direction=Direction.ONE_WAY)
    webhooks.replace_webhooks(engine.context, "give", Phase.POST, [draft])


def let_the_time_to_live_pass(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        past = datetime.now(UTC) - timedelta(minutes=2)
        connection.execute(tables.requests.update().values(updated_at=past, finished_at=past))
    forget(engine.context)


def test_after_the_time_to_live_a_request_starts_afresh_and_audit_and_log_say_so(stand: Stand) -> None:
    request_id = stand.stop("give", Shop.body())
    let_the_time_to_live_pass(stand.engine)
    assert set(stand.complete(request_id)) == {"shop:people", "shop:orders", "shop:items"}
    assert stand.flaky.calls == ["read people", "read orders", "read items"]
    assert retried(stand.engine, request_id) == ["from start: what was kept is gone"]
    (said,) = messages_of(stand.engine, request_id, "Retry")
    assert said == "the request goes on from start: what was kept is gone"
    view = stand.engine.view(request_id)
    assert isinstance(view, VerboseRequestView)
    assert set(view.task_status_by_dataset.values()) == {LogStatus.COMPLETE}, "nothing of a complete request is open"


def test_after_the_time_to_live_packages_are_served_until_a_retry_makes_them_anew(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0, temporary_ttl_seconds=60)
    stop_after_upload(engine, shop)
    (request_id,) = engine.submit("give", shop.add_person(0))
    engine.run()
    given = engine.package(request_id, "give-give")
    let_the_time_to_live_pass(engine)
    assert engine.package(request_id, "give-give") == given
    webhooks.replace_webhooks(engine.context, "give", Phase.POST, [])
    shop.people.records[0]["name"] = "Somebody Else"
    requests.retry(engine.context, request_id)
    with pytest.raises(NotFound, match="being made again"):
        engine.package(request_id, "give-give")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert "Somebody Else" in engine.package(request_id, "give-give")


@pytest.mark.parametrize("encryption_key", [None, "0123456789abcdef"])
def test_a_package_whose_time_was_over_before_anybody_was_told_is_made_again(
    start: Start, encryption_key: str | None
) -> None:
    """Also after the erasure, from the rows that were read; one whose key is gone has to be asked for."""
    shop, engine, box = (
        Shop(),
        start(task_retry_count=0, sections={"storage": {"package_ttl_seconds": 3600}}),
        Postbox(),
    )
    stop_after_upload(engine, shop)
    engine.policy("both", access=["user"], erasure={"null_rewrite": ["user.contact"]})
    draft = WebhookDraft(connection_config_key="receiver", direction=Direction.ONE_WAY)
    webhooks.replace_webhooks(engine.context, "both", Phase.POST, [draft])
    (request_id,) = engine.submit("both", shop.add_person(0), encryption_key=encryption_key)
    engine.run()
    given = engine.package_bytes(request_id, "both-give")
    with engine.context.ledger.write() as connection:
        connection.execute(tables.packages.update().values(created_at=datetime.now(UTC) - timedelta(hours=2)))
    assert expire_packages(engine.context) == 1
    counted = engine.counts(request_id)
    webhooks.replace_webhooks(engine.context, "both", Phase.POST, [])
    activate(engine, box)
    box.refuses = False
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert engine.counts(request_id) == counted, "nothing is masked again"
    post_due(engine.context)
    assert any("Answer us" in message.html for message in box.taken), "a local file has no link, a lost one neither"
    if encryption_key is None:
        assert engine.package_bytes(request_id, "both-give") == given
    else:
        with pytest.raises(NotFound, match="deleted on"):
            engine.package_bytes(request_id, "both-give")


def test_an_encrypted_request_whose_key_is_gone_is_refused_and_nothing_is_written(stand: Stand, tmp_path: Path) -> None:
    request_id = stand.stop("give", Shop.body(), encryption_key="0123456789abcdef")
    let_the_time_to_live_pass(stand.engine)
    with pytest.raises(InputError, match="key of its packages is gone") as refused:
        stand.retry(request_id)
    assert "submit the request again" in refused.value.hint
    stand.engine.run()
    assert stand.engine.view(request_id).status is RequestStatus.ERROR
    assert stand.flaky.calls == [] and packages.access_results(stand.engine.context, request_id) == []
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "packages" in path.parts]


def test_a_sweep_in_the_middle_of_a_retry_takes_nothing_away(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = stand.stop("give", Shop.body(), encryption_key="0123456789abcdef")
    context, retry_messages = stand.engine.context, requests._retry_messages
    sweep = threading.Thread(target=forget, args=(context,))

    def sweep_meanwhile(*given: Any) -> str:
        sweep.start()
        if "postgres" in str(context.settings.database.url):
            sweep.join()  # another write transaction is let in
        return retry_messages(*given)

    with context.ledger.write() as connection:
        connection.execute(tables.requests.update().values(updated_at=datetime.now(UTC) - timedelta(minutes=2)))
    monkeypatch.setattr(requests, "_retry_messages", sweep_meanwhile)
    stand.retry(request_id)
    sweep.join()
    assert retried(stand.engine, request_id) == ["from upload"]
    assert stand.engine.view(request_id).status is RequestStatus.COMPLETE
    assert stand.flaky.calls == [], "nothing is read again"


@dataclass
class Postbox:
    """A provider that keeps what it takes, or refuses it."""

    refuses: bool = True
    taken: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.refuses:
            raise InputError("the mail server refused the recipient (550)")
        self.taken.append(message)


def test_a_retry_of_a_complete_request_sends_its_failed_messages_and_does_nothing_else(start: Start) -> None:
    shop, engine = Shop(), start(sections={"notifications": {"send_request_receipt_notification": False}})
    flaky, box = Flaky(shop), Postbox()
    set_up(engine, flaky)
    (request_id, other) = engine.submit("give", shop.add_person(0), shop.add_person(1))
    activate(engine, box)
    engine.run()
    assert post_due(engine.context) == 0
    flaky.calls.clear()
    box.refuses = False
    assert requests.retry(engine.context, request_id).status is RequestStatus.COMPLETE
    engine.run()
    assert post_due(engine.context) == 1
    assert [one.recipient for one in box.taken] == ["p0@example.com"], "the other one's was not asked for"
    assert flaky.calls == []
    assert retried(engine, request_id) == ["messages"]
    with pytest.raises(InputError, match="its status is complete"):
        requests.retry(engine.context, request_id)
    assert engine.view(other).status is RequestStatus.COMPLETE


def test_a_retry_of_a_denied_request_tells_why_once_the_mail_is_taken(start: Start) -> None:
    engine, box = start(require_manual_request_approval=True), Postbox()
    set_up(engine, Shop().connector())
    (request_id,) = engine.submit("give", {"email": "ann@example.com"})
    activate(engine, box)
    done(review.deny(engine.context, [request_id], "not a customer"))
    assert post_due(engine.context) == 0
    box.refuses = False
    assert requests.retry(engine.context, request_id).status is RequestStatus.DENIED
    engine.run()
    assert post_due(engine.context) == 1
    assert "not a customer" in box.taken[0].text
    assert engine.view(request_id).status is RequestStatus.DENIED
    with pytest.raises(InputError, match="its status is denied"):
        requests.retry(engine.context, request_id)


def activate(engine: Engine, box: Postbox) -> None:
    """Let messages go through this provider."""
    kind = ProviderType("postbox", Channel.EMAIL, {}, {}, lambda details, secrets: box)
    engine.context.provider_types["postbox"] = kind  # type: ignore[index]
    now = engine.context.clock.now()
    row = {"key": "postbox", "id": "postbox", "name": "postbox", "type": "postbox", "details": {}, "active": True}
    with engine.context.ledger.write() as connection:
        connection.execute(tables.message_providers.insert().values(**row, created_at=now, updated_at=now))


class Counting(Flaky):
    """Counts how often each person is asked for."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self.people: Counter[str] = Counter()

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self._maybe_fail(f"read {lookup.table.name}")
        if lookup.table.name == "people":
            self.people.update(str(value) for entry in lookup.entries for _, value in entry.pairs)
        yield from super().read(lookup)


def test_twenty_who_retry_the_same_requests_have_each_carried_out_once(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    connector = Counting(shop)
    connector.failing["read people"] = 1
    set_up(engine, connector)
    ids = engine.submit("give", *(shop.add_person(number, orders=0) for number in range(50)))
    engine.run()
    assert {engine.view(request_id).status for request_id in ids} == {RequestStatus.ERROR}
    succeeded: Counter[str] = Counter()
    problems: list[Exception] = []

    def retry_all(order: Sequence[str]) -> None:
        try:
            result = requests.retry_all(engine.context, order)
            succeeded.update(view.id for view in result.succeeded)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=retry_all, args=(ids[turn:] + ids[:turn],)) for turn in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert succeeded == Counter(ids), "each was retried by one of them"
    engine.run()
    assert {engine.view(request_id).status for request_id in ids} == {RequestStatus.COMPLETE}
    assert set(connector.people.values()) == {1}
