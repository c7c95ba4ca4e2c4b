"""Storages: where packages go. Types, their details and secrets are declared by plug-ins (control-plane §1.14).

Secrets go in and never come out. No storage is talked to inside a ledger transaction.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, HabeasError, NotFound
from habeas.domain.ports import StorageType
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.execution.overrides import present_settings
from habeas.services import audit
from habeas.services.bulk import BulkResult, Listing, choose_key, make_id, save_each
from habeas.services.connections import SystemTest, Verdict
from habeas.services.fields import InvalidFields, Problem, check_fields
from habeas.store import configurations
from habeas.store.configurations import Record
from habeas.store.tables import rules, storages

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDraft:
    """A storage as submitted; `key` is made from the name when absent."""

    name: str
    type: str
    key: str | None = None
    format: str = "json"
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StorageView:
    """A storage as shown."""

    key: str
    name: str
    type: str
    format: str
    details: Mapping[str, object]
    created_at: datetime
    updated_at: datetime


def save_storages(context: Context, drafts: Sequence[StorageDraft]) -> BulkResult[StorageView]:
    """Create or update by key. Raises InvalidFields for an unknown type, format or detail; a changed type or a
    detail with a wrong value is a failed entry.

    Other details make it forget its secrets: no key goes to a place that it was not stored with.
    """
    problems = [problem for number, draft in enumerate(drafts) for problem in _find_problems(context, number, draft)]
    if problems:
        raise InvalidFields(problems)

    def save(connection: sa.Connection, draft: StorageDraft) -> StorageView:
        key = choose_key(draft.key, draft.name)
        existing = configurations.find(connection, storages, key)
        if existing is not None and existing.type != draft.type:
            raise Conflict(f"storage {key!r} has another type", hint="a storage keeps its type; give another key")
        context.storage_types[draft.type].connect(draft.details, {})  # refuses wrong values now, not at the first use
        values: dict[str, object] = {"name": draft.name, "format": draft.format, "details": dict(draft.details)}
        if existing is not None and values["details"] != existing.details:
            values["sealed_secrets"] = None
        created = {"id": make_id("sto"), "type": draft.type}
        saved = configurations.save(connection, storages, key, values, context.clock.now(), on_create=created)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.STORAGE, key)
        return show_storage(saved)

    return save_each(context, drafts, save)


def list_storages(context: Context, page: int, size: int) -> Listing[StorageView]:
    """One page of storages, by key."""
    with context.ledger.read() as connection:
        records, total = configurations.list_page(connection, storages, page, size)
    return Listing([show_storage(record) for record in records], total, page, size)


def find_storage(context: Context, key: str) -> StorageView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return show_storage(_get_record(connection, key))


def delete_storage(context: Context, key: str) -> None:
    """Raises NotFound, and Conflict while a rule uses it or it is the default of rules that name none."""
    with context.ledger.write() as connection:
        _get_record(connection, key)
        users = configurations.list_all(connection, rules, rules.c.storage_key == key)
        if users:
            raise Conflict(
                f"storage {key!r} is used by rule {users[0].key!r} of policy {users[0].policy_key!r}",
                hint="give its rules another storage first",
            )
        if key == present_settings(context, connection).storage.default_key:
            raise Conflict(f"storage {key!r} is the setting storage.default_key", hint="change the setting first")
        configurations.delete(connection, storages, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.STORAGE, key)


def save_storage_secrets(
    context: Context, key: str, secrets: Mapping[str, str | None], *, verify: bool = True
) -> SystemTest:
    """Replace a storage's secrets, then try it unless told otherwise; they are stored even if that fails.

    A null counts as absent. A type without secrets takes an empty object alone, and is answered `skipped`. Raises
    NotFound, InvalidFields for secrets that lack or are unknown, InputError for one that is not supported, TryAgain
    when they are stored, but too many tests go on.
    """
    given = {name: value for name, value in secrets.items() if value is not None}
    with context.ledger.write() as connection:
        record = _get_record(connection, key)
        kind = context.storage_types[record.type]
        check_fields(given, kind.secrets)
        if not kind.secrets:
            return SystemTest(f"storage type {record.type} takes no secrets", Verdict.SKIPPED)
        kind.connect(record.details, given)
        sealed = configurations.seal_json(context.ledger.sealer, given, configurations.storage_place(key))
        configurations.save(connection, storages, key, {"sealed_secrets": sealed}, context.clock.now(), on_create={})
        audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.STORAGE, key)
    if not verify:
        return SystemTest(f"the secrets of {key} are saved, not tested", Verdict.SKIPPED)
    with context.waiting_room.seat():
        return _try_storage(context, key)


def _try_storage(context: Context, key: str) -> SystemTest:
    """Ask the destination whether packages can be put there."""
    with context.ledger.read() as connection:
        record = _get_record(connection, key)
    try:
        connect_storage(context, record).check()
    except HabeasError as error:
        return SystemTest(f"{key} does not work", Verdict.FAILED, str(error))
    except Exception as error:  # a driver's own words may hold secrets: only the kind of error is kept
        _log.error("testing storage %s failed with %s", key, type(error).__name__)
        reason = f"the storage failed unexpectedly ({type(error).__name__})"
        return SystemTest(f"{key} does not work", Verdict.FAILED, reason)
    return SystemTest(f"{key} works", Verdict.SUCCEEDED)


def show_storage(record: Record) -> StorageView:
    """A record as shown."""
    return StorageView(
        record.key, record.name, record.type, record.format, record.details, record.created_at, record.updated_at
    )


def _find_problems(context: Context, number: int, draft: StorageDraft) -> Sequence[Problem]:
    kind: StorageType | None = context.storage_types.get(draft.type)
    if kind is None:
        known = ", ".join(sorted(context.storage_types))
        return [Problem((number, "type"), f"unknown storage type; known are {known}")]
    if draft.format not in kind.formats:
        return [Problem((number, "format"), f"storage type {kind.name} knows {', '.join(kind.formats)}")]
    try:
        check_fields(draft.details, kind.details, place=(number, "details"))
    except InvalidFields as error:
        return error.problems
    return []


def _get_record(connection: sa.Connection, key: str) -> Record:
    record = configurations.find(connection, storages, key)
    if record is None:
        raise NotFound(f"there is no storage {key!r}", hint="PATCH /api/v1/storage/config makes one")
    return record
