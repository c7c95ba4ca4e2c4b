"""Repository of users, the codes mailed to them, and tries to log in. Who somebody is, is sealed; codes are hashed."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from habeas.store.columns import place_of
from habeas.store.configurations import Record, open_json, seal_json
from habeas.store.grants import hash_token, revoke_all
from habeas.store.sealing import Sealer
from habeas.store.tables import login_tries, user_codes, users

Purpose = Literal["invite", "reset"]


def add_user(connection: sa.Connection, values: Mapping[str, Any], now: datetime) -> None:
    """Raises IntegrityError when the name or the e-mail address is somebody's."""
    connection.execute(users.insert().values(**values, created_at=now, updated_at=now))


def find_user(connection: sa.Connection, user_id: str) -> Record | None:
    return connection.execute(sa.select(users).where(users.c.id == user_id)).mappings().first()


def lock_user(connection: sa.Connection, user_id: str) -> Record | None:
    """The user as it stays until the transaction ends, or is changed by it."""
    return connection.execute(sa.select(users).where(users.c.id == user_id).with_for_update()).mappings().first()


def find_named(connection: sa.Connection, username: str) -> Record | None:
    return connection.execute(sa.select(users).where(users.c.username == username)).mappings().first()


def find_mailed(connection: sa.Connection, email_hash: bytes) -> Record | None:
    """The user with this e-mail address; None when there is none."""
    return connection.execute(sa.select(users).where(users.c.email_hash == email_hash)).mappings().first()


def usernames_of(connection: sa.Connection, user_ids: Collection[str]) -> dict[str, str]:
    """The names of these users, by id; unknown ones are left out."""
    query = sa.select(users.c.id, users.c.username).where(users.c.id.in_(user_ids))
    return {row.id: row.username for row in connection.execute(query)}


def list_users(connection: sa.Connection, page: int, size: int, part: str | None) -> tuple[list[Record], int]:
    """One page by name (`page` from 1), of those whose name holds this part, and the total."""
    where = [] if part is None else [users.c.username.contains(part, autoescape=True)]
    total = connection.execute(sa.select(sa.func.count()).select_from(users).where(*where)).scalar_one()
    query = sa.select(users).where(*where).order_by(users.c.username).limit(size).offset((page - 1) * size)
    return list(connection.execute(query).mappings()), total


def change_user(connection: sa.Connection, user_id: str, now: datetime, **values: Any) -> bool:
    """Set columns of a user; False when there is none. Raises IntegrityError as `add_user` does."""
    changed = users.update().where(users.c.id == user_id).values(**values, updated_at=now)
    return bool(connection.execute(changed).rowcount)


def mark_login(connection: sa.Connection, user: Record, now: datetime) -> bool:
    """Record a login, if the user is still as it was read: the same password, not disabled, not deleted."""
    same = (users.c.id == user.id, users.c.password_hash == user.password_hash, sa.not_(users.c.disabled))
    return bool(connection.execute(users.update().where(*same).values(last_login_at=now)).rowcount)


def delete_user(connection: sa.Connection, user_id: str) -> bool:
    """Remove a user with all tokens and codes; False when there is none."""
    revoke_all(connection, user_id)
    return bool(connection.execute(users.delete().where(users.c.id == user_id)).rowcount)


def seal_profile(sealer: Sealer, user_id: str, profile: Mapping[str, str | None]) -> bytes:
    """E-mail address, first and last name."""
    return seal_json(sealer, dict(profile), _place(user_id))


def open_profile(sealer: Sealer, user: Record) -> dict[str, Any]:
    return open_json(sealer, user.sealed_profile, _place(user.id))


def _place(user_id: str) -> str:
    return place_of(users.c.sealed_profile, id=user_id)


def put_code(
    connection: sa.Connection, user_id: str, purpose: Purpose, code: str, expires_at: datetime, now: datetime
) -> None:
    """Keep a code of a user in the place of earlier ones for this purpose."""
    connection.execute(user_codes.delete().where(user_codes.c.user_id == user_id, user_codes.c.purpose == purpose))
    own = {"user_id": user_id, "purpose": purpose, "expires_at": expires_at, "created_at": now}
    connection.execute(user_codes.insert().values(hash=hash_token(code), **own))


def code_made_at(connection: sa.Connection, user_id: str, purpose: Purpose) -> datetime | None:
    """When the user's code for this purpose was made; None when there is none."""
    own = (user_codes.c.user_id == user_id, user_codes.c.purpose == purpose)
    return connection.execute(sa.select(user_codes.c.created_at).where(*own)).scalar()


def take_code(connection: sa.Connection, purpose: Purpose, code: str, now: datetime) -> str | None:
    """Use a code up; whose it was, None when it is unknown, used or over."""
    own = (user_codes.c.hash == hash_token(code), user_codes.c.purpose == purpose, user_codes.c.expires_at > now)
    return connection.execute(user_codes.delete().where(*own).returning(user_codes.c.user_id)).scalar()


def drop_codes(connection: sa.Connection, user_id: str) -> None:
    """Let no code of a user open anything."""
    connection.execute(user_codes.delete().where(user_codes.c.user_id == user_id))


def delete_expired_codes(connection: sa.Connection, now: datetime) -> int:
    return connection.execute(user_codes.delete().where(user_codes.c.expires_at <= now)).rowcount


@cache
def _take_try(dialect: str) -> sa.Insert:
    insert = sqlite.insert(login_tries) if dialect == "sqlite" else postgresql.insert(login_tries)
    free = sa.or_(login_tries.c.locked_until.is_(None), login_tries.c.locked_until <= insert.excluded.tried_at)
    again = insert.on_conflict_do_update(
        index_elements=["name_hash"],
        set_={"failed": login_tries.c.failed + 1, "tried_at": insert.excluded.tried_at},
        where=free,
    )
    return again.returning(login_tries.c.failed)


def take_try(connection: sa.Connection, name_hash: bytes, now: datetime) -> int | None:
    """Count a try with this name, before it is made: the how manieth since the last good one; None while locked.

    The row is locked until the transaction ends, so that of many at once each has its own number.
    """
    row = {"name_hash": name_hash, "failed": 1, "locked_until": None, "tried_at": now}
    return connection.execute(_take_try(connection.dialect.name), row).scalar()


def lock_name(connection: sa.Connection, name_hash: bytes, until: datetime) -> None:
    """Refuse every try with this name until then."""
    connection.execute(login_tries.update().where(login_tries.c.name_hash == name_hash).values(locked_until=until))


def locked_until(connection: sa.Connection, name_hash: bytes) -> datetime | None:
    """Until when tries with this name are refused, if they are."""
    query = sa.select(login_tries.c.locked_until).where(login_tries.c.name_hash == name_hash)
    return connection.execute(query).scalar()


def note_failure(connection: sa.Connection, name_hash: bytes, now: datetime) -> None:
    """Write that a try has failed. It was counted before: this makes a name nobody has cost as much as others."""
    connection.execute(login_tries.update().where(login_tries.c.name_hash == name_hash).values(tried_at=now))


def forget_tries(connection: sa.Connection, name_hash: bytes) -> None:
    """Begin to count anew."""
    connection.execute(login_tries.delete().where(login_tries.c.name_hash == name_hash))


def delete_old_tries(connection: sa.Connection, before: datetime) -> int:
    return connection.execute(login_tries.delete().where(login_tries.c.tried_at < before)).rowcount
