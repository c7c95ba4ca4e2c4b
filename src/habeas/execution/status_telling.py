"""Tells subscribers that requests have moved: signed calls, repeated until they are taken or a day is over.

The wire is that of the Standard Webhooks specification. What is told is ids, a status and a policy's key. A call that
was taken but not recorded, because the process ended in between, is made again under the same id.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from habeas.domain.actor import SYSTEM, Actor
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import HabeasError
from habeas.domain.signature import sign
from habeas.execution.context import Context
from habeas.execution.portions import repeat
from habeas.store import journal, status_webhooks
from habeas.store.configurations import Record, open_json
from habeas.store.sealing import Sealer
from habeas.store.status_webhooks import DeliveryState

_log = logging.getLogger(__name__)

FindHolder: TypeAlias = Callable[[Context, sa.Connection, str], Actor | None]
"""A client or user with what it may do at present, or None."""

SCOPE = "privacy-request:read"
"""What the holder of a subscription must hold when something is told."""

EVENT = "privacy_request.status_changed"
GIVE_UP_SECONDS = 24 * 3600.0
_CLAIM_SECONDS = 300.0
_SUBSCRIBERS_AT_ONCE, _AT_ONCE = 4, 8
_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0
_GONE, _TOO_MANY = 410, 429
_FORGET_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Details:
    """What is sealed of a subscription; the former secret signs too until then (epoch seconds)."""

    url: str
    secret: str
    former: str | None = None
    former_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a call: the answer's status, None without one, and why it counts as not taken."""

    http_status: int | None = None
    failure: str | None = None
    retry_after: float | None = None


def seal_details(sealer: Sealer, webhook_id: str, details: Details) -> bytes:
    return sealer.seal(msgspec.json.encode(details), status_webhooks.details_place(webhook_id))


def open_details(sealer: Sealer, webhook: Record) -> Details:
    return Details(**open_json(sealer, webhook.sealed_details, status_webhooks.details_place(webhook.id)))


def call(context: Context, details: Details, message_id: str, content: Mapping[str, object]) -> Reply:
    """Tell a receiver this under this id; nothing is raised for one that fails. No transaction may be open."""
    now, body = int(context.clock.now().timestamp()), msgspec.json.encode(content)
    secrets = [details.secret] + ([details.former] if details.former and now < details.former_until else [])
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(sign(secret, message_id, now, body) for secret in secrets),
    }
    try:
        answer = context.outgoing.send("POST", details.url, content=body, headers=headers)
    except HabeasError as error:
        return Reply(failure=str(error))
    if answer.is_success:
        return Reply(answer.status_code)
    failure = f"the receiver answered {answer.status_code}"
    return Reply(answer.status_code, failure, _read_pause(answer.headers.get("retry-after"), context.clock.now()))


def tell_due(context: Context, stopping: threading.Event | None = None, *, find_holder: FindHolder) -> int:
    """Make the calls that are due, until none is or `stopping` is set; how many were taken."""
    taken = 0
    while stopping is None or not stopping.is_set():
        now = context.clock.now().timestamp()
        far = now + 2 * GIVE_UP_SECONDS
        with context.ledger.read() as connection:
            due = status_webhooks.find_due(connection, now, far)[:_SUBSCRIBERS_AT_ONCE]
        claimed: list[Record] = []
        for webhook_id in due:
            with context.ledger.write() as connection:
                until = now + _CLAIM_SECONDS
                claimed += status_webhooks.claim(connection, webhook_id, now, until, far, _AT_ONCE)
        if not claimed:
            break
        with ThreadPoolExecutor(len(claimed), "teller") as pool:
            taken += sum(pool.map(lambda delivery: _tell(context, find_holder, delivery), claimed))
    return taken


def pause_after(failures: int) -> float:
    """Seconds from a failed call (the first is 1) to the next one."""
    return float(min(_LONGEST_PAUSE, _PAUSE * 2.0 ** min(failures - 1, 20)))


def forget_deliveries(context: Context) -> int:
    """Delete what was due before the time to live began; how many deliveries."""
    before = context.clock.now().timestamp() - context.settings.execution.temporary_ttl_seconds
    return repeat(context, lambda connection: status_webhooks.forget_since_before(connection, before, _FORGET_AT_ONCE))


def _tell(context: Context, find_holder: FindHolder, delivery: Record) -> bool:
    with context.ledger.read() as connection:
        webhook = status_webhooks.find(connection, delivery.webhook_id)
        if webhook is None or webhook.disabled:
            return False
        holder = find_holder(context, connection, webhook.holder_id)
    if holder is None or SCOPE not in holder.scopes:
        refused = {"state": DeliveryState.FAILED, "failure": f"the subscriber lacks the scope {SCOPE}"}
        with context.ledger.write() as connection:
            status_webhooks.mark_tried(connection, delivery, context.clock.now(), refused)
        return False
    content = {
        "type": EVENT,
        "timestamp": delivery.happened_at,
        "data": {"id": delivery.request_id, "status": delivery.status, "policy_key": delivery.policy_key},
    }
    reply = call(context, open_details(context.ledger.sealer, webhook), delivery.id, content)
    with context.ledger.write() as connection:
        _record(context, connection, webhook, delivery, reply)
    if reply.failure is not None:
        _log.warning("delivery %s was not taken: %s", delivery.id, reply.failure)
    return reply.failure is None


def _record(context: Context, connection: sa.Connection, webhook: Record, delivery: Record, reply: Reply) -> None:
    """The subscription's row comes first, here and elsewhere: whoever records at the same time waits in no circle."""
    now = context.clock.now()
    epoch = now.timestamp()
    told: dict[str, Any] = {"http_status": reply.http_status, "failure": reply.failure}
    if reply.failure is None:
        if webhook.failures:
            status_webhooks.change(connection, webhook.id, now, failures=0, rests_until=None)
        status_webhooks.mark_tried(connection, delivery, now, {**told, "state": DeliveryState.DELIVERED})
        return
    if reply.http_status == _GONE:
        status_webhooks.change(connection, webhook.id, now, disabled=True, failure=reply.failure)
        status_webhooks.mark_tried(connection, delivery, now, {**told, "state": DeliveryState.FAILED})
        kind = ObjectKind.STATUS_WEBHOOK
        journal.audit(
            connection,
            context.ledger.sealer,
            [webhook.id],
            SYSTEM,
            AuditAction.SAVED,
            now,
            "disabled: receiver is gone",
            kind,
        )
        return
    asked = reply.retry_after or 0.0
    rests_until = epoch + max(asked, pause_after(webhook.failures + 1))
    status_webhooks.change(connection, webhook.id, now, failures=webhook.failures + 1, rests_until=rests_until)
    due_at = epoch + max(asked, pause_after(delivery.attempts))
    status_webhooks.mark_tried(connection, delivery, now, {**told, "due_at": due_at})
    status_webhooks.give_up_since_before(connection, webhook.id, epoch - GIVE_UP_SECONDS)


def _read_pause(header: str | None, now: datetime) -> float | None:
    """Seconds that Retry-After asks for, a day at most; None when it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.isdecimal() else (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), GIVE_UP_SECONDS)
