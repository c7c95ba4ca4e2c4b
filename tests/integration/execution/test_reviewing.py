"""Staff decide about requests: nothing happens before approval or after an end, and every decision counts once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
import sqlalchemy as sa
from memory_shop import Shop, set_up

from engine import Engine, acting
from habeas.connectors.memory import MemoryConnector, MemoryStore
from habeas.domain.errors import InputError
from habeas.domain.ports import Effect, Erasure, Lookup, Row
from habeas.domain.request import TRANSITIONS, RequestStatus
from habeas.services import requests, review
from habeas.store import tables

Start = Callable[..., Engine]
REVIEWED = {"require_manual_request_approval": True}


class Watched(MemoryConnector):
    """Calls `meanwhile` before each reading and each erasure, with what it is."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.meanwhile: Callable[[str], None] = lambda what: None
        self.people: Counter[str] = Counter()

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self.meanwhile(f"read {lookup.table.name}")
        if lookup.table.name == "people":
            self.people.update(str(value) for entry in lookup.entries for _, value in entry.pairs)
        yield from super().read(lookup)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        self.meanwhile(f"erase {erasure.table.name}")
        return super().erase(erasure, guard)


def count(engine: Engine, table: sa.Table) -> int:
    with engine.context.ledger.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def audits(engine: Engine, request_id: str) -> list[tuple[str, str, str]]:
    results = engine.view(request_id).results  # type: ignore[attr-defined]
    return [
        (title, entry.user_id, entry.message)
        for title, own in results.items()
        for entry in own
        if title[:7] == "Request"
    ]


def test_nothing_happens_before_approval(start: Start) -> None:
    shop, engine = Shop(), start(**REVIEWED)
    connector = Watched(shop.store)
    set_up(engine, connector)
    [request_id] = engine.submit("give", shop.add_person(0))
    engine.run()
    view = engine.view(request_id)
    assert (view.status, view.reviewed_at, view.reviewed_by) == (RequestStatus.PENDING, None, None)
    assert not connector.people
    approved = review.approve(acting(engine.context, "ann"), [request_id]).succeeded[0]
    assert (approved.status, approved.reviewed_by) == (RequestStatus.APPROVED, "ann")
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert audits(engine, request_id) == [
        ("Request created", "system", ""),
        ("Request approved", "ann", ""),
        ("Request finished", "system", ""),
    ]


def test_a_denied_request_keeps_its_reason_and_nothing_else(start: Start) -> None:
    shop, engine = Shop(), start(**REVIEWED)
    connector = Watched(shop.store)
    set_up(engine, connector)
    [request_id] = engine.submit("forget", shop.add_person(0), encryption_key="0123456789abcdef")
    assert count(engine, tables.masking_secrets) > 0
    denied = review.deny(acting(engine.context, "ann"), [request_id], "not a customer").succeeded[0]
    assert denied.status is RequestStatus.DENIED and denied.finished_processing_at is not None
    engine.run()
    assert not connector.people
    assert ("Request denied", "ann", "not a customer") in audits(engine, request_id)
    assert count(engine, tables.masking_secrets) == 0
    with engine.context.ledger.read() as connection:
        assert connection.scalar(sa.select(tables.requests.c.sealed_encryption_key)) is None


def test_an_id_given_twice_counts_once_and_an_unknown_one_is_told(start: Start) -> None:
    shop, engine = Shop(), start(**REVIEWED)
    set_up(engine, shop.connector())
    one, other = engine.submit("give", shop.add_person(0), shop.add_person(1))
    decided = review.approve(engine.context, [one, "pri_none", one, other])
    assert [view.id for view in decided.succeeded] == [one, other]
    assert [failure.data for failure in decided.failed] == [{"privacy_request_id": "pri_none"}]
    again = review.deny(engine.context, [one])
    assert not again.succeeded and "approved" in again.failed[0].message


EVENTS = {
    RequestStatus.APPROVED: review.approve,
    RequestStatus.DENIED: review.deny,
    RequestStatus.CANCELED: review.cancel,
}


@pytest.mark.parametrize("status", RequestStatus)
@pytest.mark.parametrize("to", EVENTS)
def test_only_the_moves_of_the_table_are_made(start: Start, status: RequestStatus, to: RequestStatus) -> None:
    shop, engine = Shop(), start(**REVIEWED)
    set_up(engine, shop.connector())
    [request_id] = engine.submit("give", shop.add_person(0))
    with engine.context.ledger.write() as connection:
        connection.execute(tables.requests.update().values(status=status))
    decided = EVENTS[to](engine.context, [request_id])
    allowed = to in TRANSITIONS[status]
    assert [view.status for view in decided.succeeded] == ([to] if allowed else [])
    assert engine.view(request_id).status is (to if allowed else status)


def test_a_request_cancelled_while_it_is_read_leaves_and_the_others_go_on(start: Start) -> None:
    shop, engine = Shop(), start(visits=1)
    connector = Watched(shop.store)
    set_up(engine, connector)
    one, other = sorted(engine.submit("give", shop.add_person(0), shop.add_person(1)))

    def cancel(what: str) -> None:
        if what == "read orders":
            assert review.cancel(engine.context, [one], "withdrawn").succeeded

    connector.meanwhile = cancel
    engine.run()
    view = engine.view(one)
    assert (view.status, view.cancel_reason) == (RequestStatus.CANCELED, "withdrawn")
    assert ("items", "access", "in_processing") not in engine.log(one)
    assert engine.view(other).status is RequestStatus.COMPLETE
    with pytest.raises(InputError, match="canceled"):
        requests.retry(engine.context, one)


def test_what_was_masked_when_a_request_is_cancelled_stays_masked_and_is_reported(start: Start) -> None:
    shop, engine = Shop(), start(batch_rows=2)
    connector = Watched(shop.store)
    set_up(engine, connector)
    [request_id] = engine.submit("forget", shop.add_person(0, orders=5))

    def cancel(what: str) -> None:
        if what == "erase orders":
            review.cancel(engine.context, [request_id])

    connector.meanwhile = cancel
    engine.run()
    assert engine.view(request_id).status is RequestStatus.CANCELED
    masked = [record for record in shop.orders.records if not str(record["note"]).startswith("note")]
    assert len(masked) == 2, "the batch that was under way, and no other"
    told = engine.counts(request_id)
    assert (told["shop:orders"]["changed"], told["shop:orders"]["verified"]) == (len(masked), False)
    assert told["shop:people"]["changed"] == 0
    assert all(str(record["name"]).startswith("Name") for record in shop.people.records)
    assert count(engine, tables.masking_secrets) == 0
    engine.run()
    assert engine.view(request_id).status is RequestStatus.CANCELED


def test_twenty_who_decide_at_once_agree(start: Start) -> None:
    shop, engine = Shop(), start(**REVIEWED)
    connector = Watched(shop.store)
    set_up(engine, connector)
    ids = engine.submit("give", *(shop.add_person(number, orders=0) for number in range(50)))
    decided: Counter[tuple[str, RequestStatus]] = Counter()
    failures: list[Exception] = []

    def decide(seed: int) -> None:
        random = Random(seed)
        try:
            for _ in range(3):
                to = random.choice(list(EVENTS))
                result = EVENTS[to](acting(engine.context, str(seed)), random.sample(ids, 50))
                decided.update((view.id, to) for view in result.succeeded)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=decide, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert max(decided.values()) == 1, "no decision was made twice"
    for request_id in ids:
        made = [to for one, to in decided if one == request_id]
        assert set(made) in (*({to} for to in EVENTS), {RequestStatus.APPROVED, RequestStatus.CANCELED})
    engine.run()
    assert {engine.view(request_id).status for request_id in ids} <= {
        *(RequestStatus.COMPLETE, RequestStatus.DENIED, RequestStatus.CANCELED)
    }
    assert set(connector.people.values()) <= {1}, "each is carried out once"


def test_many_are_retried_at_once(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    people = [shop.add_person(number) for number in range(3)]
    connector = Watched(shop.store)
    set_up(engine, connector)

    def fail(what: str) -> None:
        raise InputError("no")

    connector.meanwhile = fail
    ids = engine.submit("give", *people)
    engine.run()
    connector.meanwhile = lambda what: None
    done = requests.retry_all(engine.context, [ids[0], ids[1], ids[0], "pri_none"])
    assert [view.id for view in done.succeeded] == ids[:2]
    assert [failure.data for failure in done.failed] == [{"privacy_request_id": "pri_none"}]
    engine.run()
    statuses = [engine.view(request_id).status for request_id in ids]
    assert statuses == [RequestStatus.COMPLETE, RequestStatus.COMPLETE, RequestStatus.ERROR]
