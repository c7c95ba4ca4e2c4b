"""What was told: the messages of a request, and whom of the staff to tell of failures (control-plane §1.8, §4.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotFound
from habeas.domain.message import Channel, Event, is_mailable
from habeas.execution.context import Context
from habeas.services import audit
from habeas.services.bulk import Listing
from habeas.services.requests import get_record
from habeas.store import messages
from habeas.store.ledger import take_turn
from habeas.store.messages import MessageStatus


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message about a request; never to whom, nor what it says. `part`: the dataset of an erasure e-mail."""

    id: str
    event: Event
    part: str | None
    channel: Channel
    status: MessageStatus
    attempts: int
    failure: str | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffNotice:
    """Whom to tell by e-mail, as soon as so many requests have ended in `error`; no addresses: nobody."""

    email_addresses: Sequence[str]
    notify_after_failures: int | None


def list_messages(context: Context, request_id: str, page: int, size: int) -> Listing[MessageView]:
    """One page of a request's messages, latest first. Raises NotFound."""
    with context.ledger.read() as connection:
        get_record(connection, request_id)
        records, total = messages.list_messages(connection, page, size, request_id=request_id)
    views = [
        MessageView(
            record.id,
            Event(record.event),
            record.part,
            Channel(record.channel),
            MessageStatus(record.status),
            record.attempts,
            record.failure,
            record.created_at,
            record.sent_at,
        )
        for record in records
    ]
    return Listing(views, total, page, size)


def find_staff_notice(context: Context) -> StaffNotice:
    """Raises NotFound when nobody is told."""
    with context.ledger.read() as connection:
        found = messages.find_staff_notice(connection, context.ledger.sealer)
    if found is None:
        raise NotFound("nobody is told of failures", hint="PUT addresses here")
    return StaffNotice(email_addresses=found[0], notify_after_failures=found[1])


def save_staff_notice(context: Context, email_addresses: Sequence[str], after_failures: int) -> StaffNotice:
    """Put this in the place of what there was. Raises InputError for what is no e-mail address."""
    addresses = list(dict.fromkeys(email_addresses))
    wrong = [str(number) for number, address in enumerate(addresses, 1) if not is_mailable(address)]
    if wrong:
        raise InputError(f"number {', '.join(wrong)} of email_addresses is no e-mail address")
    with context.ledger.write() as connection:
        take_turn(connection)
        sealer, now = context.ledger.sealer, context.clock.now()
        messages.save_staff_notice(connection, sealer, addresses, after_failures, now)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.STAFF_NOTICE, "staff")
    return StaffNotice(email_addresses=addresses, notify_after_failures=after_failures if addresses else None)
