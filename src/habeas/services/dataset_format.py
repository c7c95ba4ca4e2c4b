"""Datasets as people write them (YAML or JSON, data-plane §1.1–1.7) to domain values and back.

Owns the shape, its checks and errors that name file, line, path and mend. Knows no connection and
no other dataset: whether references lead somewhere is the planner's business.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

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
from habeas.domain.errors import DatasetError, InputError
from habeas.domain.policy import check_category
from habeas.masking.registry import make_strategy
from habeas.services.yaml_text import Steps, read_yaml

_KEY = re.compile(r"[A-Za-z0-9_.\-<>]+")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_FLAT_ONLY = "this version handles flat collections only"

_Choice = TypeVar("_Choice", bound=StrEnum)
_Named = TypeVar("_Named", Dataset, Collection, Field)


def parse_datasets(text: str, *, source: str = "") -> tuple[Dataset, ...]:
    """The datasets of one YAML or JSON document `dataset: [...]`; `source` is the file's name, for errors.

    Aliases, tags and repeated keys are refused. Raises DatasetError.
    """
    value, lines = read_yaml(text, source)
    root = _Part(value, source, lines=lines)
    if not isinstance(value, dict) or value.get("dataset") is None:
        raise root.error("this is no dataset document", 'it must be a mapping with the key "dataset" and a list')
    return _distinct(root.get("dataset").items(), _parse_dataset, "dataset")


def parse_dataset(value: object, *, source: str = "") -> Dataset:
    """One dataset of an API body. Raises DatasetError."""
    return _parse_dataset(_Part(value, source))


def dataset_to_json(dataset: Dataset) -> dict[str, object]:
    """The dataset in the form `parse_dataset` reads; absent and default things are left out."""
    return _without_empty(
        fides_key=dataset.key,
        name=dataset.name,
        description=dataset.description,
        fides_meta=_without_empty(
            after=list(dataset.after), namespace=_without_empty(schema=dataset.schema) if dataset.schema else None
        ),
    ) | {"collections": [_collection_to_json(collection) for collection in dataset.collections]}


def _collection_to_json(collection: Collection) -> dict[str, object]:
    return _without_empty(
        name=collection.name,
        description=collection.description,
        fides_meta=_without_empty(
            after=[f"{address.dataset}.{address.collection}" for address in collection.after],
            skip_processing=collection.skip_processing,
        ),
    ) | {"fields": [_field_to_json(item) for item in collection.fields]}


def _field_to_json(item: Field) -> dict[str, object]:
    references = [
        _without_empty(
            dataset=reference.target.dataset,
            field=f"{reference.target.collection}.{reference.field}",
            direction=reference.direction and reference.direction.value,
        )
        for reference in item.references
    ]
    masking = item.masking
    return _without_empty(
        name=item.name,
        description=item.description,
        data_categories=list(item.categories),
        fides_meta=_without_empty(
            data_type=item.data_type and item.data_type.value,
            length=item.length,
            primary_key=item.primary_key,
            identity=item.identity,
            match=item.match.value if item.match is not Match.EXACT else None,
            references=references,
            read_only=item.read_only,
            masking_strategy_override=masking
            and {"strategy": masking.strategy, "configuration": dict(masking.configuration)},
        ),
    )


def _without_empty(**entries: object) -> dict[str, object]:
    return {key: value for key, value in entries.items() if value not in (None, False, [], {})}


@dataclass(frozen=True, slots=True)
class _Part:
    """A value of the document and the place it stands at; an absent one holds None."""

    value: object
    source: str
    path: str = ""
    steps: Steps = ()
    lines: Mapping[Steps, int] = field(default_factory=dict)

    def error(self, message: str, hint: str = "") -> DatasetError:
        """To be raised; the line is that of the nearest thing that stands in the text."""
        nearest = (self.steps[:end] for end in range(len(self.steps), -1, -1))
        line = next((self.lines[steps] for steps in nearest if steps in self.lines), None)
        return DatasetError(message, path=self.path, source=self.source, line=line, hint=hint)

    def get(self, key: str) -> "_Part":
        if self.value is not None and not isinstance(self.value, Mapping):
            raise self.error("this must be a mapping", "write key: value pairs")
        value = None if self.value is None else self.value.get(key)
        path = f"{self.path}.{key}" if self.path else key
        return replace(self, value=value, path=path, steps=(*self.steps, key))

    def items(self) -> Iterator["_Part"]:
        """The elements of a list; none when it is absent."""
        if self.value is not None and not isinstance(self.value, list | tuple):
            raise self.error("this must be a list")
        for index, item in enumerate(self.value or ()):
            yield replace(self, value=item, path=f"{self.path}[{index}]", steps=(*self.steps, index))

    def called(self, path: str) -> "_Part":
        """The same place under the name that people know it by."""
        return replace(self, path=path)

    def meta(self) -> "_Part":
        """`fides_meta`, or its older spelling when that is absent."""
        newer = self.get("fides_meta")
        return newer if newer.value is not None else self.get("fidesops_meta")

    def required(self) -> "_Part":
        if self.value is None:
            raise self.error("this is required")
        return self

    def text(self) -> str | None:
        """Text or None; numbers become text."""
        if self.value is None or isinstance(self.value, str):
            return self.value
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            return str(self.value)
        raise self.error("this must be text", "put it in quotes")

    def name(self) -> str:
        """Text that is required, not empty and free of control characters."""
        text = self.required().text() or ""
        if not text or any(ord(character) < 32 for character in text):
            raise self.error("this must be a name: text without control characters, not empty")
        return text

    def key(self) -> str:
        """A dataset's key."""
        key = self.name()
        if not _KEY.fullmatch(key):
            raise self.error("this is no dataset key", "use letters, digits and _ . - < > only")
        return key

    def address(self) -> Address:
        """A collection elsewhere, written `dataset.collection`."""
        parts = self.name().split(".")
        if len(parts) != 2 or not all(parts):
            raise self.error("this is no collection", "write dataset.collection: two parts with one dot")
        return Address(*parts)

    def flag(self) -> bool:
        """True or false, false when absent; YAML's older words for them count too."""
        if self.value is None or isinstance(self.value, bool):
            return bool(self.value)
        word = self.value.lower() if isinstance(self.value, str) else ""
        if word not in _FLAGS:
            raise self.error("this must be true or false")
        return _FLAGS[word]

    def positive(self) -> int | None:
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 1:
            raise self.error("this must be a whole number above zero")
        return self.value

    def choice(self, choices: type[_Choice]) -> _Choice | None:
        text = self.text()
        if text is None:
            return None
        if text not in list(choices):
            raise self.error(f"{text!r} is not known here", f"use one of {', '.join(choices)}")
        return choices(text)

    def refuse(self, message: str, hint: str) -> None:
        """Raises when anything but an empty value stands here: what is not carried out must not be ignored."""
        if self.value not in (None, False, "", [], {}):
            raise self.error(message, hint)


def _parse_dataset(part: _Part) -> Dataset:
    key = part.get("fides_key").key()
    part = part.called(key)
    meta = part.meta()

    def parse_one(item: _Part) -> Collection:
        return _parse_collection(item, key)

    return Dataset(
        key=key,
        name=part.get("name").text() or key,
        description=part.get("description").text(),
        collections=_sorted_by_name(_distinct(part.get("collections").required().items(), parse_one, "collection")),
        after=tuple(dict.fromkeys(item.key() for item in meta.get("after").items())),
        schema=_parse_schema(meta.get("namespace")),
    )


def _parse_schema(part: _Part) -> str | None:
    if part.value is None:
        return None
    schema = part.get("schema").name()
    assert isinstance(part.value, Mapping)  # get() saw to it
    for key in sorted(set(part.value) - {"schema", "connection_type"}):
        part.get(key).refuse(
            "this version's namespaces know only a schema", "leave it out; the connection says the rest"
        )
    return schema


def _parse_collection(part: _Part, dataset: str) -> Collection:
    name = part.get("name").name()
    if "." in name or ":" in name:
        raise part.get("name").error(
            "a collection's name must not hold a dot or colon", "say the schema in fides_meta.namespace of the dataset"
        )
    part = part.called(f"{dataset}.{name}")
    meta = part.meta()
    part.get("data_categories").refuse("this version knows categories of fields only", "move them to the fields")
    meta.get("erase_after").refuse("this version orders erasure by references", "leave erase_after out")
    meta.get("partitioning").refuse("this version knows no partitioning", "leave partitioning out")
    meta.get("masking_strategy_override").refuse(
        "at a collection only the strategy delete is meant, and this version masks rows but deletes none",
        "leave it out, or set masking_strategy_override on fields",
    )

    def parse_one(item: _Part) -> Field:
        return _parse_field(item, f"{dataset}.{name}")

    return Collection(
        name=name,
        description=part.get("description").text(),
        fields=_sorted_by_name(_distinct(part.get("fields").required().items(), parse_one, "field")),
        after=tuple(dict.fromkeys(item.address() for item in meta.get("after").items())),
        skip_processing=meta.get("skip_processing").flag(),
    )


def _parse_field(part: _Part, collection: str) -> Field:
    name = part.get("name").name()
    if "." in name:
        raise part.get("name").error(f"a dot in a field's name means a nested field, and {_FLAT_ONLY}")
    part = part.called(f"{collection}.{name}")
    meta = part.meta()
    part.get("fields").refuse(f"a field with sub-fields is not supported: {_FLAT_ONLY}", "describe columns only")
    meta.get("custom_request_field").refuse("this version knows no custom request fields", "leave it out")
    data_type = _parse_data_type(meta.get("data_type"))
    if meta.get("return_all_elements").flag():
        raise meta.get("return_all_elements").error("this is for arrays only", "leave it out")
    identity, match = meta.get("identity"), meta.get("match")
    if match.value is not None and identity.value is None:
        raise match.error("match says how an identity is compared", "set identity too, or leave match out")
    return Field(
        name=name,
        description=part.get("description").text(),
        categories=tuple(dict.fromkeys(_parse_category(item) for item in part.get("data_categories").items())),
        data_type=data_type,
        length=meta.get("length").positive(),
        primary_key=meta.get("primary_key").flag(),
        identity=identity.name() if identity.value is not None else None,
        match=match.choice(Match) or Match.EXACT,
        references=tuple(dict.fromkeys(_parse_reference(item) for item in meta.get("references").items())),
        read_only=meta.get("read_only").flag(),
        masking=_parse_masking(meta.get("masking_strategy_override")),
    )


def _parse_data_type(part: _Part) -> DataType | None:
    base = (part.text() or "").removesuffix("[]")
    if base in ("object", "object_id") or (base in list(DataType) and base != part.text()):
        raise part.error(f"data_type {part.text()!r} is not supported: {_FLAT_ONLY}")
    return part.choice(DataType)


def _parse_category(part: _Part) -> str:
    category = part.name()
    try:
        check_category(category)
    except InputError as error:
        raise part.error(error.message, error.hint) from error
    return category


def _parse_reference(part: _Part) -> Reference:
    target = part.get("field")
    collection, _, column = target.name().partition(".")
    if not collection or not column:
        raise target.error("this is no field of a collection", "write collection.field")
    if "." in column:
        raise target.error(f"this names a nested field, and {_FLAT_ONLY}", "write collection.field")
    direction = part.get("direction").choice(Direction)
    return Reference(Address(part.get("dataset").key(), collection), column, direction)


def _parse_masking(part: _Part) -> MaskingOverride | None:
    if part.value is None:
        return None
    strategy = part.get("strategy").name()
    configuration = part.get("configuration").value
    if configuration is not None and not isinstance(configuration, Mapping):
        raise part.get("configuration").error("this must be a mapping")
    try:
        made = make_strategy(strategy, configuration or {})
    except InputError as error:
        raise part.error(error.message, error.hint) from error
    if made.secret_kinds:
        raise part.get("strategy").error(
            f"strategy {strategy!r} needs secrets, which a field's own masking has not",
            "use null_rewrite or string_rewrite here",
        )
    return MaskingOverride(strategy, dict(configuration or {}))


def _distinct(parts: Iterator[_Part], parse: Callable[[_Part], _Named], noun: str) -> tuple[_Named, ...]:
    """The parts parsed, as they stand; a repeated name is an error."""
    found: dict[str, _Named] = {}
    for part in parts:
        parsed = parse(part)
        name = parsed.key if isinstance(parsed, Dataset) else parsed.name
        if name in found:
            raise part.error(f"{noun} {name!r} is described twice", "keep one of them")
        found[name] = parsed
    return tuple(found.values())


def _sorted_by_name(things: tuple[_Named, ...]) -> tuple[_Named, ...]:
    return tuple(sorted(things, key=attrgetter("name")))
