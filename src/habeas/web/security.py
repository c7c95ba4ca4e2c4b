"""Who calls: the bearer token of a request, the scope that its route needs, and the class of its address."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2, SecurityScopes

from habeas.domain.actor import Origin, anonymous
from habeas.domain.errors import NotAuthenticated
from habeas.domain.scopes import SCOPES
from habeas.execution.context import Context
from habeas.services import tokens

_SCHEME = OAuth2(
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl="/api/v1/oauth/token", scopes={scope: scope.replace(":", ": ") for scope in SCOPES}
        )
    ),
    scheme_name="client",
    auto_error=False,
)


def read_context(request: Request) -> Context:
    """The wired application, acting for somebody who has shown no token."""
    context: Context = request.app.state.context
    return replace(context, actor=anonymous(_read_origin(request)))


Wired = Annotated[Context, Depends(read_context)]
"""For open routes. The others take `Annotated[Context, needs("scope")]`."""


def identify(needed: SecurityScopes, context: Wired, header: Annotated[str | None, Depends(_SCHEME)]) -> Context:
    """The application, acting for the caller, who holds every scope the route needs."""
    return act_for_bearer(context, header, *needed.scopes)


def identify_if_required(context: Wired, header: Annotated[str | None, Depends(_SCHEME)]) -> Context:
    """For the route that creates requests: anyone may call, unless the settings ask for a token (G40)."""
    if not context.settings.security.require_auth_to_create:
        return context
    return act_for_bearer(context, header, "privacy-request:create")


def read_bearer(header: Annotated[str | None, Depends(_SCHEME)]) -> str:
    """A bearer token that is no client's: whoever takes it says what it is worth. Raises NotAuthenticated."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("a token is needed", hint="send Authorization: Bearer <token>")
    return token.strip()


def act_for_bearer(context: Context, header: str | None, scope: str | None = None) -> Context:
    """Raises NotAuthenticated without a valid token, NotAllowed without the scope."""
    actor = tokens.authenticate(context, read_bearer(header), scope)
    return replace(context, actor=replace(actor, origin=context.actor.origin))


def needs(scope: str) -> Any:
    """The dependency of a route that needs this scope; its value is the Context, acting for the caller."""
    if scope not in SCOPES:
        raise ValueError(f"{scope} is in no client's reach")
    return Security(identify, scopes=[scope])


def _read_origin(request: Request) -> Origin:
    """A proxy in front says whose address it is; without an address (a socket file) it is this machine."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return Origin.LOOPBACK
    if address.is_loopback:
        return Origin.LOOPBACK
    return Origin.PUBLIC if address.is_global else Origin.PRIVATE
