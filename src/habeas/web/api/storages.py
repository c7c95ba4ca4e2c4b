"""Routes of storages (control-plane §1.14)."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from habeas.services import storages
from habeas.services.bulk import BulkResult
from habeas.services.connections import SystemTest
from habeas.services.storages import StorageDraft, StorageView
from habeas.web.api.paging import PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired, needs

router = APIRouter(prefix="/storage/config", tags=["storages"], route_class=StrictRoute)

_READ = [needs("storage:read")]
_WRITE = [needs("storage:create_or_update")]
_EXAMPLE = {"name": "Packages", "key": "packages", "type": "local", "format": "json", "details": {}}
_SECRETS = Body(
    description="`s3`: `aws_access_key_id`, `aws_secret_access_key`, `region_name`. `local`: none.",
    openapi_examples={"local": Example(value={})},
)


@router.patch("", summary="Make or change storages, by key", dependencies=_WRITE)
def save_storages(context: Wired, drafts: Annotated[list[StorageDraft], bulk(_EXAMPLE)]) -> BulkResult[StorageView]:
    return storages.save_storages(context, drafts)


@router.get("", summary="List storages", dependencies=_READ)
def list_storages(context: Wired, page: PageNumber = 1, size: PageSize = 50) -> PageBody[StorageView]:
    return show_page(storages.list_storages(context, page, size))


@router.get("/{key}", summary="Show a storage", dependencies=_READ)
def find_storage(context: Wired, key: str) -> StorageView:
    return storages.find_storage(context, key)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a storage that no rule uses",
    dependencies=[needs("storage:delete")],
    responses={409: {}},
)
def delete_storage(context: Wired, key: str) -> None:
    storages.delete_storage(context, key)


@router.put("/{key}/secret", summary="Store a storage's secrets, and try it; `local` takes none", dependencies=_WRITE)
def save_secrets(
    context: Wired, key: str, secrets: Annotated[dict[str, str | None], _SECRETS], verify: bool = True
) -> SystemTest:
    return storages.save_storage_secrets(context, key, secrets, verify=verify)
