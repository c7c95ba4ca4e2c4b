"""Who calls: the bearer token or the session of a request, the scope that its route needs, the class of its address.

A call with a header `Authorization` is judged by that alone; only without one the session's cookie counts, and then
what is no mere reading needs the session's CSRF token too.
"""

from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import APIKeyCookie, OAuth2, SecurityScopes

from habeas.domain.actor import Origin, anonymous
from habeas.domain.errors import NotAllowed, NotAuthenticated
from habeas.domain.scopes import SCOPES
from habeas.execution.context import Context
from habeas.services import logins, tokens
from habeas.web.addresses import read_address

SESSION_COOKIE = "habeas_session"
CSRF_HEADER = "X-CSRF-Token"

_SCHEME = OAuth2(
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl="/api/v1/oauth/token", scopes={scope: scope.replace(":", ": ") for scope in SCOPES}
        )
    ),
    scheme_name="client",
    auto_error=False,
)
_SESSION = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="session",
    description=f"What POST /api/v1/session sets. Every method but GET and HEAD needs the header {CSRF_HEADER} too.",
    auto_error=False,
)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Header: TypeAlias = Annotated[str | None, Depends(_SCHEME)]
Cookie: TypeAlias = Annotated[str | None, Depends(_SESSION)]


def read_context(request: Request) -> Context:
    """The wired application, acting for somebody who has shown no token."""
    context: Context = request.app.state.context
    return replace(context, actor=anonymous(_read_origin(request)))


Wired = Annotated[Context, Depends(read_context)]
"""For open routes. The others take `Annotated[Context, needs("scope")]`."""


def identify(
    needed: SecurityScopes, request: Request, context: Wired, header: Header = None, cookie: Cookie = None
) -> Context:
    """The application, acting for the caller, who holds every scope the route needs."""
    return _act(request, context, header, cookie, *needed.scopes)


SignedIn = Annotated[Context, Security(identify)]
"""For routes that need no scope, only to know who calls."""


def identify_if_required(request: Request, context: Wired, header: Header = None, cookie: Cookie = None) -> Context:
    """For the route that creates requests: anyone may call, unless the settings ask for a token (G40)."""
    if not context.settings.security.require_auth_to_create:
        return context
    return _act(request, context, header, cookie, "privacy-request:create")


def identify_self(context: SignedIn, user_id: str) -> Context:
    """For routes about a user that only that user may call."""
    if context.actor.id != user_id:
        raise NotAllowed("only the user itself may do this")
    return context


def read_session(context: SignedIn, header: Header = None, cookie: Cookie = None) -> str:
    """The token of the session that the call is made in. Raises NotAllowed when it is made in none."""
    if header or not cookie:
        raise NotAllowed("this call is made in no session", hint="POST /api/v1/session begins one")
    return cookie


def read_token(context: SignedIn, header: Header = None, cookie: Cookie = None) -> str:
    """The token that the caller has shown, in the header or the cookie."""
    return read_bearer(header) if header else str(cookie)


def read_bearer(header: Header = None) -> str:
    """A bearer token that is no client's: whoever takes it says what it is worth. Raises NotAuthenticated."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("a token is needed", hint="send Authorization: Bearer <token>")
    return token.strip()


def _act(request: Request, context: Context, header: str | None, cookie: str | None, *scopes: str) -> Context:
    """Raises NotAuthenticated without a valid token, NotAllowed without the CSRF token or a scope."""
    if header or not cookie:
        actor = tokens.authenticate(context, read_bearer(header))
    else:
        actor = tokens.authenticate(context, cookie, kind="session")
        if request.method not in _READING:
            logins.check_csrf_token(context, cookie, request.headers.get(CSRF_HEADER))
    for scope in scopes:
        tokens.check_holds(actor, scope)
    return replace(context, actor=replace(actor, origin=context.actor.origin))


def needs(scope: str) -> Any:
    """The dependency of a route that needs this scope; its value is the Context, acting for the caller."""
    if scope not in SCOPES:
        raise ValueError(f"{scope} is in no client's reach")
    return Security(identify, scopes=[scope])


def needs_unless_self(scope: str) -> Any:
    """The same for a route about a user, who may call it without the scope."""

    def identify_self_or_holder(context: SignedIn, user_id: str) -> Context:
        if context.actor.id != user_id:
            tokens.check_holds(context.actor, scope)
        return context

    return Depends(identify_self_or_holder)


def _read_origin(request: Request) -> Origin:
    """A proxy in front says whose address it is; whoever has none that can be read may be anybody."""
    address = read_address(request.client.host if request.client else "")
    if address is None:
        return Origin.PUBLIC
    if address.is_loopback:
        return Origin.LOOPBACK
    return Origin.PUBLIC if address.is_global else Origin.PRIVATE
