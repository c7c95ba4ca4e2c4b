"""Routes of users: who they are, what they may do, and how they come to a password (control-plane §1.16)."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Query
from fastapi.openapi.models import Example
from pydantic import BaseModel, Field

from habeas.domain.scopes import Role
from habeas.execution.context import Context
from habeas.services import user_codes, users
from habeas.services.logins import LoggedIn
from habeas.services.tokens import TokenView
from habeas.services.user_views import UserView, find_user
from habeas.services.users import Permission, UserChange, UserDraft
from habeas.web.api.logins import Password
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired, identify_self, needs, needs_unless_self, read_token

router = APIRouter(tags=["users"], route_class=StrictRoute)

_Creator: TypeAlias = Annotated[Context, needs("user:create")]
_Reader: TypeAlias = Annotated[Context, needs("user:read")]
_Deleter: TypeAlias = Annotated[Context, needs("user:delete")]
_Resetter: TypeAlias = Annotated[Context, needs("user:reset-password")]
_Permitter: TypeAlias = Annotated[Context, needs("user-permission:create")]
_PermissionChanger: TypeAlias = Annotated[Context, needs("user-permission:update")]
_SelfOrReader: TypeAlias = Annotated[Context, needs_unless_self("user:read")]
_SelfOrChanger: TypeAlias = Annotated[Context, needs_unless_self("user:update")]
_SelfOrPermissionReader: TypeAlias = Annotated[Context, needs_unless_self("user-permission:read")]
_Self: TypeAlias = Annotated[Context, Depends(identify_self)]

_Name: TypeAlias = Annotated[str, Field(max_length=256)]
_Address: TypeAlias = Annotated[str, Field(max_length=320)]
_Code: TypeAlias = Annotated[str, Field(max_length=256)]


def _example(value: Any) -> Any:
    return Body(openapi_examples={"example": Example(value=value)})


class NewUser(BaseModel):
    """A user to be. Without a password an invitation goes to the e-mail address."""

    username: _Name
    password: Password | None = None
    email_address: _Address | None = None
    first_name: _Name | None = None
    last_name: _Name | None = None


class ChangedUser(BaseModel):
    """What shall change of a user: what is absent or null stays, an empty text takes away.

    Users who change their own e-mail address send the password that they have, too.
    """

    email_address: _Address | None = None
    first_name: _Name | None = None
    last_name: _Name | None = None
    disabled: bool | None = None
    password: Password | None = None


class OwnPassword(BaseModel):
    """The password that a user has, and the one it wants."""

    old_password: Password
    new_password: Password


class NewPassword(BaseModel):
    """The password that a user shall have."""

    new_password: Password


class Acceptance(BaseModel):
    """The code of an invitation, and the password that its user wants."""

    invite_code: _Code
    new_password: Password


class Reset(BaseModel):
    """The code of the message about a new password, and that password."""

    token: _Code
    new_password: Password


class ForgottenPassword(BaseModel):
    """Where to mail a code for a new password."""

    email: _Address


class Permitted(BaseModel):
    """Roles, scopes beside them, or both; what is absent or null stays as it is."""

    roles: list[Role] | None = None
    scopes: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What was done."""

    details: str


@dataclass(frozen=True, slots=True)
class InviteStatus:
    """Whether users can be invited by e-mail."""

    enabled: bool


_USER = _example(
    {"username": "bob", "password": "Correct-horse-1", "first_name": "Bob", "email_address": "bob@example.com"}
)
_PASSWORD = "Battery-staple-2"  # noqa: S105  # an example


@router.post("/user", status_code=201, summary="Make a user, with a password or by inviting it")
def create_user(context: _Creator, user: Annotated[NewUser, _USER]) -> UserView:
    return users.create_user(context, UserDraft(**user.model_dump()))


@router.get("/user", summary="List users by name")
def list_users(
    context: _Reader,
    page: PageNumber = 1,
    size: PageSize = 50,
    username: Annotated[str | None, Query(max_length=256, description="Only names that hold this.")] = None,
) -> PageBody[UserView]:
    return show_page(users.list_users(context, page, size, username))


@router.post("/user/accept-invite", summary="Choose the first password with the code of an invitation, and log in")
def accept_invite(
    context: Wired, acceptance: Annotated[Acceptance, _example({"invite_code": "a-code", "new_password": _PASSWORD})]
) -> LoggedIn:
    return user_codes.accept_invite(context, acceptance.invite_code, acceptance.new_password)


@router.post("/user/forgot-password", summary="Have a code for a new password mailed; the answer is always the same")
def forget_password(
    context: Wired,
    background: BackgroundTasks,
    forgotten: Annotated[ForgottenPassword, _example({"email": "b@example.com"})],
) -> Details:
    background.add_task(user_codes.ask_for_reset, context, forgotten.email)  # after the answer: its time tells nothing
    return Details("if this is the address of a user, a code is on its way there")


@router.post("/user/reset-password-with-token", summary="Choose a new password with a code that was mailed, and log in")
def reset_with_token(
    context: Wired, reset: Annotated[Reset, _example({"token": "a-code", "new_password": _PASSWORD})]
) -> LoggedIn:
    return user_codes.reset_with_code(context, reset.token, reset.new_password)


@router.get("/user/{user_id}", summary="Show a user; every user may show itself")
def show_user(context: _SelfOrReader, user_id: str) -> UserView:
    return find_user(context, user_id)


@router.put("/user/{user_id}", summary="Change a user; every user may change itself", responses={409: {}, 429: {}})
def change_user(
    context: _SelfOrChanger,
    user_id: str,
    change: Annotated[ChangedUser, _example({"last_name": "Lee", "disabled": False})],
) -> UserView:
    return users.change_user(context, user_id, UserChange(**change.model_dump()))


@router.delete("/user/{user_id}", status_code=204, summary="Delete a user and its tokens", responses={409: {}})
def delete_user(context: _Deleter, user_id: str) -> None:
    users.delete_user(context, user_id)


@router.post("/user/{user_id}/reinvite", status_code=204, summary="Mail another invitation", responses={409: {}})
def reinvite(context: _Creator, user_id: str) -> None:
    user_codes.reinvite(context, user_id)


@router.post(
    "/user/{user_id}/reset-password",
    summary="Choose a new password for oneself: all other tokens and sessions end",
    responses={409: {}, 429: {}},
)
def reset_password(
    context: _Self,
    user_id: str,
    token: Annotated[str, Depends(read_token)],
    passwords: Annotated[OwnPassword, _example({"old_password": "Correct-horse-1", "new_password": _PASSWORD})],
) -> UserView:
    return users.reset_own_password(context, passwords.old_password, passwords.new_password, keep=token)


@router.post(
    "/user/{user_id}/force-reset-password",
    summary="Give a user a new password: all its tokens and sessions end",
    responses={409: {}},
)
def force_reset_password(
    context: _Resetter, user_id: str, wanted: Annotated[NewPassword, _example({"new_password": _PASSWORD})]
) -> UserView:
    return users.force_reset_password(context, user_id, wanted.new_password)


@router.get("/user/{user_id}/token", summary="List a user's living tokens and sessions; every user may list its own")
def list_tokens(context: _SelfOrReader, user_id: str) -> list[TokenView]:
    return users.list_tokens(context, user_id)


@router.delete(
    "/user/{user_id}/token/{jti}",
    status_code=204,
    summary="End one of a user's tokens or sessions; every user may end its own",
)
def revoke_token(context: _SelfOrChanger, user_id: str, jti: str) -> None:
    users.revoke_token(context, user_id, jti)


@router.post("/user/{user_id}/permission", status_code=201, summary="Say what a user may do", responses={409: {}})
def permit(
    context: _Permitter, user_id: str, permitted: Annotated[Permitted, _example({"roles": ["approver"], "scopes": []})]
) -> Permission:
    return users.save_permission(context, user_id, permitted.roles, permitted.scopes)


@router.put("/user/{user_id}/permission", summary="Change what a user may do", responses={409: {}})
def change_permission(
    context: _PermissionChanger, user_id: str, permitted: Annotated[Permitted, _example({"scopes": ["policy:read"]})]
) -> Permission:
    return users.save_permission(context, user_id, permitted.roles, permitted.scopes)


@router.get("/user/{user_id}/permission", summary="Show what a user may do; every user may see its own")
def show_permission(context: _SelfOrPermissionReader, user_id: str) -> Permission:
    return users.find_permission(context, user_id)


@router.get("/messaging/email-invite/status", summary="Whether users can be invited by e-mail")
def invite_status(context: Wired) -> InviteStatus:
    return InviteStatus(user_codes.can_invite(context))
