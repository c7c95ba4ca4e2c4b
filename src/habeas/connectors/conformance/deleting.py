"""Cases of deleting: the rows named go, no others, and a store that keeps one keeps all."""

from collections import Counter

from habeas.connectors.conformance.erasing import PEOPLE
from habeas.connectors.conformance.harness import (
    Case,
    Column,
    Harness,
    Kind,
    TableSpec,
    deletion,
    expect,
    outcomes,
    permit,
    tally,
)
from habeas.connectors.conformance.unkeyed import ANN, LOG
from habeas.domain.errors import DataFault, Fault, LeaseLost, SystemUnavailable
from habeas.domain.ports import Change, Erasure, Limits, Outcome

_ID = Column("id", Kind.INTEGER, nullable=False)
PARENTS = TableSpec("parents", (_ID, Column("name")), ("id",), ((0, "ann"), (1, "bob")))
CHILDREN = TableSpec(
    "children",
    (_ID, Column("parent", Kind.INTEGER, references=("parents", "id"))),
    ("id",),
    ((10, 0), (11, None)),
)


def deletes_rows_and_says_which_were_gone(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector, batch = harness.connect(), deletion(PEOPLE, (0,), (9,), (2,))
    assert tally(connector.erase(batch, permit)) == [
        ((0,), Outcome.CHANGED, 1),
        ((9,), Outcome.ALREADY, 1),
        ((2,), Outcome.CHANGED, 1),
    ]
    assert harness.rows(PEOPLE) == [PEOPLE.rows[1]]
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY] * 3


def deletes_rows_whatever_they_hold_by_then(harness: Harness) -> None:
    harness.create(PEOPLE)
    harness.fill(PEOPLE, [(0, "other@example.com", "Other", None), PEOPLE.rows[1]])
    assert outcomes(harness.connect().erase(deletion(PEOPLE, (0,)), permit)) == [Outcome.CHANGED]
    assert harness.rows(PEOPLE) == [PEOPLE.rows[1]]


def deletes_by_zero_empty_and_composite_keys(harness: Harness) -> None:
    columns = (Column("code", nullable=False), Column("line", Kind.INTEGER, nullable=False))
    spec = TableSpec("lines", columns, ("code", "line"), (("", 0), ("", 1), ("x", 0), ("0", 0)))
    harness.create(spec)
    effects = harness.connect().erase(deletion(spec, ("", 0), ("x", 0)), permit)
    assert outcomes(effects) == [Outcome.CHANGED] * 2
    assert sorted(harness.rows(spec)) == [("", 1), ("0", 0)]


def deletes_many_and_leaves_neighbours(harness: Harness) -> None:
    spec = TableSpec("crowd", (_ID, Column("name")), ("id",), tuple((number, f"p{number}") for number in range(300)))
    harness.create(spec)
    keys = [(number,) for number in range(0, 300, 3)]
    assert outcomes(harness.connect().erase(deletion(spec, *keys), permit)) == [Outcome.CHANGED] * 100
    assert sorted(harness.rows(spec)) == [row for row in spec.rows if (row[0],) not in keys]


def rolls_back_a_deletion_when_the_guard_raises(harness: Harness) -> None:
    harness.create(PEOPLE)

    def guard() -> None:
        raise LeaseLost("another worker has the run", hint="stop")

    with expect(LeaseLost):
        harness.connect().erase(deletion(PEOPLE, (0,)), guard)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)


def refuses_to_delete_a_key_named_twice(harness: Harness) -> None:
    harness.create(PEOPLE)
    with expect(Fault):
        harness.connect().erase(deletion(PEOPLE, (0,), (0,)), permit)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)


def gives_up_deleting_a_locked_row_in_time(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect(Limits(lock_timeout=0.05))
    with harness.lock(PEOPLE), expect(SystemUnavailable):
        connector.erase(deletion(PEOPLE, (0,)), permit)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)
    assert outcomes(connector.erase(deletion(PEOPLE, (0,)), permit)) == [Outcome.CHANGED]


def explains_a_deletion(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    text = connector.explain(deletion(PEOPLE, (4711,)))
    assert "people" in text and "?" in text and "id" in text and "4711" not in text
    assert text == connector.explain(deletion(PEOPLE, (0,), (1,)))


def deletes_every_equal_row_without_key(harness: Harness) -> None:
    harness.create(LOG)
    connector = harness.connect()
    keys = [(ANN, 2), (("ann@example.com", None, 0), 2)]
    batch = Erasure(LOG.table(), (), [Change(key, (), (), copies) for key, copies in keys], delete=True)
    assert tally(connector.erase(batch, permit)) == [
        (ANN, Outcome.CHANGED, 2),
        (keys[1][0], Outcome.CHANGED, 1),
        (keys[1][0], Outcome.ALREADY, 1),
    ]
    left = Counter(row for row in LOG.rows if row not in (ANN, keys[1][0]))
    assert Counter(harness.rows(LOG)) == left
    assert tally(connector.erase(batch, permit)) == [(key, Outcome.ALREADY, 2) for key, _ in keys]


def refuses_to_delete_what_others_refer_to(harness: Harness) -> None:
    harness.create(PARENTS)
    harness.create(CHILDREN)
    connector = harness.connect()
    with expect(DataFault, "ann"):
        connector.erase(deletion(PARENTS, (0,), (1,)), permit)
    assert sorted(harness.rows(PARENTS)) == list(PARENTS.rows)
    assert outcomes(connector.erase(deletion(CHILDREN, (10,)), permit)) == [Outcome.CHANGED]
    assert outcomes(connector.erase(deletion(PARENTS, (0,), (1,)), permit)) == [Outcome.CHANGED] * 2
    assert harness.rows(CHILDREN) == [(11, None)]


def rolls_back_when_the_store_keeps_a_row(harness: Harness) -> None:
    harness.create(PEOPLE)
    harness.keep(PEOPLE)
    effects = harness.connect().erase(deletion(PEOPLE, (0,), (9,)), permit)
    assert outcomes(effects) == [Outcome.REFUSED] * 2
    assert all(effect.reason for effect in effects)
    assert sorted(harness.rows(PEOPLE)) == list(PEOPLE.rows)


def rolls_back_without_key_when_the_store_keeps_a_row(harness: Harness) -> None:
    harness.create(LOG)
    harness.keep(LOG)
    batch = Erasure(LOG.table(), (), [Change(ANN, (), (), 2)], delete=True)
    assert tally(harness.connect().erase(batch, permit)) == [(ANN, Outcome.REFUSED, 2)]
    assert Counter(harness.rows(LOG)) == Counter(LOG.rows)


CASES: tuple[Case, ...] = (
    deletes_rows_and_says_which_were_gone,
    deletes_rows_whatever_they_hold_by_then,
    deletes_by_zero_empty_and_composite_keys,
    deletes_many_and_leaves_neighbours,
    rolls_back_a_deletion_when_the_guard_raises,
    refuses_to_delete_a_key_named_twice,
    gives_up_deleting_a_locked_row_in_time,
    explains_a_deletion,
)
UNKEYED: tuple[Case, ...] = (deletes_every_equal_row_without_key,)
REFERRED: tuple[Case, ...] = (refuses_to_delete_what_others_refer_to,)
TRIGGERED: tuple[Case, ...] = (rolls_back_when_the_store_keeps_a_row,)
UNKEYED_TRIGGERED: tuple[Case, ...] = (rolls_back_without_key_when_the_store_keeps_a_row,)
