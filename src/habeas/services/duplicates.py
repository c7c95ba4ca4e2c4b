"""Duplicates: a relation of a new request to an earlier one of the same person under the same policy.

The relation changes nothing by itself; with `duplicates.hold` the later request waits for a reviewer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from habeas.domain.identity import Identity, normalise
from habeas.execution.context import Context
from habeas.settings import DuplicateSettings
from habeas.store import kinship
from habeas.store.ledger import take_turn


@dataclass(frozen=True, slots=True)
class Fresh:
    """A request that is about to count."""

    id: str
    policy_key: str
    identities: Sequence[Identity]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The earlier request, and whether the later one is to wait for a reviewer."""

    of: str
    held: bool


def find_duplicates(
    context: Context, connection: sa.Connection, fresh: Sequence[Fresh], now: datetime, settings: DuplicateSettings
) -> dict[str, Duplicate]:
    """The duplicates among requests about to count, by id; nothing while the setting is off. Two queries at most.

    The same person: a value of every kind in `identity_kinds` is the same, so whoever lacks one is nobody's duplicate.
    Canceled requests do not count; of several the earliest does, and in one submission the one that stands first.
    """
    if not settings.enabled:
        return {}
    take_turn(connection)  # two submissions at once would not see each other
    hashed = {item.id: _hash(context, item.identities, settings.identity_kinds) for item in fresh}
    digests = {digest for kinds in hashed.values() for values in kinds for digest in values}
    since = now - timedelta(days=settings.window_days)
    known = kinship.find_kin(connection, digests, {item.policy_key for item in fresh}, since)
    by_hash: dict[tuple[str, bytes], dict[str, kinship.Kin]] = defaultdict(dict)
    for kin in (kin for kin in known if kin.request_id not in hashed):
        by_hash[kin.policy_key, kin.hash][kin.request_id] = kin
    found: dict[str, Duplicate] = {}
    for place, item in enumerate(fresh):
        kinds = hashed[item.id]
        shared = [{one for digest in values for one in by_hash[item.policy_key, digest]} for values in kinds]
        same = set.intersection(*shared) if shared else set()
        if same:
            everyone = {
                kin.request_id: kin for values in kinds for d in values for kin in by_hash[item.policy_key, d].values()
            }
            earliest = min((everyone[one] for one in same), key=lambda kin: kin.order)
            found[item.id] = Duplicate(earliest.request_id, settings.hold)
        own = kinship.Kin(item.id, item.policy_key, b"", (now, item.id in found, str(place).zfill(4)))
        for digest in (digest for values in kinds for digest in values):
            by_hash[item.policy_key, digest][item.id] = own
    return found


def _hash(context: Context, identities: Sequence[Identity], kinds: Sequence[str]) -> list[set[bytes]]:
    """Keyed hashes of a person's values of each of these kinds; empty when one is not given."""
    values = {identity.kind: identity.values for identity in identities}
    if not set(kinds) <= values.keys():
        return []
    index = context.ledger.sealer.index
    return [{index(kind, str(normalise(kind, value))) for value in values[kind]} for kind in kinds]
