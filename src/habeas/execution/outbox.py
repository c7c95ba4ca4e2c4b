"""The outbox: messages are put there in the transaction of what they tell of; the postman sends them afterwards.

Recipients are persisted identities only, never one that a webhook derived (G44): an e-mail address first, else a phone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid4, uuid5

import sqlalchemy as sa

from habeas.domain.errors import InputError
from habeas.domain.identity import EMAIL, PHONE, Identity, normalise
from habeas.domain.message import Channel, Event, MessageProvider, is_callable_number, is_mailable
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.store import configurations, messages, requests
from habeas.store.configurations import Record
from habeas.store.journal import Entry
from habeas.store.messages import MessageStatus

_SWITCHES = {
    Event.RECEIPT: "send_request_receipt_notification",
    Event.APPROVED: "send_request_review_notification",
    Event.DENIED: "send_request_review_notification",
    Event.ACCESS_COMPLETE: "send_request_completion_notification",
    Event.DELETION_COMPLETE: "send_request_completion_notification",
}


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a message goes."""

    channel: Channel
    address: str


def enqueue(
    context: Context,
    connection: sa.Connection,
    event: Event,
    request_ids: Sequence[str],
    variables: Mapping[str, Mapping[str, object]] | None = None,
    *,
    channels: frozenset[Channel] | None = None,
) -> list[str]:
    """Put one message per request into the outbox, in the caller's transaction; the requests that get one.

    None gets one while the event is off or no provider is active; left out are people who cannot be reached. What
    `variables` tell, by request, is sealed. The events know: verification `code`, `minutes`; denied `reason`; the
    others need nothing, as what they tell (request types, links) is looked up when they are sent. `channels` are those
    that `open_channels` named, if it was asked already.
    """
    if not request_ids:
        return []
    channels = open_channels(context, connection, event) if channels is None else channels
    if not channels:
        return []
    sealer, now = context.ledger.sealer, context.clock.now()
    people = requests.identities_of(connection, sealer, request_ids)
    rows = []
    for request_id in request_ids:
        found = choose_recipient(people.get(request_id, ()), channels)
        if found is not None:
            told = (variables or {}).get(request_id, {})
            new = (sealer, _new_id(), event, found.channel, found.address, told, now)
            rows.append(messages.new_row(*new, request_id=request_id))
    messages.add_messages(connection, rows)
    return [row["request_id"] for row in rows]


def enqueue_staff(
    context: Context, connection: sa.Connection, event: Event, addresses: Sequence[str], variables: Mapping[str, object]
) -> None:
    """Put one e-mail per address into the outbox, in the caller's transaction."""
    sealer, now = context.ledger.sealer, context.clock.now()
    messages.add_messages(
        connection,
        [messages.new_row(sealer, _new_id(), event, Channel.EMAIL, one, variables, now) for one in addresses],
    )


def can_reach(context: Context, connection: sa.Connection, event: Event, identities: Sequence[Identity]) -> bool:
    """Whether `enqueue` would put a message of this event into the outbox for a request with these identities."""
    return choose_recipient(identities, open_channels(context, connection, event)) is not None


def intend(
    context: Context, connection: sa.Connection, event: Event, request_id: str, part: str, recipient: str
) -> str:
    """Record, in the caller's transaction, that a step is going to send an e-mail itself; the message's id.

    The same for the same request, event and part: done twice, the row that is there stays, sent or not. The caller
    commits this, sends, and then calls `conclude` in the transaction that records the result. The postman leaves such a
    message alone. Raises InputError when the recipient is no e-mail address.
    """
    if not is_mailable(recipient):
        raise InputError("the recipient of the erasure e-mails is no e-mail address", hint="correct `to_email`")
    message_id = f"msg_{uuid5(NAMESPACE_URL, f'habeas:{request_id}:{event}:{part}')}"
    if messages.find_message(connection, message_id) is None:
        sealer, now, status = context.ledger.sealer, context.clock.now(), MessageStatus.INTENDED
        row = messages.new_row(
            sealer,
            message_id,
            event,
            Channel.EMAIL,
            recipient,
            {},
            now,
            request_id=request_id,
            part=part,
            status=status,
        )
        messages.add_messages(connection, [row])
    return message_id


def conclude(context: Context, connection: sa.Connection, message_ids: Sequence[str]) -> None:
    """Record that intended messages were sent; what they said is forgotten."""
    messages.mark_sent(connection, message_ids, context.clock.now())


def open_channels(context: Context, connection: sa.Connection, event: Event) -> frozenset[Channel]:
    """The channels by which messages of this event go; none when it is off or no provider is active."""
    channels = frozenset(context.provider_types[provider.type].channel for provider in usable(context, connection))
    if not channels or _is_off(context, connection, event):
        return frozenset()
    template = messages.find_template(connection, event)
    return frozenset() if template is not None and not template.enabled else channels


def _is_off(context: Context, connection: sa.Connection, event: Event) -> bool:
    switch = _SWITCHES.get(event)
    return switch is not None and getattr(present_settings(context, connection).notifications, switch) is False


def usable(context: Context, connection: sa.Connection) -> list[Record]:
    """The active providers that have what they need to send."""
    return [provider for provider in messages.active_providers(connection) if is_ready(context, provider)]


def is_ready(context: Context, provider: Record) -> bool:
    """Whether it has the secrets that it needs."""
    kind = context.provider_types.get(provider.type)
    return kind is not None and (provider.sealed_secrets is not None or not kind.needs_secrets)


def connect_provider(context: Context, provider: Record) -> MessageProvider:
    """The provider of a record, with its secrets opened. Raises InputError when its details are wrong."""
    place = messages.provider_place(provider.key)
    secrets = configurations.open_json(context.ledger.sealer, provider.sealed_secrets, place)
    return context.provider_types[provider.type].connect(provider.details, secrets)


def choose_recipient(identities: Sequence[Identity], channels: frozenset[Channel]) -> Recipient | None:
    """Where a person can be reached by one of these channels, by e-mail if that is one of them."""
    values = {identity.kind: str(identity.values[0]).strip() for identity in identities}
    if Channel.EMAIL in channels and is_mailable(values.get(EMAIL, "")):
        return Recipient(Channel.EMAIL, values[EMAIL])
    if Channel.SMS in channels and PHONE in values:
        number = str(normalise(PHONE, values[PHONE]))
        return Recipient(Channel.SMS, number) if is_callable_number(number) else None
    return None


def entry_of(event: Event, status: LogStatus, said: str) -> Entry:
    """What the execution log says of a message."""
    action = ActionType.ERASURE if event is Event.DELETION_COMPLETE else ActionType.ACCESS
    return Entry((None, "Message", event), action, status, said)


def _new_id() -> str:
    return f"msg_{uuid4()}"
