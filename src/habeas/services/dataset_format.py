"""Datasets as people write them (YAML or JSON, data-plane §1.1–1.7) to domain values and back.

Owns the shape, its checks and errors that name file, line, path and mend. Knows no connection and
no other dataset: whether references lead somewhere is the planner's business. Files written for Fides are read
unchanged; refused is only what would leave data unfound or unmasked if it were ignored.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
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
from habeas.domain.errors import InputError
from habeas.domain.policy import check_category
from habeas.masking.registry import make_strategy, strategies
from habeas.services.dataset_parts import LONGEST_NAME, Part
from habeas.services.yaml_text import read_yaml

MAX_DEPTH = 30
"""Fields inside of fields, at most: each costs the parser and its readers a few frames."""

_LONGEST_PATH = (MAX_DEPTH + 1) * (LONGEST_NAME + 1)
"""Characters that the path of a field may take, from its collection's name on."""

_SCHEMA_STORES = ("postgres", "mysql", "mariadb", "duckdb", "sqlite")
"""Connection types whose namespaces need a schema; for others they are taken as they are."""

_NOT_ON_OBJECTS = {
    "identity": "move it to the field inside that holds the identity",
    "references": "move them to the field inside that holds the value",
    "primary_key": "declare the field that tells rows apart as primary_key",
    "length": "move it to the fields inside",
}
"""Settings that say something of one value, and where they belong when the field holds objects (weakness 21)."""

_DATASET_SETTINGS = ("after", "namespace")
_COLLECTION_SETTINGS = ("after", "erase_after", "skip_processing", "masking_strategy_override")
_FIELD_SETTINGS = (*_NOT_ON_OBJECTS, "data_type", "match", "read_only", "return_all_elements")
_FIELD_SETTINGS += ("masking_strategy_override",)
_BESIDE_SETTINGS = ("data_categories", "fields")

_log = logging.getLogger(__name__)

_Named = TypeVar("_Named", Dataset, Collection, Field)


def parse_datasets(text: str, *, source: str = "") -> tuple[Dataset, ...]:
    """The datasets of one YAML or JSON document `dataset: [...]`; `source` is the file's name, for errors.

    Aliases, tags and repeated keys are refused. Raises DatasetError.
    """
    value, lines = read_yaml(text, source)
    root = Part(value, source, lines=lines)
    if not isinstance(value, dict) or value.get("dataset") is None:
        raise root.error("this is no dataset document", 'it must be a mapping with the key "dataset" and a list')
    return _distinct(root.get("dataset").items(), _parse_dataset, "dataset")


def parse_dataset(value: object, *, source: str = "") -> Dataset:
    """One dataset of an API body. Raises DatasetError."""
    return _parse_dataset(Part(value, source))


def dataset_to_json(dataset: Dataset) -> dict[str, object]:
    """The dataset in the form `parse_dataset` reads; absent and default things are left out."""
    namespace = _without_empty(
        connection_type=dataset.written_for, database_name=dataset.database, schema=dataset.schema
    )
    return _without_empty(
        fides_key=dataset.key,
        name=dataset.name,
        description=dataset.description,
        fides_meta=_without_empty(after=list(dataset.after), namespace=namespace),
    ) | {"collections": [_collection_to_json(collection) for collection in dataset.collections]}


def _collection_to_json(collection: Collection) -> dict[str, object]:
    return _without_empty(
        name=collection.name,
        description=collection.description,
        data_categories=list(collection.categories),
        fides_meta=_without_empty(
            after=[f"{address.dataset}.{address.collection}" for address in collection.after],
            erase_after=[f"{address.dataset}.{address.collection}" for address in collection.erase_after],
            skip_processing=collection.skip_processing,
            masking_strategy_override={"strategy": "delete"} if collection.delete else None,
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
    data_type = item.data_type and item.data_type.value + "[]" * item.array
    return _without_empty(
        name=item.name,
        description=item.description,
        data_categories=list(item.categories),
        fides_meta=_without_empty(
            data_type=data_type,
            length=item.length,
            primary_key=item.primary_key,
            identity=item.identity,
            match=item.match.value if item.match is not Match.EXACT else None,
            references=references,
            return_all_elements=item.all_elements,
            read_only=item.read_only,
            masking_strategy_override=masking
            and {"strategy": masking.strategy, "configuration": dict(masking.configuration)},
        ),
        fields=[_field_to_json(inner) for inner in item.fields],
    )


def _without_empty(**entries: object) -> dict[str, object]:
    return {key: value for key, value in entries.items() if value not in (None, False, [], {})}


def _parse_dataset(part: Part) -> Dataset:
    key = part.get("fides_key").key()
    part = part.called(key)
    meta = _settings(part, _DATASET_SETTINGS)
    namespace = meta.get("namespace")
    if namespace.value is not None:
        _check_namespace(namespace)

    def parse_one(item: Part) -> Collection:
        return _parse_collection(item, key)

    return Dataset(
        key=key,
        name=part.get("name").text(LONGEST_NAME) or key,
        description=part.get("description").text(),
        collections=_sorted_by_name(_distinct(part.get("collections").required().items(), parse_one, "collection")),
        after=tuple(dict.fromkeys(item.key() for item in meta.get("after").items())),
        schema=namespace.get("schema").optional_name(),
        database=namespace.get("database_name").optional_name(),
        written_for=namespace.get("connection_type").optional_name(),
    )


def _settings(part: Part, names: tuple[str, ...]) -> Part:
    """What `fides_meta` holds. Settings outside of it would be read by nobody, and categories in it neither."""
    for name in names:
        part.get(name).refuse("this is read in fides_meta only", "move it into fides_meta")
    meta = part.meta()
    for name in _BESIDE_SETTINGS:
        meta.get(name).refuse("this is not read in fides_meta", "move it out, beside fides_meta")
    return meta


def _check_namespace(part: Part) -> None:
    """A namespace for another kind of store is not checked (data-plane §1.6)."""
    kind = part.get("connection_type").optional_name()
    schema = part.get("schema")
    if schema.value is None and (kind is None or kind in _SCHEMA_STORES):
        raise schema.error("this is required", "name the schema, or leave the namespace out")


def _parse_collection(part: Part, dataset: str) -> Collection:
    name = part.get("name").name()
    if "." in name or ":" in name:
        raise part.get("name").error(
            "a collection's name must not hold a dot or colon", "say the schema in fides_meta.namespace of the dataset"
        )
    part = part.called(f"{dataset}.{name}")
    meta = _settings(part, _COLLECTION_SETTINGS)
    if meta.get("partitioning").value is not None:
        _log.warning("%s: partitioning is for BigQuery alone and is ignored", part.path)

    def parse_one(item: Part) -> Field:
        return _parse_field(item, f"{dataset}.{name}", 1)

    return Collection(
        name=name,
        description=part.get("description").text(),
        fields=_sorted_by_name(_distinct(part.get("fields").required().items(), parse_one, "field")),
        after=tuple(dict.fromkeys(item.address() for item in meta.get("after").items())),
        erase_after=tuple(dict.fromkeys(item.address() for item in meta.get("erase_after").items())),
        skip_processing=meta.get("skip_processing").flag(),
        categories=_parse_categories(part),
        delete=_parse_delete(meta.get("masking_strategy_override")),
    )


def _parse_delete(part: Part) -> bool:
    """Whether rows are deleted: the only masking that a collection can have of its own."""
    if part.value is None:
        return False
    if part.get("strategy").required().value != "delete":
        raise part.error("at a collection only the strategy delete is meant", "set other strategies on fields")
    part.get("configuration").refuse("the strategy delete has no configuration", "leave it out")
    return True


def _parse_field(part: Part, above: str, depth: int) -> Field:
    name = part.get("name").name()
    if "." in name:
        raise part.get("name").error(
            "a field's name must not hold a dot", "describe what is inside of an object by `fields`"
        )
    if depth > MAX_DEPTH:
        raise part.error("this is nested too deeply", f"at most {MAX_DEPTH} fields inside each other")
    part = part.called(f"{above}.{name}")
    meta = _settings(part, _FIELD_SETTINGS)
    meta.get("custom_request_field").refuse("this version knows no custom request fields", "leave it out")
    inner = tuple(_distinct(part.get("fields").items(), lambda item: _parse_field(item, part.path, depth + 1), "field"))
    data_type, array = _parse_data_type(meta.get("data_type"))
    if inner and data_type not in (None, DataType.OBJECT):
        raise part.get("fields").error(
            f"sub-fields make this an object, not {data_type}", "set data_type to object or object[], or leave it out"
        )
    if meta.get("return_all_elements").flag() and not array:
        raise meta.get("return_all_elements").error("this is for arrays only", "leave it out")
    categories = _parse_categories(part)
    if inner or data_type is DataType.OBJECT:
        _check_object(meta, whole=bool(categories))
    if meta.get("primary_key").flag() and (array or depth > 1):
        raise meta.get("primary_key").error(
            "a key is a column with one value, not an array or a part of an object",
            "declare a field of the collection itself as primary_key, or none",
        )
    identity, match = meta.get("identity"), meta.get("match")
    if match.value is not None and identity.value is None:
        raise match.error("match says how an identity is compared", "set identity too, or leave match out")
    return Field(
        name=name,
        description=part.get("description").text(),
        categories=categories,
        data_type=data_type,
        length=meta.get("length").positive(),
        primary_key=meta.get("primary_key").flag(),
        identity=identity.optional_name(),
        match=match.choice(Match) or Match.EXACT,
        references=tuple(dict.fromkeys(_parse_reference(item) for item in meta.get("references").items())),
        read_only=meta.get("read_only").flag(),
        masking=_parse_masking(meta.get("masking_strategy_override")),
        array=array,
        all_elements=meta.get("return_all_elements").flag(),
        fields=_sorted_by_name(inner),
    )


def _check_object(meta: Part, *, whole: bool) -> None:
    """Refuse what says something of one value. `whole`: the object has categories and is masked as one."""
    for key, hint in _NOT_ON_OBJECTS.items():
        meta.get(key).refuse("an object is not one value", hint)
    if not whole:
        meta.get("masking_strategy_override").refuse(
            "an object without data_categories is not masked as one", "move it to the fields inside"
        )


def _parse_data_type(part: Part) -> tuple[DataType | None, bool]:
    """The type, of each element where it is an array, and whether it is one."""
    text = part.text()
    if text is None:
        return None, False
    base = text.removesuffix("[]")
    if base not in list(DataType):
        raise part.error(f"{text!r} is not known here", f"use one of {', '.join(DataType)}, with [] for an array of it")
    return DataType(base), base != text


def _parse_categories(part: Part) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_parse_category(item) for item in part.get("data_categories").items()))


def _parse_category(part: Part) -> str:
    category = part.name()
    try:
        check_category(category)
    except InputError as error:
        raise part.error(error.message, error.hint) from error
    return category


def _parse_reference(part: Part) -> Reference:
    target = part.get("field")
    collection, *names = target.name(_LONGEST_PATH).split(".")
    if not names or not all((collection, *names)):
        raise target.error("this is no field of a collection", "write collection.field or collection.object.field")
    direction = part.get("direction").choice(Direction)
    return Reference(Address(part.get("dataset").key(), collection), ".".join(names), direction)


def _parse_masking(part: Part) -> MaskingOverride | None:
    if part.value is None:
        return None
    strategy = part.get("strategy").name()
    if strategy == "delete":
        raise part.error("rows are deleted, not fields", "set the strategy delete at the collection")
    configuration = part.get("configuration").value
    if configuration is not None and not isinstance(configuration, Mapping):
        raise part.get("configuration").error("this must be a mapping")
    try:
        made = make_strategy(strategy, configuration or {})
    except InputError as error:
        raise part.error(error.message, error.hint) from error
    if made.secret_kinds:
        free = sorted(name for name, kind in strategies().items() if not kind.secret_kinds)
        raise part.get("strategy").error(
            f"strategy {strategy!r} needs secrets, which a field's own masking has not", f"use one of {', '.join(free)}"
        )
    return MaskingOverride(strategy, dict(configuration or {}))


def _distinct(parts: Iterator[Part], parse: Callable[[Part], _Named], noun: str) -> tuple[_Named, ...]:
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
