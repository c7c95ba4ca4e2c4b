"""Cases of erasing: what becomes of each row, and that a failed batch leaves everything as it was."""

import time

from habeas.connectors.conformance.harness import (
    Case,
    Column,
    Harness,
    Kind,
    TableSpec,
    erasure,
    expect,
    outcomes,
    permit,
)
from habeas.domain.errors import DataFault, Fault, LeaseLost, SystemUnavailable
from habeas.domain.ports import Change, Connector, Erasure, Limits, Outcome

_ID = Column("id", Kind.INTEGER, nullable=False)
PEOPLE = TableSpec(
    "people",
    (
        _ID,
        Column("email", unique=True),
        Column("name", nullable=False, length=10),
        Column("age", Kind.INTEGER),
    ),
    ("id",),
    ((0, "ann@example.com", "Ann", 30), (1, "bob@example.com", "Bob", None), (2, "cyd@example.com", "Cyd", 50)),
)


def says_what_became_of_each_row(harness: Harness) -> None:
    harness.create(PEOPLE)
    effects = harness.connect().erase(
        erasure(
            PEOPLE,
            "name",
            ((2,), "Cyd", "MASKED"),
            ((9,), "Nobody", "MASKED"),
            ((0,), "before", "MASKED"),
            ((1,), "x", "Bob"),
        ),
        permit,
    )
    assert [effect.key for effect in effects] == [(2,), (9,), (0,), (1,)]
    assert outcomes(effects) == [Outcome.CHANGED, Outcome.ABSENT, Outcome.DRIFTED, Outcome.ALREADY]
    assert sorted(str(row[2]) for row in harness.rows(PEOPLE)) == ["Bob", "MASKED", "MASKED"]


def sets_several_columns_and_null(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = Erasure(
        PEOPLE.table(),
        ("age", "email", "name"),
        [
            Change((0,), (30, "ann@example.com", "Ann"), (None, None, "A")),
            Change((1,), (None, "bob@example.com", "Bob"), (None, "masked-1", "B")),
        ],
    )
    assert outcomes(harness.connect().erase(batch, permit)) == [Outcome.CHANGED, Outcome.CHANGED]
    assert sorted(harness.rows(PEOPLE)) == [(0, None, "A", None), (1, "masked-1", "B", None), PEOPLE.rows[2]]


def repeated_erasure_is_already_done(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = erasure(PEOPLE, "email", ((0,), "ann@example.com", None), ((1,), "bob@example.com", "masked"))
    connector = harness.connect()
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED] * 2
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY] * 2


def finds_rows_by_zero_empty_and_composite_keys(harness: Harness) -> None:
    columns = (Column("code", nullable=False), Column("line", Kind.INTEGER, nullable=False), Column("note"))
    rows = (("", 0, "a"), ("", 1, "b"), ("x", 0, "c"))
    spec = TableSpec("lines", columns, ("code", "line"), rows)
    harness.create(spec)
    effects = harness.connect().erase(erasure(spec, "note", (("", 0), "a", None), (("x", 0), "c", None)), permit)
    assert outcomes(effects) == [Outcome.CHANGED] * 2
    assert sorted(harness.rows(spec), key=repr) == [("", 0, None), ("", 1, "b"), ("x", 0, None)]


def leaves_neighbours_untouched(harness: Harness) -> None:
    rows = tuple((number, f"p{number}") for number in range(300))
    spec = TableSpec("crowd", (_ID, Column("name")), ("id",), rows)
    harness.create(spec)
    changes = [((number,), f"p{number}", f"m{number}") for number in range(0, 300, 3)]
    effects = harness.connect().erase(erasure(spec, "name", *changes), permit)
    assert outcomes(effects) == [Outcome.CHANGED] * 100
    expected = [(number, f"p{number}" if number % 3 else f"m{number}") for number in range(300)]
    assert sorted(harness.rows(spec)) == expected


def keeps_unicode_and_awkward_masks(harness: Harness) -> None:
    masks = ("", "ünï 🙂", "it's", "100%", ":p0", "{1,2}", "NULL", "a\\b", 'q"q')
    spec = TableSpec("masks", (_ID, Column("na:me %")), ("id",), tuple((n, "x") for n in range(len(masks))))
    harness.create(spec)
    changes = [((number,), "x", mask) for number, mask in enumerate(masks)]
    assert outcomes(harness.connect().erase(erasure(spec, "na:me %", *changes), permit)) == [Outcome.CHANGED] * 9
    assert sorted(harness.rows(spec)) == list(enumerate(masks))


def tells_case_apart_where_the_store_does_not(harness: Harness) -> None:
    spec = TableSpec("folded", (_ID, Column("name", Kind.FOLDING)), ("id",), ((1, "masked"), (2, "Ann")))
    harness.create(spec)
    batch = erasure(spec, "name", ((1,), "masked", "MASKED"), ((2,), "ANN", "MASKED"))
    assert outcomes(harness.connect().erase(batch, permit)) == [Outcome.CHANGED, Outcome.DRIFTED]
    assert sorted(harness.rows(spec)) == [(1, "MASKED"), (2, "MASKED")]


def _unchanged(harness: Harness, connector: Connector, error: type[Fault], batch: Erasure, *secrets: str) -> None:
    with expect(error, *secrets):
        connector.erase(batch, permit)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)


def refuses_null_where_it_is_not_allowed(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "MASKED"), ((1,), "Bob", None))
    _unchanged(harness, harness.connect(), DataFault, batch, "Bob", "MASKED")


def refuses_text_that_is_too_long(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "MASKED"), ((1,), "Bob", "far-too-long-a-mask"))
    _unchanged(harness, harness.connect(), DataFault, batch, "Bob", "far-too-long-a-mask")


def refuses_to_break_uniqueness(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = erasure(PEOPLE, "email", ((0,), "ann@example.com", "MASKED"), ((1,), "bob@example.com", "MASKED"))
    _unchanged(harness, harness.connect(), DataFault, batch, "bob@example.com", "MASKED")


def rolls_back_when_the_store_keeps_another_value(harness: Harness) -> None:
    harness.create(PEOPLE)
    harness.spoil(PEOPLE, "name")
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "MASKED"), ((9,), "Nobody", "MASKED"))
    effects = harness.connect().erase(batch, permit)
    assert outcomes(effects) == [Outcome.REFUSED] * 2
    assert all(effect.reason and "MASKED" not in effect.reason for effect in effects)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)


def rolls_back_when_the_guard_raises(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "MASKED"))

    def guard() -> None:
        raise LeaseLost("another worker has the run", hint="stop")

    with expect(LeaseLost):
        connector.erase(batch, guard)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]


def asks_the_guard_before_anything_is_visible(harness: Harness) -> None:
    harness.create(PEOPLE)
    calls: list[None] = []
    harness.connect().erase(erasure(PEOPLE, "name", ((0,), "Ann", "MASKED")), lambda: calls.append(None))
    assert len(calls) == 1


def refuses_a_key_named_twice(harness: Harness) -> None:
    harness.create(PEOPLE)
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "A"), ((0,), "Ann", "B"))
    _unchanged(harness, harness.connect(), Fault, batch, "Ann")


def gives_up_on_a_locked_row_in_time(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect(Limits(lock_timeout=0.05))
    batch = erasure(PEOPLE, "name", ((0,), "Ann", "MASKED"))
    started = time.monotonic()
    with harness.lock(PEOPLE), expect(SystemUnavailable, "Ann"):
        connector.erase(batch, permit)
    assert time.monotonic() - started < 5.0, "the lock time-out was not kept"
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]


CASES: tuple[Case, ...] = (
    says_what_became_of_each_row,
    sets_several_columns_and_null,
    repeated_erasure_is_already_done,
    finds_rows_by_zero_empty_and_composite_keys,
    leaves_neighbours_untouched,
    keeps_unicode_and_awkward_masks,
    tells_case_apart_where_the_store_does_not,
    refuses_null_where_it_is_not_allowed,
    refuses_text_that_is_too_long,
    refuses_to_break_uniqueness,
    rolls_back_when_the_guard_raises,
    asks_the_guard_before_anything_is_visible,
    refuses_a_key_named_twice,
    gives_up_on_a_locked_row_in_time,
)
TRIGGERED: tuple[Case, ...] = (rolls_back_when_the_store_keeps_another_value,)
