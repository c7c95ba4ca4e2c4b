"""What a try that came to nothing leaves behind: nothing that a later one could stumble over."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import sqlalchemy as sa
from memory_shop import EMAIL, Shop, make_field, make_table, set_up

from engine import Engine
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.domain.errors import DataFault, HabeasError, NeedsHuman, SystemUnavailable
from habeas.domain.ports import ColumnSketch, Effect, Erasure, Lookup, Row, TableSketch
from habeas.domain.request import RequestStatus
from habeas.execution import erasure
from habeas.execution.dispatcher import form_runs
from habeas.execution.runner import MAX_CLAIMS, carry
from habeas.services import requests
from habeas.store import tables

Start = Callable[..., Engine]


class Scripted(MemoryConnector):
    """Calls `before` and `after` each read, and `erased` after each erasure, with the table's name."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.before: Callable[[Lookup], None] = lambda lookup: None
        self.after: Callable[[Lookup], None] = lambda lookup: None
        self.erased: Callable[[str], None] = lambda table: None

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self.before(lookup)
        yield from super().read(lookup)
        self.after(lookup)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        effects = super().erase(erasure, guard)
        self.erased(erasure.table.name)
        return effects


def once(place: str, error: HabeasError, meanwhile: Callable[[], None] = lambda: None) -> Callable[[str], None]:
    """Raises when it comes to `place` for the first time, after `meanwhile`."""
    left = [error]

    def act(table: str) -> None:
        if table == place and left:
            meanwhile()
            raise left.pop()

    return act


def test_links_of_a_try_that_failed_lead_nowhere(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=1)
    ann, _ = shop.add_person(0, orders=1, items=1), shop.add_person(1, orders=1, items=1)
    connector = Scripted(shop.store)

    def correct() -> None:
        shop.orders.records[0]["person"] = 1  # the shop sees that the order is the other one's

    cut = once("orders", SystemUnavailable("cut"), correct)
    connector.after = lambda lookup: cut(lookup.table.name)
    set_up(engine, connector)
    [request_id] = engine.submit("give", ann)
    engine.run()
    assert set(json.loads(engine.package(request_id, "give-give"))) == {"shop:people"}


def test_a_further_try_takes_the_connection_as_it_is_then(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=2)
    ann = shop.add_person(0)
    engine.connectors["mended"] = shop.connector()
    connector = Scripted(shop.store)

    def fail(lookup: Lookup) -> None:
        engine.connect("shop", "memory", {"name": "mended"})
        raise SystemUnavailable("the old host is gone")

    connector.before = fail
    set_up(engine, connector)
    [request_id] = engine.submit("give", ann)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_a_connection_disabled_between_two_tries_is_not_read_again(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=2)
    ann = shop.add_person(0)
    connector = Scripted(shop.store)
    reads: list[str] = []

    def fail(lookup: Lookup) -> None:
        reads.append(lookup.table.name)
        engine.connect("shop", "memory", {"name": "shop"}, disabled=True)
        raise SystemUnavailable("away")

    connector.before = fail
    set_up(engine, connector)
    [request_id] = engine.submit("give", ann)
    engine.run()
    assert reads == ["people"]
    assert engine.log(request_id)[-1][2] == "skipped"


def test_a_change_whose_answer_was_lost_is_our_own(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=1)
    ann = shop.add_person(0)
    connector = Scripted(shop.store)
    connector.erased = once("orders", SystemUnavailable("the answer is lost"))
    set_up(engine, connector)
    [request_id] = engine.submit("forget", ann)
    engine.run()
    counts = engine.counts(request_id)["shop:orders"]
    assert (counts["changed"], counts["already"]) == (2, 0)


def test_rows_without_key_are_known_again_though_they_hold_documents(start: Start) -> None:
    engine = start(task_retry_count=1)
    columns = (
        ColumnSketch("mail", "text", text=True),
        ColumnSketch("visit", "json", text=False, document=True),
    )
    visits = MemoryTable(TableSketch("visits", None, columns))
    visits.records += [{"mail": mail, "visit": {"page": [1]}} for mail in ("a@x.org", "a@x.org", "b@x.org")]
    connector = Scripted(MemoryStore(visits))
    connector.erased = once("visits", SystemUnavailable("the answer is lost"))
    engine.plug("shop", connector)
    fields = [make_field("mail", EMAIL, identity="email"), make_field("visit")]
    engine.describe("shop", {"fides_key": "shop", "collections": [{"name": "visits", "fields": fields}]})
    engine.policy("forget", erasure={"null_rewrite": [EMAIL]})
    [request_id] = engine.submit("forget", {"email": "a@x.org"})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    counts = engine.counts(request_id)["shop:visits"]
    assert (counts["changed"], counts["already"]) == (2, 0)
    assert [record["mail"] for record in visits.records] == [None, None, "b@x.org"]


def test_what_was_counted_stays_when_the_rest_is_passed_over(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0, batch_rows=2)
    ann = shop.add_person(0, orders=3)
    connector = Scripted(shop.store)
    batches: list[str] = []

    def stop(table: str) -> None:
        batches.append(table)
        if batches.count("orders") == 2:
            raise NeedsHuman("no more")

    connector.erased = stop
    set_up(engine, connector)
    [request_id] = engine.submit("forget", ann)
    engine.run()
    assert engine.counts(request_id)["shop:orders"]["changed"] == 2
    engine.connect("shop", "memory", {"name": "shop"}, disabled=True)
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.counts(request_id)["shop:orders"]["changed"] == 2


def test_what_is_masked_is_recorded_though_the_next_collection_cannot_even_begin(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, engine = Shop(), start()
    ann = shop.add_person(0)
    set_up(engine, shop.connector())
    make = erasure.Masks

    def fail_for_people(node: object, *details: object) -> object:
        if "people" in str(node.address):  # type: ignore[attr-defined]
            raise KeyError("a strategy that is gone")
        return make(node, *details)  # type: ignore[arg-type]

    monkeypatch.setattr(erasure, "Masks", fail_for_people)
    [request_id] = engine.submit("forget", ann)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    assert engine.counts(request_id)["shop:orders"]["changed"] == 2
    assert ("people", "erasure", "error") in engine.log(request_id)


def test_the_half_that_was_read_is_not_blamed_for_the_other(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    people = [shop.add_person(number) for number in range(4)]
    connector = Scripted(shop.store)

    def fail(lookup: Lookup) -> None:
        ordinals = {ordinal for entry in lookup.entries for ordinal, _ in entry.pairs}
        if lookup.table.name == "people" and len(ordinals) == 4:
            raise DataFault("a value breaks the statement")
        if lookup.table.name == "people" and 3 in ordinals:
            raise SystemUnavailable("away")

    connector.before = fail
    set_up(engine, connector)
    ids = sorted(engine.submit("give", *people))
    engine.run()
    read, unread = engine.log(ids[0]), engine.log(ids[3])
    assert ("people", "access", "complete") in read
    assert ("people", "access", "error") not in read
    assert ("people", "access", "error") in unread


def test_a_run_that_ends_its_workers_is_stopped_though_another_branch_fails_each_time(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)
    connector, away = Scripted(shop.store), Scripted(MemoryStore(make_table("things", "id", "mail")))

    def fail(lookup: Lookup) -> None:
        raise SystemUnavailable("away")

    def die(lookup: Lookup) -> None:
        """Once the other branch had time to fail and to have that recorded."""
        until = time.monotonic() + 0.3
        while lookup.table.name == "people" and time.monotonic() < until and count_claims():
            time.sleep(0.01)
        raise SystemExit  # stands for the end of the process

    def count_claims() -> int:
        with engine.context.ledger.read() as connection:
            return int(connection.scalar(sa.select(tables.runs.c.claims)) or 0)

    away.before, connector.before = fail, die
    set_up(engine, connector)
    engine.plug("other", away)
    fields = [make_field("id", key=True), make_field("mail", EMAIL, identity="email")]
    engine.describe(
        "other", {"fides_key": "other", "name": "other", "collections": [{"name": "things", "fields": fields}]}
    )
    [request_id] = engine.submit("give", ann)
    form_runs(engine.context)
    with engine.context.ledger.write() as connection:
        run_id = connection.scalar(sa.select(tables.runs.c.id))
    for _ in range(MAX_CLAIMS + 2):
        with engine.context.ledger.write() as connection:
            connection.execute(tables.runs.update().values(lease_until=None))
        try:
            carry(engine.context, str(run_id), "test", engine.stopping)
        except SystemExit:
            continue
    assert engine.view(request_id).status is RequestStatus.ERROR
