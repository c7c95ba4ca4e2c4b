"""Repository of clients and tokens. Tokens are opaque and stored hashed; deleting the row revokes at once."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from habeas.store.configurations import Record
from habeas.store.tables import clients, tokens


def hash_token(token: str) -> str:
    """How a token is stored; tokens are long and random, so one round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_client(
    connection: sa.Connection,
    client_id: str,
    secret_hash: str,
    scopes: Sequence[str],
    now: datetime,
    name: str | None = None,
    description: str | None = None,
    secret_made_by: str | None = None,
) -> None:
    told = {"name": name, "description": description, "created_at": now, "updated_at": now}
    own = {"id": client_id, "secret_hash": secret_hash, "scopes": list(scopes), "secret_made_by": secret_made_by}
    connection.execute(clients.insert().values(**own, **told))


def find_client(connection: sa.Connection, client_id: str) -> Record | None:
    return connection.execute(sa.select(clients).where(clients.c.id == client_id)).mappings().first()


def lock_client(connection: sa.Connection, client_id: str) -> Record | None:
    """The client as it stays until the transaction ends, or is changed by it."""
    return connection.execute(sa.select(clients).where(clients.c.id == client_id).with_for_update()).mappings().first()


def list_clients(connection: sa.Connection) -> list[Record]:
    return list(connection.execute(sa.select(clients).order_by(clients.c.created_at)).mappings())


def change_client(connection: sa.Connection, client_id: str, now: datetime, **values: object) -> bool:
    """Set columns of a client; False when there is none."""
    changed = connection.execute(clients.update().where(clients.c.id == client_id).values(**values, updated_at=now))
    return bool(changed.rowcount)


def delete_client(connection: sa.Connection, client_id: str) -> bool:
    """Remove a client and all its tokens; False when there is none."""
    revoke_all(connection, client_id)
    return bool(connection.execute(clients.delete().where(clients.c.id == client_id)).rowcount)


def add_token(
    connection: sa.Connection,
    token: str,
    name: str,
    holder_id: str,
    scopes: Sequence[str],
    expires_at: datetime,
    now: datetime,
    kind: Literal["access", "session"] = "access",
) -> None:
    life = {"expires_at": expires_at, "created_at": now}
    own = {"id": name, "kind": kind, "client_id": holder_id, "scopes": list(scopes)}
    connection.execute(tokens.insert().values(hash=hash_token(token), **own, **life))


def find_token(connection: sa.Connection, token: str, now: datetime) -> Record | None:
    """The live token's record (`client_id`, `scopes`), or None when unknown, revoked or expired."""
    query = sa.select(tokens).where(tokens.c.hash == hash_token(token), tokens.c.expires_at > now)
    return connection.execute(query).mappings().first()


def list_tokens(connection: sa.Connection, holder_id: str, now: datetime) -> list[Record]:
    """The living tokens of a client or user, oldest first."""
    query = sa.select(tokens).where(tokens.c.client_id == holder_id, tokens.c.expires_at > now)
    return list(connection.execute(query.order_by(tokens.c.created_at, tokens.c.id)).mappings())


def revoke_token(connection: sa.Connection, token: str) -> str | None:
    """Revoke one token; whose it was, None when it is unknown."""
    revoked = tokens.delete().where(tokens.c.hash == hash_token(token)).returning(tokens.c.client_id)
    return connection.execute(revoked).scalar()


def revoke_named(connection: sa.Connection, holder_id: str, name: str) -> bool:
    """Revoke the token of this name; False when its holder has none."""
    revoked = tokens.delete().where(tokens.c.client_id == holder_id, tokens.c.id == name)
    return bool(connection.execute(revoked).rowcount)


def revoke_all(connection: sa.Connection, holder_id: str, keep: str | None = None) -> None:
    """Revoke every token of a client or user, but for this one."""
    own = tokens.delete().where(tokens.c.client_id == holder_id)
    connection.execute(own if keep is None else own.where(tokens.c.hash != hash_token(keep)))


def revoke_made_by(connection: sa.Connection, user_id: str) -> None:
    """Revoke every token of the clients whose secrets this user has made."""
    made = sa.select(clients.c.id).where(clients.c.secret_made_by == user_id)
    connection.execute(tokens.delete().where(tokens.c.client_id.in_(made)))


def delete_expired_tokens(connection: sa.Connection, now: datetime) -> int:
    return connection.execute(tokens.delete().where(tokens.c.expires_at <= now)).rowcount
