"""Repository of the codes by which people prove who they are: keyed hashes, tries and how often a code was sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from habeas.store.configurations import Record
from habeas.store.tables import verifications


def add_codes(connection: sa.Connection, hashes: Mapping[str, bytes], expires_at: datetime, now: datetime) -> None:
    """Keep the first code of each of these requests."""
    rows = [
        {"request_id": request_id, "hash": digest, "expires_at": expires_at, "sent": 1, "sent_at": now}
        for request_id, digest in hashes.items()
    ]
    connection.execute(verifications.insert(), rows)


def renew_code(connection: sa.Connection, request_id: str, digest: bytes, expires_at: datetime, now: datetime) -> None:
    """Another code stands for the one before, with tries of its own."""
    values = {"hash": digest, "expires_at": expires_at, "tries": 0, "sent": verifications.c.sent + 1, "sent_at": now}
    connection.execute(verifications.update().where(verifications.c.request_id == request_id).values(values))


def take_try(connection: sa.Connection, request_id: str, limit: int, now: datetime) -> tuple[bytes, int] | None:
    """Count a try before it is made: the code's hash, and the which try it is; None when there is none left.

    Compare-and-set: of any number at once no more than `limit` get one.
    """
    may_try = (verifications.c.hash.is_not(None), verifications.c.expires_at > now, verifications.c.tries < limit)
    taken = connection.execute(
        verifications.update()
        .where(verifications.c.request_id == request_id, *may_try)
        .values(tries=verifications.c.tries + 1)
        .returning(verifications.c.hash, verifications.c.tries)
    ).first()
    return None if taken is None else (bytes(taken.hash), taken.tries)


def forget_codes(connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """No code of these requests can succeed any more."""
    connection.execute(verifications.update().where(verifications.c.request_id.in_(request_ids)).values(hash=None))


def find_verifications(connection: sa.Connection, request_ids: Sequence[str]) -> dict[str, Record]:
    """What is known of these requests' codes, by request."""
    found = connection.execute(sa.select(verifications).where(verifications.c.request_id.in_(request_ids)))
    return {row.request_id: row for row in found.mappings()}
