"""Datasets: the description of a data store, its collections and fields.

Source: data-plane §1.1–1.5. A field of a collection is a column; its sub-fields are what objects in it hold, at any
depth, also through arrays. Paths are written with dots: `home.town`. Parsing from YAML or JSON lives in
`services/dataset_format`; this module owns the values and types.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from habeas.domain.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a collection is: `dataset:collection`."""

    dataset: str
    collection: str

    def __str__(self) -> str:
        return f"{self.dataset}:{self.collection}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `dataset:collection`; raises InputError unless there is exactly one colon."""
        parts = text.split(":")
        if len(parts) != 2 or not all(parts):
            raise InputError(f"{text!r} is not a collection address", hint="write dataset:collection")
        return cls(*parts)


class DataType(StrEnum):
    """Declared type of a field, of each element where it is an array; absent means no conversion."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OBJECT_ID = "object_id"
    OBJECT = "object"


class Direction(StrEnum):
    """Which way values travel along a reference."""

    FROM = "from"
    TO = "to"


class Match(StrEnum):
    """How an identity is compared with a field's values (design §9)."""

    EXACT = "exact"
    CASEFOLD = "casefold"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Reference:
    """A link between the field that declares it and a field elsewhere (a path in `target`).

    `from`: the other field's values find this one; `to`: this one's values find the other;
    None: the direction is fixed during the walk, from the collection visited first to the other.
    """

    target: Address
    field: str
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class MaskingOverride:
    """A field's own masking, used instead of the rule's when an erasure target covers the field."""

    strategy: str
    configuration: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a collection, or one member of the objects in it; `fields`, its own members, sorted by name.

    `array`: it holds elements, each of `data_type`. `all_elements` (return_all_elements): a match by this field or
    one below it does not narrow the array to the elements that matched.
    """

    name: str
    categories: tuple[str, ...] = ()
    data_type: DataType | None = None
    length: int | None = None
    primary_key: bool = False
    identity: str | None = None
    match: Match = Match.EXACT
    references: tuple[Reference, ...] = ()
    read_only: bool = False
    masking: MaskingOverride | None = None
    description: str | None = None
    array: bool = False
    all_elements: bool = False
    fields: tuple["Field", ...] = ()

    @property
    def is_object(self) -> bool:
        return bool(self.fields) or self.data_type is DataType.OBJECT


@dataclass(frozen=True, slots=True)
class Collection:
    """A table: its fields sorted by name, and the collections it must be visited or erased after.

    `categories` cover whole rows. `delete`: an erasure that covers any of it deletes rows instead of masking.
    """

    name: str
    fields: tuple[Field, ...] = ()
    after: tuple[Address, ...] = ()
    skip_processing: bool = False
    description: str | None = None
    categories: tuple[str, ...] = ()
    erase_after: tuple[Address, ...] = ()
    delete: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the primary-key fields, sorted; empty when none is declared."""
        return tuple(item.name for item in self.fields if item.primary_key)

    def paths(self) -> dict[str, Field]:
        """Every field at every depth by its path, parents before their members, sorted by name at each depth."""
        return dict(_paths(self.fields, ""))


@dataclass(frozen=True, slots=True)
class Dataset:
    """One described data store: collections sorted by name; owned by one connection.

    Its namespace (data-plane §1.6): `schema`, the `database` it expects, and the connection type it is `written_for`.
    """

    key: str
    name: str
    collections: tuple[Collection, ...] = ()
    after: tuple[str, ...] = ()
    schema: str | None = None
    description: str | None = None
    database: str | None = None
    written_for: str | None = None


def _paths(fields: tuple[Field, ...], above: str) -> Iterator[tuple[str, Field]]:
    for item in fields:
        path = f"{above}{item.name}"
        yield path, item
        yield from _paths(item.fields, f"{path}.")


def coerce(value: object, data_type: DataType | None) -> object:
    """Cast a value to a declared type; None when it cannot be one (data-plane §1.5, cases T01–T14).

    Unlike the sources, 0, False and "" are values: only null does not travel.
    """
    if value is None or data_type is None:
        return value
    match data_type:
        case DataType.STRING:
            return value if isinstance(value, str) else str(value)
        case DataType.INTEGER:
            return _integer(value)
        case DataType.FLOAT:
            if isinstance(value, str) and ("_" in value or not value.isascii()):
                return None  # Python reads 1_0 and digits of other scripts, no store does
            try:
                return float(value)  # type: ignore[arg-type]  # any value may be offered; what fails is null
            except (TypeError, ValueError, OverflowError):
                return None
        case DataType.BOOLEAN:
            return _BOOLEANS.get(value) if isinstance(value, bool | int | str) else None
        case DataType.OBJECT_ID:
            return _object_id(value)
        case DataType.OBJECT:
            return value if isinstance(value, dict) else None


def _object_id(value: object) -> str | None:
    """The 24 hexadecimal digits, in lower case, of text or of a driver's own type that spells itself so."""
    text = str(value).lower()
    return text if _OBJECT_ID.fullmatch(text) else None


_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_BOOLEANS: dict[bool | int | str, bool] = {
    True: True, "True": True, "true": True, False: False, "False": False, "false": False,
}  # fmt: skip  # 1 and 0 equal True and False as keys
_LONGEST = 100
_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{_LONGEST}}}")


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value.strip()) else None
    if isinstance(value, Decimal) and value.adjusted() >= _LONGEST:
        return None  # to write 1e999999999 out would hold up the whole process
    try:
        whole = int(value)  # type: ignore[call-overload]  # any value may be offered; what fails is null
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if whole == value else None  # exact for decimals too: a rounded key is someone else's


def truncate(value: object, length: int | None) -> object:
    """Cut text to `length` characters; other types and null pass unchanged (case T14)."""
    return value[:length] if isinstance(value, str) and length is not None else value
