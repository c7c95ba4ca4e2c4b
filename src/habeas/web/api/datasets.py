"""Routes of datasets, below the connection that owns them (control-plane §1.13)."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Header, HTTPException
from fastapi.openapi.models import Example
from pydantic import WithJsonSchema

from habeas.execution.context import Context
from habeas.services import datasets
from habeas.services.bulk import BulkResult
from habeas.services.datasets import Validation
from habeas.services.fields import InvalidFields, Problem
from habeas.web.api.paging import BULK_LIMIT, PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(tags=["datasets"], route_class=StrictRoute)

_Writer: TypeAlias = Annotated[Context, needs("dataset:create_or_update")]
_Reader: TypeAlias = Annotated[Context, needs("dataset:read")]
_Deleter: TypeAlias = Annotated[Context, needs("dataset:delete")]

_YAML = ("application/x-yaml", "application/yaml", "text/yaml")
_NAMED: dict[str, Any] = {
    "name": {"type": "string"},
    "description": {"type": "string"},
    "data_categories": {"type": "array", "items": {"type": "string"}},
    "fides_meta": {"type": "object"},
}
_FIELD: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {**_NAMED, "fields": {"type": "array", "items": {"type": "object"}}},
}
_COLLECTION: dict[str, Any] = {
    "type": "object",
    "required": ["name", "fields"],
    "properties": {**_NAMED, "fields": {"type": "array", "items": _FIELD}},
}
_SCHEMA: dict[str, Any] = {
    "title": "Dataset",
    "type": "object",
    "required": ["fides_key", "collections"],
    "properties": {
        "fides_key": {"type": "string"},
        **_NAMED,
        "collections": {"type": "array", "items": _COLLECTION},
    },
}
_EXAMPLE: dict[str, Any] = {
    "fides_key": "shop_db",
    "name": "Shop",
    "collections": [
        {
            "name": "members",
            "fields": [
                {
                    "name": "member_no",
                    "data_categories": ["user.unique_id"],
                    "fides_meta": {"primary_key": True, "data_type": "integer"},
                },
                {
                    "name": "mail",
                    "data_categories": ["user.contact.email"],
                    "fides_meta": {"identity": "email", "data_type": "string"},
                },
            ],
        }
    ],
}
DatasetBody = Annotated[dict[str, Any], WithJsonSchema(_SCHEMA)]
_YAML_EXAMPLE = """dataset:
  - fides_key: shop_db
    name: Shop
    collections:
      - name: members
        fields:
          - name: member_no
            fides_meta: {primary_key: true}
          - name: mail
            data_categories: [user.contact.email]
            fides_meta: {identity: email}
"""


@router.patch("/connection/{key}/dataset", summary="Make or change datasets, by fides_key")
def save_datasets(
    context: _Writer,
    key: str,
    bodies: Annotated[list[DatasetBody], bulk(_EXAMPLE)],
) -> BulkResult[DatasetBody]:
    return _show(datasets.save_datasets(context, key, bodies))


@router.patch(
    "/yml/connection/{key}/dataset",
    summary="The same from a YAML document",
    responses={415: {}},
)
def save_yaml(
    context: _Writer,
    key: str,
    document: Annotated[
        bytes, Body(media_type="application/x-yaml", openapi_examples={"example": Example(value=_YAML_EXAMPLE)})
    ],
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> BulkResult[DatasetBody]:
    if content_type.partition(";")[0].strip().lower() not in _YAML:
        raise HTTPException(415, "send Content-Type: application/x-yaml")
    bodies = datasets.read_yaml_bodies(document.decode())
    if len(bodies) > BULK_LIMIT:
        raise InvalidFields([Problem(("dataset",), f"at most {BULK_LIMIT} datasets at once")])
    return _show(datasets.save_datasets(context, key, bodies))


@router.put("/connection/{key}/validate_dataset", summary="Check a dataset; nothing is stored")
def validate_dataset(
    context: _Reader,
    key: str,
    body: Annotated[DatasetBody, Body(openapi_examples={"example": Example(value=_EXAMPLE)})],
) -> Validation:
    return datasets.validate_dataset(context, key, body)


@router.get("/connection/{key}/dataset", summary="List a connection's datasets")
def list_datasets(context: _Reader, key: str, page: PageNumber = 1, size: PageSize = 50) -> PageBody[DatasetBody]:
    found = show_page(datasets.list_datasets(context, key, page, size))
    return PageBody([dict(item) for item in found.items], found.total, found.page, found.size, found.pages)


@router.get("/connection/{key}/dataset/{fides_key}", summary="Show a dataset")
def find_dataset(context: _Reader, key: str, fides_key: str) -> DatasetBody:
    return dict(datasets.find_dataset(context, key, fides_key))


@router.delete(
    "/connection/{key}/dataset/{fides_key}",
    status_code=204,
    summary="Delete a dataset",
)
def delete_dataset(context: _Deleter, key: str, fides_key: str) -> None:
    datasets.delete_dataset(context, key, fides_key)


def _show(result: BulkResult[datasets.Body]) -> BulkResult[dict[str, Any]]:
    return BulkResult([dict(item) for item in result.succeeded], result.failed)
