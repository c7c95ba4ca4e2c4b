"""Repository of clients and tokens. Tokens are opaque and stored hashed; deleting the row revokes at once."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from habeas.store.configurations import Record
from habeas.store.tables import clients, tokens


def hash_token(token: str) -> str:
    """How a token is stored; tokens are long and random, so one round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_client(
    connection: sa.Connection, client_id: str, secret_hash: str, scopes: Sequence[str], name: str | None, now: datetime
) -> None:
    connection.execute(
        clients.insert().values(
            id=client_id, secret_hash=secret_hash, scopes=list(scopes), name=name, created_at=now, updated_at=now
        )
    )


def find_client(connection: sa.Connection, client_id: str) -> Record | None:
    return connection.execute(sa.select(clients).where(clients.c.id == client_id)).mappings().first()


def list_clients(connection: sa.Connection) -> list[Record]:
    return list(connection.execute(sa.select(clients).order_by(clients.c.created_at)).mappings())


def change_client(connection: sa.Connection, client_id: str, now: datetime, **values: object) -> bool:
    """Set columns of a client; False when there is none."""
    changed = connection.execute(clients.update().where(clients.c.id == client_id).values(**values, updated_at=now))
    return bool(changed.rowcount)


def delete_client(connection: sa.Connection, client_id: str) -> None:
    """Remove a client and all its tokens; nothing happens when there is none."""
    connection.execute(tokens.delete().where(tokens.c.client_id == client_id))
    connection.execute(clients.delete().where(clients.c.id == client_id))


def add_token(
    connection: sa.Connection, token: str, client_id: str, scopes: Sequence[str], expires_at: datetime, now: datetime
) -> None:
    connection.execute(
        tokens.insert().values(
            hash=hash_token(token), client_id=client_id, scopes=list(scopes), expires_at=expires_at, created_at=now
        )
    )


def find_token(connection: sa.Connection, token: str, now: datetime) -> Record | None:
    """The live token's record (`client_id`, `scopes`), or None when unknown, revoked or expired."""
    query = sa.select(tokens).where(tokens.c.hash == hash_token(token), tokens.c.expires_at > now)
    return connection.execute(query).mappings().first()


def revoke_token(connection: sa.Connection, token: str) -> None:
    """Revoke one token; nothing happens when it is unknown."""
    connection.execute(tokens.delete().where(tokens.c.hash == hash_token(token)))


def delete_expired_tokens(connection: sa.Connection, now: datetime) -> int:
    return connection.execute(tokens.delete().where(tokens.c.expires_at <= now)).rowcount
