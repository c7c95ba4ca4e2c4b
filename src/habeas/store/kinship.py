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
    """Requests made since then under these policies with one of these hashes.

    Left out are those that were canceled, and those of whom nobody knows yet whether the person has sent them.
    """
    if not digests:
        return []
    query = (
        sa.select(
            identities.c.hash,
            requests.c.id,
            requests.c.policy_key,
            sa.func.coalesce(requests.c.identity_verified_at, requests.c.created_at).label("since"),
            requests.c.duplicate_of,
        )
        .join(requests, requests.c.id == identities.c.request_id)
        .where(
            identities.c.hash.in_(sorted(digests)),
            requests.c.policy_key.in_(sorted(policies)),
            requests.c.created_at >= since,
            requests.c.status.not_in([RequestStatus.CANCELED, RequestStatus.IDENTITY_UNVERIFIED]),
        )
    )
    return [
        Kin(row.id, row.policy_key, bytes(row.hash), (row.since, row.duplicate_of is not None, row.id))
        for row in connection.execute(query)
    ]
