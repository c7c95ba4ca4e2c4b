"""Who calls: the bearer token of a request, and the scope that its route needs."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2, SecurityScopes

from habeas.domain.errors import NotAuthenticated
from habeas.execution.context import Context
from habeas.services import clients
from habeas.services.clients import SCOPES, Caller

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
    """The wired application."""
    context: Context = request.app.state.context
    return context


Wired = Annotated[Context, Depends(read_context)]


def identify(needed: SecurityScopes, context: Wired, header: Annotated[str | None, Depends(_SCHEME)]) -> Caller:
    """The caller, holding every scope the route needs."""
    return check_header(context, header, *needed.scopes)


def identify_if_required(context: Wired, header: Annotated[str | None, Depends(_SCHEME)]) -> Caller | None:
    """The caller of the route that creates requests: anyone, unless the settings ask for a token (G40)."""
    if not context.settings.security.require_auth_to_create:
        return None
    return check_header(context, header, "privacy-request:create")


def read_bearer(header: Annotated[str | None, Depends(_SCHEME)]) -> str:
    """A bearer token that is no client's: whoever takes it says what it is worth. Raises NotAuthenticated."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("a token is needed", hint="send Authorization: Bearer <token>")
    return token.strip()


def check_header(context: Context, header: str | None, scope: str | None = None) -> Caller:
    """Raises NotAuthenticated without a valid token, NotAllowed without the scope."""
    return clients.authenticate(context, read_bearer(header), scope)


def needs(scope: str) -> Any:
    """The dependency of a route that needs this scope; its value is the Caller."""
    if scope not in SCOPES:
        raise ValueError(f"{scope} is in no client's reach")
    return Security(identify, scopes=[scope])
