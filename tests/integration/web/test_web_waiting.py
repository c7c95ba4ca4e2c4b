"""Callers who wait for somebody outside who is slow: some may, others are refused at once, nobody else notices."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.integration.web.conftest import Caller
from tests.unit.services.wiring import FakeStore

from habeas.domain.audit import AuditAction
from habeas.execution.context import Context
from habeas.execution.waiting_room import SEATS
from habeas.store import tables

API = "/api/v1"
SHOP = {"name": "shop", "connection_type": "file", "access": "read"}
DATASET = {"fides_key": "d", "name": "d", "collections": []}
REFUSED = (503, {"detail": "too many calls wait for systems outside that are slow to answer (try again later)"})


class SlowStore(FakeStore):
    """Answers checks when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = threading.Semaphore(0), threading.Event()

    def connect(self, *args, **more):  # type: ignore[no-untyped-def]
        connector = super().connect(*args, **more)
        check = connector.check

        def wait() -> None:
            self.asked.release()
            assert self.let.wait(20)
            check()

        connector.check = wait
        return connector


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def shop(root: Caller) -> Caller:
    """Root, after connection `shop` was made, whose store is slow."""
    assert root("PATCH", f"{API}/connection", json=[SHOP]).json()["failed"] == []
    assert root("PUT", f"{API}/connection/shop/secret?verify=false", json={"path": "x"}).status_code == 200
    return root


def test_slow_systems_leave_threads_for_others(shop: Caller, store: SlowStore) -> None:
    with ThreadPoolExecutor(SEATS) as callers:
        waiting = [callers.submit(shop, "GET", f"{API}/connection/shop/test") for _ in range(SEATS)]
        try:
            for _ in range(SEATS):
                assert store.asked.acquire(timeout=20)
            refused = shop("GET", f"{API}/connection/shop/test")
            assert (refused.status_code, refused.json()) == REFUSED
            assert shop("GET", "/health").status_code == 200
        finally:
            store.let.set()
        assert {one.result().json()["test_status"] for one in waiting} == {"succeeded"}
    assert shop("GET", f"{API}/connection/shop/test").status_code == 200


@pytest.fixture
def full(context: Context) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(SEATS):
            stack.enter_context(context.waiting_room.seat())
        yield


def test_whatever_waits_for_somebody_outside_takes_a_seat(shop: Caller, full: None) -> None:
    hook = shop("POST", f"{API}/status-webhook", json={"url": "https://tickets.example.com/x"}).json()["webhook"]["id"]
    for method, path, body in (
        ("PUT", "connection/shop/secret", {"path": "y"}),
        ("GET", "connection/shop/test", None),
        ("PATCH", "connection/shop/dataset", [DATASET]),
        ("PUT", "connection/shop/validate_dataset", DATASET),
        ("POST", f"status-webhook/{hook}/test", None),
        ("POST", "onetrust/poll", None),
    ):
        answer = shop(method, f"{API}/{path}", **({} if body is None else {"json": body}))
        assert (answer.status_code, answer.json()) == REFUSED, path


def test_a_test_of_a_connection_is_written_down(context: Context, shop: Caller, store: SlowStore) -> None:
    store.let.set()
    shop("GET", f"{API}/connection/shop/test")
    with context.ledger.read() as connection:
        written = connection.execute(tables.audits.select().where(tables.audits.c.action == AuditAction.TESTED)).all()
    assert [(row.object_kind, row.object_id) for row in written] == [("connection", "shop")]
