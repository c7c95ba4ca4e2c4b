"""Cases of erasing below columns: what becomes of one person's values, whatever the rest of the row holds by then."""

from collections.abc import Sequence
from decimal import Decimal

from habeas.connectors.conformance.harness import Case, Column, Harness, Kind, TableSpec, expect, outcomes, permit
from habeas.connectors.conformance.nested_reading import inside, posts
from habeas.domain.documents import Path, Rewrite, Version, map_places, narrow
from habeas.domain.errors import LeaseLost
from habeas.domain.ports import Change, Connector, Erasure, Lookup, Outcome, Value

_ID = Column("id", Kind.INTEGER, nullable=False)
ANN = {"by": "ann", "say": "hello"}
BOB = {"by": "bob", "say": "hi"}
NOTES = {"title": "t", "notes": [BOB, ANN, ANN, {"by": "cyd", "say": "hello"}]}
SAY: tuple[Path, ...] = (("notes", "say"),)
MASKED = {"by": "ann", "say": "m"}


def _rewrite(
    connector: Connector, spec: TableSpec, path: str, value: Value, *masked: Path, after: Value = "m"
) -> Rewrite:
    """The rewrite of one person's part of the first row, as access found it there: `masked` become `after`."""
    what = Lookup(spec.table(), (inside(path, (0, value)),))
    (row,) = [row for batch in connector.read(what) for row in batch if row.key == (1,)]
    column = spec.table().columns.index(path.split(".")[0])
    original, matched = narrow(row.values[column], [position[1:] for position in row.matched])
    rewritten = original
    for inner in masked:
        rewritten = map_places(rewritten, inner, lambda _: after)
    return Rewrite(masked, (Version(original, rewritten, matched),))


def _batch(spec: TableSpec, rewrite: Rewrite, column: str = "body") -> Erasure:
    return Erasure(spec.table(), (column,), [Change((1,), (None,), (rewrite,))])


def _body(harness: Harness, spec: TableSpec, number: int = 1) -> Value:
    (body,) = [row[2] for row in harness.rows(spec) if row[0] == number]
    return body


def _put(harness: Harness, spec: TableSpec, *bodies: Value) -> None:
    harness.fill(spec, [(number, "nobody", body) for number, body in enumerate(bodies, 1)])


def rewrites_one_persons_elements(harness: Harness) -> None:
    spec = posts(NOTES, NOTES)
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.notes.by", "ann", *SAY)
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.CHANGED]
    assert _body(harness, spec) == {**NOTES, "notes": [BOB, MASKED, MASKED, NOTES["notes"][3]]}
    assert _body(harness, spec, 2) == NOTES


def finds_elements_again_wherever_they_are(harness: Harness) -> None:
    """Somebody puts the array into another order between access and erasure, and something new before it."""
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.notes.by", "ann", *SAY)
    new = {"by": "dee", "say": "hello"}
    _put(harness, spec, {"title": "u", "notes": [new, ANN, BOB, ANN], "more": [1]})
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.CHANGED]
    assert _body(harness, spec) == {"title": "u", "notes": [new, MASKED, BOB, MASKED], "more": [1]}


def says_that_an_element_drifted(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.notes.by", "ann", *SAY)
    _put(harness, spec, {"notes": [{"by": "ann", "say": "other"}, BOB]})
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.DRIFTED]
    assert _body(harness, spec) == {"notes": [MASKED, BOB]}


def says_that_elements_are_gone(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.notes.by", "ann", *SAY)
    bodies: list[Value] = [{"notes": [BOB]}, {"notes": []}]
    for body in bodies:
        _put(harness, spec, body)
        assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.ABSENT]
        assert _body(harness, spec) == body
    harness.fill(spec, [(2, "nobody", NOTES)])
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.ABSENT]
    assert _body(harness, spec, 2) == NOTES


def repeated_rewrite_is_already_done(harness: Harness) -> None:
    """Also when what the elements were found by is masked with the rest."""
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    for masked in (SAY, (("notes", "by"), ("notes", "say"))):
        _put(harness, spec, NOTES)
        batch = _batch(spec, _rewrite(connector, spec, "body.notes.by", "ann", *masked))
        assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
        held = _body(harness, spec)
        assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]
        assert _body(harness, spec) == held


def rewrites_for_several_people_at_once(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    ann = _rewrite(connector, spec, "body.notes.by", "ann", *SAY, after="a")
    bob = _rewrite(connector, spec, "body.notes.by", "bob", *SAY, after=None)
    assert outcomes(connector.erase(_batch(spec, ann.joined(bob)), permit)) == [Outcome.CHANGED]
    said = [note["say"] for note in _body(harness, spec)["notes"]]  # type: ignore[index]
    assert said == [None, "a", "a", "hello"]


def rewrites_members_and_whole_arrays(harness: Harness) -> None:
    body = {"home": {"town": "Oslo", "street": "a"}, "tags": ["x", "y"], "deep": [[{"v": 1}], [[{"v": 2, "w": 3}]]]}
    spec = posts(body)
    harness.create(spec)
    connector = harness.connect()
    masked = (("home", "town"), ("tags",), ("deep", "v"))
    rewrite = _rewrite(connector, spec, "body.home.town", "Oslo", *masked)
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.CHANGED]
    assert _body(harness, spec) == {
        "home": {"town": "m", "street": "a"},
        "tags": ["m", "m"],
        "deep": [[{"v": "m"}], [[{"v": "m", "w": 3}]]],
    }
    assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.ALREADY]


def keeps_what_stands_beside(harness: Harness) -> None:
    beside = {"n": [2**63, 10**30, Decimal("1.50"), -1], "t": "ünï 🙂 \\ \" '", "x": [None, True, {}, [], ""]}
    spec = posts({"v": "secret", **beside})
    harness.create(spec)
    connector = harness.connect()
    for mask in ('q"\\ünï', None, 5, Decimal("2.50"), False, ""):
        _put(harness, spec, {"v": "secret", **beside})
        rewrite = _rewrite(connector, spec, "body.v", "secret", ("v",), after=mask)
        assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.CHANGED], mask
        assert _body(harness, spec) == {"v": mask, **beside}
        assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.ALREADY], mask


def says_one_outcome_for_nested_and_flat_columns(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.notes.by", "ann", *SAY)
    done = {**NOTES, "notes": [BOB, MASKED, MASKED]}
    drifted = {"notes": [{"by": "ann", "say": "other"}]}
    table: Sequence[tuple[str, Value, Outcome]] = (
        ("nobody", NOTES, Outcome.CHANGED),
        ("nobody", done, Outcome.CHANGED),
        ("masked", NOTES, Outcome.CHANGED),
        ("masked", done, Outcome.ALREADY),
        ("somebody", done, Outcome.DRIFTED),
        ("somebody", NOTES, Outcome.DRIFTED),
        ("masked", drifted, Outcome.DRIFTED),
        ("nobody", {"notes": [BOB]}, Outcome.CHANGED),
    )
    batch = Erasure(spec.table(), ("author", "body"), [Change((1,), ("nobody", NOTES), ("masked", rewrite))])
    for author, body, outcome in table:
        harness.fill(spec, [(1, author, body)])
        assert outcomes(connector.erase(batch, permit)) == [outcome], (author, body)
        assert harness.rows(spec)[0][1] == "masked"
        assert "hello" not in [note["say"] for note in _body(harness, spec)["notes"] if note["by"] == "ann"]  # type: ignore[index]


def leaves_columns_that_hold_nothing(harness: Harness) -> None:
    spec = posts({"v": "secret"})
    harness.create(spec)
    connector = harness.connect()
    rewrite = _rewrite(connector, spec, "body.v", "secret", ("v",))
    bodies: list[Value] = [None, {}, [], {"w": "secret"}, {"v": None}]
    for body in bodies:
        _put(harness, spec, body)
        assert outcomes(connector.erase(_batch(spec, rewrite), permit)) == [Outcome.ALREADY], body
        assert _body(harness, spec) == body


def rolls_back_a_rewrite_when_the_guard_raises(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    batch = _batch(spec, _rewrite(connector, spec, "body.notes.by", "ann", *SAY))

    def guard() -> None:
        raise LeaseLost("another worker has the run", hint="stop")

    with expect(LeaseLost, "ann", "hello"):
        connector.erase(batch, guard)
    assert _body(harness, spec) == NOTES


def explains_a_rewrite_without_values(harness: Harness) -> None:
    spec = posts(NOTES)
    harness.create(spec)
    connector = harness.connect()
    text = connector.explain(_batch(spec, _rewrite(connector, spec, "body.notes.by", "ann", *SAY, after="MASKED")))
    assert "posts" in text and "body" in text and "?" in text
    assert not [value for value in ("ann", "hello", "MASKED") if value in text]


def masks_documents_in_tables_without_key(harness: Harness) -> None:
    columns = (Column("author"), Column("body", Kind.DOCUMENT))
    decoys = (("ann", {"a": [1, "1"]}), ("ann", {"a": ["1", 1]}), ("ann", None), ("ann", {"a": [1, 1]}))
    spec = TableSpec("loose", columns, rows=(("ann", {"b": None, "a": [1, "1"]}), *decoys))
    harness.create(spec)
    connector = harness.connect()
    batch = Erasure(spec.table(), ("author",), [Change(("ann", {"a": [1, "1"], "b": None}), ("ann",), ("m",))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]
    assert sorted(harness.rows(spec), key=repr) == sorted([("m", {"b": None, "a": [1, "1"]}), *decoys], key=repr)


def rewrites_elements_of_an_array_column(harness: Harness) -> None:
    rows = ((1, ["x", "y", None, "x"]), (2, ["x"]))
    spec = TableSpec("tagged", (_ID, Column("tags", Kind.ARRAY)), ("id",), rows)
    harness.create(spec)
    connector = harness.connect()
    for mask in ('m,"{}\\', "", None):
        harness.fill(spec, rows)
        batch = _batch(spec, _rewrite(connector, spec, "tags", "x", (), after=mask), "tags")
        assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
        assert sorted(harness.rows(spec)) == [(1, [mask, "y", None, mask]), (2, ["x"])]
        assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]
    harness.fill(spec, [(1, None)])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]


CASES: tuple[Case, ...] = (
    rewrites_one_persons_elements,
    finds_elements_again_wherever_they_are,
    says_that_an_element_drifted,
    says_that_elements_are_gone,
    repeated_rewrite_is_already_done,
    rewrites_for_several_people_at_once,
    rewrites_members_and_whole_arrays,
    keeps_what_stands_beside,
    says_one_outcome_for_nested_and_flat_columns,
    leaves_columns_that_hold_nothing,
    rolls_back_a_rewrite_when_the_guard_raises,
    explains_a_rewrite_without_values,
)
UNKEYED: tuple[Case, ...] = (masks_documents_in_tables_without_key,)
ARRAYS: tuple[Case, ...] = (rewrites_elements_of_an_array_column,)
