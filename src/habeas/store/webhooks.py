"""Repository of policy webhooks: their definitions, the calls that were made, and the identities they derived."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from habeas.domain.identity import Identity
from habeas.store.sealing import Sealer
from habeas.store.tables import derived_identities, webhooks

PRE, POST = "pre", "post"
"""Phases: before and after a request is carried out."""


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
        found[row.request_id].append(Identity(row.kind, (value,)))
    return {request_id: tuple(items) for request_id, items in found.items()}


def derived_place(request_id: str, kind: str) -> str:
    """Where a derived identity is sealed."""
    return f"derived_identity:{request_id}:{kind}"
