"""What a request goes through before it is planned: a run of preparation, and runs of those that then share a plan."""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa
from memory_shop import Shop, set_up

from engine import Engine
from habeas.domain.request import RequestStatus
from habeas.store import tables, webhooks

Start = Callable[..., Engine]


def add_webhook(engine: Engine, policy: str, phase: str) -> None:
    """A webhook of a policy, as its definition is kept; its receiver is disabled, so that nobody is called."""
    engine.connect("receiver", "https", {"url": "https://receiver.invalid"}, disabled=True)
    now = engine.context.clock.now()
    stamps = {"created_at": now, "updated_at": now}
    with engine.context.ledger.write() as connection:
        row = {"key": f"{policy}-{phase}", "id": f"{policy}-{phase}", "name": "hook", "direction": "one_way"}
        row |= {"policy_key": policy, "phase": phase, "connection_key": "receiver", "position": 0, **stamps}
        connection.execute(tables.webhooks.insert().values(row))


def derive(engine: Engine, request_id: str, kind: str, value: str) -> None:
    """A derived identity, as it is kept."""
    sealed = engine.context.ledger.sealer.seal(msgspec.json.encode(value), webhooks.derived_place(request_id, kind))
    with engine.context.ledger.write() as connection:
        row = {"request_id": request_id, "kind": kind, "sealed_value": sealed}
        connection.execute(tables.derived_identities.insert().values(row))
        own = tables.requests.c.id == request_id
        connection.execute(tables.requests.update().where(own).values(derived_kinds=[kind]))


def phases(engine: Engine) -> list[tuple[str, int]]:
    with engine.context.ledger.read() as connection:
        query = sa.select(tables.runs.c.phase, tables.runs.c.size).order_by(tables.runs.c.created_at)
        return [(row.phase, row.size) for row in connection.execute(query)]


def test_who_prepares_together_is_planned_and_carried_together(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    add_webhook(engine, "give", webhooks.PRE)
    ids = [engine.submit("give", shop.add_person(number))[0] for number in range(3)]
    engine.run()
    assert {engine.view(one).status for one in ids} == {RequestStatus.COMPLETE}
    assert phases(engine) == [("prepare", 3), ("data", 3)]


def test_nothing_to_prepare_is_no_run(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    add_webhook(engine, "give", webhooks.POST)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert phases(engine) == [("data", 1)]


def test_a_derived_identity_stands_in_the_place_of_the_one_given(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    shop.add_person(0)
    [request_id] = engine.submit("give", {"email": "former@example.com"})
    derive(engine, request_id, "email", "p0@example.com")
    engine.run()
    assert engine.counts(request_id)["shop:people"]["found"] == 1
