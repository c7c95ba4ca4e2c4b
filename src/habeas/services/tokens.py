"""Access tokens of clients and users (control-plane §1.16).

Tokens are opaque and looked up at every call, so that revoking, deleting, disabling and narrowing act at once. Each has
an id that names it and opens nothing.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import NotAllowed, NotAuthenticated, NotFound
from habeas.domain.scopes import SCOPES, SCOPES_OF, Role
from habeas.domain.user import ROOT_USER
from habeas.execution.context import Context
from habeas.services import audit
from habeas.store import grants, users
from habeas.store.configurations import Record

Kind = Literal["access", "session"]
"""An access token goes into the header `Authorization`, that of a session into its cookie; neither opens the other."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh access token; the only time it is shown. `jti` names it, `expires_in` is in seconds."""

    access_token: str
    jti: str
    expires_in: int
    expires_at: datetime
    token_type: str = "bearer"  # noqa: S105  # the protocol's word, no password


@dataclass(frozen=True, slots=True)
class TokenView:
    """A living token as shown: never itself."""

    jti: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime


def issue(context: Context, connection: sa.Connection, holder: Actor, kind: Kind = "access") -> IssuedToken:
    """A token with the present scopes of a client or user who has proved who it is."""
    token, now, security = secrets.token_urlsafe(32), context.clock.now(), context.settings.security
    minutes = security.oauth_access_token_expire_minutes if kind == "access" else security.session_minutes
    life, name = timedelta(minutes=minutes), f"tok_{secrets.token_hex(16)}"
    grants.add_token(connection, token, name, holder.id, sorted(holder.scopes), now + life, now, kind)
    return IssuedToken(token, name, int(life.total_seconds()), now + life)


def authenticate(context: Context, token: str, kind: Kind = "access") -> Actor:
    """Who presents this token, with the scopes that are in both the token's grant and the holder's present one.

    Raises NotAuthenticated (unknown, expired or revoked token, one of the other kind, deleted client, deleted or
    disabled user).
    """
    with context.ledger.read() as connection:
        granted = grants.find_token(connection, token, context.clock.now())
        present = granted and find_holder(context, connection, granted.client_id)
    if granted is None or present is None or granted.kind != kind:
        how = "get one from POST /api/v1/oauth/token, or log in" if kind == "access" else "log in"
        raise NotAuthenticated(f"the {kind} token is not valid", hint=how)
    return Actor(present.id, present.kind, scopes=present.scopes & frozenset(granted.scopes))


def check_holds(caller: Actor, scope: str) -> None:
    """Raises NotAllowed without the scope."""
    if scope not in caller.scopes:
        raise NotAllowed(f"scope {scope} is needed", hint=f"give the {caller.kind} this scope, then get a new token")


def find_holder(context: Context, connection: sa.Connection, holder_id: str) -> Actor | None:
    """A client or user with what it may do at present; None when it is gone or may do nothing any more."""
    security = context.settings.security
    if holder_id == security.oauth_root_client_id:
        return Actor(holder_id, ActorKind.CLIENT, scopes=frozenset(SCOPES))
    if holder_id == ROOT_USER:
        return Actor(ROOT_USER, ActorKind.USER, scopes=frozenset(SCOPES)) if security.root_username else None
    if is_user(holder_id):
        user = users.find_user(connection, holder_id)
        return None if user is None or user.disabled else Actor(user.id, ActorKind.USER, scopes=scopes_of(user))
    client = grants.find_client(connection, holder_id)
    return None if client is None else client_actor(context, connection, client)


def client_actor(context: Context, connection: sa.Connection, client: Record) -> Actor | None:
    """A stored client, which may do no more than the user who has made its secret, and so knows it, may at present.

    None while that user is gone or disabled.
    """
    scopes = frozenset(client.scopes)
    if client.secret_made_by is not None:
        maker = find_holder(context, connection, client.secret_made_by)
        if maker is None:
            return None
        scopes &= maker.scopes
    return Actor(client.id, ActorKind.CLIENT, context.actor.origin, scopes)


def is_user(holder_id: str) -> bool:
    """Whether this is a user's id; else it is a client's."""
    return holder_id.startswith("fid_")


def scopes_of(user: Record) -> frozenset[str]:
    """What a user may do: the scopes of its roles, and its own."""
    return frozenset(user.scopes).union(*(SCOPES_OF[Role(role)] for role in user.roles))


def list_living(context: Context, connection: sa.Connection, holder_id: str) -> list[TokenView]:
    """The tokens of a client or user that are neither over nor revoked, oldest first."""
    living = grants.list_tokens(connection, holder_id, context.clock.now())
    return [TokenView(one.id, list(one.scopes), one.created_at, one.expires_at) for one in living]


def revoke(context: Context, token: str) -> None:
    """End one token's life; nothing happens when there is no such token (RFC 7009)."""
    with context.ledger.write() as connection:
        holder_id = grants.revoke_token(connection, token)
        if holder_id is not None:
            _audit_revoked(context, connection, holder_id)


def revoke_named(context: Context, connection: sa.Connection, holder_id: str, jti: str) -> None:
    """End the life of the token of this name. Raises NotFound."""
    if not grants.revoke_named(connection, holder_id, jti):
        raise NotFound(f"{holder_id} has no living token {jti!r}")
    _audit_revoked(context, connection, holder_id)


def _audit_revoked(context: Context, connection: sa.Connection, holder_id: str) -> None:
    kind = ObjectKind.USER if is_user(holder_id) else ObjectKind.CLIENT
    audit.record(context, connection, AuditAction.TOKEN_REVOKED, kind, holder_id)


def check_handles(caller: Actor, scopes: Iterable[str], what: str) -> None:
    """Raises NotAllowed when a client or user with these scopes may do what the caller may not.

    Else whoever may change clients or users could take over, or shut out, those who may do more.
    """
    if set(scopes) - caller.scopes:
        raise NotAllowed(
            f"this {what} may do what you may not, so you cannot change it", hint="ask somebody who holds these scopes"
        )


def check_grantable(granter: Actor, wanted: Iterable[str]) -> None:
    """Raises NotAllowed when somebody would give what it lacks."""
    missing = sorted(set(wanted) - granter.scopes)
    if missing:
        raise NotAllowed(f"you cannot grant what you lack: {', '.join(missing)}", hint="ask somebody who holds them")
