"""What is refused when a dataset is saved."""

from dataclasses import replace

import pytest

from habeas.domain.dataset import Address, Collection, Dataset, DataType, Direction, Field, Reference
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
    dataset_key, collection, name = target.split(".", 2)
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


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ((Field("home", fields=(Field("town"), Field("town"))),), "shop.members.home.town"),
        ((Field("home", fields=(Field("a.b"),)),), "shop.members.home.a.b"),
        ((Field("home.town"),), "shop.members.home.town"),
        ((Field("home", fields=(refer("town", "shop.members.home"),)),), "shop.members.home.town"),
        ((Field("home", fields=(refer("town", "shop.members.home.way"),)),), "shop.members.home.town"),
    ],
)
def test_fields_inside_of_objects_are_checked_like_others(fields: tuple[Field, ...], path: str) -> None:
    error = refusal_of(dataset(Collection("members", fields)))
    assert error.path == path
    assert error.hint


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


TEXT = ColumnSketch("", "text", text=True)
FORMS = Sketch(
    (
        TableSketch(
            "members",
            None,
            (
                replace(TEXT, name="plain"),
                ColumnSketch("list", "text[]", text=True, array=True),
                ColumnSketch("doc", "json", text=False, document=True),
                ColumnSketch(
                    "home",
                    "struct",
                    text=False,
                    fields=(
                        replace(TEXT, name="town"),
                        ColumnSketch("ways", "struct[]", False, array=True, fields=(replace(TEXT, name="code"),)),
                        ColumnSketch("free", "json", text=False, document=True),
                    ),
                ),
            ),
        ),
    )
)
ANYTHING = Field("any", fields=(Field("thing", array=True, data_type=DataType.STRING),))


@pytest.mark.parametrize(
    "field",
    [
        Field("plain", identity="email"),
        Field("list", array=True, data_type=DataType.STRING, identity="email"),
        Field("list"),
        Field("doc", fields=(ANYTHING,)),
        Field("doc", array=True, data_type=DataType.OBJECT, fields=(ANYTHING,)),
        Field("doc", data_type=DataType.OBJECT),
        Field("home"),
        Field("home", data_type=DataType.OBJECT),
        Field("home", fields=(Field("free", fields=(ANYTHING,)), Field("town", identity="email"))),
        Field("home", fields=(Field("ways", array=True, fields=(Field("code", identity="email"),)),)),
    ],
)
def test_forms_that_the_store_can_hold_pass(field: Field) -> None:
    check_against_sketch(dataset(Collection("members", (field,))), FORMS)


@pytest.mark.parametrize(
    ("field", "path", "part"),
    [
        (Field("plain", fields=(Field("town"),)), "plain", "no arrays or objects"),
        (Field("plain", array=True, data_type=DataType.STRING), "plain", "no arrays or objects"),
        (Field("plain", data_type=DataType.OBJECT), "plain", "no arrays or objects"),
        (Field("home", fields=(Field("street"),)), "home.street", "no member 'street'"),
        (Field("home", fields=(Field("town", fields=(Field("x"),)),)), "home.town", "no arrays or objects"),
        (
            Field("home", fields=(Field("ways", array=True, fields=(Field("name"),)),)),
            "home.ways.name",
            "no member 'name'",
        ),
        (Field("list", array=True, fields=(Field("x"),)), "list.x", "no member 'x'"),
        (Field("home", identity="email"), "home", "holds objects"),
        (refer("home", "shop.members.plain"), "home", "holds objects"),
        (Field("doc", primary_key=True), "doc", "cannot be a key"),
    ],
)
def test_forms_that_the_store_cannot_hold_are_named_with_their_mend(field: Field, path: str, part: str) -> None:
    with pytest.raises(DatasetError) as caught:
        check_against_sketch(dataset(Collection("members", (field,))), FORMS)
    assert caught.value.path == f"shop.members.{path}"
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


def test_a_ring_in_the_order_of_erasure_makes_it_untraversable() -> None:
    here = Address("shop", "members")
    members = Collection("members", (Field("mail", identity="email"),), erase_after=(here,))
    traversable, message = traversability([place(dataset(members))])
    assert not traversable
    assert "erase_after" in message
