"""Message providers: one of each type, one active for each channel (control-plane §1.15).

Secrets go in and never come out. No provider is talked to inside a ledger transaction.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import HabeasError, InputError, NotFound
from habeas.domain.identity import Identity
from habeas.domain.message import Channel, Event, Message, ProviderType
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.execution.sending import render_message
from habeas.services import audit
from habeas.services.bulk import Listing, choose_key, make_id, refuse_nul
from habeas.services.fields import InvalidFields, Problem, check_fields
from habeas.store import configurations, messages
from habeas.store.configurations import Record
from habeas.store.ledger import take_turn
from habeas.store.tables import message_providers

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDraft:
    """A provider as submitted; name and key are its type's where absent."""

    service_type: str
    name: str | None = None
    key: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChange:
    """What is to be another about a provider; what is absent stays."""

    name: str | None = None
    details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderView:
    """A provider as shown. `ready`: it has the secrets that it needs; `active`: messages of its channel go by it."""

    key: str
    name: str
    service_type: str
    channel: Channel
    details: Mapping[str, object]
    ready: bool
    active: bool
    last_test_timestamp: datetime | None
    last_test_succeeded: bool | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SendingStatus:
    """Whether people can be told anything: the active provider's type by channel, null where there is none."""

    config_status: str
    email: str | None
    sms: str | None


def add_provider(context: Context, draft: ProviderDraft) -> ProviderView:
    """Make a provider; it becomes active when it is the first of its channel that can send.

    Raises InvalidFields for an unknown type or detail, InputError when there is one of this type or key already.
    """
    kind = _find_type(context, draft.service_type)
    _check_details(kind, draft.details)
    key = choose_key(draft.key, draft.name or draft.service_type)
    refuse_nul(draft)
    with context.ledger.write() as connection:
        take_turn(connection)
        taken = messages.find_provider(connection, kind.name) or configurations.find(connection, message_providers, key)
        if taken is not None:
            raise InputError(f"there is a provider {taken.key!r} of type {taken.type} already", hint="change that one")
        values = {"name": draft.name or kind.name, "details": dict(draft.details)}
        created = {"id": make_id("mes"), "type": kind.name, "active": False}
        now = context.clock.now()
        record = configurations.save(connection, message_providers, key, values, now, on_create=created)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.MESSAGE_PROVIDER, key)
        return _activate_first(context, connection, record)


def change_provider(context: Context, key: str, change: ProviderChange) -> ProviderView:
    """Change name or details. Raises NotFound, InvalidFields, and InputError for a wrong detail.

    Other details make it forget its secrets: whoever may change where messages go must not come to know them.
    """
    refuse_nul(change)
    with context.ledger.write() as connection:
        record = _get_record(connection, key)
        values: dict[str, object] = {} if change.name is None else {"name": change.name}
        if change.details is not None:
            _check_details(_find_type(context, record.type), change.details)
            values["details"] = dict(change.details)
            if values["details"] != record.details:
                values["sealed_secrets"] = None
        now = context.clock.now()
        saved = configurations.save(connection, message_providers, key, values, now, on_create={})
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.MESSAGE_PROVIDER, key)
        return show_provider(context, saved)


def save_provider_of(context: Context, draft: ProviderDraft) -> ProviderView:
    """Make the provider of a type, or give the one there is this name and these details; its key stays."""
    with context.ledger.read() as connection:
        record = messages.find_provider(connection, draft.service_type)
    if record is None:
        return add_provider(context, draft)
    return change_provider(context, record.key, ProviderChange(name=draft.name, details=draft.details))


def list_providers(context: Context, page: int, size: int) -> Listing[ProviderView]:
    """One page of providers, by key."""
    with context.ledger.read() as connection:
        records, total = configurations.list_page(connection, message_providers, page, size)
    return Listing([show_provider(context, record) for record in records], total, page, size)


def find_provider(context: Context, key: str) -> ProviderView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return show_provider(context, _get_record(connection, key))


def find_provider_of(context: Context, service_type: str) -> ProviderView:
    """The provider of a type. Raises NotFound."""
    with context.ledger.read() as connection:
        return show_provider(context, _get_of_type(connection, service_type))


def delete_provider(context: Context, key: str) -> None:
    """Delete a provider; what is still to be sent waits for another. Raises NotFound."""
    with context.ledger.write() as connection:
        _get_record(connection, key)
        configurations.delete(connection, message_providers, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.MESSAGE_PROVIDER, key)


def save_provider_secrets(context: Context, key: str, secrets: Mapping[str, str | None]) -> ProviderView:
    """Replace a provider's secrets; a null counts as absent. Raises NotFound, InvalidFields, InputError."""
    given = {name: value for name, value in secrets.items() if value is not None}
    with context.ledger.write() as connection:
        record = _get_record(connection, key)
        kind = _find_type(context, record.type)
        check_fields(given, kind.secrets, kind.alternatives)
        kind.connect(record.details, given)
        sealed = configurations.seal_json(context.ledger.sealer, given, messages.provider_place(key))
        now = context.clock.now()
        saved = configurations.save(connection, message_providers, key, {"sealed_secrets": sealed}, now, on_create={})
        audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.MESSAGE_PROVIDER, key)
        return _activate_first(context, connection, saved)


def save_secrets_of(context: Context, service_type: str, secrets: Mapping[str, str | None]) -> ProviderView:
    """The same for the provider of a type."""
    return save_provider_secrets(context, find_provider_of(context, service_type).key, secrets)


def activate(context: Context, service_type: str) -> ProviderView:
    """Let the messages of its channel go by the provider of this type alone.

    Raises NotFound when there is none, InputError when it lacks secrets.
    """
    with context.ledger.write() as connection:
        take_turn(connection)
        record = _get_of_type(connection, service_type)
        if not outbox.is_ready(context, record):
            raise InputError(f"provider {record.key!r} has no secrets yet", hint="store its secrets first")
        return _activate(context, connection, record)


def active_provider(context: Context) -> ProviderView:
    """The provider that e-mails go by, else the one of text messages. Raises NotFound when none is active."""
    with context.ledger.read() as connection:
        usable = outbox.usable(context, connection)
    shown = sorted((show_provider(context, record) for record in usable), key=lambda one: one.channel)
    if not shown:
        raise NotFound("no message provider is active", hint="POST /api/v1/messaging/config makes one")
    return shown[0]


def sending_status(context: Context) -> SendingStatus:
    """Whether people can be told anything, and by what."""
    with context.ledger.read() as connection:
        by = {context.provider_types[one.type].channel: str(one.type) for one in outbox.usable(context, connection)}
    email, sms = by.get(Channel.EMAIL), by.get(Channel.SMS)
    return SendingStatus("configured" if by else "not configured", email, sms)


def send_test(context: Context, service_type: str | None, identities: Sequence[Identity]) -> str:
    """Send a test message now, by the provider of this type or by an active one; what was done.

    Raises InputError when there is no such provider, it cannot send, or the identity is not of its channel; TryAgain
    when too many calls to the outside go on.
    """
    with context.ledger.read() as connection:
        if service_type is None:
            found = outbox.usable(context, connection)
        else:
            record = messages.find_provider(connection, service_type)
            found = [record] if record is not None and outbox.is_ready(context, record) else []
        own = messages.find_template(connection, Event.TEST)
        organization = present_settings(context, connection).notifications.organization_name
    by = {context.provider_types[one.type].channel: one for one in found}
    if not by:
        raise InputError("no such message provider is configured", hint="POST /api/v1/messaging/config makes one")
    recipient = outbox.choose_recipient(identities, frozenset(by))
    if recipient is None:
        raise InputError(f"give an identity to reach by {' or '.join(sorted(by))}", hint="email or phone_number")
    record = by[recipient.channel]
    texts = render_message(Event.TEST, recipient.channel, own, {"organization": organization})
    message = Message(f"msg_{uuid4()}", recipient.channel, recipient.address, texts.subject, texts.text, texts.html)
    with context.waiting_room.seat():
        return _send(context, record, message)


def _send(context: Context, record: Record, message: Message) -> str:
    try:
        outbox.connect_provider(context, record).send(message)
    except HabeasError as error:
        _keep_test(context, record, succeeded=False)
        raise InputError(f"the test message was not sent: {error.message}", hint=error.hint) from None
    except Exception as error:  # a driver's own words may hold secrets: only the kind of error is kept
        _log.error("testing provider %s failed with %s", record.key, type(error).__name__)
        _keep_test(context, record, succeeded=False)
        raise InputError(f"the provider failed unexpectedly ({type(error).__name__})") from None
    _keep_test(context, record, succeeded=True)
    return f"{record.key} took the test message"


def show_provider(context: Context, record: Record) -> ProviderView:
    """A record as shown."""
    return ProviderView(
        key=record.key,
        name=record.name,
        service_type=record.type,
        channel=_find_type(context, record.type).channel,
        details=record.details,
        ready=outbox.is_ready(context, record),
        active=record.active,
        last_test_timestamp=record.last_test_at,
        last_test_succeeded=record.last_test_succeeded,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _activate_first(context: Context, connection: sa.Connection, record: Record) -> ProviderView:
    """Make a provider that can send the active one when its channel has none that can."""
    channel = _find_type(context, record.type).channel
    others = {context.provider_types[one.type].channel for one in outbox.usable(context, connection)}
    if outbox.is_ready(context, record) and channel not in others:
        return _activate(context, connection, record)
    return show_provider(context, record)


def _activate(context: Context, connection: sa.Connection, record: Record) -> ProviderView:
    channel, now = _find_type(context, record.type).channel, context.clock.now()
    same = [name for name, kind in context.provider_types.items() if kind.channel is channel]
    messages.change_providers(connection, same, now, active=False)
    messages.change_providers(connection, [record.type], now, active=True)
    audit.record(context, connection, AuditAction.ACTIVATED, ObjectKind.MESSAGE_PROVIDER, record.key)
    return show_provider(context, _get_record(connection, record.key))


def _keep_test(context: Context, record: Record, *, succeeded: bool) -> None:
    now = context.clock.now()
    with context.ledger.write() as connection:
        messages.change_providers(connection, [record.type], now, last_test_at=now, last_test_succeeded=succeeded)
        audit.record(context, connection, AuditAction.TESTED, ObjectKind.MESSAGE_PROVIDER, record.key)


def _find_type(context: Context, name: str) -> ProviderType:
    kind = context.provider_types.get(name)
    if kind is None:
        known = ", ".join(sorted(context.provider_types))
        raise InvalidFields([Problem(("service_type",), f"unknown provider type; known are {known}")])
    return kind


def _check_details(kind: ProviderType, details: Mapping[str, object]) -> None:
    check_fields(details, kind.details, place=("details",))
    kind.connect(details, {})  # refuses wrong values now, not at the first use


def _get_record(connection: sa.Connection, key: str) -> Record:
    record = configurations.find(connection, message_providers, key)
    if record is None:
        raise NotFound(f"there is no message provider {key[:64]!r}", hint="POST /api/v1/messaging/config makes one")
    return record


def _get_of_type(connection: sa.Connection, service_type: str) -> Record:
    record = messages.find_provider(connection, service_type)
    if record is None:
        hint = "POST /api/v1/messaging/config makes one"
        raise NotFound(f"there is no message provider of type {service_type[:64]!r}", hint=hint)
    return record
