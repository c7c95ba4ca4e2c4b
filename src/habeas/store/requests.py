"""Repository of privacy requests: their rows, identities and masking secrets. Transitions are compare-and-set."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from habeas.domain.identity import Identity, Scalar, normalise
from habeas.domain.request import TERMINAL, WAITING, ActionType, RequestStatus, sources_of
from habeas.store import status_webhooks
from habeas.store.columns import UtcDay, place_of
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import identities, masking_secrets, outcomes, plans, requests, rules, verifications


def add_requests(connection: sa.Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Insert requests; each row has all the columns that are not nullable. Subscribers are to be told."""
    connection.execute(requests.insert(), list(rows))
    status_webhooks.record_moves(connection, [row["id"] for row in rows], now)


def add_identities(connection: sa.Connection, sealer: Sealer, given: Iterable[tuple[str, Sequence[Identity]]]) -> None:
    """Store identities of requests (`request id`, `identities`): one row per value, hashed and sealed."""
    rows = [
        {
            "request_id": request_id,
            "kind": identity.kind,
            "label": identity.label,
            "hash": sealer.index(identity.kind, str(normalise(identity.kind, value))),
            "sealed_value": sealer.seal(msgspec.json.encode(value), _identity_place(request_id, identity.kind)),
        }
        for request_id, found in given
        for identity in found
        for value in identity.values
    ]
    connection.execute(identities.insert(), rows)


def add_secrets(
    connection: sa.Connection, sealer: Sealer, given: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> None:
    """Store masking secrets: request → strategy → kind → secret."""
    rows = [
        {
            "request_id": request_id,
            "strategy": strategy,
            "kind": kind,
            "sealed_secret": sealer.seal(secret.encode(), _secret_place(request_id, strategy, kind)),
        }
        for request_id, strategies in given.items()
        for strategy, kinds in strategies.items()
        for kind, secret in kinds.items()
    ]
    if rows:
        connection.execute(masking_secrets.insert(), rows)


def identities_of(
    connection: sa.Connection, sealer: Sealer, request_ids: Sequence[str]
) -> dict[str, tuple[Identity, ...]]:
    """Identities by request, opened; requests without any are absent."""
    values: dict[tuple[str, str, str | None], list[Scalar]] = defaultdict(list)
    query = sa.select(identities).where(identities.c.request_id.in_(request_ids)).order_by(identities.c.id)
    for row in connection.execute(query):
        opened = sealer.open(row.sealed_value, _identity_place(row.request_id, row.kind))
        values[row.request_id, row.kind, row.label].append(msgspec.json.decode(opened))
    found: dict[str, list[Identity]] = defaultdict(list)
    for (request_id, kind, label), spellings in values.items():
        found[request_id].append(Identity(kind, tuple(spellings), label))
    return {request_id: tuple(items) for request_id, items in found.items()}


def secrets_of(
    connection: sa.Connection, sealer: Sealer, request_ids: Sequence[str]
) -> dict[str, dict[str, dict[str, str]]]:
    """Masking secrets: request → strategy → kind → secret."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for row in connection.execute(sa.select(masking_secrets).where(masking_secrets.c.request_id.in_(request_ids))):
        place = _secret_place(row.request_id, row.strategy, row.kind)
        found[row.request_id][row.strategy][row.kind] = sealer.open(row.sealed_secret, place).decode()
    return found


def transition(
    connection: sa.Connection,
    request_ids: Sequence[str],
    to: RequestStatus,
    now: datetime,
    *,
    only_from: RequestStatus | None = None,
    **values: Any,
) -> list[str]:
    """Move requests to a status if theirs allows it (or is `only_from`); the ids that moved. Others stay.

    Subscribers are to be told, in the same transaction.
    """
    sources = sources_of(to) if only_from is None else {only_from}
    update = (
        requests.update()
        .where(requests.c.id.in_(request_ids), requests.c.status.in_(sorted(sources)))
        .values(status=to, updated_at=now, **values)
        .returning(requests.c.id)
    )
    moved = list(connection.scalars(update))
    status_webhooks.record_moves(connection, moved, now)
    return moved


def send_on(
    connection: sa.Connection, request_ids: Sequence[str], only_from: RequestStatus, now: datetime, **values: Any
) -> list[str]:
    """Let requests go on that have stopped with this status; the ids of those that had. Wake the dispatcher after."""
    cleared = dict.fromkeys(("waits_until", "failure", "failed_collection", "finished_at"))
    alone = {"submitted_together": 1}  # whoever they came with went on long ago
    goes_on = RequestStatus.IN_PROCESSING
    return transition(connection, request_ids, goes_on, now, only_from=only_from, **cleared, **alone, **values)


def waiting_since_before(connection: sa.Connection, now: datetime, limit: int) -> list[str]:
    """Requests whose time of waiting for somebody is over, locked; those that another locks are passed over."""
    late = (requests.c.status.in_(sorted(WAITING)), requests.c.waits_until < now)
    found = sa.select(requests.c.id).where(*late).limit(limit).with_for_update(skip_locked=True)
    return list(connection.scalars(found))


def unproved_since_before(connection: sa.Connection, before: datetime, limit: int) -> list[str]:
    """Requests whose latest code was sent before and has not come back, locked, as `waiting_since_before` does."""
    is_old = sa.exists().where(verifications.c.request_id == requests.c.id, verifications.c.sent_at < before)
    late = (requests.c.status == RequestStatus.IDENTITY_UNVERIFIED, is_old)
    return list(
        connection.scalars(sa.select(requests.c.id).where(*late).limit(limit).with_for_update(skip_locked=True))
    )


def find_request(connection: sa.Connection, request_id: str) -> Record | None:
    return connection.execute(sa.select(requests).where(requests.c.id == request_id)).mappings().first()


def lock_request(connection: sa.Connection, request_id: str) -> Record | None:
    """The request, unchanged by others until this write transaction ends."""
    query = sa.select(requests).where(requests.c.id == request_id).with_for_update()
    return connection.execute(query).mappings().first()


def lock_unchanged(connection: sa.Connection, known: Sequence[Record]) -> list[str]:
    """Those of these requests that nobody has moved since they were read; nobody does before this transaction ends."""
    read_at = {record.id: record.updated_at for record in known}
    query = sa.select(requests.c.id, requests.c.updated_at).where(requests.c.id.in_(read_at)).with_for_update()
    return [row.id for row in connection.execute(query) if row.updated_at == read_at[row.id]]


def change_request(connection: sa.Connection, request_id: str, values: Mapping[str, Any], now: datetime) -> None:
    """Set columns of a request other than its status."""
    connection.execute(requests.update().where(requests.c.id == request_id).values(updated_at=now, **values))


def find_requests(connection: sa.Connection, request_ids: Sequence[str]) -> list[Record]:
    """The requests with these ids; unknown ones are left out."""
    return list(connection.execute(sa.select(requests).where(requests.c.id.in_(request_ids))).mappings())


def known_kinds(connection: sa.Connection) -> list[str]:
    """Every kind of identity that some request has."""
    return list(connection.scalars(sa.select(identities.c.kind).distinct()))


def list_requests(
    connection: sa.Connection,
    where: Sequence[sa.ColumnElement[bool]],
    sort: sa.Column[Any],
    ascending: bool,
    page: int,
    size: int,
) -> tuple[list[Record], int]:
    """One page sorted by a column, nulls last and then by id, and the total."""
    total = connection.execute(sa.select(sa.func.count()).select_from(requests).where(*where)).scalar_one()
    query = sa.select(requests).where(*where).order_by(*_order(sort, ascending)).limit(size).offset((page - 1) * size)
    return list(connection.execute(query).mappings()), total


def list_ids(
    connection: sa.Connection,
    where: Sequence[sa.ColumnElement[bool]],
    sort: sa.Column[Any],
    ascending: bool,
    limit: int,
) -> list[str]:
    """Ids in the same order."""
    query = sa.select(requests.c.id).where(*where).order_by(*_order(sort, ascending)).limit(limit)
    return list(connection.scalars(query))


def _order(sort: sa.Column[Any], ascending: bool) -> tuple[sa.ColumnElement[Any], ...]:
    sorting = sort.asc() if ascending else sort.desc()
    return (sorting.nulls_last() if sort.nullable else sorting, requests.c.id)


def policies_of(connection: sa.Connection) -> list[str]:
    """Keys of the policies that some request has."""
    return list(connection.scalars(sa.select(requests.c.policy_key).distinct()))


def read_endings(connection: sa.Connection, first: datetime, last: datetime) -> Iterable[Record]:
    """How requests received from `first` on and before `last` ended, in portions.

    `exceptional`: in some collection rows had drifted, were absent, refused, left to others or shared, or it was passed
    over.
    """
    counts = [outcomes.c[name] for name in ("drifted", "absent", "refused", "submitted", "shared")]
    odd = sa.or_(outcomes.c.skipped.is_not(None), *(count > 0 for count in counts))
    query = sa.select(
        *(requests.c[name] for name in ("status", "policy_key", "plan_digest")),
        *(requests.c[name] for name in ("requested_at", "finished_at", "reviewed_at")),
        sa.exists().where(outcomes.c.request_id == requests.c.id, odd).label("exceptional"),
    ).where(requests.c.requested_at >= first, requests.c.requested_at < last)
    return connection.execution_options(yield_per=5000).execute(query).mappings()


def has_action(actions: Sequence[ActionType]) -> sa.ColumnElement[bool]:
    """Condition: the request's policy has a rule with one of these actions."""
    return requests.c.policy_key.in_(sa.select(rules.c.policy_key).where(rules.c.action_type.in_(actions)))


def has_identity(digest: Sequence[bytes]) -> sa.ColumnElement[bool]:
    """Condition: the request has an identity with one of these keyed hashes."""
    return requests.c.id.in_(sa.select(identities.c.request_id).where(identities.c.hash.in_(digest)))


def is_overdue(now: datetime) -> sa.ColumnElement[bool]:
    """Condition: not ended, and due before the UTC day of `now`; of a stopped clock: before the day when it was."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    stopped = requests.c.clock_stopped_at
    late = sa.and_(requests.c.due_at < today, sa.or_(stopped.is_(None), UtcDay(requests.c.due_at) < UtcDay(stopped)))
    return sa.and_(requests.c.status.not_in(sorted(TERMINAL)), requests.c.due_at.is_not(None), late)


def has_duplicates() -> sa.ColumnElement[bool]:
    """Condition: other requests are duplicates of this one."""
    later = requests.alias("later")
    return sa.exists().where(later.c.duplicate_of == requests.c.id)


def open_encryption_key(sealer: Sealer, record: Record) -> bytes | None:
    """The package key as bytes, or None when none is stored (any more)."""
    if record.sealed_encryption_key is None:
        return None
    return sealer.open(record.sealed_encryption_key, encryption_key_place(record.id))


def encryption_key_place(request_id: str) -> str:
    """Where a request's package key is sealed."""
    return place_of(requests.c.sealed_encryption_key, id=request_id)


def forget_encryption_keys(connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """Delete package keys; that a package was to be encrypted stays known."""
    connection.execute(requests.update().where(requests.c.id.in_(request_ids)).values(sealed_encryption_key=None))


def forget_secrets(connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """Delete masking secrets: nothing will be masked for these requests any more."""
    connection.execute(masking_secrets.delete().where(masking_secrets.c.request_id.in_(request_ids)))


def add_plan(connection: sa.Connection, digest: str, body: bytes, now: datetime) -> None:
    """Keep a plan; nothing happens when it is there already."""
    known = connection.execute(sa.select(plans.c.digest).where(plans.c.digest == digest)).first()
    if known is None:
        connection.execute(plans.insert().values(digest=digest, body=body, created_at=now))


def find_plan(connection: sa.Connection, digest: str) -> bytes | None:
    body: bytes | None = connection.execute(sa.select(plans.c.body).where(plans.c.digest == digest)).scalar()
    return body


def _identity_place(request_id: str, kind: str) -> str:
    return place_of(identities.c.sealed_value, request_id=request_id, kind=kind)


def _secret_place(request_id: str, strategy: str, kind: str) -> str:
    return place_of(masking_secrets.c.sealed_secret, request_id=request_id, strategy=strategy, kind=kind)
