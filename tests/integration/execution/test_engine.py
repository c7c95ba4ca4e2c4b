"""What a run does, on both ledgers, with connectors that behave, fail, and misbehave."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from memory_shop import Flaky, Shop, set_up

from engine import Engine
from habeas.connectors.hostile import DRIVER_TEXT, HostileConnector, Misbehaviour
from habeas.connectors.memory import MemoryConnector
from habeas.domain.errors import DataFault, InputError
from habeas.domain.ports import Effect, Erasure, Lookup, Row
from habeas.domain.request import RequestStatus
from habeas.execution.dispatcher import form_runs
from habeas.execution.runner import carry
from habeas.services import connections, requests
from habeas.services.request_views import ActionRequired
from habeas.store import runs, tables

Start = Callable[..., Engine]


def test_each_person_gets_their_own_rows_and_nobody_elses(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(40)]
    set_up(engine, shop.connector())
    ids = engine.submit("give", *people)
    engine.run()
    for number, request_id in enumerate(ids):
        package = json.loads(engine.package(request_id, "give-give"))
        assert package["shop:people"] == [{"mail": f"p{number}@example.com", "name": f"Name {number}"}]
        assert {row["note"] for row in package["shop:orders"]} == {f"note {number * 100 + n}" for n in range(2)}
        assert len(package["shop:items"]) == 4
        assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_requests_of_one_post_are_one_run(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(20)]
    set_up(engine, shop.connector())
    engine.submit("give", *people)
    assert form_runs(engine.context) == 1


def test_the_log_tells_how_a_run_began_and_ended(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    people = [shop.add_person(number) for number in range(3)]
    flaky = Flaky(shop)
    set_up(engine, flaky)
    with caplog.at_level("INFO", "habeas.execution"):
        engine.submit("give", *people)
        engine.run()
        flaky.failing["read orders"] = 1
        engine.submit("give", *people)
        engine.run()
    texts = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    runs_of = [text.split()[1] for text in texts]
    assert [text.replace(run_id, "…") for text, run_id in zip(texts, runs_of, strict=True)] == [
        "run … formed: 3 requests of policy give",
        "run … ended: 3 complete, 0 in error",
        "run … formed: 3 requests of policy give",
        "run … ended at step access: 0 complete, 3 in error",
    ]
    assert runs_of[0] == runs_of[1] != runs_of[2] == runs_of[3]
    assert all(run_id.startswith("run_") for run_id in runs_of)


def test_a_person_without_data_gets_an_empty_package(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("give", {"email": "nobody@example.com"})
    engine.run()
    assert json.loads(engine.package(request_id, "give-give")) == {}
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_erasure_masks_the_person_and_leaves_the_neighbour(start: Start) -> None:
    shop, engine = Shop(), start()
    ann, _ = shop.add_person(0), shop.add_person(1)
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("forget", ann)
    engine.run()
    first, second = shop.people.records
    assert first["mail"] is None and len(str(first["name"])) == 64
    assert second == {"id": 1, "mail": "p1@example.com", "name": "Name 1"}
    counts = engine.counts(request_id)
    assert counts["shop:people"]["changed"] == 1 and counts["shop:orders"]["changed"] == 2
    assert counts["shop:items"]["changed"] == 0 and counts["shop:people"]["verified"] is True


def test_a_temporary_failure_is_tried_again_and_each_try_is_logged(start: Start) -> None:
    """Case X01: five retries make six calls, one start row, five retry rows and one error row."""
    shop, engine = Shop(), start(task_retry_count=5)
    ann = shop.add_person(0)
    flaky = Flaky(shop)
    flaky.failing["read orders"] = 6
    set_up(engine, flaky)
    (request_id,) = engine.submit("give", ann)
    engine.run()
    own = [status for collection, _, status in engine.log(request_id) if collection == "orders"]
    assert own == ["in_processing", *["retrying"] * 5, "error"]
    assert flaky.calls.count("read orders") == 6


def test_retry_visits_only_what_was_not_visited(start: Start) -> None:
    """A17: what was complete is not asked again, even from another process."""
    shop, engine = Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)
    flaky = Flaky(shop)
    flaky.failing["read orders"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("give", ann)
    engine.run()
    view = engine.view(request_id)
    assert view.status is RequestStatus.ERROR
    assert view.action_required_details == ActionRequired("access", "shop:orders", None)
    assert "read items" not in flaky.calls
    flaky.calls.clear()
    shop.people.records.clear()  # the rows that were read before are what the package must hold
    other = start(task_retry_count=0)
    other.connectors["shop"] = flaky
    requests.retry(other.context, request_id)
    other.run()
    assert flaky.calls == ["read orders", "read items"]
    package = json.loads(other.package(request_id, "give-give"))
    assert len(package["shop:people"]) == 1 and len(package["shop:items"]) == 4


def test_retry_of_an_erasure_does_not_mask_twice(start: Start) -> None:
    """A18: collections that were masked are left alone and their counts stand."""
    shop, engine = Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)
    flaky = Flaky(shop)
    flaky.failing["erase people"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("forget", ann)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    notes = [record["note"] for record in shop.orders.records]
    flaky.calls.clear()
    requests.retry(engine.context, request_id)
    engine.run()
    assert flaky.calls == ["erase people"]
    assert [record["note"] for record in shop.orders.records] == notes
    counts = engine.counts(request_id)
    assert (counts["shop:orders"]["changed"], counts["shop:people"]["changed"]) == (2, 1)


def test_only_a_request_in_error_can_be_retried(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("give", shop.add_person(0))
    engine.run()
    with pytest.raises(InputError, match="its status is complete"):
        requests.retry(engine.context, request_id)


@pytest.mark.parametrize("misbehaviour", [each for each in Misbehaviour if each is not Misbehaviour.SLEEPS_PAST_LEASE])
def test_a_connector_that_breaks_the_contract_is_a_named_fault(start: Start, misbehaviour: Misbehaviour) -> None:
    shop, engine = Shop(), start(task_retry_count=1)
    ann = shop.add_person(0)
    set_up(engine, HostileConnector(shop.connector(), misbehaviour))
    (request_id,) = engine.submit("forget", ann)
    engine.run()
    view = engine.view(request_id)
    assert view.status is RequestStatus.ERROR
    assert view.failure and DRIVER_TEXT not in view.failure
    assert view.action_required_details and view.action_required_details.collection
    if misbehaviour is not Misbehaviour.ONE_ROW_TOO_FEW:
        assert shop.people.records[0]["mail"] == "p0@example.com"


def test_a_worker_that_sleeps_past_its_lease_commits_nothing(start: Start) -> None:
    """The sleeper is overtaken while it waits in the target; its successor finishes, it leaves quietly."""
    shop, sleeper, successor = Shop(), start(), start()
    ann = shop.add_person(0)

    def overtake() -> None:
        with sleeper.context.ledger.write() as connection:
            connection.execute(tables.runs.update().values(lease_until=0.0))
        successor.run()

    waits = iter([overtake])
    hostile = HostileConnector(shop.connector(), Misbehaviour.SLEEPS_PAST_LEASE, lambda: next(waits, lambda: None)())
    set_up(sleeper, hostile)
    successor.connectors["shop"] = shop.connector()
    (request_id,) = sleeper.submit("forget", ann)
    sleeper.run()
    view = sleeper.view(request_id)
    assert view.status is RequestStatus.COMPLETE
    assert sleeper.log(request_id).count(("people", "erasure", "complete")) == 1
    assert sleeper.log(request_id).count(("people", "access", "in_processing")) == 1
    assert sleeper.counts(request_id)["shop:people"]["changed"] == 1


class Poisoned(MemoryConnector):
    """A store whose statement breaks when one person's value is in it."""

    poison = "p3@example.com"

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        if any(value == self.poison for entry in lookup.entries for _, value in entry.pairs):
            raise DataFault("a value cannot be looked up")
        yield from super().read(lookup)


def test_one_persons_value_that_breaks_a_statement_stops_only_that_person(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(9)]
    set_up(engine, Poisoned(shop.store))
    ids = engine.submit("give", *people)
    engine.run()
    statuses = [engine.view(request_id).status for request_id in ids]
    assert statuses[3] is RequestStatus.ERROR
    assert statuses[:3] + statuses[4:] == [RequestStatus.COMPLETE] * 8
    for number in (0, 4, 8):
        assert len(json.loads(engine.package(ids[number], "give-give"))["shop:items"]) == 4


def test_a_row_the_store_refuses_stops_only_its_owner(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(number) for number in range(6)]
    shop.people.triggers = {"name": lambda value: "kept" if value == keep else value}
    set_up(engine, shop.connector())
    keep = None
    ids = engine.submit("forget", *people)

    class Stubborn(MemoryConnector):
        def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
            if erasure.table.name == "people" and any(change.key == (4,) for change in erasure.changes):
                raise DataFault("people: a constraint refuses the change")
            return super().erase(erasure, guard)

    engine.connectors["shop"] = Stubborn(shop.store)
    engine.context.connectors.close()
    engine.run()
    statuses = [engine.view(request_id).status for request_id in ids]
    assert statuses == [RequestStatus.ERROR if n == 4 else RequestStatus.COMPLETE for n in range(6)]
    assert shop.people.records[4]["mail"] == "p4@example.com"
    assert all(shop.people.records[n]["mail"] is None for n in range(6) if n != 4)
    assert engine.counts(ids[4])["shop:people"]["verified"] is False


def test_a_shared_row_is_masked_once_by_the_smallest_request(start: Start) -> None:
    shop, engine = Shop(), start()
    people = [shop.add_person(0), {"email": "p0@example.com"}]
    set_up(engine, shop.connector())
    ids = engine.submit("forget", *people)
    engine.run()
    assert [engine.counts(request_id)["shop:people"]["changed"] for request_id in ids] == [1, 1]
    assert engine.counts(ids[0])["shop:orders"]["drifted"] == 0


def test_rows_changed_or_gone_since_access_are_reported(start: Start) -> None:
    shop, engine = Shop(), start(task_retry_count=0)
    flaky = Flaky(shop)
    flaky.failing["erase orders"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("forget", shop.add_person(0))
    engine.run()
    shop.orders.records[0]["note"] = "written later"
    del shop.orders.records[1]
    requests.retry(engine.context, request_id)
    engine.run()
    counts = engine.counts(request_id)["shop:orders"]
    assert (counts["changed"], counts["drifted"], counts["absent"]) == (0, 1, 1)
    report = requests.report(engine.context, request_id)
    assert any("had changed" in str(said) for said in report["exceptions"])


def test_a_repeat_of_our_own_change_counts_as_changed(start: Start) -> None:
    """The worker dies between the target's commit and the ledger's: the next one must count the same."""
    shop, first, second = Shop(), start(), start()

    class Dies(MemoryConnector):
        def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
            super().erase(erasure, guard)
            with first.context.ledger.write() as connection:
                connection.execute(tables.runs.update().values(lease_until=0.0, fence=tables.runs.c.fence + 1))
            return super().erase(erasure, guard)

    ann = shop.add_person(0)
    set_up(first, Dies(shop.store))
    (request_id,) = first.submit("forget", ann)
    form_runs(first.context)
    with first.context.ledger.read() as connection:
        (run,) = runs.due_runs(connection, first.context.ledger, 1, [], lease=5)
    carry(first.context, run.id, "test", first.stopping)
    assert first.view(request_id).status is RequestStatus.IN_PROCESSING
    second.connectors["shop"] = shop.connector()
    second.run()
    counts = second.counts(request_id)
    assert all(counts[f"shop:{name}"]["already"] == 0 for name in ("people", "orders"))
    assert (counts["shop:people"]["changed"], counts["shop:orders"]["changed"]) == (1, 2)


def test_independent_branches_go_on_when_one_fails(start: Start) -> None:
    """X03 and X04: the fine store is visited; after the mend only the broken one is."""
    shop, other, engine = Shop(), Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)
    other.add_person(0)
    flaky, fine = Flaky(shop), Flaky(other)
    flaky.failing["read people"] = 1
    set_up(engine, flaky)
    engine.plug("fine", fine)
    body = json.loads(json.dumps(Shop.body()).replace('"dataset": "shop"', '"dataset": "fine"'))
    engine.describe("fine", {**body, "fides_key": "fine"})
    (request_id,) = engine.submit("give", ann)
    engine.run()
    log = engine.log(request_id)
    assert ("people", "access", "error") in log and log.count(("items", "access", "complete")) == 1
    fine.calls.clear()
    requests.retry(engine.context, request_id)
    engine.run()
    assert fine.calls == [] and engine.view(request_id).status is RequestStatus.COMPLETE


def test_an_unreachable_collection_ends_the_request_before_any_query(start: Start) -> None:
    """A21."""
    shop, engine = Shop(), start()
    flaky = Flaky(shop)
    set_up(engine, flaky)
    (request_id,) = engine.submit("give", {"phone_number": "+1 (123) 456 7891"})
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    assert flaky.calls == []
    named = {collection for collection, _, status in engine.log(request_id) if status == "error"}
    assert named == {"shop:people", "shop:orders", "shop:items"}


def test_a_run_that_keeps_ending_its_workers_is_stopped(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("give", shop.add_person(0))
    form_runs(engine.context)
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(claims=5))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_a_stopping_worker_gives_the_run_back_at_once(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    (request_id,) = engine.submit("give", shop.add_person(0))
    form_runs(engine.context)
    with engine.context.ledger.read() as connection:
        (run,) = runs.due_runs(connection, engine.context.ledger, 1, [], lease=5)
    stopping = threading.Event()
    stopping.set()
    carry(engine.context, run.id, "test", stopping)
    assert engine.view(request_id).status is RequestStatus.IN_PROCESSING
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE


def test_two_workers_never_carry_one_run(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    engine.submit("give", shop.add_person(0))
    form_runs(engine.context)
    with engine.context.ledger.read() as connection:
        (run,) = runs.due_runs(connection, engine.context.ledger, 1, [], lease=5)
    claimed: list[Any] = []
    gate = threading.Barrier(8)

    def claim() -> None:
        gate.wait()
        with engine.context.ledger.write() as connection:
            if runs.claim(connection, engine.context.ledger, run.id, "test", 5) is not None:
                claimed.append(1)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 1


def test_a_lost_package_key_fails_closed_and_stops_only_its_owner(start: Start, tmp_path: Any) -> None:
    """A24."""
    shop, engine = Shop(), start()
    people = [shop.add_person(0), shop.add_person(1)]
    set_up(engine, shop.connector())
    (kept,) = engine.submit("give", people[0], encryption_key="0123456789abcdef")
    (lost,) = engine.submit("give", people[1], encryption_key="0123456789abcdef")
    with engine.context.ledger.write() as connection:
        connection.execute(
            tables.requests.update().where(tables.requests.c.id == lost).values(sealed_encryption_key=None)
        )
    engine.run()
    assert engine.view(kept).status is RequestStatus.COMPLETE
    assert engine.view(lost).status is RequestStatus.ERROR
    assert [path.name for path in (tmp_path / "data" / "packages").rglob("*.json*")] == [f"{kept}.json"]
    with engine.context.ledger.read() as connection:
        key = connection.scalar(sa.select(tables.requests.c.sealed_encryption_key).where(tables.requests.c.id == kept))
    assert key is None, "the key is forgotten once the package is uploaded"


@pytest.mark.parametrize("deleted", [False, True])
def test_a_connection_taken_away_before_a_retry_is_passed_over_and_reported(start: Start, deleted: bool) -> None:
    """X16 and X18: what is left of it is skipped, the rest completes, and the report says so."""
    shop, engine = Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)
    flaky = Flaky(shop)
    flaky.failing["read orders"] = 1
    set_up(engine, flaky)
    (request_id,) = engine.submit("give", ann)
    engine.run()
    if deleted:
        connections.delete_connection(engine.context, "shop")
    else:
        engine.connect("shop", "memory", {"name": "shop"}, disabled=True)
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    skipped = [collection for collection, _, status in engine.log(request_id) if status == "skipped"]
    assert skipped == ["orders", "items"]
    assert set(json.loads(engine.package(request_id, "give-give"))) == {"shop:people"}
    report = requests.report(engine.context, request_id)
    assert len([said for said in report["exceptions"] if "was passed over" in said]) == 2


def test_a_worker_behind_the_fence_writes_nothing_while_another_holds_the_run(start: Start) -> None:
    shop, engine = Shop(), start()

    def overtake() -> None:
        with engine.context.ledger.write() as connection:
            connection.execute(tables.runs.update().values(lease_until=0.0))
            (due,) = connection.scalars(sa.select(tables.runs.c.id))
            assert runs.claim(connection, engine.context.ledger, due, "other", 5) is not None

    waits = iter([overtake])
    set_up(
        engine,
        HostileConnector(shop.connector(), Misbehaviour.SLEEPS_PAST_LEASE, lambda: next(waits, lambda: None)()),
    )
    (request_id,) = engine.submit("forget", shop.add_person(0))
    engine.run()
    assert engine.log(request_id) == [("people", "access", "in_processing")]
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=0.0))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert engine.log(request_id).count(("people", "access", "complete")) == 1


def test_what_was_mended_in_the_dataset_counts_for_a_retry(start: Start) -> None:
    """The store refuses to change a column; once it is declared read-only the same request can be completed."""
    shop, engine = Shop(), start(task_retry_count=0)
    ann = shop.add_person(0)

    class Computed(MemoryConnector):
        def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
            if "name" in erasure.columns:
                raise DataFault("the column is computed")
            return super().erase(erasure, guard)

    set_up(engine, Computed(shop.store))
    (request_id,) = engine.submit("forget", ann)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.ERROR
    body = Shop.body()
    body["collections"][0]["fields"][2]["fides_meta"]["read_only"] = True
    engine.describe("shop", body)
    requests.retry(engine.context, request_id)
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert shop.people.records[0]["mail"] is None and shop.people.records[0]["name"] == "Name 0"
    assert engine.counts(request_id)["shop:people"]["skipped"][0]["reason"] == "the field is read-only"


def test_a_system_that_cannot_erase_is_left_alone_and_the_report_says_so(start: Start) -> None:
    shop, engine = Shop(), start()
    set_up(engine, shop.connector())
    engine.connectors["kept"] = shop.connector()
    engine.connect("kept", "archive", {"name": "kept"})
    body = json.loads(json.dumps(Shop.body()).replace('"dataset": "shop"', '"dataset": "kept"'))
    engine.describe("kept", {**body, "fides_key": "kept"})
    (request_id,) = engine.submit("forget", shop.add_person(0), dataset_keys=("kept",))
    engine.run()
    assert engine.view(request_id).status is RequestStatus.COMPLETE
    assert shop.people.records[0]["mail"] == "p0@example.com"
    reasons = {skipped["reason"] for skipped in engine.counts(request_id)["kept:people"]["skipped"]}
    assert reasons == {"the connected system cannot erase"}
