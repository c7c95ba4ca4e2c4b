"""Drafts of whatever a store may describe: always a dataset that is taken as it stands, the same for the same store."""

import random
from dataclasses import replace

import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from habeas.domain.dataset import Direction
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch
from habeas.planning.checks import check_against_sketch, check_datasets
from habeas.services.dataset_format import dataset_to_json, parse_datasets
from habeas.services.drafting.draft import Draft
from habeas.services.drafting.drafter import draft_dataset
from habeas.services.drafting.links import Verdict
from habeas.services.drafting.summary import summarise
from habeas.services.drafting.text import scalar, write_draft

SAID = ("customers", "users", "employees", "orders", "addresses", "products", "logs", "profile", "Order Details")
COLUMNS = ("id", "email", "first_name", "customer_id", "user_id", "created_by", "order_id", "phone", "address", "no")
TYPES = (
    "text",
    "integer",
    "varchar(20)",
    "numeric",
    "boolean",
    "date",
    "uuid",
    "jsonb",
    "bytea",
    "int[]",
    "struct",
    "",
)
ODD = some.text(min_size=0, max_size=6)
unhurried = settings(deadline=None)
NAMES = some.sampled_from(COLUMNS) | ODD


@some.composite
def any_column(draw: some.DrawFn, name: str, depth: int) -> ColumnSketch:
    kind = draw(some.sampled_from(TYPES))
    inner = draw(some.lists(NAMES, unique=True, max_size=2)) if kind == "struct" and depth else []
    members = tuple(draw(any_column(member, depth - 1)) for member in inner)
    textual = not members and kind in ("text", "varchar(20)", "")
    return ColumnSketch(
        name,
        kind,
        textual,
        length=draw(some.sampled_from([None, 0, 20])) if textual else None,
        array=draw(some.integers(0, 5)) == 0,
        document=not members and not textual and kind == "jsonb",
        fields=members,
    )


@some.composite
def any_table(draw: some.DrawFn, name: str, names: list[str]) -> TableSketch:
    own = draw(some.lists(NAMES, unique=True, max_size=5))
    columns = tuple(draw(any_column(column, 2)) for column in own)
    key = tuple(draw(some.lists(some.sampled_from(own), unique=True, max_size=2))) if own else ()
    unique = tuple((column,) for column in draw(some.sets(some.sampled_from(own), max_size=1))) if own else ()
    keys = [draw(any_key(own, names)) for _ in range(draw(some.integers(0, 3)))] if own else []
    return TableSketch(name, None, columns, key, unique, tuple(keys), draw(some.booleans()))


@some.composite
def any_key(draw: some.DrawFn, own: list[str], names: list[str]) -> ForeignKeySketch:
    columns = tuple(draw(some.lists(some.sampled_from(own), unique=True, min_size=1, max_size=2)))
    targets = draw(some.lists(some.sampled_from(COLUMNS), unique=True, min_size=len(columns), max_size=len(columns)))
    return ForeignKeySketch(columns, None, draw(some.sampled_from(names)), tuple(targets))


@some.composite
def any_sketch(draw: some.DrawFn) -> Sketch:
    names = draw(some.lists(some.sampled_from(SAID) | ODD, unique=True, min_size=1, max_size=5))
    return Sketch(tuple(draw(any_table(name, names)) for name in names))


@unhurried
@given(any_sketch())
def test_a_draft_is_taken_as_it_stands(sketch: Sketch) -> None:
    draft = draft_dataset(sketch, "drafted", "Drafted")
    (parsed,) = parse_datasets(write_draft(draft, "store"))
    assert parsed == draft.dataset()
    check_datasets([parsed])
    check_against_sketch(parsed, sketch)


@unhurried
@given(any_sketch())
def test_other_readers_of_yaml_see_the_same(sketch: Sketch) -> None:
    draft = draft_dataset(sketch, "drafted", "Drafted")
    (body,) = yaml.safe_load(write_draft(draft, "store"))["dataset"]
    assert body == dataset_to_json(draft.dataset())


@unhurried
@given(any_sketch())
def test_nothing_is_forgotten(sketch: Sketch) -> None:
    draft = draft_dataset(sketch, "drafted", "Drafted")
    drafted = {table.name: {item.field.name for item in table.fields} for table in draft.collections}
    lost = {(table.name, *path) for table in draft.collections for path in table.left_out}
    for table in sketch.tables:
        assert (table.name in drafted) != (table.name in draft.left_out)
        for column in table.columns if table.name in drafted else ():
            assert (column.name in drafted[table.name]) != ((table.name, column.name) in lost)


@unhurried
@given(any_sketch(), some.randoms(use_true_random=False))
def test_the_order_in_which_a_store_tells_changes_nothing(sketch: Sketch, chance: random.Random) -> None:
    def shuffled(table: TableSketch) -> TableSketch:
        return replace(
            table,
            columns=tuple(chance.sample(table.columns, len(table.columns))),
            foreign_keys=tuple(chance.sample(table.foreign_keys, len(table.foreign_keys))),
            unique=tuple(chance.sample(table.unique, len(table.unique))),
        )

    other = replace(sketch, tables=tuple(map(shuffled, chance.sample(sketch.tables, len(sketch.tables)))))
    first, second = draft_dataset(sketch, "drafted", "Drafted"), draft_dataset(other, "drafted", "Drafted")
    assert write_draft(first, "store") == write_draft(second, "store")
    assert summarise(first) == summarise(second)


@unhurried
@given(any_sketch())
def test_what_came_up_never_goes_down(sketch: Sketch) -> None:
    """No row is found through a row that others may share: a table that is looked up finds only what it points to."""
    draft = draft_dataset(sketch, "drafted", "Drafted")
    shared = {table.name for table in draft.collections if table.shared}
    for rule in _rulings(draft):
        if rule.followed and rule.direction is Direction.FROM:
            assert rule.key.parent not in shared
        if rule.followed and rule.direction is Direction.TO and rule.verdict is not Verdict.OWN:
            assert rule.key.parent in shared
        assert rule.followed or rule.verdict not in (Verdict.DOWN, Verdict.UP, Verdict.OWN)


def _rulings(draft: Draft) -> list:
    return [ruling for table in draft.collections for item in table.fields for ruling in item.rulings]


@given(some.text(max_size=20))
def test_a_scalar_is_one_line_and_reads_back(text: str) -> None:
    written = scalar(text)
    assert len(written.splitlines()) == 1
    assert yaml.safe_load(f"a: [{written}]") == {"a": [text]}
    assert yaml.safe_load(f"- {written}") == [text]
