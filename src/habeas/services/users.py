"""Users: people who work with Habeas, what they may do, and their passwords (control-plane §1.16).

The root user comes from the settings, holds every scope and is never stored. Nobody gives what they lack, and nobody
changes somebody who may do more. There need not be an owner: the root client can always make one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import InputError, NotAllowed, NotAuthenticated
from habeas.domain.message import Channel, Event, is_mailable
from habeas.domain.scopes import SCOPES, SCOPES_OF, Role
from habeas.domain.user import ROOT_USER, normalise_username, read_password
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.services import audit, login_tries, tokens, user_codes
from habeas.services.bulk import Listing, make_id
from habeas.services.clients import check_scopes
from habeas.services.fields import InvalidFields, Problem
from habeas.services.passwords import hash_password, matches
from habeas.services.tokens import TokenView
from habeas.services.user_views import UserView, find_user, get_handled, get_stored, show_user
from habeas.store import grants, status_webhooks, users
from habeas.store.configurations import Record

MAKES_OWNERS = "user-permission:assign_owners"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDraft:
    """A user as submitted. Without a password an invitation is mailed."""

    username: str
    password: str | None = None
    email_address: str | None = None
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What shall change of a user: nothing where null, taken away where empty.

    `password` is the one that the user has: for those who change their own address.
    """

    email_address: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    disabled: bool | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Permission:
    """What a user may do: by roles, by scopes of its own, and all in all."""

    user_id: str
    roles: list[Role]
    scopes: list[str]
    total_scopes: list[str]


def create_user(context: Context, draft: UserDraft) -> UserView:
    """A new user, who is a viewer if the caller may do all that viewers may.

    Raises InvalidFields; InputError when the name or address is somebody's, or the invitation cannot be mailed.
    """
    name = _check_draft(context, draft)
    password_hash = None if draft.password is None else hash_password(draft.password, "password")
    user_id, now = make_id("fid"), context.clock.now()
    profile = {
        "email_address": draft.email_address or None,
        "first_name": draft.first_name or None,
        "last_name": draft.last_name or None,
    }
    roles = [Role.VIEWER] if SCOPES_OF[Role.VIEWER] <= context.actor.scopes else []
    values = {
        "id": user_id,
        "username": name,
        "password_hash": password_hash,
        "roles": roles,
        "scopes": [],
        "disabled": False,
        **_kept_profile(context, user_id, profile),
    }
    try:
        with context.ledger.write() as connection:
            users.add_user(connection, values, now)
            users.forget_tries(connection, login_tries.name_key(context, name))  # while nobody had the name
            user = get_stored(connection, user_id)
            if password_hash is None:
                user_codes.invite(context, connection, user)
            audit.record(context, connection, AuditAction.CREATED, ObjectKind.USER, user_id)
            return show_user(context, user)
    except IntegrityError:
        raise _taken() from None


def list_users(context: Context, page: int, size: int, username: str | None = None) -> Listing[UserView]:
    """One page of users by name, of those whose name holds this part; the root user is not among them."""
    with context.ledger.read() as connection:
        found, total = users.list_users(connection, page, size, username.lower() if username else None)
    return Listing([show_user(context, user) for user in found], total, page, size)


def change_user(context: Context, user_id: str, change: UserChange) -> UserView:
    """Change who a user is; disabling ends its tokens, sessions and clients at once, and no code opens it.

    A new address is told to the old one. Raises NotFound, NotAllowed, Conflict for the root user, InvalidFields,
    InputError when the address is somebody's, and what `reset_own_password` does to users who change their own address.
    """
    _check_address(change.email_address)
    proved = context.actor.id == user_id and _prove_for_address(context, change)
    if change.disabled is not None:
        tokens.check_holds(context.actor, "user:update")
    try:
        with context.ledger.write() as connection:
            user = get_handled(context, connection, user_id)
            kept = users.open_profile(context.ledger.sealer, user)
            given = {name: getattr(change, name) for name in ("email_address", "first_name", "last_name")}
            profile = kept | {name: value or None for name, value in given.items() if value is not None}
            values = _kept_profile(context, user_id, profile)
            if change.disabled is not None:
                values["disabled"] = change.disabled
            if change.email_address is not None or change.disabled:
                users.drop_codes(connection, user_id)
            if change.disabled:
                grants.revoke_all(connection, user_id)
                grants.revoke_made_by(connection, user_id)
            if proved:
                users.forget_tries(connection, login_tries.name_key(context, user.username))
            if kept["email_address"] and profile["email_address"] != kept["email_address"]:
                _tell_old_address(context, connection, user, kept["email_address"])
            users.change_user(connection, user_id, context.clock.now(), **values)
            audit.record(context, connection, AuditAction.SAVED, ObjectKind.USER, user_id)
            return show_user(context, get_stored(connection, user_id))
    except IntegrityError:
        raise _taken() from None


def delete_user(context: Context, user_id: str) -> None:
    """Delete a user: its tokens, sessions and clients end at once.

    Raises NotFound, NotAllowed, Conflict for the root user.
    """
    with context.ledger.write() as connection:
        get_handled(context, connection, user_id)
        grants.revoke_made_by(connection, user_id)
        users.delete_user(connection, user_id)
        status_webhooks.delete_of(connection, user_id)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.USER, user_id)


def find_permission(context: Context, user_id: str) -> Permission:
    """What a user may do. Raises NotFound."""
    return _show_permission(find_user(context, user_id))


def save_permission(
    context: Context, user_id: str, roles: Iterable[Role] | None, scopes: Iterable[str] | None
) -> Permission:
    """Replace the roles, or the scopes beside them, or both; what is null stays.

    What its tokens may do shrinks at once and grows with the next login. Raises NotFound, Conflict for the root user,
    InvalidFields for unknown scopes, NotAllowed for what the caller lacks, or when the user may do more.
    """
    wanted = None if scopes is None else sorted(check_scopes(scopes))
    with context.ledger.write() as connection:
        user = get_handled(context, connection, user_id)
        chosen = [Role(role) for role in user.roles] if roles is None else sorted(set(roles))
        own = list(user.scopes) if wanted is None else wanted
        _check_giving(context, user, chosen, own)
        users.change_user(connection, user_id, context.clock.now(), roles=chosen, scopes=own)
        audit.record(context, connection, AuditAction.PERMITTED, ObjectKind.USER, user_id)
        changed = show_user(context, get_stored(connection, user_id))
    return _show_permission(changed)


def reset_own_password(context: Context, old_password: str, new_password: str, keep: str | None = None) -> UserView:
    """The caller chooses a new password: its tokens and sessions end, but for the one to keep.

    Raises InvalidFields, NotAuthenticated when the old one is wrong, TooSoon after too many of these, Conflict for the
    root user.
    """
    user_id = context.actor.id
    password_hash = hash_password(new_password, "new_password")
    with context.ledger.read() as connection:
        user = get_stored(connection, user_id)
    _prove(context, user, old_password)
    with context.ledger.write() as connection:
        return _set_password(context, connection, user, password_hash, keep)


def force_reset_password(context: Context, user_id: str, new_password: str) -> UserView:
    """Give a user a new password: its tokens and sessions end, its codes too, and a lock is opened.

    Raises InvalidFields, NotFound, NotAllowed, Conflict for the root user.
    """
    password_hash = hash_password(new_password, "new_password")
    with context.ledger.write() as connection:
        user = get_handled(context, connection, user_id)
        return _set_password(context, connection, user, password_hash)


def list_tokens(context: Context, user_id: str) -> list[TokenView]:
    """A user's living tokens and sessions, oldest first. Raises NotFound."""
    find_user(context, user_id)
    with context.ledger.read() as connection:
        return tokens.list_living(context, connection, user_id)


def revoke_token(context: Context, user_id: str, jti: str) -> None:
    """End one of a user's tokens or sessions. Raises NotFound, NotAllowed when the user may do more than the caller."""
    with context.ledger.write() as connection:
        if user_id != ROOT_USER:
            get_handled(context, connection, user_id)
        elif context.actor.id != ROOT_USER:
            tokens.check_handles(context.actor, SCOPES, "user")
        tokens.revoke_named(context, connection, user_id, jti)


def _prove_for_address(context: Context, change: UserChange) -> bool:
    """Whether the caller has shown its password, as it must to have its codes mailed elsewhere."""
    if change.email_address is None:
        return False
    with context.ledger.read() as connection:
        user = get_stored(connection, context.actor.id)
    if (change.email_address or None) == show_user(context, user).email_address:
        return False
    if change.password is None:
        raise InvalidFields([Problem(("password",), "is needed to change your own e-mail address")])
    _prove(context, user, change.password)
    return True


def _prove(context: Context, user: Record, password: str) -> None:
    """Raises NotAuthenticated when this is not the calling user's password, TooSoon after too many of these."""
    login_tries.take_try(context, user.username)
    if not matches(user.password_hash, read_password(password)):
        with context.ledger.write() as connection:
            audit.record(context, connection, AuditAction.LOGIN_FAILED, ObjectKind.USER, user.id)
        raise NotAuthenticated("the password is wrong")


def _tell_old_address(context: Context, connection: sa.Connection, user: Record, address: str) -> None:
    if Channel.EMAIL in outbox.open_channels(context, connection, Event.ADDRESS_CHANGED):
        outbox.enqueue_staff(context, connection, Event.ADDRESS_CHANGED, [address], {"username": user.username})


def _set_password(
    context: Context, connection: sa.Connection, user: Record, password_hash: str, keep: str | None = None
) -> UserView:
    users.change_user(connection, user.id, context.clock.now(), password_hash=password_hash)
    grants.revoke_all(connection, user.id, keep)
    users.drop_codes(connection, user.id)
    users.forget_tries(connection, login_tries.name_key(context, user.username))
    audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.USER, user.id)
    return show_user(context, get_stored(connection, user.id))


def _check_draft(context: Context, draft: UserDraft) -> str:
    """The name in normal form. Raises InvalidFields; InputError when it is the root user's."""
    name = normalise_username(draft.username)
    if name is None:
        raise InvalidFields([Problem(("username",), "is not made of letters, digits, . _ - (64 at most)")])
    if name == normalise_username(context.settings.security.root_username):
        raise _taken()
    _check_address(draft.email_address)
    if draft.password is None and not draft.email_address:
        raise InvalidFields([Problem(("password",), "give a password, or an e-mail address to invite")])
    return name


def _check_address(address: str | None) -> None:
    if address and not is_mailable(address):
        raise InvalidFields([Problem(("email_address",), "is no e-mail address")])


def _kept_profile(context: Context, user_id: str, profile: dict[str, str | None]) -> dict[str, Any]:
    """The columns that say who a user is."""
    address = profile["email_address"]
    sealed = users.seal_profile(context.ledger.sealer, user_id, profile)
    return {"sealed_profile": sealed, "email_hash": user_codes.email_key(context, address) if address else None}


def _check_giving(context: Context, user: Record, roles: Iterable[Role], scopes: Iterable[str]) -> None:
    """Raises NotAllowed when the caller gives what it lacks, or makes an owner without the scope for that."""
    if Role.OWNER in roles and Role.OWNER not in user.roles and MAKES_OWNERS not in context.actor.scopes:
        raise NotAllowed(f"scope {MAKES_OWNERS} is needed to make owners", hint="ask an owner")
    wanted = frozenset(scopes).union(*(SCOPES_OF[role] for role in roles))
    tokens.check_grantable(context.actor, wanted - tokens.scopes_of(user))


def _show_permission(user: UserView) -> Permission:
    total = frozenset(user.scopes).union(*(SCOPES_OF[role] for role in user.roles))
    return Permission(user.id, user.roles, user.scopes, sorted(total))


def _taken() -> InputError:
    return InputError("this name or e-mail address is somebody's already", hint="choose another one")
