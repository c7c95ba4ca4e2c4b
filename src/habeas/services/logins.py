"""Users log in and out, for programs by an access token, on pages by a session (control-plane §1.16, §7).

A session is a token in a cookie. Browsers send cookies by themselves, so whatever a page changes must also bring the
session's CSRF token, which is made from the session's token and stored nowhere.
"""

import hmac
from dataclasses import dataclass, replace

import sqlalchemy as sa

from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import NotAllowed
from habeas.domain.scopes import SCOPES
from habeas.domain.user import ROOT_USER, normalise_username, read_password
from habeas.execution.context import Context
from habeas.services import audit, login_tries, tokens
from habeas.services.passwords import matches, same
from habeas.services.tokens import IssuedToken, Kind
from habeas.services.user_views import UserView, find_user, get_stored, show_root, show_user
from habeas.store import grants, users
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who has logged in, and the token that says so."""

    user_data: UserView
    token_data: IssuedToken


@dataclass(frozen=True, slots=True)
class SessionView:
    """Whose session it is, what may be done in it, and what changes made in it have to bring as `X-CSRF-Token`."""

    user_data: UserView
    scopes: list[str]
    csrf_token: str


def log_in(context: Context, username: str, password: str, kind: Kind = "access") -> LoggedIn:
    """A token for a user who knows its password, sent as it is or in base64.

    Raises NotAllowed in the same words, and after the same work, whether the name is unknown, the password wrong or the
    user disabled; TooSoon while there were too many tries with this name.
    """
    name = normalise_username(username) or username
    login_tries.take_try(context, name)
    with context.ledger.read() as connection:
        is_root = _is_root(context, name)
        user = None if is_root or "\x00" in name else users.find_named(connection, name)
    proved = _prove(context, user, is_root, read_password(password))
    with context.ledger.write() as connection:
        if proved is not None and (user is None or users.mark_login(connection, user, context.clock.now())):
            users.forget_tries(connection, login_tries.name_key(context, name))
            view = show_root(context) if user is None else show_user(context, get_stored(connection, user.id))
            return LoggedIn(view, admit(context, connection, proved, kind))
        users.note_failure(connection, login_tries.name_key(context, name), context.clock.now())
        if user is not None or is_root:
            audit.record(
                context, connection, AuditAction.LOGIN_FAILED, ObjectKind.USER, ROOT_USER if user is None else user.id
            )
    raise NotAllowed("name or password is wrong")


def admit(context: Context, connection: sa.Connection, user: Actor, kind: Kind = "access") -> IssuedToken:
    """A token for a user who has proved who it is."""
    audit.record(context, connection, AuditAction.LOGGED_IN, ObjectKind.USER, user.id, by=user)
    return tokens.issue(context, connection, user, kind)


def as_actor(context: Context, user: Record) -> Actor:
    """A stored user who has proved who it is."""
    return Actor(user.id, ActorKind.USER, context.actor.origin, tokens.scopes_of(user))


def log_out(context: Context) -> None:
    """End every token and session of the calling user. Raises NotAllowed for clients."""
    if context.actor.kind is not ActorKind.USER:
        raise NotAllowed("only users log out", hint="POST /api/v1/oauth/revoke ends a client's token")
    with context.ledger.write() as connection:
        grants.revoke_all(connection, context.actor.id)
        audit.record(context, connection, AuditAction.LOGGED_OUT, ObjectKind.USER, context.actor.id)


def end_session(context: Context, token: str) -> None:
    """End the calling user's session of this token, no other one."""
    with context.ledger.write() as connection:
        grants.revoke_token(connection, token)
        audit.record(context, connection, AuditAction.LOGGED_OUT, ObjectKind.USER, context.actor.id)


def show_session(context: Context, token: str) -> SessionView:
    """The calling user's session of this token."""
    user = find_user(context, context.actor.id)
    return SessionView(user, sorted(context.actor.scopes), make_csrf_token(context, token))


def open_session(context: Context, username: str, password: str) -> tuple[SessionView, IssuedToken]:
    """A new session and its token, which is for the cookie alone. Raises as `log_in` does."""
    made = log_in(context, username, password, "session")
    actor = tokens.authenticate(context, made.token_data.access_token, kind="session")
    return show_session(replace(context, actor=actor), made.token_data.access_token), made.token_data


def make_csrf_token(context: Context, token: str) -> str:
    """What proves that a change comes from a page of the session's own."""
    return context.ledger.sealer.index("csrf token", token).hex()


def check_csrf_token(context: Context, token: str, given: str | None) -> None:
    """Raises NotAllowed unless this is the session's CSRF token."""
    if not hmac.compare_digest((given or "").encode(), make_csrf_token(context, token).encode()):
        raise NotAllowed(
            "this session's CSRF token is missing or wrong", hint="send the one of GET /api/v1/session as X-CSRF-Token"
        )


def _is_root(context: Context, name: str) -> bool:
    root = context.settings.security.root_username
    return bool(root) and name == normalise_username(root)


def _prove(context: Context, user: Record | None, is_root: bool, password: str) -> Actor | None:
    """Who has proved by this password to be the user; takes as long for everybody."""
    known = matches(user.password_hash if user is not None else None, password)
    if is_root and same(password, read_password(context.settings.security.root_password)):
        return Actor(ROOT_USER, ActorKind.USER, context.actor.origin, frozenset(SCOPES))
    return as_actor(context, user) if user is not None and known and not user.disabled else None
