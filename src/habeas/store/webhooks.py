"""Repository of policy webhooks: their definitions, the calls that were made, and the identities they derived."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from habeas.domain.identity import Identity
from habeas.domain.request import TERMINAL
from habeas.store.columns import place_of
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import derived_identities, requests, webhook_calls, webhooks

PRE, POST = "pre", "post"
"""Phases: before and after a request is carried out."""


class CallStatus(StrEnum):
    """How far a call came; all but the first say that it is not made again in its round."""

    INTENDED = "intended"
    ANSWERED = "answered"
    HALTED = "halted"
    RESUMED = "resumed"


def policies_with(connection: sa.Connection, phase: str) -> frozenset[str]:
    """Keys of the policies that have webhooks of this phase."""
    return frozenset(connection.scalars(sa.select(webhooks.c.policy_key).where(webhooks.c.phase == phase).distinct()))


def derived_identities_of(
    connection: sa.Connection, sealer: Sealer, request_ids: Sequence[str]
) -> dict[str, tuple[Identity, ...]]:
    """Derived identities by request, opened; requests without any are absent."""
    if not request_ids:
        return {}
    found: dict[str, list[Identity]] = defaultdict(list)
    query = sa.select(derived_identities).where(derived_identities.c.request_id.in_(request_ids))
    for row in connection.execute(query.order_by(derived_identities.c.kind)):
        value = msgspec.json.decode(sealer.open(row.sealed_value, derived_place(row.request_id, row.kind)))
        found[row.request_id].append(Identity(row.kind, tuple(value) if isinstance(value, list) else (value,)))
    return {request_id: tuple(items) for request_id, items in found.items()}


def derived_place(request_id: str, kind: str) -> str:
    """Where a derived identity is sealed."""
    return place_of(derived_identities.c.sealed_value, request_id=request_id, kind=kind)


def webhooks_of(connection: sa.Connection, policy_key: str, phase: str) -> list[Record]:
    """A policy's webhooks of a phase, in the order in which they are called."""
    own = (webhooks.c.policy_key == policy_key, webhooks.c.phase == phase)
    return list(connection.execute(sa.select(webhooks).where(*own).order_by(webhooks.c.position)).mappings())


def place_at(connection: sa.Connection, key: str, position: int) -> None:
    """Put a webhook at this place of its list."""
    connection.execute(webhooks.update().where(webhooks.c.key == key).values(position=position))


def intend(connection: sa.Connection, request_id: str, webhook: Record, now: datetime) -> Record:
    """The call of a webhook for a request in its present round: the one that is there, or a new one."""
    current = sa.select(requests.c.webhook_round).where(requests.c.id == request_id).scalar_subquery()
    own = (
        webhook_calls.c.request_id == request_id,
        webhook_calls.c.webhook_key == webhook.key,
        webhook_calls.c.round == current,
    )
    found = connection.execute(sa.select(webhook_calls).where(*own)).mappings().first()
    if found is not None:
        return found
    values = {"request_id": request_id, "webhook_key": webhook.key, "round": current, "position": webhook.position}
    values |= {"id": f"whc_{uuid.uuid4()}", "status": CallStatus.INTENDED, "created_at": now}
    return connection.execute(webhook_calls.insert().values(values).returning(*webhook_calls.c)).mappings().one()


def find_call(connection: sa.Connection, call_id: str) -> Record | None:
    return connection.execute(sa.select(webhook_calls).where(webhook_calls.c.id == call_id)).mappings().first()


def settle(connection: sa.Connection, call_id: str, status: CallStatus, now: datetime, *, was: CallStatus) -> bool:
    """Say how far a call came; False when it was not where it is said to have been."""
    own = (webhook_calls.c.id == call_id, webhook_calls.c.status == was)
    return bool(connection.execute(webhook_calls.update().where(*own).values(status=status, answered_at=now)).rowcount)


def keep_derived(connection: sa.Connection, sealer: Sealer, request_id: str, found: Sequence[Identity]) -> None:
    """Keep identities that a webhook derived, in place of earlier ones of the same kinds."""
    if not found:
        return
    kinds = {identity.kind for identity in found}
    own = derived_identities.c.request_id == request_id
    connection.execute(derived_identities.delete().where(own, derived_identities.c.kind.in_(kinds)))
    rows = [
        {
            "request_id": request_id,
            "kind": identity.kind,
            "sealed_value": sealer.seal(msgspec.json.encode(identity.values), derived_place(request_id, identity.kind)),
        }
        for identity in found
    ]
    connection.execute(derived_identities.insert(), rows)
    all_kinds = sorted(connection.scalars(sa.select(derived_identities.c.kind).where(own)))
    connection.execute(requests.update().where(requests.c.id == request_id).values(derived_kinds=all_kinds))


def forget_derived(connection: sa.Connection, request_id: str) -> None:
    """Delete the identities that webhooks derived for a request: it is known by those given again."""
    connection.execute(derived_identities.delete().where(derived_identities.c.request_id == request_id))
    connection.execute(requests.update().where(requests.c.id == request_id).values(derived_kinds=None))


def forget_finished(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Delete calls and derived identities of requests that were finished before; how many rows."""
    ended = (requests.c.status.in_(sorted(TERMINAL)), requests.c.finished_at < before)
    deleted = 0
    for table in (webhook_calls, derived_identities):
        is_ended = sa.exists().where(requests.c.id == table.c.request_id, *ended)
        key = tuple(table.primary_key)
        found = sa.select(*key).where(is_ended).limit(limit).with_for_update(skip_locked=True)
        deleted += connection.execute(table.delete().where(sa.tuple_(*key).in_(found))).rowcount
    return deleted
