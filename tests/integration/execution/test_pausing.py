"""A connection that is paused by hand: what needs it waits, whatever else there is to do goes on, no try is counted."""

import json
from collections.abc import Callable, Iterator, Sequence

from memory_shop import EMAIL, Shop, make_field, make_table, set_up

from engine import Engine
from habeas.connectors.memory import MemoryConnector, MemoryStore
from habeas.domain.errors import SystemUnavailable
from habeas.domain.ports import Effect, Erasure, Lookup, Row
from habeas.domain.request import RequestStatus
from habeas.services import connections, requests

Start = Callable[..., Engine]


class Watched(MemoryConnector):
    """Notes what is asked of it; `before` is called first."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.asked: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self.asked.append(lookup.table.name)
        self.before()
        yield from super().read(lookup)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        self.asked.append(f"erase {erasure.table.name}")
        self.before()
        return super().erase(erasure, guard)


def add_club(engine: Engine) -> Watched:
    """A second store that knows people by the same address."""
    club = make_table("guests", "id", "mail")
    club.records.append({"id": 1, "mail": "p0@example.com"})
    connector = Watched(MemoryStore(club))
    engine.plug("club", connector)
    fields = [make_field("id", key=True), make_field("mail", EMAIL, identity="email")]
    engine.describe(
        "club", {"fides_key": "club", "name": "club", "collections": [{"name": "guests", "fields": fields}]}
    )
    return connector


def test_other_stores_are_read_meanwhile_and_the_rest_goes_on_afterwards(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    connector = Watched(shop.store)
    set_up(engine, connector)
    club = add_club(engine)
    connections.pause_connection(engine.context, "shop")
    [request_id] = engine.submit("give", person)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
    assert (connector.asked, club.asked) == ([], ["guests"])
    assert ("people", "access", "paused") in engine.log(request_id)
    connections.resume_connection(engine.context, "shop")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert club.asked == ["guests"]
    assert {"club:guests", "shop:people"} <= set(json.loads(engine.package(request_id, "give-give")))


def test_a_run_that_waits_is_not_taken_up_again_and_again(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up(engine, Watched(shop.store))
    connections.pause_connection(engine.context, "shop")
    [request_id] = engine.submit("give", person)
    for _ in range(10):
        engine.run()
    assert len(engine.log(request_id)) == 1


def test_a_pause_between_two_tries_is_no_failure(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    person = shop.add_person(0)
    connector = Watched(shop.store)

    def fail() -> None:
        connections.pause_connection(engine.context, "shop")
        raise SystemUnavailable("down for maintenance")

    connector.before = fail
    set_up(engine, connector)
    [request_id] = engine.submit("give", person)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
    connector.before = lambda: None
    connections.resume_connection(engine.context, "shop")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert "error" not in {status for _, _, status in engine.log(request_id)}


def test_an_erasure_stops_between_two_batches_and_counts_each_row_once(start: Start) -> None:
    shop, engine = Shop(), start(batch_rows=2)
    person = shop.add_person(0, orders=5)
    connector = Watched(shop.store)
    set_up(engine, connector)

    def pause() -> None:
        if "erase orders" in connector.asked:
            connections.pause_connection(engine.context, "shop")

    connector.before = pause
    [request_id] = engine.submit("forget", person)
    engine.run()
    assert connector.asked.count("erase orders") == 1
    assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
    assert ("orders", "erasure", "paused") in engine.log(request_id)
    connector.before = lambda: None
    connections.resume_connection(engine.context, "shop")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    counts = engine.counts(request_id)["shop:orders"]
    assert (counts["found"], counts["changed"], counts["already"]) == (5, 5, 0)


def test_many_pauses_wear_no_run_out(start: Start) -> None:
    shop, engine = Shop(), start()
    person = shop.add_person(0)
    set_up(engine, Watched(shop.store))
    [request_id] = engine.submit("give", person)
    for _ in range(12):
        connections.pause_connection(engine.context, "shop")
        engine.run()
        connections.resume_connection(engine.context, "shop")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_disabling_or_deleting_a_paused_connection_ends_the_waiting(start: Start) -> None:
    for end in (
        lambda engine: engine.connect("club", "memory", {"name": "club"}, disabled=True),
        lambda engine: connections.delete_connection(engine.context, "club"),
    ):
        shop, engine = Shop(), start()
        person = shop.add_person(0)
        set_up(engine, Watched(shop.store))
        add_club(engine)
        connections.pause_connection(engine.context, "club")
        [request_id] = engine.submit("give", person)
        engine.run()
        assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
        end(engine)
        engine.run()
        assert engine.view(request_id).status is RequestStatus.COMPLETE
        assert ("guests", "access", "skipped") in engine.log(request_id)
        requests.report(engine.context, request_id)


def test_pausing_twice_keeps_the_first_moment_and_resuming_clears_it(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, Watched(shop.store))
    first = connections.pause_connection(engine.context, "shop").paused_at
    assert first is not None
    assert connections.pause_connection(engine.context, "shop").paused_at == first
    assert connections.resume_connection(engine.context, "shop").paused_at is None
