"""Use cases of manual webhooks: what people are asked for beside a connection (control-plane §1.11).

No plan depends on them: which forms a request has is settled when it is carried out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotFound
from habeas.domain.manual_webhook import MANUAL_WEBHOOK, TYPES, WebhookField, make_label, problems_of
from habeas.execution.context import Context
from habeas.execution.waiting import let_go
from habeas.services import audit
from habeas.services.bulk import make_id
from habeas.services.connections import ConnectionView, get_record, show_connection
from habeas.services.fields import InvalidFields, Problem
from habeas.store import manual_webhooks as store
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDraft:
    """A field as submitted: what people read, and the label under which the answer is given and packaged.

    Without a label it is the field in lower case with `_` for all that is neither letter nor digit.
    """

    pii_field: str
    dsr_package_label: str | None = None
    types: Sequence[str] = TYPES
    data_categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualWebhookView:
    """A manual webhook as shown."""

    id: str
    connection_config: ConnectionView
    fields: Sequence[WebhookField]
    created_at: datetime
    updated_at: datetime


def create_manual_webhook(context: Context, key: str, drafts: Sequence[FieldDraft]) -> ManualWebhookView:
    """Ask people for these fields, of every request from now on.

    Raises NotFound; InputError when the connection is of another type or has a manual webhook; InvalidFields.
    """
    fields = _check(drafts)
    with context.ledger.write() as connection:
        check_type(connection, key)
        try:
            with connection.begin_nested():
                store.add(connection, key, make_id("mwh"), [asdict(field) for field in fields], context.clock.now())
        except IntegrityError:
            raise InputError(f"connection {key!r} has a manual webhook", hint="PATCH changes its fields") from None
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.MANUAL_WEBHOOK, key)
        return _show(connection, _get_webhook(connection, key))


def change_manual_webhook(context: Context, key: str, drafts: Sequence[FieldDraft]) -> ManualWebhookView:
    """Replace the fields. Forms that wait, also those saved, have to be saved with the new labels. Raises as above."""
    fields = _check(drafts)
    with context.ledger.write() as connection:
        _get_webhook(connection, key)
        store.change(connection, key, [asdict(field) for field in fields], context.clock.now())
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.MANUAL_WEBHOOK, key)
        return _show(connection, _get_webhook(connection, key))


def find_manual_webhook(context: Context, key: str) -> ManualWebhookView:
    """Raises NotFound; InputError when the connection is of another type."""
    with context.ledger.read() as connection:
        return _show(connection, _get_webhook(connection, key))


def list_manual_webhooks(context: Context) -> list[ManualWebhookView]:
    """All of them, by connection."""
    with context.ledger.read() as connection:
        return [_show(connection, found) for found in store.list_all(connection)]


def delete_manual_webhook(context: Context, key: str) -> None:
    """Ask for nothing any more; requests that waited for this alone go on. Raises as above."""
    with context.ledger.write() as connection:
        _get_webhook(connection, key)
        store.delete(connection, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.MANUAL_WEBHOOK, key)
        let_go(context, connection, key)
    context.wake()


def check_type(connection: sa.Connection, key: str) -> None:
    """Raises NotFound for an unknown connection, InputError for one of another type."""
    if get_record(connection, key).type != MANUAL_WEBHOOK:
        raise InputError(f"connection {key!r} is not of type {MANUAL_WEBHOOK}")


def _get_webhook(connection: sa.Connection, key: str) -> Record:
    """A manual webhook's record. Raises NotFound; InputError when the connection is of another type."""
    check_type(connection, key)
    found = store.find(connection, key)
    if found is None:
        hint = f"POST /api/v1/connection/{key}/access_manual_webhook says what people are asked for"
        raise NotFound(f"connection {key!r} has no manual webhook", hint=hint)
    return found


def _check(drafts: Sequence[FieldDraft]) -> list[WebhookField]:
    """The fields in full. Raises InvalidFields."""
    fields = [_complete(draft) for draft in drafts]
    problems = [] if fields else [Problem(("fields",), "give at least one field")]
    for number, field in enumerate(fields):
        problems += [Problem(("fields", number, name), message) for name, message in problems_of(field)]
    for name in ("pii_field", "dsr_package_label"):
        uses = Counter(getattr(field, name) for field in fields)
        twice = (number for number, field in enumerate(fields) if uses[getattr(field, name)] > 1)
        problems += [Problem(("fields", number, name), "another field has the same") for number in twice]
    if problems:
        raise InvalidFields(problems)
    return fields


def _complete(draft: FieldDraft) -> WebhookField:
    name = draft.pii_field.strip()
    label = (draft.dsr_package_label or "").strip() or make_label(name)
    return WebhookField(name, label, tuple(draft.types), tuple(draft.data_categories))


def _show(connection: sa.Connection, record: Record) -> ManualWebhookView:
    return ManualWebhookView(
        id=record.id,
        connection_config=show_connection(get_record(connection, record.connection_key)),
        fields=[WebhookField(**field) for field in record.fields],
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
