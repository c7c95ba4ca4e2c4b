"""Routes of storages (control-plane §1.14)."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from habeas.execution.context import Context
from habeas.services import storages
from habeas.services.bulk import BulkResult
from habeas.services.connections import SystemTest
from habeas.services.storages import StorageDraft, StorageView
from habeas.web.api.paging import PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/storage/config", tags=["storages"], route_class=StrictRoute)

_Writer: TypeAlias = Annotated[Context, needs("storage:create_or_update")]
_Reader: TypeAlias = Annotated[Context, needs("storage:read")]
_Deleter: TypeAlias = Annotated[Context, needs("storage:delete")]

_EXAMPLE = {"name": "Packages", "key": "packages", "type": "local", "format": "json", "details": {}}
_SECRETS = Body(
    description=(
        "`s3`: `aws_access_key_id`, `aws_secret_access_key`, `region_name`. "
        "`onetrust`: `onetrust_hostname`, `client_id`, `client_secret`. `local`: none."
    ),
    openapi_examples={"local": Example(value={})},
)


@router.patch("", summary="Make or change storages, by key")
def save_storages(
    context: _Writer,
    drafts: Annotated[list[StorageDraft], bulk(_EXAMPLE)],
) -> BulkResult[StorageView]:
    return storages.save_storages(context, drafts)


@router.get("", summary="List storages")
def list_storages(context: _Reader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[StorageView]:
    return show_page(storages.list_storages(context, page, size))


@router.get("/{key}", summary="Show a storage")
def find_storage(context: _Reader, key: str) -> StorageView:
    return storages.find_storage(context, key)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a storage that no rule uses",
    responses={409: {}},
)
def delete_storage(context: _Deleter, key: str) -> None:
    storages.delete_storage(context, key)


@router.put("/{key}/secret", summary="Store a storage's secrets, and try it; `local` takes none")
def save_secrets(
    context: _Writer,
    key: str,
    secrets: Annotated[dict[str, str | None], _SECRETS],
    verify: bool = True,
) -> SystemTest:
    return storages.save_storage_secrets(context, key, secrets, verify=verify)
