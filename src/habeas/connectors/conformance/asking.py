"""Cases of systems that people stand for: who is asked waits, what was answered counts, what was asked is submitted."""

from habeas.connectors.conformance.erasing import PEOPLE
from habeas.connectors.conformance.harness import (
    Case,
    Harness,
    deletion,
    erasure,
    expect,
    lookup,
    outcomes,
    owned,
    permit,
    read_all,
)
from habeas.domain.errors import LeaseLost
from habeas.domain.ports import Answer, Connector, Lookup, Outcome, Row, Waiting

ANN: Answer = [{"id": 0, "email": "ann@example.com"}, {"id": 7, "email": "ann@example.com"}]
_ASKED = lookup(PEOPLE.table("id", "email"), "email", (3, "ann@example.com"), (5, "bob@example.com"))


def _answered(**answers: Answer) -> Lookup:
    return Lookup(_ASKED.table, _ASKED.entries, {int(ordinal[1:]): rows for ordinal, rows in answers.items()})


def _read(connector: Connector, what: Lookup) -> tuple[list[Row], frozenset[int]]:
    """The rows that come, and who waits."""
    rows: list[Row] = []
    try:
        for batch in connector.read(what):
            rows += batch
    except Waiting as waiting:
        return rows, waiting.ordinals
    return rows, frozenset()


def waits_for_all_who_have_no_answer(harness: Harness) -> None:
    harness.create(PEOPLE)
    assert _read(harness.connect(), _ASKED) == ([], frozenset({3, 5}))


def gives_what_was_answered_before_it_waits_for_others(harness: Harness) -> None:
    harness.create(PEOPLE)
    rows, waiting = _read(harness.connect(), _answered(o3=ANN))
    assert owned(rows) == [(3, (0, "ann@example.com")), (3, (7, "ann@example.com"))]
    assert [row.key for row in rows] == [(0,), (7,)]
    assert waiting == {5}


def takes_nothing_found_for_an_answer(harness: Harness) -> None:
    harness.create(PEOPLE)
    assert _read(harness.connect(), _answered(o3=ANN, o5=()))[1] == frozenset()


def gives_no_answer_of_who_is_not_asked_for(harness: Harness) -> None:
    harness.create(PEOPLE)
    rows, waiting = _read(harness.connect(), _answered(o3=(), o4=ANN, o5=()))
    assert (rows, waiting) == ([], frozenset())


def takes_what_an_answer_leaves_out_for_null(harness: Harness) -> None:
    harness.create(PEOPLE)
    rows, _ = _read(harness.connect(), _answered(o3=[{"id": 1}], o5=()))
    assert owned(rows) == [(3, (1, None))]


def waits_until_a_person_has_erased(harness: Harness) -> None:
    harness.create(PEOPLE)
    for batch in (erasure(PEOPLE, "name", ((0,), "Ann", None)), deletion(PEOPLE, (0,))):
        try:
            harness.connect().erase(batch, _forbid)
        except Waiting as waiting:
            assert not waiting.ordinals
        else:
            raise AssertionError("nobody was waited for")


def submits_every_row_and_proves_none(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    changes = erasure(PEOPLE, "name", ((0,), "Ann", None), ((1,), "Bob", None))
    assert outcomes(connector.erase(changes, permit)) == [Outcome.SUBMITTED] * 2
    assert outcomes(connector.erase(changes, permit)) == [Outcome.SUBMITTED] * 2
    assert outcomes(connector.erase(deletion(PEOPLE, (0,)), permit)) == [Outcome.SUBMITTED]


def submits_nothing_when_the_guard_raises(harness: Harness) -> None:
    harness.create(PEOPLE)

    def guard() -> None:
        raise LeaseLost("another worker has the run", hint="stop")

    with expect(LeaseLost):
        harness.connect().erase(erasure(PEOPLE, "name", ((0,), "Ann", None)), guard)


def reads_nothing_of_what_only_others_know(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    assert (read_all(connector, _ASKED), connector.count(_ASKED)) == ([], 0)


def _forbid() -> None:
    raise AssertionError("the guard was asked though nothing is committed")


ASKED: tuple[Case, ...] = (
    waits_for_all_who_have_no_answer,
    gives_what_was_answered_before_it_waits_for_others,
    takes_nothing_found_for_an_answer,
    gives_no_answer_of_who_is_not_asked_for,
    takes_what_an_answer_leaves_out_for_null,
    waits_until_a_person_has_erased,
)
SUBMITTED: tuple[Case, ...] = (
    submits_every_row_and_proves_none,
    submits_nothing_when_the_guard_raises,
    reads_nothing_of_what_only_others_know,
)
