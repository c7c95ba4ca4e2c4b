"""Codes that are mailed to users: an invitation to choose a password, and the way to a new one (control-plane §1.16).

A code is random, kept hashed, used once, and over after its time. No answer tells whether an address is somebody's.
"""

import secrets
from datetime import timedelta

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, InputError
from habeas.domain.identity import EMAIL, normalise
from habeas.domain.message import Channel, Event, is_mailable
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.services import audit, login_tries, logins
from habeas.services.logins import LoggedIn
from habeas.services.passwords import hash_password
from habeas.services.user_views import get_handled, get_stored, show_user
from habeas.store import grants, users
from habeas.store.configurations import Record
from habeas.store.users import Purpose

INVITE_HOURS = 72
_LEAST_PAUSE = timedelta(minutes=1)
"""Between two codes for a new password: nobody's mailbox is filled by asking again and again."""


def can_invite(context: Context) -> bool:
    """Whether invitations can be mailed."""
    with context.ledger.read() as connection:
        return Channel.EMAIL in outbox.open_channels(context, connection, Event.USER_INVITE)


def invite(context: Context, connection: sa.Connection, user: Record) -> None:
    """Mail a code by which a user without a password chooses one, in the caller's transaction; earlier ones end.

    Raises InputError when it cannot be mailed.
    """
    address = show_user(context, user).email_address
    if address is None:
        raise InputError("there is nowhere to mail an invitation to", hint="give the user an e-mail address")
    if Channel.EMAIL not in outbox.open_channels(context, connection, Event.USER_INVITE):
        raise InputError(
            "an invitation cannot be mailed: no provider of e-mails is active",
            hint="give the user a password, or set up a provider (POST /api/v1/messaging/config)",
        )
    code = _make_code(context, connection, user, "invite", timedelta(hours=INVITE_HOURS))
    told = {"username": user.username, "code": code, "hours": INVITE_HOURS}
    outbox.enqueue_staff(context, connection, Event.USER_INVITE, [address], told)


def reinvite(context: Context, user_id: str) -> None:
    """Mail another invitation. Raises NotFound, NotAllowed, InputError; Conflict when a password was chosen already."""
    with context.ledger.write() as connection:
        user = get_handled(context, connection, user_id)
        if user.password_hash is not None:
            raise Conflict(
                "this user has a password", hint="POST /api/v1/user/forgot-password mails a code for a new one"
            )
        invite(context, connection, user)
        audit.record(context, connection, AuditAction.EMAIL_SENT, ObjectKind.USER, user_id)


def accept_invite(context: Context, code: str, new_password: str) -> LoggedIn:
    """Choose the first password, and log in. Raises InvalidFields; InputError when the code is of no use any more."""
    return _use_code(context, "invite", code, new_password)


def ask_for_reset(context: Context, email_address: str) -> None:
    """Mail a code for a new password, if this is the address of somebody who can log in; nothing tells."""
    if not is_mailable(email_address):
        return
    minutes = context.settings.security.password_reset_token_ttl_minutes
    with context.ledger.write() as connection:
        user = users.find_mailed(connection, email_key(context, email_address))
        if user is None or not _may_reset(context, connection, user):
            return
        code = _make_code(context, connection, user, "reset", timedelta(minutes=minutes))
        told = {"username": user.username, "code": code, "minutes": minutes}
        address = str(show_user(context, user).email_address)
        outbox.enqueue_staff(context, connection, Event.PASSWORD_RESET, [address], told)
        audit.record(context, connection, AuditAction.EMAIL_SENT, ObjectKind.USER, user.id)


def reset_with_code(context: Context, code: str, new_password: str) -> LoggedIn:
    """Choose a new password: all tokens and sessions of the user end. Raises as `accept_invite` does."""
    return _use_code(context, "reset", code, new_password)


def email_key(context: Context, email_address: str) -> bytes:
    """By what a user is found by its e-mail address: a keyed hash."""
    return context.ledger.sealer.index("staff", str(normalise(EMAIL, email_address)))


def _may_reset(context: Context, connection: sa.Connection, user: Record) -> bool:
    if user.disabled or user.password_hash is None:
        return False
    made_at = users.code_made_at(connection, user.id, "reset")
    if made_at is not None and context.clock.now() - made_at < _LEAST_PAUSE:
        return False
    return Channel.EMAIL in outbox.open_channels(context, connection, Event.PASSWORD_RESET)


def _make_code(context: Context, connection: sa.Connection, user: Record, purpose: Purpose, life: timedelta) -> str:
    code, now = secrets.token_urlsafe(32), context.clock.now()
    users.put_code(connection, user.id, purpose, code, now + life, now)
    return code


def _use_code(context: Context, purpose: Purpose, code: str, new_password: str) -> LoggedIn:
    password_hash, now = hash_password(new_password, "new_password"), context.clock.now()
    with context.ledger.write() as connection:
        user_id = users.take_code(connection, purpose, code, now)
        user = None if user_id is None else get_stored(connection, user_id)
        if user is None or user.disabled:
            raise InputError("the code is unknown, used or over", hint="ask for another one")
        users.change_user(connection, user.id, now, password_hash=password_hash, last_login_at=now)
        grants.revoke_all(connection, user.id)
        users.drop_codes(connection, user.id)
        users.forget_tries(connection, login_tries.name_key(context, user.username))
        actor = logins.as_actor(context, user)
        audit.record(context, connection, AuditAction.SECRET_CHANGED, ObjectKind.USER, user.id, by=actor)
        issued = logins.admit(context, connection, actor)
        return LoggedIn(show_user(context, get_stored(connection, user.id)), issued)
