"""Datasets: the descriptions that connections own, checked by the planner's own code before they are stored.

Parsing lives in `dataset_format`, checks in `planning`; this module knows neither's rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.dataset import Dataset, Field
from habeas.domain.errors import Conflict, DatasetError, InputError, NotFound
from habeas.domain.ports import Sketch
from habeas.execution.context import Context
from habeas.execution.planning_input import load_datasets
from habeas.planning.plan_input import AccessLevel, ConnectionState, PlacedDataset
from habeas.planning.planner import check_against_sketch, check_datasets, traversability
from habeas.services import audit
from habeas.services.bulk import BulkResult, Failure, Listing, save_each
from habeas.services.connections import fetch_sketch, find_type, get_record, keep_sketch
from habeas.services.dataset_format import dataset_to_json, parse_dataset, parse_datasets
from habeas.store import configurations
from habeas.store.configurations import Record
from habeas.store.tables import datasets

_SCHEMAS_ARE_DATABASES = ("mysql", "mariadb")

Body = Mapping[str, object]
"""A dataset in the form of the API."""


@dataclass(frozen=True, slots=True)
class Traversal:
    """Whether every collection is reached when all declared identities are given; if not, why."""

    is_traversable: bool
    msg: str | None


@dataclass(frozen=True, slots=True)
class Validation:
    """A dataset that passed the checks, as it would be stored, and how it can be walked."""

    dataset: Body
    traversal_details: Traversal


@dataclass(frozen=True, slots=True)
class _Submitted:
    body: Body
    dataset: Dataset


def save_datasets(context: Context, connection_key: str, bodies: Sequence[Body]) -> BulkResult[Body]:
    """Create or update a connection's datasets by `fides_key`; fetches the store's description when it answers.

    References are checked against the stored datasets and the others of this call. Raises NotFound for the
    connection.
    """
    record = _find_connection(context, connection_key)
    sketch = fetch_sketch(context, record)
    database = _database_of(context, record)
    parsed, refused = _parse_each(bodies)

    def save(connection: sa.Connection, item: _Submitted) -> Body:
        key = item.dataset.key
        owner = configurations.find(connection, datasets, key)
        if owner is not None and owner.connection_key != connection_key:
            raise Conflict(
                f"dataset {key!r} belongs to connection {owner.connection_key!r}", hint="give it another fides_key"
            )
        stored = [placed.dataset for placed in load_datasets(connection, context.connection_types)]
        _check_database(item.dataset, record.type, database)
        _check(item.dataset, [*stored, *(other.dataset for other in parsed)], sketch)
        body = dataset_to_json(item.dataset)
        values = {"body": body, "definition": msgspec.json.encode(item.dataset)}
        now = context.clock.now()
        configurations.save(connection, datasets, key, values, now, on_create={"connection_key": connection_key})
        keep_sketch(context, connection, record, sketch)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.DATASET, key)
        return body

    saved = save_each(context, parsed, save)
    failures = [Failure(item.message, item.data.body) for item in saved.failed if isinstance(item.data, _Submitted)]
    return BulkResult(saved.succeeded, [*refused, *failures])


def read_yaml_bodies(text: str) -> list[Body]:
    """The datasets of a YAML document, in the form of the API. Raises InputError when it cannot be read."""
    try:
        return [dataset_to_json(dataset) for dataset in parse_datasets(text, source="body")]
    except DatasetError as error:
        raise InputError(error.message, hint=error.hint) from None


def validate_dataset(context: Context, connection_key: str, body: Body) -> Validation:
    """All checks of saving, and the walk over all stored datasets and this one; stores nothing.

    Raises DatasetError for a dataset that would not be saved, NotFound for the connection.
    """
    record = _find_connection(context, connection_key)
    sketch = fetch_sketch(context, record)
    dataset = parse_dataset(body)
    with context.ledger.read() as connection:
        others = [
            placed
            for placed in load_datasets(connection, context.connection_types)
            if placed.dataset.key != dataset.key
        ]
    _check_database(dataset, record.type, _database_of(context, record))
    _check(dataset, [placed.dataset for placed in others], sketch)
    system = context.connection_types[record.type].system
    here = ConnectionState(record.key, record.type, AccessLevel(record.access), record.disabled, system=system)
    traversable, reason = traversability([*others, PlacedDataset(dataset, here)])
    return Validation(dataset_to_json(dataset), Traversal(traversable, reason or None))


def list_datasets(context: Context, connection_key: str, page: int, size: int) -> Listing[Body]:
    """One page of a connection's datasets, by key. Raises NotFound for the connection."""
    with context.ledger.read() as connection:
        get_record(connection, connection_key)
        owned = datasets.c.connection_key == connection_key
        records, total = configurations.list_page(connection, datasets, page, size, owned)
    return Listing([record.body for record in records], total, page, size)


def find_dataset(context: Context, connection_key: str, key: str) -> Body:
    """Raises NotFound unless the connection owns such a dataset."""
    with context.ledger.read() as connection:
        body: Body = _get_owned(connection, connection_key, key).body
        return body


def delete_dataset(context: Context, connection_key: str, key: str) -> None:
    """Raises NotFound unless the connection owns such a dataset."""
    with context.ledger.write() as connection:
        _get_owned(connection, connection_key, key)
        configurations.delete(connection, datasets, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.DATASET, key)


def _parse_each(bodies: Sequence[Body]) -> tuple[list[_Submitted], list[Failure]]:
    parsed, refused = [], []
    for body in bodies:
        try:
            parsed.append(_Submitted(body, parse_dataset(body)))
        except InputError as error:
            refused.append(Failure(str(error), body))
    return parsed, refused


def _check(dataset: Dataset, others: Iterable[Dataset], sketch: Sketch | None) -> None:
    """Raise DatasetError for what is wrong with this dataset alone: the others' own references are not looked at.

    Of two others with the same key the later one counts.
    """
    silent = {other.key: _without_references(other) for other in others if other.key != dataset.key}
    check_datasets((dataset, *silent.values()))
    if sketch is not None:
        check_against_sketch(dataset, sketch)


def _check_database(dataset: Dataset, connection_type: str, database: str | None) -> None:
    """Raise DatasetError when the namespace names another database than the connection's, if that is known.

    A namespace written for another kind of store is not checked (data-plane §1.6).
    """
    if dataset.written_for not in (None, connection_type):
        return
    known = dataset.schema if connection_type in _SCHEMAS_ARE_DATABASES else database
    if None not in (dataset.database, known) and dataset.database != known:
        raise DatasetError(
            f"the namespace names database {dataset.database!r}, which is not that of the connection",
            path=f"{dataset.key}.fides_meta.namespace.database_name",
            hint="save the dataset under the connection of that database, or leave database_name out",
        )


def _database_of(context: Context, record: Record) -> str | None:
    """The database that a connection names in its secrets."""
    place = configurations.connection_place(record.key)
    secrets = configurations.open_json(context.ledger.sealer, record.sealed_secrets, place)
    if "url" not in secrets:
        return secrets.get("dbname")
    try:
        return sa.make_url(secrets["url"]).database
    except sa.exc.ArgumentError:
        return None  # the connection's own test says what is wrong with it


def _without_references(dataset: Dataset) -> Dataset:
    def strip(field: Field) -> Field:
        return replace(field, references=(), fields=tuple(map(strip, field.fields)))

    return replace(
        dataset,
        collections=tuple(
            replace(collection, fields=tuple(map(strip, collection.fields))) for collection in dataset.collections
        ),
    )


def _find_connection(context: Context, key: str) -> Record:
    with context.ledger.read() as connection:
        record = get_record(connection, key)
    if not find_type(context, record.type).holds_data:
        raise InputError(f"connection {key!r} holds no data", hint="save the dataset under the connection of its store")
    return record


def _get_owned(connection: sa.Connection, connection_key: str, key: str) -> Record:
    get_record(connection, connection_key)
    record = configurations.find(connection, datasets, key)
    if record is None or record.connection_key != connection_key:
        raise NotFound(f"connection {connection_key!r} has no dataset {key!r}")
    return record
