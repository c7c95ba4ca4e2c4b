"""The dataset format: round trip, limits, API bodies. What documents mean is in tests/cases/datasets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from habeas.domain.category import DEFAULT_CATEGORIES
from habeas.domain.dataset import (
    Address,
    Collection,
    Dataset,
    DataType,
    Direction,
    Field,
    MaskingOverride,
    Match,
    Reference,
)
from habeas.domain.errors import DatasetError
from habeas.services.dataset_format import dataset_to_json, parse_dataset, parse_datasets
from habeas.services.yaml_text import MAX_CHARACTERS

KEYS = some.from_regex(r"[A-Za-z0-9_\-<>]{1,12}", fullmatch=True)
NAMES = some.text(some.characters(blacklist_characters=".:", min_codepoint=32, codec="utf-8"), min_size=1, max_size=12)
TEXTS = some.none() | some.text(min_size=1, max_size=20)
ADDRESSES = some.builds(Address, KEYS, NAMES)
MASKINGS = some.sampled_from(
    [None, MaskingOverride("null_rewrite"), MaskingOverride("string_rewrite", {"rewrite_value": "gone"})]
)


CATEGORIES = some.lists(some.sampled_from(sorted(DEFAULT_CATEGORIES)), unique=True, max_size=2).map(tuple)
REFERENCES = some.lists(
    some.builds(
        Reference,
        ADDRESSES,
        some.lists(NAMES, min_size=1, max_size=3).map(".".join),
        some.none() | some.sampled_from(Direction),
    ),
    unique=True,
    max_size=2,
).map(tuple)
SCALARS = some.sampled_from([kind for kind in DataType if kind is not DataType.OBJECT])


@some.composite
def any_fields(draw: some.DrawFn, depth: int = 0) -> tuple[Field, ...]:
    names = sorted(draw(some.sets(NAMES, max_size=3 - depth)))
    return tuple(draw(any_object(name, depth) | any_value(name, depth)) for name in names)


@some.composite
def any_value(draw: some.DrawFn, name: str, depth: int) -> Field:
    """A field that holds values, or an array of them."""
    data_type = draw(some.none() | SCALARS)
    array = data_type is not None and draw(some.booleans())
    identity = draw(some.none() | some.sampled_from(["email", "phone_number", "loyalty id"]))
    return Field(
        name=name,
        categories=draw(CATEGORIES),
        data_type=data_type,
        length=draw(some.none() | some.integers(1, 10**6)),
        primary_key=not array and depth == 0 and draw(some.booleans()),
        identity=identity,
        match=draw(some.sampled_from(Match)) if identity else Match.EXACT,
        references=draw(REFERENCES),
        read_only=draw(some.booleans()),
        masking=draw(MASKINGS),
        description=draw(TEXTS),
        array=array,
        all_elements=array and draw(some.booleans()),
    )


@some.composite
def any_object(draw: some.DrawFn, name: str, depth: int) -> Field:
    """A field that holds objects, or an array of them; what is inside may not be described."""
    fields = draw(any_fields(depth + 1))
    data_type = draw(some.sampled_from([None, DataType.OBJECT])) if fields else DataType.OBJECT
    array = data_type is not None and draw(some.booleans())
    categories = draw(CATEGORIES)
    return Field(
        name=name,
        categories=categories,
        data_type=data_type,
        read_only=draw(some.booleans()),
        masking=draw(MASKINGS) if categories else None,
        array=array,
        all_elements=array and draw(some.booleans()),
        fields=fields,
    )


@some.composite
def any_collection(draw: some.DrawFn, name: str) -> Collection:
    return Collection(
        name=name,
        fields=draw(any_fields()),
        after=tuple(draw(some.lists(ADDRESSES, unique=True, max_size=2))),
        skip_processing=draw(some.booleans()),
        description=draw(TEXTS),
        categories=draw(CATEGORIES),
        erase_after=tuple(draw(some.lists(ADDRESSES, unique=True, max_size=2))),
        delete=draw(some.booleans()),
    )


@some.composite
def any_dataset(draw: some.DrawFn) -> Dataset:
    schema = draw(some.none() | NAMES)
    return Dataset(
        key=draw(KEYS),
        name=draw(some.text(min_size=1, max_size=12)),
        collections=tuple(draw(any_collection(name)) for name in sorted(draw(some.sets(NAMES, max_size=3)))),
        after=tuple(draw(some.lists(KEYS, unique=True, max_size=2))),
        schema=schema,
        description=draw(TEXTS),
        database=draw(some.none() | NAMES) if schema else None,
        written_for=draw(some.sampled_from([None, "postgres", "snowflake"])) if schema else "bigquery",
    )


@given(any_dataset())
def test_a_dataset_survives_the_way_to_json_and_back(dataset: Dataset) -> None:
    assert parse_dataset(json.loads(json.dumps(dataset_to_json(dataset)))) == dataset


@given(some.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_dataset_error(text: str) -> None:
    with pytest.raises(DatasetError):
        parse_datasets(text)


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
        lambda inner: (
            some.lists(inner, max_size=3)
            | some.dictionaries(
                some.sampled_from(["fides_key", "name", "collections", "fields", "fides_meta", "after", "references"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_body_is_read_or_refused_with_a_dataset_error(body: object) -> None:
    try:
        parse_dataset(body)
    except DatasetError:
        return
    assert isinstance(body, dict)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_is_refused_and_not_followed(opening: str) -> None:
    with pytest.raises(DatasetError, match=r"nested too deeply|a key must be plain text|this is no YAML"):
        parse_datasets("dataset: " + "\n" + opening * 100_000)


def test_a_body_of_fields_inside_each_other_without_end_is_refused() -> None:
    field: dict[str, object] = {"name": "f"}
    for _ in range(400):
        field = {"name": "f", "fields": [field]}
    with pytest.raises(DatasetError, match="nested too deeply"):
        parse_dataset({"fides_key": "s", "collections": [{"name": "m", "fields": [field]}]})


def test_partitioning_is_ignored_aloud(caplog: pytest.LogCaptureFixture) -> None:
    meta = {"partitioning": {"where_clauses": ["`day` > NOW()"]}}
    parse_dataset({"fides_key": "s", "collections": [{"name": "m", "fields": [], "fides_meta": meta}]})
    assert caplog.messages == ["s.m: partitioning is for BigQuery alone and is ignored"]


def test_a_text_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(DatasetError, match="longer than 5,000,000 characters"):
        parse_datasets("#" * (MAX_CHARACTERS + 1))


@pytest.mark.parametrize("text", ["dataset: \x00", "dataset: \udc80"])
def test_characters_that_yaml_does_not_allow_are_refused(text: str) -> None:
    with pytest.raises(DatasetError):
        parse_datasets(text)


def test_a_control_character_cannot_hide_in_a_name() -> None:
    with pytest.raises(DatasetError, match="control characters"):
        parse_datasets('dataset: [{fides_key: s, collections: [{name: "a\\0b", fields: []}]}]')


def describe(length: int, long: str) -> dict[str, Any]:
    """A dataset with one name of this length, which also leads from one field to another."""
    name = {place: place for place in ("key", "name", "collection", "field", "inner")} | {long: long[0] * length}
    reference = {"dataset": name["key"], "field": f"{name['collection']}.{name['field']}.{name['inner']}"}
    inner = {"name": name["inner"], "fides_meta": {"references": [reference]}}
    after = {"after": [f"{name['key']}.{name['collection']}"]}
    collection = {"name": name["collection"], "fides_meta": after}
    fields = [{"name": name["field"], "fields": [inner]}]
    return {"fides_key": name["key"], "name": name["name"], "collections": [{**collection, "fields": fields}]}


@pytest.mark.parametrize("long", ["key", "name", "collection", "field", "inner"])
def test_a_name_has_at_most_256_characters(long: str) -> None:
    parse_dataset(describe(256, long))
    with pytest.raises(DatasetError, match="too long") as caught:
        parse_dataset(describe(257, long))
    assert "256 characters" in caught.value.hint
    assert caught.value.path.endswith("fides_key" if long == "key" else "name")


def test_an_error_of_a_body_names_the_path_without_a_file() -> None:
    with pytest.raises(DatasetError) as caught:
        parse_dataset({"fides_key": "s", "collections": [{"name": "m", "fields": [{"name": True}]}]})
    assert caught.value.path == "s.m.fields[0].name"
    assert caught.value.line is None
    assert str(caught.value).endswith("(put it in quotes)")


def test_several_datasets_stay_in_the_files_order() -> None:
    text = "dataset:\n  - {fides_key: b, collections: []}\n  - {fides_key: a, collections: []}\n"
    assert [dataset.key for dataset in parse_datasets(text)] == ["b", "a"]
