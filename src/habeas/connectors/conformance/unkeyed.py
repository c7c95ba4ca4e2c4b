"""Cases of erasing in tables without a key: a row is known by all its values, and by how many rows hold them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from habeas.connectors.conformance.harness import (
    Case,
    Column,
    Harness,
    Kind,
    TableSpec,
    expect,
    permit,
    tally,
)
from habeas.domain.documents import Rewrite, Version
from habeas.domain.errors import Fault, LeaseLost
from habeas.domain.ports import Change, Erasure, Outcome, Value

LOG = TableSpec(
    "log",
    (Column("email"), Column("line"), Column("size", Kind.INTEGER)),
    rows=(
        ("ann@example.com", "in", 1),
        ("ann@example.com", "in", 1),
        ("ann@example.com", "in", None),
        ("ann@example.com", "out", 1),
        ("ann@example.com", None, 0),
        ("ann@example.com", "", 0),
        ("Ann@example.com", "in", 1),
        ("ann@example.com ", "in", 1),
        ("bob@example.com", "in", 1),
        (None, "in", 1),
    ),
)
ANN = ("ann@example.com", "in", 1)


def _masking(spec: TableSpec, *changes: tuple[tuple[Value, ...], Value, int], column: str = "email") -> Erasure:
    place = spec.table().columns.index(column)
    rows = [Change(key, (key[place],), (after,), copies) for key, after, copies in changes]
    return Erasure(spec.table(), (column,), rows)


def _now(harness: Harness, spec: TableSpec) -> Counter[object]:
    return Counter(harness.rows(spec))


def _expected(
    *changes: tuple[tuple[Value, ...], tuple[Value, ...]], rows: Sequence[object] = LOG.rows
) -> Counter[object]:
    found = Counter(rows)
    for old, new in changes:
        found[new] += found.pop(old)
    return found


def masks_every_equal_row_and_no_other(harness: Harness) -> None:
    harness.create(LOG)
    effects = harness.connect().erase(_masking(LOG, (ANN, "m", 2)), permit)
    assert tally(effects) == [(ANN, Outcome.CHANGED, 2)]
    assert _now(harness, LOG) == _expected((ANN, ("m", "in", 1)))


def tells_null_from_empty_and_zero(harness: Harness) -> None:
    harness.create(LOG)
    keys = (("ann@example.com", None, 0), ("ann@example.com", "in", None))
    effects = harness.connect().erase(_masking(LOG, *((key, None, 1) for key in keys)), permit)
    assert tally(effects) == [(key, Outcome.CHANGED, 1) for key in keys]
    assert _now(harness, LOG) == _expected(*((key, (None, *key[1:])) for key in keys))


def finds_rows_of_nothing_but_null(harness: Harness) -> None:
    spec = TableSpec("void", (Column("a"), Column("b")), rows=((None, None), (None, None), (None, "x"), ("x", None)))
    harness.create(spec)
    effects = harness.connect().erase(_masking(spec, ((None, None), "m", 2), column="a"), permit)
    assert tally(effects) == [((None, None), Outcome.CHANGED, 2)]
    assert _now(harness, spec) == Counter([("m", None), ("m", None), (None, "x"), ("x", None)])


def repeated_without_key_is_already_done(harness: Harness) -> None:
    harness.create(LOG)
    connector, batch = harness.connect(), _masking(LOG, (ANN, None, 2), (("ann@example.com", "out", 1), None, 1))
    connector.erase(batch, permit)
    held = _now(harness, LOG)
    assert tally(connector.erase(batch, permit)) == [
        (ANN, Outcome.ALREADY, 2),
        (("ann@example.com", "out", 1), Outcome.ALREADY, 1),
    ]
    assert _now(harness, LOG) == held


def counts_rows_that_came_and_went(harness: Harness) -> None:
    """One of four is masked already and one is gone; another came."""
    harness.create(LOG)
    connector = harness.connect()
    harness.fill(LOG, [ANN, ANN, ("m", "in", 1)])
    effects = connector.erase(_masking(LOG, (ANN, "m", 4)), permit)
    assert tally(effects) == [(ANN, Outcome.CHANGED, 2), (ANN, Outcome.ALREADY, 1), (ANN, Outcome.ABSENT, 1)]
    harness.fill(LOG, [ANN, ANN, ANN])
    assert tally(connector.erase(_masking(LOG, (ANN, "m", 2)), permit)) == [(ANN, Outcome.CHANGED, 3)]
    assert _now(harness, LOG) == Counter({("m", "in", 1): 3})


def counts_a_masked_row_for_one_change_only(harness: Harness) -> None:
    spec = replace(LOG, rows=((None, "in", 1), (None, "in", 1), (None, "in", 1)))
    harness.create(spec)
    bob = ("bob@example.com", "in", 1)
    effects = harness.connect().erase(_masking(spec, (ANN, None, 2), (bob, None, 2)), permit)
    assert tally(effects) == [(ANN, Outcome.ALREADY, 2), (bob, Outcome.ALREADY, 1), (bob, Outcome.ABSENT, 1)]


def counts_rows_that_always_held_their_mask_apart_from_masked_ones(harness: Harness) -> None:
    """As after a batch whose answer was lost: of three equal rows one had been so before."""
    spec = replace(LOG, rows=((None, "in", 1), (None, "in", 1), (None, "in", 1)))
    harness.create(spec)
    connector = harness.connect()
    same = (None, "in", 1)
    both = _masking(spec, (ANN, None, 2), (same, None, 1))
    assert tally(connector.erase(both, permit)) == [(ANN, Outcome.ALREADY, 2), (same, Outcome.ALREADY, 1)]
    assert tally(connector.erase(_masking(spec, (same, None, 1)), permit)) == [(same, Outcome.ALREADY, 1)]


def leaves_rows_whose_mask_is_their_value(harness: Harness) -> None:
    harness.create(LOG)
    effects = harness.connect().erase(_masking(LOG, (ANN, "ann@example.com", 3)), permit)
    assert tally(effects) == [(ANN, Outcome.ALREADY, 2), (ANN, Outcome.ABSENT, 1)]
    assert _now(harness, LOG) == Counter(LOG.rows)


def leaves_rows_that_changed_in_any_column(harness: Harness) -> None:
    harness.create(LOG)
    harness.fill(LOG, [("ann@example.com", "in", 2)])
    assert tally(harness.connect().erase(_masking(LOG, (ANN, "m", 1)), permit)) == [(ANN, Outcome.ABSENT, 1)]
    assert _now(harness, LOG) == Counter([("ann@example.com", "in", 2)])


def takes_rows_that_differ_in_undeclared_columns_for_equal(harness: Harness) -> None:
    """They are the same in all that is declared, so they are the same person's."""
    spec = replace(LOG, rows=(*LOG.rows, ("ann@example.com", "in", 2)))
    harness.create(spec)
    changes = [Change(("ann@example.com", "in"), ("ann@example.com",), ("m",), 4)]
    effects = harness.connect().erase(Erasure(spec.table("email", "line"), ("email",), changes), permit)
    assert tally(effects) == [(("ann@example.com", "in"), Outcome.CHANGED, 4)]
    expected = _expected(*(((*ANN[:2], size), ("m", "in", size)) for size in (1, 2, None)), rows=spec.rows)
    assert _now(harness, spec) == expected


def leaves_rows_that_only_the_store_takes_for_equal(harness: Harness) -> None:
    columns = (Column("email", Kind.FOLDING), Column("line"))
    spec = TableSpec("folded", columns, rows=(("ann", "in"), ("ANN", "in"), ("Ann", "in")))
    harness.create(spec)
    effects = harness.connect().erase(_masking(spec, (("ANN", "in"), "m", 1)), permit)
    assert tally(effects) == [(("ANN", "in"), Outcome.CHANGED, 1)]
    assert _now(harness, spec) == Counter([("ann", "in"), ("m", "in"), ("Ann", "in")])


def finds_rows_by_large_values(harness: Harness) -> None:
    large = "ünï" * 100_000
    spec = replace(LOG, rows=(("ann", large, 1), ("ann", large + "x", 1), ("ann", large, 2)))
    harness.create(spec)
    key = ("ann", large, 1)
    assert tally(harness.connect().erase(_masking(spec, (key, "m", 1)), permit)) == [(key, Outcome.CHANGED, 1)]
    assert _now(harness, spec) == Counter([("m", large, 1), *spec.rows[1:]])


def masks_several_columns_of_many_rows(harness: Harness) -> None:
    rows = tuple((f"p{number % 50}", "in", number % 3) for number in range(600))
    spec = replace(LOG, rows=rows)
    harness.create(spec)
    counts = {key: number for key, number in Counter(rows).items() if key[0] < "p3"}
    changes = [Change(key, key[:2], (None, f"line of {key[2]}"), number) for key, number in counts.items()]
    effects = harness.connect().erase(Erasure(spec.table(), ("email", "line"), changes), permit)
    assert tally(effects) == [(key, Outcome.CHANGED, number) for key, number in counts.items()]
    expected = Counter((None, f"line of {row[2]}", row[2]) if row in counts else row for row in rows)
    assert _now(harness, spec) == expected


def rolls_back_without_key_when_the_guard_raises(harness: Harness) -> None:
    harness.create(LOG)

    def guard() -> None:
        raise LeaseLost("another worker has the run", hint="stop")

    with expect(LeaseLost):
        harness.connect().erase(_masking(LOG, (ANN, "m", 2)), guard)
    assert _now(harness, LOG) == Counter(LOG.rows)


def refuses_changes_that_name_no_row_of_their_own(harness: Harness) -> None:
    harness.create(LOG)
    connector = harness.connect()
    rewrite = Rewrite(((),), (Version("in", "m"),))
    for batch in (
        _masking(LOG, (ANN, "m", 1), (ANN, "n", 1)),
        Erasure(LOG.table(), ("email",), [Change(("ann@example.com",), ("ann@example.com",), ("m",))]),
        Erasure(LOG.table(), ("line",), [Change(ANN, ("in",), (rewrite,))]),
    ):
        with expect(Fault, "ann@example.com"):
            connector.erase(batch, permit)
    assert _now(harness, LOG) == Counter(LOG.rows)


def explains_erasing_without_key(harness: Harness) -> None:
    harness.create(LOG)
    connector = harness.connect()
    masking = connector.explain(_masking(LOG, (ANN, "MASKED", 2)))
    deleting = connector.explain(Erasure(LOG.table(), (), [Change(ANN, (), ())], delete=True))
    for text in (masking, deleting):
        assert "log" in text and "?" in text and "line" in text
        assert not [value for value in ("ann@", "MASKED") if value in text]
    assert masking != deleting


def rolls_back_without_key_when_the_store_keeps_another_value(harness: Harness) -> None:
    harness.create(LOG)
    harness.spoil(LOG, "email")
    gone = ("gone@example.com", "in", 1)
    effects = harness.connect().erase(_masking(LOG, (ANN, "m", 2), (gone, "m", 1)), permit)
    assert tally(effects) == [(ANN, Outcome.REFUSED, 2), (gone, Outcome.REFUSED, 1)]
    assert all(effect.reason for effect in effects)
    assert _now(harness, LOG) == Counter(LOG.rows)


CASES: tuple[Case, ...] = (
    masks_every_equal_row_and_no_other,
    tells_null_from_empty_and_zero,
    finds_rows_of_nothing_but_null,
    repeated_without_key_is_already_done,
    counts_rows_that_came_and_went,
    counts_a_masked_row_for_one_change_only,
    counts_rows_that_always_held_their_mask_apart_from_masked_ones,
    leaves_rows_whose_mask_is_their_value,
    leaves_rows_that_changed_in_any_column,
    takes_rows_that_differ_in_undeclared_columns_for_equal,
    leaves_rows_that_only_the_store_takes_for_equal,
    finds_rows_by_large_values,
    masks_several_columns_of_many_rows,
    rolls_back_without_key_when_the_guard_raises,
    refuses_changes_that_name_no_row_of_their_own,
    explains_erasing_without_key,
)
TRIGGERED: tuple[Case, ...] = (rolls_back_without_key_when_the_store_keeps_another_value,)
