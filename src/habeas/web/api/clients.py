"""Routes of tokens, clients and scopes (control-plane §1.16)."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Form, Header
from fastapi.openapi.models import Example

from habeas.domain.errors import NotAuthenticated
from habeas.services import clients
from habeas.services.clients import SCOPES, Caller, ClientView, Credentials, IssuedToken
from habeas.services.fields import InvalidFields, Problem
from habeas.web.bodies import StrictRoute, form_examples
from habeas.web.security import Wired, needs

router = APIRouter(prefix="/oauth", tags=["clients"], route_class=StrictRoute)


@dataclass(frozen=True, slots=True)
class ClientBody:
    """A client as submitted."""

    scopes: list[str]
    name: str | None = None


_CLIENT_EXAMPLES = {
    "object": Example(value={"name": "shop back office", "scopes": ["privacy-request:read"]}),
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
    clients.revoke_token(context, token)


@router.post("/client", summary="Make a client; its secret is shown this once")
def create_client(
    context: Wired,
    caller: Annotated[Caller, needs("client:create")],
    wanted: Annotated[ClientBody | list[str], Body(openapi_examples=_CLIENT_EXAMPLES)],
) -> Credentials:
    client = ClientBody(wanted) if isinstance(wanted, list) else wanted
    if client.name is not None and "\x00" in client.name:
        raise InvalidFields([Problem(("name",), "holds a NUL character")])
    return clients.create_client(context, caller, client.scopes, client.name)


@router.get("/client", summary="List clients", dependencies=[needs("client:read")])
def list_clients(context: Wired) -> list[ClientView]:
    return clients.list_clients(context)


@router.get("/client/{client_id}", summary="Show a client", dependencies=[needs("client:read")])
def find_client(context: Wired, client_id: str) -> ClientView:
    return clients.find_client(context, client_id)


@router.get("/client/{client_id}/scope", summary="Show a client's scopes", dependencies=[needs("client:read")])
def list_client_scopes(context: Wired, client_id: str) -> list[str]:
    return clients.find_client(context, client_id).scopes


@router.put("/client/{client_id}/scope", summary="Replace a client's scopes")
def change_scopes(
    context: Wired,
    caller: Annotated[Caller, needs("client:update")],
    client_id: str,
    scopes: Annotated[list[str], Body(openapi_examples=_SCOPES_EXAMPLE)],
) -> ClientView:
    return clients.change_scopes(context, caller, client_id, scopes)


@router.post("/client/{client_id}/secret", summary="Give a client a new secret; it is shown this once")
def rotate_secret(context: Wired, caller: Annotated[Caller, needs("client:update")], client_id: str) -> Credentials:
    return clients.rotate_secret(context, caller, client_id)


@router.delete(
    "/client/{client_id}",
    summary="Delete a client and revoke its tokens",
    dependencies=[needs("client:delete")],
    responses={409: {}},
)
def delete_client(context: Wired, client_id: str) -> None:
    clients.delete_client(context, client_id)


@router.get("/scope", summary="List every scope there is", dependencies=[needs("scope:read")])
def list_scopes() -> list[str]:
    return list(SCOPES)


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
