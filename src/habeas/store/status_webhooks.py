"""Repository of status webhooks: who is told when requests move, and the outbox of what each is to be told.

Deliveries are written in the transaction that moves the requests. One that is due is claimed by moving its due time
forward; of those of one request, a later one waits while an earlier one is due.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from habeas.store.columns import place_of
from habeas.store.configurations import Record
from habeas.store.tables import deliveries, requests, status_webhook_filters, status_webhooks


class DeliveryState(StrEnum):
    """Where a delivery is."""

    DUE = "due"
    DELIVERED = "delivered"
    FAILED = "failed"


_ANY = sa.select(status_webhooks.c.id).where(~status_webhooks.c.disabled).limit(1)


def are_heeded(connection: sa.Connection) -> bool:
    """Whether anybody is to be told of moves."""
    return connection.scalar(_ANY) is not None


def record_moves(connection: sa.Connection, request_ids: Sequence[str], now: datetime) -> None:
    """Write down, for every subscriber who wants to know, the status that these requests have come to just now."""
    if request_ids and are_heeded(connection):
        given = {"moment": f"dlv_{uuid.uuid4().hex}_", "now": now, "epoch": now.timestamp()}
        connection.execute(_RECORD, {**given, "moved": list(request_ids)})


def _wants(field: str, value: "sa.ColumnElement[str]") -> sa.ColumnElement[bool]:
    own = (status_webhook_filters.c.webhook_id == status_webhooks.c.id, status_webhook_filters.c.field == field)
    named = sa.exists().where(*own, status_webhook_filters.c.value == value)
    return sa.or_(~sa.exists().where(*own), named)


def _make_record() -> sa.Insert:
    count = sa.func.row_number().over(order_by=(status_webhooks.c.id, requests.c.id))
    epoch = sa.bindparam("epoch", type_=sa.Double)
    given = {
        "id": sa.bindparam("moment", type_=sa.String) + sa.cast(count, sa.String),
        "webhook_id": status_webhooks.c.id,
        "request_id": requests.c.id,
        "status": requests.c.status,
        "policy_key": requests.c.policy_key,
        "happened_at": sa.bindparam("now", type_=deliveries.c.happened_at.type),
        "state": sa.literal(DeliveryState.DUE.value),
        "since": epoch,
        "due_at": epoch,
    }
    wanted = (_wants("status", requests.c.status), _wants("policy_key", requests.c.policy_key))
    moved = requests.c.id.in_(sa.bindparam("moved", expanding=True))
    rows = sa.select(*given.values()).select_from(status_webhooks).join(requests, moved)
    return deliveries.insert().from_select(list(given), rows.where(~status_webhooks.c.disabled, *wanted))


_RECORD = _make_record()


def add(
    connection: sa.Connection, webhook_id: str, holder_id: str, sealed_details: bytes, disabled: bool, now: datetime
) -> None:
    """Insert a subscription without filters."""
    own = {"id": webhook_id, "holder_id": holder_id, "sealed_details": sealed_details, "disabled": disabled}
    connection.execute(status_webhooks.insert().values(**own, created_at=now, updated_at=now))


def find(connection: sa.Connection, webhook_id: str) -> Record | None:
    query = sa.select(status_webhooks).where(status_webhooks.c.id == webhook_id)
    return connection.execute(query).mappings().first()


def list_page(connection: sa.Connection, holder_id: str | None, page: int, size: int) -> tuple[list[Record], int]:
    """One page of a holder's subscriptions (None: of everybody's), oldest first, and the total."""
    own = [] if holder_id is None else [status_webhooks.c.holder_id == holder_id]
    total = connection.scalar(sa.select(sa.func.count()).select_from(status_webhooks).where(*own)) or 0
    query = sa.select(status_webhooks).where(*own).order_by(status_webhooks.c.created_at, status_webhooks.c.id)
    return list(connection.execute(query.limit(size).offset((page - 1) * size)).mappings()), total


def change(connection: sa.Connection, webhook_id: str, now: datetime, **values: Any) -> None:
    """Set columns of a subscription."""
    own = status_webhooks.update().where(status_webhooks.c.id == webhook_id)
    connection.execute(own.values(**values, updated_at=now))


def delete(connection: sa.Connection, webhook_id: str) -> None:
    """Delete a subscription with all its deliveries."""
    connection.execute(status_webhooks.delete().where(status_webhooks.c.id == webhook_id))


def delete_of(connection: sa.Connection, holder_id: str) -> None:
    """Delete all subscriptions of a client or user."""
    connection.execute(status_webhooks.delete().where(status_webhooks.c.holder_id == holder_id))


def set_filter(connection: sa.Connection, webhook_id: str, field: str, values: Collection[str]) -> None:
    """Put these in the place of what a subscription wanted of a field; nothing: all are wanted."""
    own = (status_webhook_filters.c.webhook_id == webhook_id, status_webhook_filters.c.field == field)
    connection.execute(status_webhook_filters.delete().where(*own))
    if values:
        rows = [{"webhook_id": webhook_id, "field": field, "value": value} for value in sorted(set(values))]
        connection.execute(status_webhook_filters.insert(), rows)


def filters_of(connection: sa.Connection, webhook_ids: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """What subscriptions want by (subscription, field), sorted; a pair without any is absent."""
    wanted = status_webhook_filters.c.webhook_id.in_(webhook_ids)
    found: dict[tuple[str, str], list[str]] = {}
    for row in connection.execute(sa.select(status_webhook_filters).where(wanted)):
        found.setdefault((row.webhook_id, row.field), []).append(row.value)
    return {place: sorted(values) for place, values in found.items()}


def list_deliveries(connection: sa.Connection, webhook_id: str, page: int, size: int) -> tuple[list[Record], int]:
    """One page of a subscription's deliveries, latest first, and the total."""
    own = deliveries.c.webhook_id == webhook_id
    total = connection.scalar(sa.select(sa.func.count()).select_from(deliveries).where(own)) or 0
    query = sa.select(deliveries).where(own).order_by(deliveries.c.number.desc())
    return list(connection.execute(query.limit(size).offset((page - 1) * size)).mappings()), total


def replay(
    connection: sa.Connection, webhook_id: str, now: float, *, since: datetime | None, ids: Sequence[str] | None
) -> int:
    """Make a subscription's deliveries due again, those of events from `since` on or those named; how many."""
    own = [deliveries.c.webhook_id == webhook_id]
    own += [deliveries.c.happened_at >= since] if since is not None else []
    own += [deliveries.c.id.in_(ids)] if ids is not None else []
    values = {"state": DeliveryState.DUE, "since": now, "due_at": now, "attempts": 0, "failure": None}
    return connection.execute(deliveries.update().where(*own).values(values)).rowcount


_earlier = deliveries.alias("earlier")


def _are_sendable(now: float, far: float) -> list[sa.ColumnElement[bool]]:
    """What is due later than `far` is due too: the clock must have been moved back since."""
    before = sa.exists().where(
        _earlier.c.webhook_id == deliveries.c.webhook_id,
        _earlier.c.request_id == deliveries.c.request_id,
        _earlier.c.number < deliveries.c.number,
        _earlier.c.state == DeliveryState.DUE,
    )
    late = sa.or_(deliveries.c.due_at <= now, deliveries.c.due_at > far)
    return [deliveries.c.state == DeliveryState.DUE, late, ~before]


def find_due(connection: sa.Connection, now: float, far: float) -> list[str]:
    """Subscriptions that something may be claimed of, in no order: neither disabled nor at rest."""
    rests = status_webhooks.c.rests_until
    awake = sa.or_(rests.is_(None), rests <= now, rests > far)
    some = sa.exists().where(deliveries.c.webhook_id == status_webhooks.c.id, *_are_sendable(now, far))
    query = sa.select(status_webhooks.c.id).where(~status_webhooks.c.disabled, awake, some)
    return list(connection.scalars(query.order_by(sa.func.random())))


def claim(connection: sa.Connection, webhook_id: str, now: float, until: float, far: float, limit: int) -> list[Record]:
    """Take deliveries of a subscription that are due, so that nobody else does before `until`.

    Those that another process takes are passed over.
    """
    found = (
        sa.select(deliveries.c.number)
        .where(deliveries.c.webhook_id == webhook_id, *_are_sendable(now, far))
        .order_by(deliveries.c.due_at, deliveries.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = (
        deliveries.update()
        .where(deliveries.c.number.in_(list(connection.scalars(found))), deliveries.c.state == DeliveryState.DUE)
        .values(due_at=until, attempts=deliveries.c.attempts + 1)
        .returning(deliveries)
    )
    return list(connection.execute(taken).mappings())


def mark_tried(connection: sa.Connection, delivery: Record, now: datetime, values: Mapping[str, Any]) -> bool:
    """Record what became of a claimed delivery; False when it was claimed or replayed since."""
    own = (deliveries.c.number == delivery.number, deliveries.c.state == DeliveryState.DUE)
    still_ours = (deliveries.c.attempts == delivery.attempts, deliveries.c.since == delivery.since)
    update = deliveries.update().where(*own, *still_ours)
    return bool(connection.execute(update.values(**values, tried_at=now)).rowcount)


def give_up_since_before(connection: sa.Connection, webhook_id: str, before: float) -> int:
    """End in failure what has been due to a subscriber since before and was not taken; how many."""
    late = (deliveries.c.webhook_id == webhook_id, deliveries.c.state == DeliveryState.DUE, deliveries.c.since < before)
    return connection.execute(deliveries.update().where(*late).values(state=DeliveryState.FAILED)).rowcount


def forget_since_before(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete deliveries that were due before, whatever became of them; how many."""
    old = sa.select(deliveries.c.number).where(deliveries.c.since < before).limit(limit)
    found = old.with_for_update(skip_locked=True)
    return connection.execute(deliveries.delete().where(deliveries.c.number.in_(found))).rowcount


def details_place(webhook_id: str) -> str:
    """Where a subscription's URL and secrets are sealed."""
    return place_of(status_webhooks.c.sealed_details, id=webhook_id)
