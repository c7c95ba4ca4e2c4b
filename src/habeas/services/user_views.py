"""Users as they are shown, and found by those who change them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.errors import Conflict, NotFound
from habeas.domain.scopes import Role
from habeas.domain.user import ROOT_USER, normalise_username
from habeas.execution.context import Context
from habeas.services import tokens
from habeas.store import users
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as shown: never a password nor a code. The root user has no times.

    `has_password`: false while nobody has accepted the invitation.
    """

    id: str
    username: str
    email_address: str | None
    first_name: str | None
    last_name: str | None
    disabled: bool
    has_password: bool
    roles: list[Role]
    scopes: list[str]
    created_at: datetime | None
    updated_at: datetime | None
    last_login_at: datetime | None


def show_user(context: Context, user: Record) -> UserView:
    """A record as shown; `scopes` are those beside the roles'."""
    profile = users.open_profile(context.ledger.sealer, user)
    return UserView(
        id=user.id,
        username=user.username,
        email_address=profile["email_address"],
        first_name=profile["first_name"],
        last_name=profile["last_name"],
        disabled=user.disabled,
        has_password=user.password_hash is not None,
        roles=[Role(role) for role in user.roles],
        scopes=list(user.scopes),
        created_at=user.created_at,
        updated_at=user.updated_at,
        last_login_at=user.last_login_at,
    )


def show_root(context: Context) -> UserView:
    """The user whom the settings define."""
    name = normalise_username(context.settings.security.root_username) or ""
    return UserView(ROOT_USER, name, None, None, None, False, True, [Role.OWNER], [], None, None, None)


def find_user(context: Context, user_id: str) -> UserView:
    """Raises NotFound."""
    if user_id == ROOT_USER and context.settings.security.root_username:
        return show_root(context)
    with context.ledger.read() as connection:
        return show_user(context, get_stored(connection, user_id))


def name_users(context: Context, connection: sa.Connection, user_ids: Collection[str]) -> dict[str, str]:
    """The names of those of these who are users now, by id; the one whom the settings define is one."""
    names = users.usernames_of(connection, user_ids) if user_ids else {}
    if ROOT_USER in user_ids and context.settings.security.root_username:
        names[ROOT_USER] = show_root(context).username
    return names


def get_stored(connection: sa.Connection, user_id: str, *, lock: bool = False) -> Record:
    """The record of a user. Raises NotFound, Conflict for the root user, who is not stored."""
    if user_id == ROOT_USER:
        raise Conflict("the root user is defined by the settings", hint="change security.root_username and _password")
    found = users.lock_user(connection, user_id) if lock else users.find_user(connection, user_id)
    if found is None:
        raise NotFound(f"there is no user {user_id[:64]!r}", hint="GET /api/v1/user lists them")
    return found


def get_handled(context: Context, connection: sa.Connection, user_id: str) -> Record:
    """The record of a user whom the caller may change: itself, or somebody who may do nothing that the caller may not.

    It stays so until the transaction ends. Raises as `get_stored` does, and NotAllowed.
    """
    user = get_stored(connection, user_id, lock=True)
    if context.actor.id != user_id:
        tokens.check_handles(context.actor, tokens.scopes_of(user), "user")
    return user
