"""Which earlier request a new one repeats, on both kinds of ledger (check A37)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import Engine
from habeas.domain.request import RequestStatus
from habeas.services import requests as service
from habeas.services.bulk import Listing
from habeas.services.request_search import Order, RequestFilter, list_requests
from habeas.services.request_views import RequestView
from habeas.store.tables import requests

Start = Callable[..., Engine]
ANN, BOB = {"email": "ann@example.com"}, {"email": "bob@example.com"}


def begin(start: Start, **settings: Any) -> Engine:
    engine = start(sections={"duplicates": {"enabled": True, **settings}})
    for key in ("give", "other"):
        engine.policy(key, access=["user"])
    return engine


def submit(engine: Engine, *people: dict[str, Any], policy: str = "give") -> list[str]:
    return engine.submit(policy, *people)


def original(engine: Engine, request_id: str) -> str | None:
    return service.find_request(engine.context, request_id).duplicate_of


def change(engine: Engine, request_id: str, **values: Any) -> None:
    with engine.context.ledger.write() as connection:
        connection.execute(requests.update().where(requests.c.id == request_id).values(**values))


def wanted(engine: Engine, **parts: Any) -> set[str]:
    found: Listing[RequestView] = list_requests(engine.context, RequestFilter(**parts), Order(), 1, 50)
    return {view.id for view in found.items}


def test_the_later_of_two_is_the_duplicate_and_both_are_found(start: Start) -> None:
    engine = begin(start)
    (first,) = submit(engine, ANN)
    second, bob = submit(engine, {"email": " Ann@Example.com"}, BOB)
    (third,) = submit(engine, ANN)
    (elsewhere,) = submit(engine, ANN, policy="other")
    assert [original(engine, one) for one in (first, second, third, bob, elsewhere)] == [None, first, first, None, None]
    assert wanted(engine, duplicate_of=first) == {second, third}
    assert wanted(engine, has_duplicates=True) == {first}
    assert wanted(engine, has_duplicates=False) == {second, third, bob, elsewhere}


def test_in_one_submission_the_first_in_order_is_the_original(start: Start) -> None:
    engine = begin(start)
    one, two, three = submit(engine, ANN, ANN, ANN)
    assert [original(engine, each) for each in (one, two, three)] == [None, one, one]
    assert original(engine, *submit(engine, ANN)) == one  # all three were made at the same instant


def test_a_canceled_request_is_no_original(start: Start) -> None:
    engine = begin(start)
    one, two = submit(engine, ANN, ANN)
    change(engine, one, status=RequestStatus.CANCELED)
    assert original(engine, *submit(engine, ANN)) == two
    change(engine, two, status=RequestStatus.CANCELED)


def test_requests_before_the_window_do_not_count(start: Start) -> None:
    engine = begin(start, window_days=30)
    (old,) = submit(engine, ANN)
    change(engine, old, created_at=datetime.now(UTC) - timedelta(days=29))
    (new,) = submit(engine, ANN)
    assert original(engine, new) == old
    change(engine, old, created_at=datetime.now(UTC) - timedelta(days=31))
    assert original(engine, *submit(engine, ANN)) == new


def test_every_kind_must_agree_and_whoever_lacks_one_repeats_nobody(start: Start) -> None:
    engine = begin(start, identity_kinds=["email", "phone_number"])
    both = {**ANN, "phone_number": "+11234567891"}
    (first,) = submit(engine, both)
    for other in (ANN, {**both, "phone_number": "+11234567892"}, {**both, "email": "bob@example.com"}):
        assert original(engine, *submit(engine, other)) is None
    assert original(engine, *submit(engine, both)) == first
    assert original(engine, *submit(engine, {**both, "email": ["x@example.com", "ann@example.com"]})) == first


def test_nothing_is_said_while_it_is_off(start: Start) -> None:
    engine = begin(start, enabled=False, hold=True)
    first, second = submit(engine, ANN, ANN)
    assert (original(engine, first), original(engine, second)) == (None, None)


@pytest.mark.parametrize("hold", [False, True])
def test_the_later_one_waits_for_a_reviewer_only_where_that_is_set(start: Start, hold: bool) -> None:
    engine = begin(start, hold=hold)
    first, second = submit(engine, ANN, ANN)
    engine.run()
    assert engine.view(first).status is RequestStatus.COMPLETE
    assert engine.view(second).status is (RequestStatus.PENDING if hold else RequestStatus.COMPLETE)
    assert ("Request approved" in engine.view(second).results) is not hold  # type: ignore[attr-defined]
    change(engine, second, reviewed_at=datetime.now(UTC))
    engine.run()
    assert engine.view(second).status is RequestStatus.COMPLETE
