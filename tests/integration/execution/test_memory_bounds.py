"""Bounds on what is kept in memory change nothing but how often the ledger and the stores are asked."""

import json
from collections.abc import Callable

import pytest
from memory_shop import Shop, set_up

from engine import Engine
from habeas.execution import links, owned, upload, visit
from habeas.store import spool

Start = Callable[..., Engine]


@pytest.fixture(params=["ample", "tight"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tight":
        for module, bound, value in (
            (links, "_PAIRS_AT_ONCE", 3),
            (visit, "_ROWS_IN_MEMORY", 2),
            (visit, "_CHUNKS_IN_MEMORY", 0),
            (spool, "_ROWS_AT_ONCE", 1),
            (upload, "_ROWS_IN_MEMORY", 1),
            (owned, "_ROWS_IN_MEMORY", 1),
        ):
            monkeypatch.setattr(module, bound, value)


def test_everybody_gets_and_loses_what_is_theirs(start: Start, bounds: None) -> None:
    """Two requests are of one person and share every row."""
    shop, engine = Shop(), start(batch_rows=2)
    people = [shop.add_person(number, orders=3, items=2) for number in range(20)]
    stranger = shop.add_person(99)
    set_up(engine, shop.connector())
    ids = engine.submit("give", *people, people[0])
    engine.run()
    for number, request_id in zip([*range(20), 0], ids, strict=True):
        package = json.loads(engine.package(request_id, "give-give"))
        assert sorted(row["note"] for row in package["shop:orders"]) == [f"note {number * 100 + n}" for n in range(3)]
        assert len(package["shop:items"]) == 6
    erased = engine.submit("forget", *people, people[0])
    engine.run()
    assert all(engine.counts(request_id)["shop:orders"]["changed"] == 3 for request_id in erased)
    kept = [record["mail"] for record in shop.people.records if record["mail"] is not None]
    assert kept == [stranger["email"]]
