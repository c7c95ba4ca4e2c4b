"""Clients and their scopes (control-plane §1.16).

The root client comes from the settings, holds every scope and is never stored.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, NotAuthenticated, NotFound
from habeas.domain.scopes import SCOPES
from habeas.execution.context import Context
from habeas.services import audit, tokens
from habeas.services.bulk import refuse_nul
from habeas.services.fields import InvalidFields, Problem
from habeas.services.passwords import hash_secret, matches, same
from habeas.services.tokens import IssuedToken, TokenView
from habeas.store import grants, status_webhooks
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class ClientDraft:
    """A client as it shall be."""

    scopes: list[str]
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client's id and secret; the only time the secret is shown."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client as shown: never its secret.

    `secret_made_by`: the user who has made its secret, or whose client has; without this user it does not work, and it
    may do no more than this user may at present. Null when the root client has, or somebody unknown.
    """

    client_id: str
    name: str | None
    description: str | None
    scopes: list[str]
    created_at: datetime
    updated_at: datetime
    secret_made_by: str | None


def issue_token(context: Context, client_id: str, client_secret: str) -> IssuedToken:
    """A token with the client's present scopes. Raises NotAuthenticated without saying which part was wrong."""
    client, secret_hash = _prove(context, client_id, client_secret)
    with context.ledger.write() as connection:
        if secret_hash is not None:
            present = grants.lock_client(connection, client_id)
            if present is None or present.secret_hash != secret_hash:
                raise _wrong()
        issued = tokens.issue(context, connection, client)
        audit.record(context, connection, AuditAction.TOKEN_ISSUED, ObjectKind.CLIENT, client.id, by=client)
    return issued


def create_client(context: Context, draft: ClientDraft) -> Credentials:
    """A new client. Raises InvalidFields for unknown scopes, NotAllowed for scopes that the caller lacks."""
    refuse_nul(draft)
    wanted = check_scopes(draft.scopes)
    tokens.check_grantable(context.actor, wanted)
    made = Credentials(f"cli_{secrets.token_hex(16)}", secrets.token_urlsafe(32))
    secret_hash, now = hash_secret(made.client_secret), context.clock.now()
    with context.ledger.write() as connection:
        told = (draft.name, draft.description, _find_user_behind(context, connection))
        grants.add_client(connection, made.client_id, secret_hash, sorted(wanted), now, *told)
        _audit(context, connection, made.client_id, AuditAction.CREATED)
    return made


def list_clients(context: Context) -> list[ClientView]:
    """All stored clients, oldest first; the root client is not among them."""
    with context.ledger.read() as connection:
        return [_show(record) for record in grants.list_clients(connection)]


def find_client(context: Context, client_id: str) -> ClientView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return _show(_get(connection, client_id))


def change_client(context: Context, client_id: str, draft: ClientDraft) -> ClientView:
    """Replace a client's name, description and scopes; raises as `change_scopes` does."""
    refuse_nul(draft)
    told = {"name": draft.name, "description": draft.description}
    return _change(context, client_id, draft.scopes, told)


def change_scopes(context: Context, client_id: str, scopes: Iterable[str]) -> ClientView:
    """Replace a client's scopes; what its tokens may do shrinks at once and grows with its next token.

    Raises NotFound, InvalidFields for unknown scopes, NotAllowed when the caller lacks a scope that the client holds
    or shall hold, Conflict when it would be given what it could not use: the user who made its secret may not.
    """
    return _change(context, client_id, scopes, {})


def _change(context: Context, client_id: str, scopes: Iterable[str], told: dict[str, str | None]) -> ClientView:
    wanted = check_scopes(scopes)
    with context.ledger.write() as connection:
        former = _get_handled(context, connection, client_id)
        tokens.check_grantable(context.actor, wanted)
        _check_of_use(context, connection, former, wanted)
        grants.change_client(connection, client_id, context.clock.now(), scopes=sorted(wanted), **told)
        _audit(context, connection, client_id, AuditAction.SAVED)
        return _show(_get(connection, client_id))


def rotate_secret(context: Context, client_id: str) -> Credentials:
    """A new secret; the old one ends at once, tokens live on until they expire or are revoked.

    The caller answers for the client from now on. Tokens that another user may have got with the old secret end.
    Raises NotFound, and NotAllowed when the client holds scopes that the caller lacks: whoever knows its
    secret holds them too.
    """
    made = Credentials(client_id, secrets.token_urlsafe(32))
    secret_hash = hash_secret(made.client_secret)
    with context.ledger.write() as connection:
        former, maker = _get_handled(context, connection, client_id), _find_user_behind(context, connection)
        if former.secret_made_by not in (None, maker):
            grants.revoke_all(connection, client_id)
        values = {"secret_hash": secret_hash, "secret_made_by": maker}
        grants.change_client(connection, client_id, context.clock.now(), **values)
        _audit(context, connection, client_id, AuditAction.SECRET_CHANGED)
    return made


def delete_client(context: Context, client_id: str) -> None:
    """Delete a client, its tokens and its status webhooks; nothing happens when there is none.

    Raises Conflict for the root client, NotAllowed when the client holds scopes that the caller lacks.
    """
    if _is_root(context, client_id):
        raise Conflict("the root client is defined by the settings", hint="revoke its tokens one by one")
    with context.ledger.write() as connection:
        present = grants.lock_client(connection, client_id)
        if present is None:
            return
        tokens.check_handles(context.actor, present.scopes, "client")
        grants.delete_client(connection, client_id)
        status_webhooks.delete_of(connection, client_id)
        _audit(context, connection, client_id, AuditAction.DELETED)


def list_tokens(context: Context, client_id: str) -> list[TokenView]:
    """A client's living tokens, oldest first. Raises NotFound, for users too."""
    with context.ledger.read() as connection:
        if not _is_root(context, client_id):
            _get(connection, client_id)
        return tokens.list_living(context, connection, client_id)


def revoke_token(context: Context, client_id: str, jti: str) -> None:
    """End one of a client's tokens. Raises NotFound, NotAllowed when the client holds scopes that the caller lacks."""
    with context.ledger.write() as connection:
        if _is_root(context, client_id):
            tokens.check_handles(context.actor, SCOPES, "client")
        else:
            _get_handled(context, connection, client_id)
        tokens.revoke_named(context, connection, client_id, jti)


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes, each once. Raises InvalidFields for those that there are not."""
    wanted = list(scopes)
    unknown = [Problem(("scopes", number), "unknown scope") for number, item in enumerate(wanted) if item not in SCOPES]
    if unknown:
        raise InvalidFields(unknown)
    return frozenset(wanted)


def _prove(context: Context, client_id: str, client_secret: str) -> tuple[Actor, str | None]:
    """A client that knows its secret, and the hash that proves it: None for the root client.

    Secrets of unknown clients are checked for as long as those of known ones. Raises NotAuthenticated; that a known one
    was tried in vain is written down.
    """
    security, origin = context.settings.security, context.actor.origin
    is_root = same(client_id, security.oauth_root_client_id)
    if is_root & same(client_secret, security.oauth_root_client_secret):
        return Actor(client_id, ActorKind.CLIENT, origin, frozenset(SCOPES)), None
    with context.ledger.read() as connection:
        record = None if "\x00" in client_id else grants.find_client(connection, client_id)
        client = tokens.client_actor(context, connection, record) if record else None
    known = matches(record.secret_hash if record else None, client_secret)
    if record is not None and client is not None and known:
        return client, record.secret_hash
    if record is not None or is_root:
        with context.ledger.write() as connection:
            _audit(context, connection, client_id, AuditAction.LOGIN_FAILED)
    raise _wrong()


def _wrong() -> NotAuthenticated:
    return NotAuthenticated("client id or secret is wrong")


def _find_user_behind(context: Context, connection: sa.Connection) -> str | None:
    """The user who calls, or who has made the secret of the client that calls."""
    if context.actor.kind is ActorKind.USER:
        return context.actor.id
    calling = grants.find_client(connection, context.actor.id)
    return calling.secret_made_by if calling else None


def _check_of_use(context: Context, connection: sa.Connection, client: Record, wanted: frozenset[str]) -> None:
    """Raises Conflict when scopes are added that the user who has made the client's secret may not use."""
    if client.secret_made_by is None:
        return
    maker = tokens.find_holder(context, connection, client.secret_made_by)
    useless = wanted.difference(client.scopes, maker.scopes if maker else ())
    if useless:
        raise Conflict(
            f"the user who made this client's secret may not: {', '.join(sorted(useless))}",
            hint="give the client a new secret first: then you answer for it",
        )


def _audit(context: Context, connection: sa.Connection, client_id: str, action: AuditAction) -> None:
    audit.record(context, connection, action, ObjectKind.CLIENT, client_id)


def _is_root(context: Context, client_id: str) -> bool:
    return client_id == context.settings.security.oauth_root_client_id


def _get(connection: sa.Connection, client_id: str, *, lock: bool = False) -> Record:
    record = grants.lock_client(connection, client_id) if lock else grants.find_client(connection, client_id)
    if record is None:
        raise NotFound(f"there is no client {client_id!r}")
    return record


def _get_handled(context: Context, connection: sa.Connection, client_id: str) -> Record:
    """A client that holds no scope that the caller lacks; it stays so until the transaction ends."""
    record = _get(connection, client_id, lock=True)
    tokens.check_handles(context.actor, record.scopes, "client")
    return record


def _show(record: Record) -> ClientView:
    return ClientView(
        record.id,
        record.name,
        record.description,
        list(record.scopes),
        record.created_at,
        record.updated_at,
        record.secret_made_by,
    )
