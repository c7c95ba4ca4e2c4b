"""Policy webhooks: their definitions, in the order in which they run, and resuming what one has halted.

Both phases are served by the same functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotAllowed, NotAuthenticated, NotFound
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context
from habeas.execution.webhooks import parse_derived, read_token
from habeas.services import audit, connections
from habeas.services.bulk import Listing, choose_key, make_id, refuse_nul
from habeas.services.connections import ConnectionView
from habeas.services.request_views import RequestView, show_requests
from habeas.services.requests import get_record
from habeas.store import configurations, journal, requests, tables
from habeas.store import webhooks as store
from habeas.store.configurations import Record
from habeas.store.webhooks import CallStatus


class Phase(StrEnum):
    """When webhooks are called."""

    PRE = store.PRE
    POST = store.POST


class Direction(StrEnum):
    """Whether a receiver's answer is heeded."""

    ONE_WAY = "one_way"
    TWO_WAY = "two_way"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDraft:
    """A webhook as submitted; `key` is made from the name when absent, the name from its place."""

    connection_config_key: str
    direction: Direction
    key: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What is to change of a webhook; None stays."""

    name: str | None = None
    direction: Direction | None = None
    connection_config_key: str | None = None
    order: int | None = None


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook as shown; `order` from 0. The connection's secrets are never shown."""

    key: str
    name: str
    direction: Direction
    order: int
    connection_config: ConnectionView


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook stands in its list."""

    key: str
    order: int


def list_webhooks(context: Context, policy_key: str, phase: Phase, page: int, size: int) -> Listing[WebhookView]:
    """One page of a policy's webhooks, in order. Raises NotFound for the policy."""
    with context.ledger.read() as connection:
        _check_policy(connection, policy_key)
        records = store.webhooks_of(connection, policy_key, phase)
        wanted = records[(page - 1) * size : page * size]
        return Listing([_show(connection, record) for record in wanted], len(records), page, size)


def find_webhook(context: Context, policy_key: str, phase: Phase, key: str) -> WebhookView:
    """Raises NotFound unless the policy has it in this phase."""
    with context.ledger.read() as connection:
        return _show(connection, _get(connection, policy_key, phase, key))


def replace_webhooks(
    context: Context, policy_key: str, phase: Phase, drafts: Sequence[WebhookDraft]
) -> list[WebhookView]:
    """Put this list in place of the policy's webhooks of a phase: all or nothing.

    Raises NotFound for the policy or a connection; InputError for keys or names that come twice, a key of another
    list, or a connection that is none of webhooks.
    """
    named = [
        (draft, draft.name or draft.key or f"{policy_key} {phase} {draft.connection_config_key}") for draft in drafts
    ]
    keys = [choose_key(draft.key, name) for draft, name in named]
    for what, given in (("key", keys), ("name", [name for _, name in named])):
        if len(set(given)) < len(given):
            raise InputError(f"a webhook's {what} comes twice", hint="give each one of its own")
    for draft in drafts:
        refuse_nul(draft)
    with context.ledger.write() as connection:
        configurations.bump_version(connection)  # two who replace a list do so one after the other
        _check_policy(connection, policy_key)
        gone = {record.key for record in store.webhooks_of(connection, policy_key, phase)} - set(keys)
        for key in sorted(gone):
            configurations.delete(connection, tables.webhooks, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.WEBHOOK, *sorted(gone))
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.WEBHOOK, *keys)
        for position, (key, (draft, name)) in enumerate(zip(keys, named, strict=True)):
            _check_connection(context, connection, draft.connection_config_key)
            existing = configurations.find(connection, tables.webhooks, key)
            if existing is not None and (existing.policy_key, existing.phase) != (policy_key, phase):
                raise InputError(f"webhook {key!r} belongs to another list", hint="give it another key")
            values = {"name": name, "direction": draft.direction.value, "position": position}
            values["connection_key"] = draft.connection_config_key
            created = {"id": make_id("web"), "policy_key": policy_key, "phase": phase.value}
            configurations.save(connection, tables.webhooks, key, values, context.clock.now(), on_create=created)
        return [_show(connection, record) for record in store.webhooks_of(connection, policy_key, phase)]


def change_webhook(
    context: Context, policy_key: str, phase: Phase, key: str, change: WebhookChange
) -> tuple[WebhookView, list[Place] | None]:
    """The webhook and, if its place has changed, those of the whole list.

    Raises NotFound for it or its connection; InputError for a place out of range, a name that another has, or a
    connection that is none of webhooks.
    """
    refuse_nul(change)
    given = {"name": change.name, "direction": change.direction and change.direction.value}
    given["connection_key"] = change.connection_config_key
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with context.ledger.write() as connection:
        record = _get(connection, policy_key, phase, key)
        if change.connection_config_key is not None:
            _check_connection(context, connection, change.connection_config_key)
        others = (other.name for other in store.webhooks_of(connection, policy_key, phase) if other.key != key)
        if change.name in others:
            raise InputError("another webhook of the list has this name", hint="give it another")
        configurations.save(connection, tables.webhooks, key, values, context.clock.now(), on_create={})
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.WEBHOOK, key)
        places = None
        if change.order is not None and change.order != record.position:
            keys = [other.key for other in store.webhooks_of(connection, policy_key, phase)]
            if not 0 <= change.order < len(keys):
                raise InputError("the order is out of range", hint=f"the list has {len(keys)}, counted from 0")
            keys.remove(key)
            keys.insert(change.order, key)
            places = _place_all(connection, keys)
        return _show(connection, _get(connection, policy_key, phase, key)), places


def delete_webhook(context: Context, policy_key: str, phase: Phase, key: str) -> list[Place]:
    """The places of those that are left: later ones move up. Raises NotFound."""
    with context.ledger.write() as connection:
        _get(connection, policy_key, phase, key)
        configurations.delete(connection, tables.webhooks, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.WEBHOOK, key)
        return _place_all(connection, [record.key for record in store.webhooks_of(connection, policy_key, phase)])


def resume(context: Context, request_id: str, token: str, derived: Mapping[str, object] | None) -> RequestView:
    """Let a request go on that a webhook halted, with what its receiver derived; each token does this once.

    Raises NotAuthenticated for a token that is none of ours or too old, NotAllowed for one of another request or of an
    earlier round, NotFound when its webhook is gone, InputError when the request is not paused, the token was used
    already, or an identity is malformed.
    """
    now, sealer = context.clock.now(), context.ledger.sealer
    refusal = NotAllowed("the token does not resume this request", hint="send the reply-to-token of the call")
    call_id = read_token(sealer, token)
    life = timedelta(seconds=context.settings.execution.privacy_request_delay_timeout)
    with context.ledger.write() as connection:
        call = store.find_call(connection, call_id) if call_id else None
        # Counted from the halt, as the wait is: a call that a dying worker did not record is made again much later.
        if call is None or (call.answered_at or call.created_at) + life < now:
            raise NotAuthenticated("the token is none of ours, or too old", hint="send the reply-to-token of the call")
        if call.request_id != request_id:
            raise refusal
        if configurations.find(connection, tables.webhooks, call.webhook_key) is None:
            raise NotFound("the webhook of this token is gone")
        record = get_record(connection, request_id)
        if record.status != RequestStatus.PAUSED:
            raise InputError(f"the request cannot be resumed: its status is {record.status}")
        if call.round != record.webhook_round:
            raise refusal
        if not store.settle(connection, call.id, CallStatus.RESUMED, now, was=CallStatus.HALTED):
            raise InputError("the token has been used already")
        store.keep_derived(connection, sealer, request_id, parse_derived(derived))
        if not requests.send_on(connection, [request_id], RequestStatus.PAUSED, now):
            raise InputError("the request cannot be resumed: it has moved on meanwhile")
        message = f"by webhook {call.webhook_key}"
        journal.audit(connection, context.ledger.sealer, [request_id], context.actor, AuditAction.RESUMED, now, message)
        view = show_requests(context, connection, [request_id])[request_id]
    context.wake()
    return view


def _place_all(connection: sa.Connection, keys: Sequence[str]) -> list[Place]:
    for position, key in enumerate(keys):
        store.place_at(connection, key, position)
    return [Place(key, position) for position, key in enumerate(keys)]


def _check_policy(connection: sa.Connection, key: str) -> None:
    if configurations.find(connection, tables.policies, key) is None:
        raise NotFound(f"there is no policy {key[:64]!r}")


def _check_connection(context: Context, connection: sa.Connection, key: str) -> None:
    if connections.get_record(connection, key).type != "https":
        raise InputError(f"connection {key!r} is none of webhooks", hint="give one of type https")


def _get(connection: sa.Connection, policy_key: str, phase: Phase, key: str) -> Record:
    record = configurations.find(connection, tables.webhooks, key)
    if record is None or (record.policy_key, record.phase) != (policy_key, phase):
        raise NotFound(f"policy {policy_key[:64]!r} has no such webhook")
    return record


def _show(connection: sa.Connection, record: Record) -> WebhookView:
    receiver = connections.show_connection(connections.get_record(connection, record.connection_key))
    return WebhookView(record.key, record.name, Direction(record.direction), record.position, receiver)
