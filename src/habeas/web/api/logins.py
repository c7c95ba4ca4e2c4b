"""Routes by which users log in and out, for programs and on pages (control-plane §1.16)."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, Field, StringConstraints

from habeas.execution.context import Context
from habeas.services import logins
from habeas.services.logins import LoggedIn, SessionView
from habeas.web.bodies import StrictRoute
from habeas.web.security import SESSION_COOKIE, SignedIn, Wired, read_session

router = APIRouter(tags=["users"], route_class=StrictRoute)

Password: TypeAlias = Annotated[str, StringConstraints(max_length=1024)]
"""As it is, or in base64 (of UTF-8)."""

_SessionToken: TypeAlias = Annotated[str, Depends(read_session)]


class Login(BaseModel):
    """Name and password of a user; the password as it is, or in base64 (of UTF-8)."""

    username: str = Field(max_length=256)
    password: Password


_LOGIN = Body(openapi_examples={"user": Example(value={"username": "ann", "password": "Correct-horse-1"})})


@router.post("/login", summary="Get an access token with name and password", responses={403: {}, 429: {}})
def log_in(context: Wired, login: Annotated[Login, _LOGIN]) -> LoggedIn:
    return logins.log_in(context, login.username, login.password)


@router.post("/logout", status_code=204, summary="End every token and session of the calling user")
def log_out(context: SignedIn) -> None:
    logins.log_out(context)


@router.post("/session", summary="Begin a session in a browser: its cookie is set", responses={403: {}, 429: {}})
def open_session(context: Wired, request: Request, response: Response, login: Annotated[Login, _LOGIN]) -> SessionView:
    view, token = logins.open_session(context, login.username, login.password)
    response.set_cookie(
        SESSION_COOKIE,
        token.access_token,
        max_age=token.expires_in,
        path="/",
        secure=_is_secure(request, context),
        httponly=True,
        samesite="strict",
    )
    return view


@router.get("/session", summary="Whose session this is, and its CSRF token")
def show_session(context: SignedIn, token: _SessionToken) -> SessionView:
    return logins.show_session(context, token)


@router.delete("/session", status_code=204, summary="End this session")
def end_session(context: SignedIn, token: _SessionToken, request: Request, response: Response) -> None:
    logins.end_session(context, token)
    secure = _is_secure(request, context)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=secure, httponly=True, samesite="strict")


def _is_secure(request: Request, context: Context) -> bool:
    """Whether the session's cookie goes over TLS alone."""
    return request.url.scheme == "https" or context.settings.security.session_cookie_secure
