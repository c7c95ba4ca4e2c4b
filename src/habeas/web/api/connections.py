"""Routes of connections, their secrets and tests (control-plane §1.12)."""

from typing import Annotated, Literal, NotRequired, TypeAlias

from fastapi import APIRouter, Body, Query
from fastapi.openapi.models import Example
from typing_extensions import TypedDict

from habeas.domain.ports import SystemType
from habeas.execution.context import Context
from habeas.services import connections
from habeas.services.bulk import BulkResult
from habeas.services.connections import (
    ConnectionDraft,
    ConnectionFilter,
    ConnectionView,
    LastTest,
    SystemTest,
    TypeFilter,
    TypeView,
)
from habeas.web.api.paging import PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(tags=["connections"], route_class=StrictRoute)

_Writer: TypeAlias = Annotated[Context, needs("connection:create_or_update")]
_ConnectionReader: TypeAlias = Annotated[Context, needs("connection:read")]
_Deleter: TypeAlias = Annotated[Context, needs("connection:delete")]
_ConnectionTypeReader: TypeAlias = Annotated[Context, needs("connection_type:read")]


class SecretField(TypedDict):
    """JSON schema of one secret; the format `password` says that nobody should see it while it is typed."""

    title: str
    type: list[str]
    format: NotRequired[Literal["password"]]


class SecretChoice(TypedDict):
    """JSON schema of one way to give secrets."""

    required: list[str]


class SecretSchema(TypedDict):
    """JSON schema of the secrets that a connection type takes."""

    title: str
    type: Literal["object"]
    properties: dict[str, SecretField]
    required: list[str]
    additionalProperties: bool
    oneOf: NotRequired[list[SecretChoice]]


_EXAMPLE = {"name": "Shop", "key": "shop", "connection_type": "postgres", "access": "write"}
_SECRETS = {
    "example": Example(
        value={"host": "db.example.com", "port": 5432, "dbname": "shop", "username": "habeas", "password": "…"}
    )
}
_SOME_SECRETS = {
    "new password": Example(value={"password": "…"}),
    "default port, which is another place": Example(value={"port": None, "password": "…"}),
}


@router.patch("/connection", summary="Make or change connections, by key")
def save_connections(
    context: _Writer,
    drafts: Annotated[list[ConnectionDraft], bulk(_EXAMPLE)],
) -> BulkResult[ConnectionView]:
    return connections.save_connections(context, drafts)


@router.get("/connection", summary="List connections")
def list_connections(
    context: _ConnectionReader,
    search: str | None = None,
    disabled: bool | None = None,
    test_status: LastTest | None = None,
    connection_type: Annotated[list[str] | None, Query()] = None,
    system_type: SystemType | None = None,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[ConnectionView]:
    wanted = ConnectionFilter(search, disabled, test_status, tuple(connection_type or ()), system_type)
    return show_page(connections.list_connections(context, wanted, page, size))


@router.get("/connection/{key}", summary="Show a connection")
def find_connection(context: _ConnectionReader, key: str) -> ConnectionView:
    return connections.find_connection(context, key)


@router.delete(
    "/connection/{key}",
    status_code=204,
    summary="Delete a connection and its datasets, unless webhooks call it",
    responses={409: {}},
)
def delete_connection(context: _Deleter, key: str) -> None:
    connections.delete_connection(context, key)


@router.put("/connection/{key}/secret", summary="Store a connection's secrets and test it")
def save_secrets(
    context: _Writer,
    key: str,
    secrets: Annotated[dict[str, str | int | None], Body(openapi_examples=_SECRETS)],
    verify: bool = True,
) -> SystemTest:
    return connections.save_secrets(context, key, secrets, verify=verify)


@router.patch("/connection/{key}/secret", summary="Change some of a connection's secrets and test it")
def change_secrets(
    context: _Writer,
    key: str,
    secrets: Annotated[dict[str, str | int | None], Body(openapi_examples=_SOME_SECRETS)],
    verify: bool = True,
) -> SystemTest:
    return connections.save_secrets(context, key, secrets, verify=verify, partial=True)


@router.post("/connection/{key}/pause", summary="Ask nothing more of a connection; what needs it waits")
def pause_connection(context: _Writer, key: str) -> ConnectionView:
    return connections.pause_connection(context, key)


@router.post("/connection/{key}/resume", summary="Let what waits for a paused connection go on")
def resume_connection(context: _Writer, key: str) -> ConnectionView:
    return connections.resume_connection(context, key)


@router.get("/connection/{key}/test", summary="Test a connection")
def try_connection(context: _ConnectionReader, key: str) -> SystemTest:
    return connections.try_connection(context, key)


@router.get("/connection_type", summary="List connection types")
def list_types(
    context: _ConnectionTypeReader,
    search: str | None = None,
    system_type: SystemType | None = None,
    access: bool | None = None,
    erasure: bool | None = None,
    consent: bool | None = None,
    page: PageNumber = 1,
    size: PageSize = 100,
) -> PageBody[TypeView]:
    wanted = TypeFilter(search, system_type, access, erasure, consent)
    return show_page(connections.list_types(context, wanted, page, size))


@router.get(
    "/connection_type/{name}/secret",
    summary="Show the secrets that a connection type takes, as JSON schema",
)
def show_secret_fields(context: _ConnectionTypeReader, name: str) -> SecretSchema:
    kind = connections.find_type(context, name)
    schema: SecretSchema = {
        "title": kind.title or kind.name,
        "type": "object",
        "properties": {field: _show_field(field, shown=field in kind.plain) for field in kind.secrets},
        "required": [field for field, required in kind.secrets.items() if required],
        "additionalProperties": False,
    }
    if kind.alternatives:
        schema["oneOf"] = [{"required": sorted(choice)} for choice in kind.alternatives]
    return schema


def _show_field(name: str, *, shown: bool) -> SecretField:
    field: SecretField = {"title": name.replace("_", " "), "type": ["string", "integer"]}
    return field if shown else {**field, "format": "password"}
