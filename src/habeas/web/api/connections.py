"""Routes of connections, their secrets and tests (control-plane §1.12)."""

from typing import Annotated, Literal, NotRequired

from fastapi import APIRouter, Body, Query
from fastapi.openapi.models import Example
from typing_extensions import TypedDict

from habeas.domain.ports import SystemType
from habeas.services import connections
from habeas.services.bulk import BulkResult
from habeas.services.connections import (
    ConnectionDraft,
    ConnectionFilter,
    ConnectionView,
    LastTest,
    SystemTest,
    TypeView,
)
from habeas.web.api.paging import PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired, needs

router = APIRouter(tags=["connections"], route_class=StrictRoute)


class SecretField(TypedDict):
    """JSON schema of one secret."""

    type: list[str]


class SecretChoice(TypedDict):
    """JSON schema of one way to give secrets."""

    required: list[str]


class SecretSchema(TypedDict):
    """JSON schema of the secrets that a connection type takes."""

    type: Literal["object"]
    properties: dict[str, SecretField]
    required: list[str]
    additionalProperties: bool
    oneOf: NotRequired[list[SecretChoice]]


_READ = [needs("connection:read")]
_WRITE = [needs("connection:create_or_update")]
_EXAMPLE = {"name": "Shop", "key": "shop", "connection_type": "postgres", "access": "write"}
_SECRETS = {
    "example": Example(
        value={"host": "db.example.com", "port": 5432, "dbname": "shop", "username": "habeas", "password": "…"}
    )
}
_SOME_SECRETS = {"new password": Example(value={"password": "…"}), "default port": Example(value={"port": None})}


@router.patch("/connection", summary="Make or change connections, by key", dependencies=_WRITE)
def save_connections(
    context: Wired, drafts: Annotated[list[ConnectionDraft], bulk(_EXAMPLE)]
) -> BulkResult[ConnectionView]:
    return connections.save_connections(context, drafts)


@router.get("/connection", summary="List connections", dependencies=_READ)
def list_connections(
    context: Wired,
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


@router.get("/connection/{key}", summary="Show a connection", dependencies=_READ)
def find_connection(context: Wired, key: str) -> ConnectionView:
    return connections.find_connection(context, key)


@router.delete(
    "/connection/{key}",
    status_code=204,
    summary="Delete a connection and its datasets",
    dependencies=[needs("connection:delete")],
)
def delete_connection(context: Wired, key: str) -> None:
    connections.delete_connection(context, key)


@router.put("/connection/{key}/secret", summary="Store a connection's secrets and test it", dependencies=_WRITE)
def save_secrets(
    context: Wired,
    key: str,
    secrets: Annotated[dict[str, str | int | None], Body(openapi_examples=_SECRETS)],
    verify: bool = True,
) -> SystemTest:
    return connections.save_secrets(context, key, secrets, verify=verify)


@router.patch(
    "/connection/{key}/secret", summary="Change some of a connection's secrets and test it", dependencies=_WRITE
)
def change_secrets(
    context: Wired,
    key: str,
    secrets: Annotated[dict[str, str | int | None], Body(openapi_examples=_SOME_SECRETS)],
    verify: bool = True,
) -> SystemTest:
    return connections.save_secrets(context, key, secrets, verify=verify, partial=True)


@router.post(
    "/connection/{key}/pause", summary="Ask nothing more of a connection; what needs it waits", dependencies=_WRITE
)
def pause_connection(context: Wired, key: str) -> ConnectionView:
    return connections.pause_connection(context, key)


@router.post("/connection/{key}/resume", summary="Let what waits for a paused connection go on", dependencies=_WRITE)
def resume_connection(context: Wired, key: str) -> ConnectionView:
    return connections.resume_connection(context, key)


@router.get("/connection/{key}/test", summary="Test a connection", dependencies=_READ)
def try_connection(context: Wired, key: str) -> SystemTest:
    return connections.try_connection(context, key)


@router.get("/connection_type", summary="List connection types", dependencies=[needs("connection_type:read")])
def list_types(
    context: Wired,
    search: str | None = None,
    system_type: SystemType | None = None,
    page: PageNumber = 1,
    size: PageSize = 100,
) -> PageBody[TypeView]:
    return show_page(connections.list_types(context, search, system_type, page, size))


@router.get(
    "/connection_type/{name}/secret",
    summary="Show the secrets that a connection type takes, as JSON schema",
    dependencies=[needs("connection_type:read")],
)
def show_secret_fields(context: Wired, name: str) -> SecretSchema:
    kind = connections.find_type(context, name)
    schema: SecretSchema = {
        "type": "object",
        "properties": {field: {"type": ["string", "integer"]} for field in kind.secrets},
        "required": [field for field, required in kind.secrets.items() if required],
        "additionalProperties": False,
    }
    if kind.alternatives:
        schema["oneOf"] = [{"required": sorted(choice)} for choice in kind.alternatives]
    return schema
