"""Connections: configured systems, their sealed secrets and the test that also fetches the store's description.

Secrets go in and never come out. No connector is talked to inside a ledger transaction.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, HabeasError, NotFound
from habeas.domain.ports import ConnectionType, Sketch, SystemType
from habeas.domain.request import ActionType
from habeas.execution.context import Context
from habeas.execution.erasure_letter import SAMPLE, Letter, deliver
from habeas.execution.waiting import let_go
from habeas.planning.plan_input import AccessLevel
from habeas.services import audit
from habeas.services.bulk import BulkResult, Listing, choose_key, make_id, save_each
from habeas.services.fields import InvalidFields, Problem, check_fields
from habeas.store import configurations
from habeas.store.configurations import Record
from habeas.store.tables import connections, datasets, webhooks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDraft:
    """A connection as submitted; `key` is made from the name when absent. An erasure needs `access: write`."""

    name: str
    connection_type: str
    access: AccessLevel
    key: str | None = None
    disabled: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection as shown: everything but its secrets."""

    key: str
    name: str
    connection_type: str
    access: AccessLevel
    disabled: bool
    description: str | None
    created_at: datetime
    updated_at: datetime
    last_test_timestamp: datetime | None
    last_test_succeeded: bool | None
    paused_at: datetime | None


class Verdict(StrEnum):
    """How a test went; `skipped` when none was asked for or there is nothing to test."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class SystemTest:
    """The outcome of a test, in words without secrets."""

    msg: str
    test_status: Verdict
    failure_reason: str | None = None


class LastTest(StrEnum):
    """Filter of listings by the last test."""

    PASSED = "passed"
    FAILED = "failed"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class ConnectionFilter:
    """What a listing asks for; None or empty means any. `search` looks into name, key and description."""

    search: str | None = None
    disabled: bool | None = None
    test_status: LastTest | None = None
    connection_types: tuple[str, ...] = ()
    system_type: SystemType | None = None


@dataclass(frozen=True, slots=True)
class TypeView:
    """A connection type as shown; `identifier` is what a connection gives as its `connection_type`."""

    identifier: str
    type: SystemType
    human_readable: str
    supported_actions: list[ActionType]


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """What a listing of types asks for; None means any. `search` looks into both of a type's names."""

    search: str | None = None
    system_type: SystemType | None = None
    access: bool | None = None
    erasure: bool | None = None
    consent: bool | None = None


def save_connections(context: Context, drafts: Sequence[ConnectionDraft]) -> BulkResult[ConnectionView]:
    """Create or update by key. Raises InvalidFields when a type is unknown; a changed type is a failed entry.

    Requests that waited for people at one that is disabled now, and for nothing else, go on.
    """
    known = ", ".join(sorted(context.connection_types))
    unknown = [
        Problem((number, "connection_type"), f"unknown connection type; known are {known}")
        for number, draft in enumerate(drafts)
        if draft.connection_type not in context.connection_types
    ]
    if unknown:
        raise InvalidFields(unknown)

    def save(connection: sa.Connection, draft: ConnectionDraft) -> ConnectionView:
        key = choose_key(draft.key, draft.name)
        existing = configurations.find(connection, connections, key)
        if existing is not None and existing.type != draft.connection_type:
            raise Conflict(f"connection {key!r} has another type", hint="a connection keeps its type; give another key")
        values = {
            "name": draft.name,
            "access": draft.access.value,
            "disabled": draft.disabled,
            "description": draft.description,
        }
        created = {"id": make_id("con"), "type": draft.connection_type}
        now = context.clock.now()
        saved = configurations.save(connection, connections, key, values, now, on_create=created)
        if saved.disabled and existing is not None and not existing.disabled:
            let_go(context, connection, key, _datasets_of(connection, key))
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.CONNECTION, key)
        return show_connection(saved)

    result = save_each(context, drafts, save)
    context.wake()
    return result


def list_connections(context: Context, wanted: ConnectionFilter, page: int, size: int) -> Listing[ConnectionView]:
    """One page of connections, by key."""
    with context.ledger.read() as connection:
        records, total = configurations.list_page(connection, connections, page, size, *_conditions(context, wanted))
    return Listing([show_connection(record) for record in records], total, page, size)


def find_connection(context: Context, key: str) -> ConnectionView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return show_connection(get_record(connection, key))


def delete_connection(context: Context, key: str) -> None:
    """Delete a connection and its datasets. Requests that waited for people there, and for nothing else, go on.

    Raises NotFound, and Conflict while policies call it: no gate goes without a word.
    """
    with context.ledger.write() as connection:
        callers = configurations.list_all(connection, webhooks, webhooks.c.connection_key == key)
        if callers:
            raise Conflict(
                f"connection {key!r} is called by webhook {callers[0].key!r} of policy {callers[0].policy_key!r}",
                hint="delete the policies' webhooks first, or disable the connection",
            )
        described = _datasets_of(connection, key)
        if not configurations.delete(connection, connections, key):
            raise unknown_connection(key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.CONNECTION, key)
        let_go(context, connection, key, described)
    context.wake()


def _datasets_of(connection: sa.Connection, key: str) -> list[str]:
    return [found.key for found in configurations.list_all(connection, datasets, datasets.c.connection_key == key)]


def pause_connection(context: Context, key: str) -> ConnectionView:
    """Ask nothing more of a connection: what needs it waits, and nothing counts as a try. Raises NotFound.

    Nothing happens when it is paused already. A question under way is let finish.
    """
    return _set_paused(context, key, context.clock.now())


def resume_connection(context: Context, key: str) -> ConnectionView:
    """Let what waits for a paused connection go on. Raises NotFound."""
    view = _set_paused(context, key, None)
    context.wake()
    return view


def save_secrets(
    context: Context, key: str, secrets: Mapping[str, str | int | None], *, verify: bool = True, partial: bool = False
) -> SystemTest:
    """Replace a connection's secrets, then test it unless told otherwise; they are stored even if the test fails.

    If `partial`, what is not named stays; but who changes where the system is names every hidden field too: no password
    goes to a place that it was not stored with. A null counts as absent. Raises NotFound, InvalidFields with the fields
    that are missing or unknown, InputError for a place that no connection may lead to; TryAgain when they are stored,
    but too many tests go on.
    """
    sealer, place = context.ledger.sealer, configurations.connection_place(key)
    with context.ledger.write() as connection:
        record = get_record(connection, key)
        kind = find_type(context, record.type)
        stored = configurations.open_json(sealer, record.sealed_secrets, place) if partial else {}
        given = {name: str(value) for name, value in {**stored, **secrets}.items() if value is not None}
        _refuse_to_move(kind, stored, given, named=secrets.keys())
        check_fields(given, kind.secrets, kind.alternatives)
        kind.check_secrets(given)
        values = {
            "sealed_secrets": configurations.seal_json(sealer, given, place),
            "last_test_at": None,
            "last_test_succeeded": None,
        }
        configurations.save(connection, connections, key, values, context.clock.now(), on_create={})
        audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.CONNECTION, key)
    if not verify:
        return SystemTest(f"the secrets of {key} are saved, not tested", Verdict.SKIPPED)
    return try_connection(context, key)


def _refuse_to_move(
    kind: ConnectionType, stored: Mapping[str, str], given: Mapping[str, str], named: Collection[str]
) -> None:
    """Raise InvalidFields when the place becomes another while hidden fields stay that are not named."""
    places = frozenset(kind.secrets) if kind.places is None else kind.places
    hidden = sorted(stored.keys() - kind.plain - set(named))
    if hidden and any(stored.get(name) != given.get(name) for name in places):
        raise InvalidFields([Problem((name,), "required again, for another place") for name in hidden])


def try_connection(context: Context, key: str) -> SystemTest:
    """Ask the system whether it answers, and keep its description.

    Raises NotFound for an unknown connection, TryAgain when too many such calls go on.
    """
    with context.ledger.read() as connection:
        record = get_record(connection, key)
    if not find_type(context, record.type).secrets:
        return SystemTest(f"{key} stands for people: there is no system to test", Verdict.SKIPPED)
    if record.sealed_secrets is None:
        return SystemTest(f"{key} has no secrets yet", Verdict.SKIPPED)
    with context.waiting_room.seat():
        if find_type(context, record.type).system is SystemType.EMAIL:
            return _send_sample(context, record)
        return _ask(context, key)


def _ask(context: Context, key: str) -> SystemTest:
    reason: str | None = None
    sketch: Sketch | None = None
    try:
        connector = context.connectors.get(key)
        connector.check()
        sketch = connector.describe()
    except HabeasError as error:
        reason = str(error)
    except Exception as error:  # a driver's own words may hold secrets: only the kind of error is kept
        _log.error("testing connection %s failed with %s", key, type(error).__name__)
        reason = f"the connector failed unexpectedly ({type(error).__name__})"
    _keep_test(context, key, reason is None, sketch)
    if reason is not None:
        return SystemTest(f"{key} does not work", Verdict.FAILED, reason)
    return SystemTest(f"{key} works", Verdict.SUCCEEDED)


def _send_sample(context: Context, record: Record) -> SystemTest:
    """Send an e-mail as erasures would to the connection's `test_email`, asking for nothing real."""
    place = configurations.connection_place(record.key)
    recipient = configurations.open_json(context.ledger.sealer, record.sealed_secrets, place).get("test_email")
    if recipient is None:
        return SystemTest(f"{record.key} has no test_email to send a sample to", Verdict.SKIPPED)
    try:
        deliver(context, Letter(make_id("msg"), recipient, "test, nothing has to be done", "a test", SAMPLE))
    except HabeasError as error:
        _keep_test(context, record.key, False, None)
        return SystemTest(f"{record.key} does not work", Verdict.FAILED, str(error))
    _keep_test(context, record.key, True, None)
    return SystemTest(f"{record.key} works: a sample was sent to its test_email", Verdict.SUCCEEDED)


def fetch_sketch(context: Context, record: Record) -> Sketch | None:
    """The store's description, fresh when the store answers, else the one kept from before.

    Raises TryAgain when too many calls to the outside go on.
    """
    if record.sealed_secrets is not None:
        with context.waiting_room.seat():
            fresh = _describe(context, record)
        if fresh is not None:
            return fresh
    return configurations.decode_sketch(record.sketch)


def _describe(context: Context, record: Record) -> Sketch | None:
    try:
        return context.connectors.get(record.key).describe()
    except Exception as error:  # the store may be down: the description kept from before will do
        _log.warning("connection %s could not be described: %s", record.key, type(error).__name__)
        return None


def keep_sketch(context: Context, connection: sa.Connection, record: Record, sketch: Sketch | None) -> None:
    """Store the description beside its connection, if it changed and the connection is still there."""
    body = configurations.encode_sketch(sketch)
    if body == record.sketch or configurations.find(connection, connections, record.key) is None:
        return
    configurations.save(connection, connections, record.key, {"sketch": body}, context.clock.now(), on_create={})


def list_types(context: Context, wanted: TypeFilter, page: int, size: int) -> Listing[TypeView]:
    """One page of the connection types there are, by identifier. No type takes part in consent requests."""
    kinds = [kind for _, kind in sorted(context.connection_types.items()) if _is_wanted(kind, wanted)]
    found = [
        TypeView(
            kind.name,
            kind.system,
            kind.title or kind.name,
            [action for action, takes in _actions(kind).items() if takes],
        )
        for kind in kinds
    ]
    return Listing(found[(page - 1) * size : page * size], len(found), page, size)


def _actions(kind: ConnectionType) -> dict[ActionType, bool]:
    """Whether a type's connections take part in requests of each kind."""
    return {ActionType.ACCESS: kind.gives, ActionType.ERASURE: kind.erases}


def _is_wanted(kind: ConnectionType, wanted: TypeFilter) -> bool:
    words = (wanted.search or "").lower()
    takes = _actions(kind)
    return (
        (words in kind.name.lower() or words in kind.title.lower())
        and wanted.system_type in (None, kind.system)
        and wanted.access in (None, takes[ActionType.ACCESS])
        and wanted.erasure in (None, takes[ActionType.ERASURE])
        and wanted.consent in (None, False)
    )


def find_type(context: Context, name: str) -> ConnectionType:
    """A connection type by name. Raises NotFound."""
    kind = context.connection_types.get(name)
    if kind is None:
        known = ", ".join(sorted(context.connection_types))
        raise NotFound("unknown connection type", hint=f"known are {known}")
    return kind


def get_record(connection: sa.Connection, key: str) -> Record:
    """A connection's record. Raises NotFound."""
    record = configurations.find(connection, connections, key)
    if record is None:
        raise unknown_connection(key)
    return record


def unknown_connection(key: str) -> NotFound:
    return NotFound(f"there is no connection {key!r}", hint="PATCH /api/v1/connection makes one")


def _set_paused(context: Context, key: str, since: datetime | None) -> ConnectionView:
    with context.ledger.write() as connection:
        configurations.set_paused(connection, key, since)
        action = AuditAction.RESUMED if since is None else AuditAction.PAUSED
        audit.record(context, connection, action, ObjectKind.CONNECTION, key)
        return show_connection(get_record(connection, key))


def _keep_test(context: Context, key: str, succeeded: bool, sketch: Sketch | None) -> None:
    now = context.clock.now()
    values: dict[str, object] = {"last_test_at": now, "last_test_succeeded": succeeded}
    if sketch is not None:
        values["sketch"] = configurations.encode_sketch(sketch)
    with context.ledger.write() as connection:
        get_record(connection, key)
        configurations.save(connection, connections, key, values, now, on_create={})
        audit.record(context, connection, AuditAction.TESTED, ObjectKind.CONNECTION, key)


def _conditions(context: Context, wanted: ConnectionFilter) -> list[sa.ColumnElement[bool]]:
    columns = connections.c
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.search:
        searched = (columns.name, columns.key, columns.description)
        conditions.append(sa.or_(*(column.icontains(wanted.search, autoescape=True) for column in searched)))
    if wanted.disabled is not None:
        conditions.append(columns.disabled.is_(wanted.disabled))
    if wanted.connection_types:
        conditions.append(columns.type.in_(wanted.connection_types))
    if wanted.system_type is not None:
        types = [name for name, kind in context.connection_types.items() if kind.system is wanted.system_type]
        conditions.append(columns.type.in_(types))
    match wanted.test_status:
        case LastTest.PASSED:
            conditions.append(columns.last_test_succeeded.is_(True))
        case LastTest.FAILED:
            conditions.append(columns.last_test_succeeded.is_(False))
        case LastTest.UNTESTED:
            conditions.append(columns.last_test_succeeded.is_(None))
    return conditions


def show_connection(record: Record) -> ConnectionView:
    """A connection as it is shown."""
    return ConnectionView(
        key=record.key,
        name=record.name,
        connection_type=record.type,
        access=AccessLevel(record.access),
        disabled=record.disabled,
        description=record.description,
        created_at=record.created_at,
        updated_at=record.updated_at,
        last_test_timestamp=record.last_test_at,
        last_test_succeeded=record.last_test_succeeded,
        paused_at=record.paused_at,
    )
