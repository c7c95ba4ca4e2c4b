"""What is refused when a dataset is saved."""

import pytest

from habeas.domain.dataset import Address, Collection, Dataset, Direction, Field, Reference
from habeas.domain.errors import DatasetError
from habeas.domain.ports import ColumnSketch, Sketch, TableSketch
from habeas.planning.planner import (
    ConnectionState,
    PlacedDataset,
    check_against_sketch,
    check_datasets,
    traversability,
)

KEY = Field("id", primary_key=True)


def dataset(*collections: Collection, key: str = "shop") -> Dataset:
    return Dataset(key, key, collections)


def refer(field: str, target: str, direction: Direction | None = Direction.TO) -> Field:
    dataset_key, collection, name = target.split(".")
    return Field(field, references=(Reference(Address(dataset_key, collection), name, direction),))


def refusal_of(*datasets: Dataset) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        check_datasets(datasets)
    return caught.value


def test_sound_datasets_pass() -> None:
    check_datasets(
        [
            dataset(Collection("members", (KEY, refer("boss", "shop.members.id")))),
            dataset(Collection("notes", (refer("member", "shop.members.id", None),)), key="crm"),
        ]
    )


def test_a_reference_to_a_dataset_saved_elsewhere_is_left_to_the_planner() -> None:
    check_datasets([dataset(Collection("members", (refer("note", "crm.notes.id"),)))])


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("shop.orders.id", "no collection 'orders'"),
        ("shop.members.nothing", "declares no field 'nothing'"),
    ],
)
def test_a_reference_that_leads_nowhere_names_the_field(target: str, part: str) -> None:
    error = refusal_of(dataset(Collection("members", (KEY, refer("order", target)))))
    assert error.path == "shop.members.order"
    assert part in error.message
    assert error.hint


def test_a_self_reference_needs_a_direction() -> None:
    error = refusal_of(dataset(Collection("staff", (KEY, refer("boss", "shop.staff.id", None)))))
    assert error.path == "shop.staff.boss"
    assert "direction" in error.hint


@pytest.mark.parametrize(
    ("datasets", "path"),
    [
        ((dataset(), dataset()), "shop"),
        ((dataset(Collection("members"), Collection("members")),), "shop.members"),
        ((dataset(Collection("members", (KEY, KEY))),), "shop.members.id"),
        ((dataset(key="shop:db"),), "shop:db"),
        ((dataset(Collection("a:b")),), "shop.a:b"),
        ((dataset(Collection("")),), "shop."),
    ],
)
def test_names_must_be_unique_and_fit_into_an_address(datasets: tuple[Dataset, ...], path: str) -> None:
    assert refusal_of(*datasets).path == path


# Against the store's own description

SKETCH = Sketch(
    (
        TableSketch("members", "public", (ColumnSketch("id", "integer", text=False),), ("id",)),
        TableSketch("view", "public", (ColumnSketch("id", "integer", text=False),), locatable=False),
        TableSketch("members", "old", (ColumnSketch("id", "integer", text=False),), ("id",)),
    ),
    default_schema="public",
)


def test_what_the_store_has_passes() -> None:
    check_against_sketch(dataset(Collection("members", (KEY,)), Collection("view", (KEY,))), SKETCH)
    check_against_sketch(Dataset("shop", "shop", (Collection("members", (KEY,)),), schema="old"), SKETCH)


def test_skipped_collections_are_not_looked_at() -> None:
    check_against_sketch(dataset(Collection("gone", (KEY,), skip_processing=True)), SKETCH)


@pytest.mark.parametrize(
    ("described", "path", "part"),
    [
        (dataset(Collection("orders", (KEY,))), "shop.orders", "no table 'orders'"),
        (Dataset("shop", "shop", (Collection("view", (KEY,)),), schema="old"), "shop.view", "schema 'old'"),
        (dataset(Collection("members", (KEY, Field("mail")))), "shop.members.mail", "no column 'mail'"),
        (dataset(Collection("view", (Field("id"),))), "shop.view", "told apart"),
    ],
)
def test_what_the_store_lacks_is_named_with_its_mend(described: Dataset, path: str, part: str) -> None:
    with pytest.raises(DatasetError) as caught:
        check_against_sketch(described, SKETCH)
    assert caught.value.path == path
    assert part in caught.value.message
    assert caught.value.hint


# Traversability (case D30)


def place(described: Dataset) -> PlacedDataset:
    return PlacedDataset(described, ConnectionState(described.key, "sqlite"))


def test_a_dataset_that_every_identity_together_reaches_is_traversable() -> None:
    fields = (Field("mail", identity="email"), Field("ssn", identity="ssn"))
    assert traversability([place(dataset(*(Collection(item.name, (item,)) for item in fields)))]) == (True, "")


def test_a_dataset_with_an_island_is_not_and_the_message_names_it() -> None:
    traversable, message = traversability([place(dataset(Collection("island", (KEY,))))])
    assert not traversable
    assert "shop:island" in message


def test_a_reference_to_an_unknown_dataset_makes_it_untraversable() -> None:
    fields = (Field("mail", identity="email"), refer("note", "crm.notes.id"))
    traversable, message = traversability([place(dataset(Collection("members", fields)))])
    assert not traversable
    assert "no dataset 'crm'" in message
