"""Requests gather into few large runs, and a small one never waits for them."""

from collections.abc import Callable

from memory_shop import Shop, set_up

from engine import Engine
from habeas.execution.dispatcher import SMALL_RUN, form_runs
from habeas.store import runs, tables

Start = Callable[..., Engine]

LONG = 60.0
"""Seconds to settle that no test lasts."""


def begin(start: Start, people: int, **execution: int) -> tuple[Engine, list[dict[str, str]]]:
    shop, engine = Shop(), start(**execution)
    identities = [shop.add_person(number) for number in range(people)]
    set_up(engine, shop.connector())
    return engine, identities


def sizes(engine: Engine) -> list[int]:
    with engine.context.ledger.read() as connection:
        return sorted(connection.scalars(tables.runs.select().with_only_columns(tables.runs.c.size)))


def test_a_few_go_at_once_and_more_wait_while_they_grow(start: Start) -> None:
    engine, people = begin(start, 31)
    engine.submit("give", *people[:SMALL_RUN])
    assert form_runs(engine.context, settle=LONG) == 1
    engine.submit("give", *people[SMALL_RUN:])
    assert form_runs(engine.context, settle=LONG) == 0
    assert form_runs(engine.context) == 1
    assert sizes(engine) == [SMALL_RUN, 21]


def test_a_full_group_waits_for_nothing(start: Start) -> None:
    engine, people = begin(start, 30, run_size=15)
    engine.submit("give", *people[:20])
    assert form_runs(engine.context, settle=LONG) == 2
    assert sizes(engine) == [5, 15]


def test_what_came_alone_does_not_gather_with_what_came_together(start: Start) -> None:
    engine, people = begin(start, 21)
    engine.submit("give", *people[:20])
    [alone] = engine.submit("give", people[20])
    assert form_runs(engine.context, small_only=True) == 1
    assert sizes(engine) == [1]
    with engine.context.ledger.read() as connection:
        [member] = connection.execute(tables.members.select())
    assert member.request_id == alone


def test_a_small_run_is_found_behind_any_number_of_large_ones(start: Start) -> None:
    engine, people = begin(start, 61, run_size=12)
    engine.submit("give", *people[:60])
    engine.submit("give", people[60])
    form_runs(engine.context)
    with engine.context.ledger.read() as connection:
        [due] = runs.due_runs(connection, engine.context.ledger, 1, [], 5, largest=SMALL_RUN)
        [run] = connection.execute(tables.runs.select().where(tables.runs.c.id == due.id))
    assert run.size == 1
