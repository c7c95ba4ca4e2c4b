"""Status webhooks: what clients and users subscribe to, so that they need not ask how requests stand.

Each manages its own; the root client sees everybody's.
"""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotAllowed, NotFound
from habeas.domain.request import RequestStatus
from habeas.domain.signature import spell_secret
from habeas.execution.context import Context
from habeas.execution.status_telling import SCOPE, Details, call, open_details, seal_details
from habeas.services import audit, tokens
from habeas.services.bulk import Listing, make_id, refuse_nul
from habeas.store import configurations, tables
from habeas.store import status_webhooks as store
from habeas.store.configurations import Record
from habeas.store.status_webhooks import DeliveryState

_KEY_BYTES = 32
_GRACE_SECONDS = 24 * 3600.0
_LONGEST_URL = 2000
TEST = "status_webhook.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWebhookDraft:
    """A subscription as it shall be. Nothing in `statuses` or `policy_keys`: all are told of."""

    url: str
    statuses: Sequence[RequestStatus] = ()
    policy_keys: Sequence[str] = ()
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWebhookChange:
    """What is to change of a subscription; None stays."""

    url: str | None = None
    statuses: Sequence[RequestStatus] | None = None
    policy_keys: Sequence[str] | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class StatusWebhookView:
    """A subscription as shown: never its secret.

    `failure`: why Habeas disabled it. `failures`: calls since the last one that was taken.
    """

    id: str
    client_id: str
    url: str
    statuses: list[RequestStatus]
    policy_keys: list[str]
    disabled: bool
    failure: str | None
    failures: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SubscribedView:
    """A subscription and its secret; the only time the secret is shown."""

    webhook: StatusWebhookView
    secret: str


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """What a subscriber is told, and what became of it; `id` is the call's `webhook-id`."""

    id: str
    request_id: str
    status: RequestStatus
    policy_key: str
    happened_at: datetime
    state: DeliveryState
    attempts: int
    http_status: int | None
    failure: str | None
    tried_at: datetime | None


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of a call that tells nothing; `http_status` is None when there was no answer."""

    taken: bool
    http_status: int | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many deliveries are due again."""

    count: int


def create_webhook(context: Context, draft: StatusWebhookDraft) -> SubscribedView:
    """Subscribe the caller to moves of requests.

    Raises InputError for a malformed URL or a policy that there is not, NotAllowed for who may not read requests.
    """
    if SCOPE not in context.actor.scopes:
        raise NotAllowed(f"scope {SCOPE} is needed to be told of requests", hint="give the client this scope")
    _check(draft.url, draft)
    webhook_id, now = make_id("swh"), context.clock.now()
    details = Details(draft.url, _make_secret())
    with context.ledger.write() as connection:
        sealed = seal_details(context.ledger.sealer, webhook_id, details)
        store.add(connection, webhook_id, context.actor.id, sealed, draft.disabled, now)
        _set_filters(connection, webhook_id, draft.statuses, draft.policy_keys)
        audit.record(context, connection, AuditAction.CREATED, ObjectKind.STATUS_WEBHOOK, webhook_id)
        return SubscribedView(_show(context, connection, [_get(context, connection, webhook_id)])[0], details.secret)


def list_webhooks(context: Context, page: int, size: int) -> Listing[StatusWebhookView]:
    """One page of the caller's subscriptions, oldest first; of everybody's for the root client."""
    with context.ledger.read() as connection:
        found, total = store.list_page(connection, None if _is_root(context) else context.actor.id, page, size)
        return Listing(_show(context, connection, found), total, page, size)


def find_webhook(context: Context, webhook_id: str) -> StatusWebhookView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return _show(context, connection, [_get(context, connection, webhook_id)])[0]


def change_webhook(context: Context, webhook_id: str, change: StatusWebhookChange) -> StatusWebhookView:
    """Change a subscription; what is due is tried at once again. Raises NotFound, and InputError as creating does."""
    _check(change.url, change)
    now, sealer = context.clock.now(), context.ledger.sealer
    with context.ledger.write() as connection:
        record = _get(context, connection, webhook_id)
        values: dict[str, Any] = {"failures": 0, "rests_until": None}
        if change.url is not None:
            details = replace(open_details(sealer, record), url=change.url)
            values["sealed_details"] = seal_details(sealer, webhook_id, details)
        if change.disabled is not None:
            values |= {"disabled": change.disabled, "failure": None}
        store.change(connection, webhook_id, now, **values)
        _set_filters(connection, webhook_id, change.statuses, change.policy_keys)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.STATUS_WEBHOOK, webhook_id)
        return _show(context, connection, [_get(context, connection, webhook_id)])[0]


def delete_webhook(context: Context, webhook_id: str) -> None:
    """End a subscription; what was not delivered yet goes with it. Raises NotFound."""
    with context.ledger.write() as connection:
        _get(context, connection, webhook_id)
        store.delete(connection, webhook_id)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.STATUS_WEBHOOK, webhook_id)


def rotate_secret(context: Context, webhook_id: str) -> SubscribedView:
    """A new secret; for a day calls carry a signature of the old one too. Raises NotFound."""
    now, sealer = context.clock.now(), context.ledger.sealer
    with context.ledger.write() as connection:
        old = open_details(sealer, _get(context, connection, webhook_id))
        details = Details(old.url, _make_secret(), old.secret, now.timestamp() + _GRACE_SECONDS)
        store.change(connection, webhook_id, now, sealed_details=seal_details(sealer, webhook_id, details))
        audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.STATUS_WEBHOOK, webhook_id)
        return SubscribedView(_show(context, connection, [_get(context, connection, webhook_id)])[0], details.secret)


def test_webhook(context: Context, webhook_id: str) -> TestResult:
    """Call the receiver at once with an event of type `status_webhook.test`, signed as all are.

    Raises NotFound, TryAgain when too many calls to the outside go on.
    """
    now = context.clock.now()
    content = {"type": TEST, "timestamp": now, "data": {}}
    with context.waiting_room.seat():
        with context.ledger.write() as connection:
            record = _get(context, connection, webhook_id)
            audit.record(context, connection, AuditAction.TESTED, ObjectKind.STATUS_WEBHOOK, webhook_id)
        reply = call(context, open_details(context.ledger.sealer, record), f"dlv_{uuid.uuid4().hex}", content)
    return TestResult(reply.failure is None, reply.http_status, reply.failure)


def list_deliveries(context: Context, webhook_id: str, page: int, size: int) -> Listing[DeliveryView]:
    """One page of what a subscriber was or is to be told, latest first.

    Raises NotFound, NotAllowed for who may not read requests (any more).
    """
    with context.ledger.read() as connection:
        _get(context, connection, webhook_id)
        tokens.check_holds(context.actor, SCOPE)
        found, total = store.list_deliveries(connection, webhook_id, page, size)
    return Listing([_show_delivery(record) for record in found], total, page, size)


def replay(context: Context, webhook_id: str, since: datetime | None, delivery_ids: Sequence[str] | None) -> Replayed:
    """Tell again, under the same ids, of what happened since then, or of these deliveries; unknown ids are left out.

    Raises NotFound, InputError unless one of both is given.
    """
    if (since is None) == (delivery_ids is None):
        raise InputError("what is to be replayed is not clear", hint="give since or delivery_ids, one of both")
    if any("\x00" in one for one in delivery_ids or ()):
        raise InputError("an id holds a NUL character")
    now = context.clock.now()
    with context.ledger.write() as connection:
        _get(context, connection, webhook_id)
        store.change(connection, webhook_id, now, failures=0, rests_until=None)
        count = store.replay(connection, webhook_id, now.timestamp(), since=since, ids=delivery_ids)
        audit.record(
            context,
            connection,
            AuditAction.RETRIED,
            ObjectKind.STATUS_WEBHOOK,
            webhook_id,
            message=f"{count} deliveries",
        )
    return Replayed(count)


def _make_secret() -> str:
    return spell_secret(secrets.token_bytes(_KEY_BYTES))


def _is_root(context: Context) -> bool:
    return context.actor.id == context.settings.security.oauth_root_client_id


def _get(context: Context, connection: sa.Connection, webhook_id: str) -> Record:
    record = None if "\x00" in webhook_id else store.find(connection, webhook_id)
    if record is None or not (_is_root(context) or record.holder_id == context.actor.id):
        raise NotFound("you have no such status webhook")
    return record


def _check(url: str | None, given: StatusWebhookDraft | StatusWebhookChange) -> None:
    """Where a URL leads to is checked when it is called: names may lead elsewhere by then."""
    from habeas.outgoing_calls import parse_url

    refuse_nul(given)
    if url is None:
        return
    if len(url) > _LONGEST_URL:
        raise InputError("the URL is too long", hint=f"{_LONGEST_URL} characters are the most")
    parse_url(url)


def _set_filters(
    connection: sa.Connection,
    webhook_id: str,
    statuses: Sequence[RequestStatus] | None,
    policy_keys: Sequence[str] | None,
) -> None:
    if statuses is not None:
        store.set_filter(connection, webhook_id, "status", statuses)
    if policy_keys is not None:
        if any("\x00" in key or configurations.find(connection, tables.policies, key) is None for key in policy_keys):
            raise InputError("policy_keys names a policy that there is not", hint="use keys of saved policies")
        store.set_filter(connection, webhook_id, "policy_key", policy_keys)


def _show(context: Context, connection: sa.Connection, records: Sequence[Record]) -> list[StatusWebhookView]:
    filters = store.filters_of(connection, [record.id for record in records])
    return [
        StatusWebhookView(
            record.id,
            record.holder_id,
            open_details(context.ledger.sealer, record).url,
            [RequestStatus(status) for status in filters.get((record.id, "status"), [])],
            filters.get((record.id, "policy_key"), []),
            record.disabled,
            record.failure,
            record.failures,
            record.created_at,
            record.updated_at,
        )
        for record in records
    ]


def _show_delivery(record: Record) -> DeliveryView:
    return DeliveryView(
        record.id,
        record.request_id,
        RequestStatus(record.status),
        record.policy_key,
        record.happened_at,
        DeliveryState(record.state),
        record.attempts,
        record.http_status,
        record.failure,
        record.tried_at,
    )
