"""Members who leave a run in the middle are left alone from there on, and the others are served."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up

from engine import Engine
from habeas.domain.ports import Row
from habeas.domain.request import RequestStatus
from habeas.execution import erasure, upload
from habeas.store import requests, runs, tables
from habeas.store.spool import BUCKET

Start = Callable[..., Engine]


def cancel(engine: Engine, request_id: str) -> None:
    """Take a request out of its run, as a cancelling use case will."""
    with engine.context.ledger.write() as connection:
        run = connection.scalar(sa.select(tables.requests.c.run_id).where(tables.requests.c.id == request_id))
        if run is not None and requests.transition(
            connection, [request_id], RequestStatus.CANCELED, engine.context.clock.now()
        ):
            runs.leave(connection, run, [request_id])


def test_during_upload(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, engine = Shop(), start(visits=1)
    people = [shop.add_person(number) for number in range(20)]
    set_up(engine, shop.connector())
    ids = sorted(engine.submit("give", *people))
    write = upload._upload

    def write_and_cancel(*details: Any) -> None:
        write(*details)
        cancel(engine, ids[17])

    monkeypatch.setattr(upload, "_upload", write_and_cancel)
    engine.run()
    statuses = [engine.view(request_id).status for request_id in ids]
    assert statuses.count(RequestStatus.COMPLETE) == 19
    assert statuses[17] is RequestStatus.CANCELED


def test_before_the_first_batch_of_an_erasure(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(2)]
    set_up(engine, shop.connector())
    ids = sorted(engine.submit("forget", *people))
    read = erasure._Collection._rows

    def read_and_cancel(collection: Any) -> Iterator[Row]:
        cancel(engine, ids[0])
        return read(collection)

    monkeypatch.setattr(erasure._Collection, "_rows", read_and_cancel)
    before = [dict(record) for table in (shop.people, shop.orders) for record in table.records]
    engine.run()
    after = [dict(record) for table in (shop.people, shop.orders) for record in table.records]
    assert sum(now != then for now, then in zip(after, before, strict=True)) == 3, "the three rows of the other one"


def test_for_want_of_a_package_key(start: Start) -> None:
    """The only one of its bucket leaves: nothing is left to upload there, and the others are served."""
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    people = [shop.add_person(number) for number in range(BUCKET + 1)]
    ids = sorted(engine.submit("give", *people, encryption_key="0123456789abcdef"))
    with engine.context.ledger.write() as connection:
        last = tables.requests.update().where(tables.requests.c.id == ids[-1])
        connection.execute(last.values(sealed_encryption_key=None))
    engine.run()
    statuses = [engine.view(request_id).status for request_id in ids]
    assert statuses == [RequestStatus.COMPLETE] * BUCKET + [RequestStatus.ERROR]
    assert "key is gone" in str(engine.view(ids[-1]).failure)
