"""Routes of tokens, clients and scopes (control-plane §1.16)."""

import base64
import binascii
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Body, Form, Header
from fastapi.openapi.models import Example

from habeas.domain.errors import NotAuthenticated
from habeas.domain.scopes import SCOPES, SCOPES_OF, Role
from habeas.execution.context import Context
from habeas.services import clients, tokens
from habeas.services.clients import ClientDraft, ClientView, Credentials
from habeas.services.tokens import IssuedToken, TokenView
from habeas.web.bodies import StrictRoute, form_examples
from habeas.web.security import Wired, needs

router = APIRouter(prefix="/oauth", tags=["clients"], route_class=StrictRoute)

_Creator: TypeAlias = Annotated[Context, needs("client:create")]
_Reader: TypeAlias = Annotated[Context, needs("client:read")]
_Changer: TypeAlias = Annotated[Context, needs("client:update")]
_Deleter: TypeAlias = Annotated[Context, needs("client:delete")]


_CLIENT_EXAMPLE = {
    "object": Example(value={"name": "shop", "description": "back office", "scopes": ["privacy-request:read"]})
}
_CLIENT_EXAMPLES = {
    **_CLIENT_EXAMPLE,
    "list": Example(value=["privacy-request:read", "privacy-request:create"]),
}
_TOKEN_EXAMPLES = {
    "client": {"value": {"grant_type": "client_credentials", "client_id": "root", "client_secret": "root-secret"}}
}
_REVOKE_EXAMPLES = {"token": {"value": {"token": "an-access-token"}}}
_SCOPES_EXAMPLE = {"example": Example(value=["privacy-request:read"])}


@router.post(
    "/token",
    summary="Get an access token with client id and secret (form or HTTP Basic)",
    responses={401: {}},
    openapi_extra=form_examples(_TOKEN_EXAMPLES),
)
def issue_token(
    context: Wired,
    grant_type: Annotated[Literal["client_credentials"], Form()] = "client_credentials",
    client_id: Annotated[str | None, Form()] = None,
    client_secret: Annotated[str | None, Form()] = None,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> IssuedToken:
    if client_id is None or client_secret is None:
        client_id, client_secret = _read_basic(authorization)
    return clients.issue_token(context, client_id, client_secret)


@router.post(
    "/revoke",
    summary="End a token's life; whoever holds the token may (RFC 7009)",
    openapi_extra=form_examples(_REVOKE_EXAMPLES),
)
def revoke_token(context: Wired, token: Annotated[str, Form()]) -> None:
    tokens.revoke(context, token)


@router.post("/client", summary="Make a client; its secret is shown this once")
def create_client(
    context: _Creator,
    wanted: Annotated[ClientDraft | list[str], Body(openapi_examples=_CLIENT_EXAMPLES)],
) -> Credentials:
    client = ClientDraft(wanted) if isinstance(wanted, list) else wanted
    return clients.create_client(context, client)


@router.get("/client", summary="List clients")
def list_clients(context: _Reader) -> list[ClientView]:
    return clients.list_clients(context)


@router.get("/client/{client_id}", summary="Show a client")
def find_client(context: _Reader, client_id: str) -> ClientView:
    return clients.find_client(context, client_id)


@router.get("/client/{client_id}/scope", summary="Show a client's scopes")
def list_client_scopes(context: _Reader, client_id: str) -> list[str]:
    return clients.find_client(context, client_id).scopes


@router.put("/client/{client_id}/scope", summary="Replace a client's scopes", responses={409: {}})
def change_scopes(
    context: _Changer,
    client_id: str,
    scopes: Annotated[list[str], Body(openapi_examples=_SCOPES_EXAMPLE)],
) -> ClientView:
    return clients.change_scopes(context, client_id, scopes)


@router.put("/client/{client_id}", summary="Replace a client's name, description and scopes", responses={409: {}})
def change_client(
    context: _Changer, client_id: str, draft: Annotated[ClientDraft, Body(openapi_examples=_CLIENT_EXAMPLE)]
) -> ClientView:
    return clients.change_client(context, client_id, draft)


@router.get("/client/{client_id}/token", summary="List a client's living tokens; never the tokens themselves")
def list_tokens(context: _Reader, client_id: str) -> list[TokenView]:
    return clients.list_tokens(context, client_id)


@router.delete("/client/{client_id}/token/{jti}", status_code=204, summary="End the life of one of a client's tokens")
def revoke_named(context: _Changer, client_id: str, jti: str) -> None:
    clients.revoke_token(context, client_id, jti)


@router.post("/client/{client_id}/secret", summary="Give a client a new secret; it is shown this once")
def rotate_secret(context: _Changer, client_id: str) -> Credentials:
    return clients.rotate_secret(context, client_id)


@router.delete(
    "/client/{client_id}",
    summary="Delete a client and revoke its tokens",
    responses={409: {}},
)
def delete_client(context: _Deleter, client_id: str) -> None:
    clients.delete_client(context, client_id)


@router.get("/scope", summary="List every scope there is", dependencies=[needs("scope:read")])
def list_scopes() -> list[str]:
    return list(SCOPES)


@router.get("/role", summary="List roles of users, each with its scopes", dependencies=[needs("scope:read")])
def list_roles() -> dict[Role, list[str]]:
    return {role: sorted(scopes) for role, scopes in SCOPES_OF.items()}


def _read_basic(header: str | None) -> tuple[str, str]:
    """Id and secret of HTTP Basic authentication. Raises NotAuthenticated."""
    kind, _, encoded = (header or "").partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if kind.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    client_id, colon, secret = decoded.partition(":")
    if not colon:
        raise NotAuthenticated("client id and secret are needed", hint="send them as form fields or HTTP Basic")
    return client_id, secret
