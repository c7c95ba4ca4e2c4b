"""From a row of the outbox to a message that was handed over. No ledger transaction is open meanwhile."""

import math
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from habeas.domain.errors import Fault, HabeasError, InputError, SystemUnavailable
from habeas.domain.message import Channel, Event, Message
from habeas.execution.context import Context
from habeas.execution.outbox import connect_provider, usable
from habeas.execution.overrides import present_settings
from habeas.execution.package_links import find_link
from habeas.messaging.defaults import DEFAULTS, Template
from habeas.store import configurations, messages, packages, requests, verifications
from habeas.store.configurations import Record

if TYPE_CHECKING:
    from habeas.messaging.templates import Rendered  # with Jinja2, once there is something to say


def deliver(context: Context, row: Record) -> None:
    """Hand the message of a row to the active provider of its channel.

    Sent again after a crash it has the same Message-ID. Raises SystemUnavailable (no provider is active, or it does not
    take messages now), InputError, Fault.
    """
    if row.sealed_recipient is None:
        raise InputError("what the message says was forgotten, as its time was over", hint="submit the request again")
    if row.event == Event.VERIFICATION and _is_over(context, row):
        raise InputError("the code that it tells is over", hint="ask for another one")
    recipient = messages.open_recipient(context.ledger.sealer, row)
    variables = messages.open_variables(context.ledger.sealer, row)
    event, channel = Event(row.event), Channel(row.channel)
    try:
        send(context, row.id, event, channel, recipient, variables | _look_up(context, event, row.request_id))
    except HabeasError:
        raise
    except Exception as error:  # a driver's own words may hold the recipient: only the kind of error is kept
        raise Fault(f"the message provider failed unexpectedly ({type(error).__name__})") from None


def _is_over(context: Context, row: Record) -> bool:
    """Whether the code of a message proves nothing any more: used or tried up, too old, or replaced by a later one."""
    with context.ledger.read() as connection:
        known = verifications.find_verifications(connection, [row.request_id]).get(row.request_id)
    if known is None or known.hash is None:
        return True
    return bool(known.expires_at <= context.clock.now() or row.created_at < known.sent_at)


def send(
    context: Context, message_id: str, event: Event, channel: Channel, recipient: str, variables: Mapping[str, object]
) -> None:
    """Render a message and hand it to the active provider of the channel."""
    with context.ledger.read() as connection:
        own = messages.find_template(connection, event)
        organization = present_settings(context, connection).notifications.organization_name
        found = [
            provider
            for provider in usable(context, connection)
            if context.provider_types[provider.type].channel is channel
        ]
    if not found:
        hint = "PUT /api/v1/messaging/default/active chooses one"
        raise SystemUnavailable(f"no message provider is active for {channel}", hint=hint)
    texts = render_message(event, channel, own, {"organization": organization, **variables})
    provider = connect_provider(context, found[0])
    provider.send(Message(message_id, channel, recipient, texts.subject, texts.text, texts.html))


def render_message(event: Event, channel: Channel, own: Record | None, variables: Mapping[str, object]) -> "Rendered":
    """What a message says; `own` is the users' template of the event, if there is one."""
    from habeas.messaging.templates import render

    return render(event, channel, effective_template(event, own), variables)


def effective_template(event: Event, own: Record | None) -> Template:
    """The users' template of an event, or the shipped one."""
    shipped = DEFAULTS[event]
    return shipped if own is None else Template(shipped.label, own.subject, own.body, own.sms or shipped.sms)


def _look_up(context: Context, event: Event, request_id: str | None) -> dict[str, object]:
    """What an event tells besides its stored variables, as it is now."""
    if request_id is None:
        return {}
    found: dict[str, object] = {"request_id": request_id}
    if event is Event.RECEIPT:
        with context.ledger.read() as connection:
            request = requests.find_request(connection, request_id)
            policies = [request.policy_key] if request is not None else []
            actions = configurations.actions_of(connection, policies)
        found["request_types"] = sorted(action for own in actions.values() for action in own)
    if event is Event.ACCESS_COMPLETE:
        found |= _look_up_links(context, request_id)
    return found


def _look_up_links(context: Context, request_id: str) -> dict[str, object]:
    """A link to each package that its storage gives one for, good for a while yet; how many have none, or are gone."""
    now = context.clock.now()
    with context.ledger.read() as connection:
        kept = [one for one in packages.packages_of(connection, [request_id]) if not one.outdated]
    links, last = [], []
    for package in kept:
        found = find_link(context, package, lasting=True)
        if found is not None:
            link, expires_at = found
            links.append({"url": link, "expires_at": f"{expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"})
            last.append(expires_at)
    days = math.floor((min(last) - now) / timedelta(days=1)) if last else 0
    return {"links": links, "days": days, "without_link": len(kept) - len(links)}
