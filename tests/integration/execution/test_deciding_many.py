"""Staff decide about all requests that match: in portions, each whole, and a repeat decides what is left."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine
from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.request import RequestStatus
from habeas.services import requests, review, selection
from habeas.services.request_search import RequestFilter
from habeas.services.selection import Selection
from habeas.store import journal, tables

Start = Callable[..., Engine]
REVIEWED = {"require_manual_request_approval": True}
GIVE = Selection(RequestFilter(policy_key="give"))


def begin(start: Start, people: int) -> tuple[Engine, list[str]]:
    """An engine with so many requests of policy `give` and one of `forget`, all awaiting review."""
    shop, engine = Shop(), start(**REVIEWED)
    set_up(engine, shop.connector())
    ids = engine.submit("give", *(shop.add_person(number, orders=0) for number in range(people)))
    engine.submit("forget", shop.add_person(people, orders=0))
    return engine, ids


def count(engine: Engine) -> Counter[str]:
    with engine.context.ledger.read() as connection:
        return Counter(connection.scalars(sa.select(tables.requests.c.status)))


def test_all_that_match_are_decided_but_those_excluded(start: Start) -> None:
    engine, ids = begin(start, 120)
    denied = review.deny(engine.context, ids[:1]).succeeded
    chosen = Selection(GIVE.wanted, ids[1:3])
    approved = review.approve(engine.context, chosen)
    assert [view.id for view in denied] == ids[:1]
    assert sorted(view.id for view in approved.succeeded) == sorted(ids[3:])
    assert not approved.failed, "what is decided already was not chosen"
    assert count(engine) == {"approved": 117, "pending": 3, "denied": 1}
    again = review.approve(engine.context, chosen)
    assert not again.succeeded and not again.failed


def test_a_decision_cut_off_half_way_is_finished_by_its_repeat(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, ids = begin(start, 120)
    audit, calls = journal.audit, [0]

    def fail_at_the_third(connection: sa.Connection, request_ids: Sequence[str], *rest: object) -> None:
        calls[0] += 1
        audit(connection, request_ids, *rest)  # type: ignore[arg-type]
        if calls[0] == 3:
            raise SystemUnavailable("the ledger's disk is full")

    monkeypatch.setattr(journal, "audit", fail_at_the_third)
    with pytest.raises(SystemUnavailable):
        review.cancel(engine.context, GIVE)
    assert count(engine) == {"canceled": 100, "pending": 21}, "two whole portions"
    assert len(review.cancel(engine.context, GIVE).succeeded) == 20
    assert count(engine) == {"canceled": 120, "pending": 1}
    with engine.context.ledger.read() as connection:
        told = connection.scalars(sa.select(tables.audits.c.object_id).where(tables.audits.c.action == "canceled"))
        assert sorted(told) == sorted(ids), "each once"


def test_when_more_match_than_one_call_may_choose_nothing_is_decided(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, ids = begin(start, 5)
    monkeypatch.setattr(selection, "MOST", 4)
    with pytest.raises(InputError, match=r"more than 4 requests match.*nothing was decided"):
        review.deny(engine.context, GIVE)
    assert count(engine) == {"pending": 6}
    assert len(review.deny(engine.context, Selection(GIVE.wanted, ids[:1])).succeeded) == 4


def test_a_status_asked_for_from_which_nothing_leads_there_chooses_nothing(start: Start) -> None:
    engine, _ = begin(start, 2)
    asked = Selection(RequestFilter(status=(RequestStatus.COMPLETE, RequestStatus.DENIED)))
    decided = review.approve(engine.context, asked)
    assert not decided.succeeded and not decided.failed
    assert count(engine) == {"pending": 3}


def test_all_in_error_are_retried(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    people = [shop.add_person(number) for number in range(60)]
    connector = Flaky(shop, InputError)
    connector.failing = {"read people": 1}
    set_up(engine, connector)
    ids = engine.submit("give", *people)
    engine.run()
    assert count(engine) == {"error": 60}
    retried = requests.retry_all(engine.context, GIVE)
    assert sorted(view.id for view in retried.succeeded) == sorted(ids) and not retried.failed
    engine.run()
    assert count(engine) == {"complete": 60}
