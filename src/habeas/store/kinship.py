"""Repository of kinship: earlier requests that share an identity, found by its keyed hash."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.request import RequestStatus
from habeas.store.tables import identities, requests


@dataclass(frozen=True, slots=True)
class Kin:
    """A request that has an identity of this hash. `order` sorts the earliest first."""

    request_id: str
    policy_key: str
    hash: bytes
    order: tuple[datetime, bool, str]


def find_kin(
    connection: sa.Connection, digests: Collection[bytes], policies: Collection[str], since: datetime
) -> list[Kin]:
    """Requests made since then under these policies with one of these hashes; those that were canceled left out."""
    if not digests:
        return []
    query = (
        sa.select(
            identities.c.hash,
            requests.c.id,
            requests.c.policy_key,
            requests.c.created_at,
            requests.c.duplicate_of,
        )
        .join(requests, requests.c.id == identities.c.request_id)
        .where(
            identities.c.hash.in_(sorted(digests)),
            requests.c.policy_key.in_(sorted(policies)),
            requests.c.created_at >= since,
            requests.c.status != RequestStatus.CANCELED,
        )
    )
    return [
        Kin(row.id, row.policy_key, bytes(row.hash), (row.created_at, row.duplicate_of is not None, row.id))
        for row in connection.execute(query)
    ]
