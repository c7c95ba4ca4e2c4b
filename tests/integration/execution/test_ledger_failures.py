"""A ledger that fails ends a worker's turn, not the requests, however often it does so."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up

from engine import Engine
from habeas.connectors.memory import MemoryConnector
from habeas.domain.errors import SystemUnavailable
from habeas.domain.ports import Lookup, Row
from habeas.domain.request import RequestStatus
from habeas.store import tables

Start = Callable[..., Engine]


class MeetsFailures(MemoryConnector):
    """While it reads, the ledger fails so many times, as far as the worker can tell."""

    left = 12

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        if lookup.table.name == "orders" and self.left:
            self.left -= 1
            raise sa.exc.OperationalError("INSERT INTO secret", {}, Exception("secret"))
        yield from super().read(lookup)


def test_a_run_is_not_blamed_for_its_ledger(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    shop, engine = Shop(), start()
    connector = MeetsFailures(shop.store)
    set_up(engine, connector)
    (request,) = engine.submit("give", shop.add_person(0))
    for _ in range(connector.left):
        with pytest.raises(SystemUnavailable, match="the ledger failed"):
            engine.run()
        assert engine.view(request).status is RequestStatus.IN_PROCESSING
        with engine.context.ledger.write() as connection:
            connection.execute(tables.runs.update().values(lease_until=None))
    engine.run()
    assert engine.view(request).status is RequestStatus.COMPLETE
    assert "secret" not in caplog.text
