"""Clients, their scopes and tokens (control-plane §1.16).

Tokens are opaque and looked up at every call, so that revoking, deleting and narrowing act at once. The root
client comes from the settings, holds every scope and is never stored.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from habeas.domain.errors import Conflict, NotAllowed, NotAuthenticated, NotFound
from habeas.execution.context import Context
from habeas.services.fields import InvalidFields, Problem
from habeas.store import grants
from habeas.store.configurations import Record

_GRANTED = {
    "client": "create update read delete",
    "config": "read",
    "policy": "create_or_update read delete",
    "rule": "create_or_update read delete",
    "connection_type": "read",
    "connection": "create_or_update read delete authorize instantiate",
    "consent": "read",
    "dataset": "create_or_update read delete",
    "storage": "create_or_update read delete",
    "email": "create_or_update read delete",
    "messaging": "create_or_update read delete",
    "messaging-template": "update",
    "webhook": "create_or_update read delete",
    "saas_config": "create_or_update read delete",
    "privacy-request": "read delete create review resume upload_data view_data",
    "privacy-request-access-results": "read",
    "privacy-request-notifications": "read create_or_update",
    "scope": "read",
    "encryption": "exec",
    "user": "create update read delete reset-password",
    "user-permission": "create update read",
}
SCOPES = tuple(f"{thing}:{act}" for thing, acts in _GRANTED.items() for act in acts.split())
"""Every scope there is."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the scopes that both the token and the client hold."""

    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh access token; the only time it is shown. `expires_in` in seconds."""

    access_token: str
    expires_in: int
    expires_at: datetime
    token_type: str = "bearer"  # noqa: S105  # the protocol's word, no password


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client's id and secret; the only time the secret is shown."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client as shown: never its secret."""

    client_id: str
    name: str | None
    scopes: list[str]
    created_at: datetime
    updated_at: datetime


def issue_token(context: Context, client_id: str, client_secret: str) -> IssuedToken:
    """A token with the client's present scopes. Raises NotAuthenticated without saying which part was wrong."""
    scopes = _prove(context, client_id, client_secret)
    token, now = secrets.token_urlsafe(32), context.clock.now()
    life = timedelta(minutes=context.settings.security.oauth_access_token_expire_minutes)
    with context.ledger.write() as connection:
        grants.add_token(connection, token, client_id, sorted(scopes), now + life, now)
    return IssuedToken(token, int(life.total_seconds()), now + life)


def authenticate(context: Context, token: str, scope: str | None = None) -> Caller:
    """Who presents this token. The scope must be in both the token's grant and the client's present one.

    Raises NotAuthenticated (unknown, expired or revoked token, deleted client) and NotAllowed (scope).
    """
    with context.ledger.read() as connection:
        granted = grants.find_token(connection, token, context.clock.now())
        client = granted and grants.find_client(connection, granted.client_id)
    present = _scopes_of(context, granted.client_id, client) if granted else None
    if granted is None or present is None:
        raise NotAuthenticated("the access token is not valid", hint="get one from POST /api/v1/oauth/token")
    caller = Caller(granted.client_id, frozenset(granted.scopes) & present)
    if scope is not None and scope not in caller.scopes:
        raise NotAllowed(f"scope {scope} is needed", hint="give the client this scope, then get a new token")
    return caller


def revoke_token(context: Context, token: str) -> None:
    """End one token's life; nothing happens when there is no such token (RFC 7009)."""
    with context.ledger.write() as connection:
        grants.revoke_token(connection, token)


def create_client(context: Context, caller: Caller, scopes: Iterable[str], name: str | None = None) -> Credentials:
    """A new client. Raises InvalidFields for unknown scopes, NotAllowed for scopes that the caller lacks."""
    wanted = _check_scopes(scopes)
    _check_grantable(caller, wanted)
    made = Credentials(f"cli_{secrets.token_hex(16)}", secrets.token_urlsafe(32))
    with context.ledger.write() as connection:
        secret_hash = _HASHER.hash(made.client_secret)
        grants.add_client(connection, made.client_id, secret_hash, sorted(wanted), name, context.clock.now())
    return made


def list_clients(context: Context) -> list[ClientView]:
    """All stored clients, oldest first; the root client is not among them."""
    with context.ledger.read() as connection:
        return [_show(record) for record in grants.list_clients(connection)]


def find_client(context: Context, client_id: str) -> ClientView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        record = grants.find_client(connection, client_id)
    if record is None:
        raise _unknown(client_id)
    return _show(record)


def change_scopes(context: Context, caller: Caller, client_id: str, scopes: Iterable[str]) -> ClientView:
    """Replace a client's scopes; what its tokens may do shrinks at once and grows with its next token.

    Raises NotFound, InvalidFields for unknown scopes, NotAllowed for added scopes that the caller lacks.
    """
    wanted = _check_scopes(scopes)
    present = find_client(context, client_id)
    _check_grantable(caller, wanted - frozenset(present.scopes))
    with context.ledger.write() as connection:
        if not grants.change_client(connection, client_id, context.clock.now(), scopes=sorted(wanted)):
            raise _unknown(client_id)
    return find_client(context, client_id)


def rotate_secret(context: Context, caller: Caller, client_id: str) -> Credentials:
    """A new secret; the old one ends at once, tokens live on until they expire or are revoked.

    Raises NotFound, and NotAllowed when the client holds scopes that the caller lacks: whoever knows its
    secret holds them too.
    """
    _check_grantable(caller, frozenset(find_client(context, client_id).scopes))
    made = Credentials(client_id, secrets.token_urlsafe(32))
    secret_hash = _HASHER.hash(made.client_secret)
    with context.ledger.write() as connection:
        if not grants.change_client(connection, client_id, context.clock.now(), secret_hash=secret_hash):
            raise _unknown(client_id)
    return made


def delete_client(context: Context, client_id: str) -> None:
    """Delete a client and revoke its tokens; nothing happens when there is none. Conflict for the root client."""
    if client_id == context.settings.security.oauth_root_client_id:
        raise Conflict("the root client is defined by the settings", hint="revoke its tokens one by one")
    with context.ledger.write() as connection:
        grants.delete_client(connection, client_id)


def _prove(context: Context, client_id: str, client_secret: str) -> frozenset[str]:
    """The scopes of a client that knows its secret; takes as long for unknown clients as for known ones."""
    security = context.settings.security
    if _same(client_id, security.oauth_root_client_id) & _same(client_secret, security.oauth_root_client_secret):
        return frozenset(SCOPES)
    with context.ledger.read() as connection:
        record = None if "\x00" in client_id else grants.find_client(connection, client_id)
    matches = _verify(record.secret_hash if record else _hash_of_nobody(), client_secret)
    if record is None or not matches:
        raise NotAuthenticated("client id or secret is wrong")
    return frozenset(record.scopes)


def _same(given: str, expected: str) -> bool:
    """Constant-time; an empty expectation matches nothing."""
    return hmac.compare_digest(given.encode(), expected.encode()) and bool(expected)


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash(secrets.token_urlsafe(32))


def _verify(secret_hash: str, secret: str) -> bool:
    try:
        return _HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


def _scopes_of(context: Context, client_id: str, client: Record | None) -> frozenset[str] | None:
    if client_id == context.settings.security.oauth_root_client_id:
        return frozenset(SCOPES)
    return None if client is None else frozenset(client.scopes)


def _check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    wanted = list(scopes)
    unknown = [Problem(("scopes", number), "unknown scope") for number, item in enumerate(wanted) if item not in SCOPES]
    if unknown:
        raise InvalidFields(unknown)
    return frozenset(wanted)


def _check_grantable(caller: Caller, wanted: frozenset[str]) -> None:
    missing = sorted(wanted - caller.scopes)
    if missing:
        raise NotAllowed(f"you cannot grant what you lack: {', '.join(missing)}", hint="ask a client that holds them")


def _unknown(client_id: str) -> NotFound:
    return NotFound(f"there is no client {client_id!r}")


def _show(record: Record) -> ClientView:
    return ClientView(record.id, record.name, list(record.scopes), record.created_at, record.updated_at)
