"""An erasure that stops between two batches has masked some rows: the report of the request in `error` counts them."""

from collections.abc import Callable, Sequence

import pytest
from memory_shop import Shop, set_up

from engine import Engine
from habeas.connectors.memory import MemoryConnector
from habeas.domain.errors import NeedsHuman, SystemUnavailable
from habeas.domain.ports import Effect, Erasure
from habeas.domain.request import RequestStatus
from habeas.services import requests

Start = Callable[..., Engine]


class Stops(MemoryConnector):
    """Masks the first batches of orders, then fails for as long as `error` is set."""

    error: Exception | None = None
    until = 1
    batches = 0

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        if erasure.table.name == "orders":
            self.batches += 1
            if self.batches > self.until and self.error is not None:
                raise self.error
        return super().erase(erasure, guard)


@pytest.mark.parametrize("error", [SystemUnavailable("away"), NeedsHuman("no privilege"), RuntimeError("a bug")])
def test_what_was_masked_before_the_stop_is_counted(start: Start, error: Exception) -> None:
    shop, engine = Shop(), start(task_retry_count=0, batch_rows=2)
    people = [shop.add_person(0, orders=3), shop.add_person(1, orders=3)]
    notes = [record["note"] for record in shop.orders.records]
    connector = Stops(shop.store)
    connector.error = error
    set_up(engine, connector)
    ids = engine.submit("forget", *people)
    engine.run()
    assert {engine.view(request).status for request in ids} == {RequestStatus.ERROR}
    masked = sum(record["note"] not in notes for record in shop.orders.records)
    assert masked == 2
    places = [engine.counts(request)["shop:orders"] for request in ids]
    assert sum(place["changed"] for place in places) == masked
    assert [place["verified"] for place in places] == [False, False]
    connector.until = 0  # now it fails before it has counted those again
    for request in ids:
        requests.retry(engine.context, request)
    engine.run()
    assert sum(engine.counts(request)["shop:orders"]["changed"] for request in ids) == masked
    connector.error = None
    for request in ids:
        requests.retry(engine.context, request)
    engine.run()
    assert {engine.view(request).status for request in ids} == {RequestStatus.COMPLETE}
    places = [engine.counts(request)["shop:orders"] for request in ids]
    assert [(place["changed"], place["already"], place["drifted"]) for place in places] == [(3, 0, 0)] * 2
