"""Repository of messages: the outbox, providers, templates, and whom of the staff to tell of failures.

Whom a message is for and what it says is sealed, and gone once it was sent. A message that is due is claimed by
moving its due time forward.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from habeas.domain.message import Channel, Event
from habeas.store.columns import place_of
from habeas.store.configurations import Record, open_json, seal_json
from habeas.store.sealing import Sealer
from habeas.store.tables import failures, message_providers, message_templates, messages, staff_notices


class MessageStatus(StrEnum):
    """Where a message is. `intended`: a step sends it itself; the others are the postman's."""

    INTENDED = "intended"
    DUE = "due"
    SENT = "sent"
    FAILED = "failed"


_FORGOTTEN: Mapping[str, Any] = {"sealed_recipient": None, "sealed_variables": None}


def new_row(
    sealer: Sealer,
    message_id: str,
    event: Event,
    channel: Channel,
    recipient: str,
    variables: Mapping[str, object],
    now: datetime,
    *,
    request_id: str | None = None,
    part: str | None = None,
    status: MessageStatus = MessageStatus.DUE,
) -> dict[str, Any]:
    """A row of the outbox, due at once."""
    return {
        "id": message_id,
        "request_id": request_id,
        "event": event,
        "part": part,
        "channel": channel,
        "sealed_recipient": sealer.seal(recipient.encode(), _recipient_place(message_id)),
        "sealed_variables": seal_json(sealer, dict(variables), _variables_place(message_id)),
        "status": status,
        "due_at": now.timestamp(),
        "created_at": now,
    }


def add_messages(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows into the outbox."""
    if rows:
        connection.execute(messages.insert(), list(rows))


def find_message(connection: sa.Connection, message_id: str) -> Record | None:
    return connection.execute(sa.select(messages).where(messages.c.id == message_id)).mappings().first()


def sent_about(connection: sa.Connection, event: Event, part: str, request_ids: Sequence[str]) -> set[str]:
    """Those of the requests for which a message of this event and part was sent."""
    own = (messages.c.event == event, messages.c.part == part, messages.c.status == MessageStatus.SENT)
    return set(connection.scalars(sa.select(messages.c.request_id).where(messages.c.request_id.in_(request_ids), *own)))


def open_recipient(sealer: Sealer, message: Record) -> str:
    """Whom an unsent message is for."""
    return sealer.open(message.sealed_recipient, _recipient_place(message.id)).decode()


def open_variables(sealer: Sealer, message: Record) -> dict[str, Any]:
    """What an unsent message tells; {} when that was forgotten."""
    return open_json(sealer, message.sealed_variables, _variables_place(message.id))


def claim(connection: sa.Connection, now: float, until: float, far: float, limit: int) -> list[Record]:
    """Take messages that are due, so that nobody else does before `until`; those another takes are passed over.

    What is due later than `far` is due too: the clock must have been moved back since.
    """
    late = sa.or_(messages.c.due_at <= now, messages.c.due_at > far)
    found = (
        sa.select(messages.c.id)
        .where(messages.c.status == MessageStatus.DUE, late)
        .order_by(messages.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = (
        messages.update()
        .where(messages.c.id.in_(list(connection.scalars(found))), messages.c.status == MessageStatus.DUE)
        .values(due_at=until, attempts=messages.c.attempts + 1)
        .returning(messages)
    )
    return list(connection.execute(taken).mappings())


def has_due(connection: sa.Connection, now: float, far: float) -> bool:
    """Whether there is anything to claim."""
    late = sa.or_(messages.c.due_at <= now, messages.c.due_at > far)
    return (
        connection.scalar(sa.select(messages.c.id).where(messages.c.status == MessageStatus.DUE, late).limit(1))
        is not None
    )


def stand_still(connection: sa.Connection, since: datetime, now: float, until: float) -> bool:
    """Whether messages have been due since then while none was sent, and none is taken: due between now and `until`.

    A long queue that gets shorter does not stand still.
    """
    is_due = messages.c.status == MessageStatus.DUE
    if not connection.scalar(sa.select(sa.exists().where(is_due, messages.c.due_at < since.timestamp()))):
        return False
    taken = sa.and_(is_due, messages.c.attempts > 0, messages.c.due_at.between(now, until))
    return not connection.scalar(sa.select(sa.exists().where(sa.or_(taken, messages.c.sent_at >= since))))


def mark_sent(connection: sa.Connection, ids: Sequence[str], now: datetime) -> list[str]:
    """Record that messages were accepted, and forget what they said; the ids that were not sent before."""
    unsent = (messages.c.id.in_(ids), messages.c.status != MessageStatus.SENT)
    values = {"status": MessageStatus.SENT, "sent_at": now, "failure": None, **_FORGOTTEN}
    return list(connection.scalars(messages.update().where(*unsent).values(values).returning(messages.c.id)))


def put_off(connection: sa.Connection, message: Record, due_at: float, failure: str) -> None:
    """Try a claimed message again later, unless it has been claimed again since."""
    connection.execute(_still_ours(message).values(due_at=due_at, failure=failure))


def give_up(connection: sa.Connection, message: Record, failure: str) -> bool:
    """End a claimed message in failure; it stays sealed for a retry. False when it was claimed again since."""
    return bool(connection.execute(_still_ours(message).values(status=MessageStatus.FAILED, failure=failure)).rowcount)


def _still_ours(message: Record) -> sa.Update:
    own = (messages.c.id == message.id, messages.c.status == MessageStatus.DUE)
    return messages.update().where(*own, messages.c.attempts == message.attempts)


def retry_failed(connection: sa.Connection, request_id: str, now: datetime) -> int:
    """Make the failed messages of a request due again, those not forgotten yet and no codes, now over; how many."""
    failed = (messages.c.request_id == request_id, messages.c.status == MessageStatus.FAILED)
    again = messages.update().where(
        *failed, messages.c.event != Event.VERIFICATION, messages.c.sealed_recipient.is_not(None)
    )
    values = {"status": MessageStatus.DUE, "attempts": 0, "due_at": now.timestamp(), "failure": None}
    return connection.execute(again.values(values)).rowcount


def forget_failed(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Forget whom messages made before were for that were not sent; how many. They can be sent no more."""
    old = (messages.c.created_at < before, messages.c.sealed_recipient.is_not(None))
    unsent = messages.c.status.in_([MessageStatus.FAILED, MessageStatus.INTENDED])
    found = sa.select(messages.c.id).where(unsent, *old).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(messages.update().where(messages.c.id.in_(found)).values(_FORGOTTEN)).rowcount


def list_messages(
    connection: sa.Connection, page: int, size: int, *, status: str | None = None, request_id: str | None = None
) -> tuple[list[Record], int]:
    """One page of the outbox, latest first (`page` from 1), and the total."""
    where = [messages.c.status == status] if status is not None else []
    where += [messages.c.request_id == request_id] if request_id is not None else []
    total = connection.execute(sa.select(sa.func.count()).select_from(messages).where(*where)).scalar_one()
    query = sa.select(messages).where(*where).order_by(messages.c.created_at.desc(), messages.c.id)
    return list(connection.execute(query.limit(size).offset((page - 1) * size)).mappings()), total


def active_providers(connection: sa.Connection) -> list[Record]:
    """The providers that messages go through: one a channel at most."""
    query = sa.select(message_providers).where(message_providers.c.active).order_by(message_providers.c.key)
    return list(connection.execute(query).mappings())


def find_provider(connection: sa.Connection, provider_type: str) -> Record | None:
    """The provider of this type, or None: there is one of each at most."""
    query = sa.select(message_providers).where(message_providers.c.type == provider_type)
    return connection.execute(query).mappings().first()


def change_providers(connection: sa.Connection, types: Sequence[str], now: datetime, **values: Any) -> None:
    """Set columns of the providers of these types."""
    changed = message_providers.update().where(message_providers.c.type.in_(types))
    connection.execute(changed.values(updated_at=now, **values))


def find_template(connection: sa.Connection, event: Event) -> Record | None:
    """The template that users have put in the place of the shipped one, or None."""
    return connection.execute(sa.select(message_templates).where(message_templates.c.event == event)).mappings().first()


def list_templates(connection: sa.Connection) -> list[Record]:
    """All templates of users, by event."""
    return list(connection.execute(sa.select(message_templates).order_by(message_templates.c.event)).mappings())


def save_template(
    connection: sa.Connection, event: Event, new_id: str, values: Mapping[str, Any], now: datetime
) -> None:
    """Make or change the template of an event."""
    changed = message_templates.update().where(message_templates.c.event == event).values(**values, updated_at=now)
    if not connection.execute(changed).rowcount:
        row = {"event": event, "id": new_id, **values, "created_at": now, "updated_at": now}
        connection.execute(message_templates.insert().values(row))


def delete_template(connection: sa.Connection, template_id: str) -> bool:
    """False when there is no such template."""
    return bool(connection.execute(message_templates.delete().where(message_templates.c.id == template_id)).rowcount)


def find_staff_notice(connection: sa.Connection, sealer: Sealer) -> tuple[list[str], int] | None:
    """Whom of the staff to tell and after how many failures, or None."""
    found = connection.execute(sa.select(staff_notices)).mappings().first()
    if found is None:
        return None
    return open_json(sealer, found.sealed_addresses, _STAFF_PLACE)["addresses"], found.after_failures


def save_staff_notice(
    connection: sa.Connection, sealer: Sealer, addresses: Sequence[str], after_failures: int, now: datetime
) -> None:
    """Put this in the place of what there was; no addresses: nothing."""
    connection.execute(staff_notices.delete())
    if addresses:
        sealed = seal_json(sealer, {"addresses": list(addresses)}, _STAFF_PLACE)
        row = {"id": 1, "sealed_addresses": sealed, "after_failures": after_failures}
        connection.execute(staff_notices.insert().values(**row, created_at=now, updated_at=now))


def add_failures(connection: sa.Connection, request_ids: Sequence[str], now: datetime) -> None:
    """Record that requests ended in `error`, for the staff."""
    if request_ids:
        connection.execute(failures.insert(), [{"request_id": one, "created_at": now} for one in request_ids])


def report_failures(connection: sa.Connection, at_least: int, now: datetime) -> int:
    """Take the failures nobody was told of as reported, if there are so many; how many were taken."""
    unreported = failures.c.reported_at.is_(None)
    found = list(connection.scalars(sa.select(failures.c.id).where(unreported).with_for_update(skip_locked=True)))
    if len(found) < at_least:
        return 0
    connection.execute(failures.update().where(failures.c.id.in_(found)).values(reported_at=now))
    return len(found)


def delete_failures(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Delete failures from before that the staff was told of, or nobody is to be told of; how many."""
    settled = sa.or_(failures.c.reported_at.is_not(None), ~sa.exists().select_from(staff_notices))
    found = sa.select(failures.c.id).where(failures.c.created_at < before, settled)
    found = found.limit(limit).with_for_update(skip_locked=True, of=failures)
    return connection.execute(failures.delete().where(failures.c.id.in_(found))).rowcount


def provider_place(key: str) -> str:
    """Where a provider's secrets are sealed."""
    return place_of(message_providers.c.sealed_secrets, key=key)


_STAFF_PLACE = place_of(staff_notices.c.sealed_addresses)


def _recipient_place(message_id: str) -> str:
    return place_of(messages.c.sealed_recipient, id=message_id)


def _variables_place(message_id: str) -> str:
    return place_of(messages.c.sealed_variables, id=message_id)
