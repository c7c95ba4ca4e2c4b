"""Routes by which people answer for collections that only they can look into (control-plane §1.7)."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Query
from fastapi.openapi.models import Example
from pydantic import BaseModel, Field

from habeas.execution.context import Context
from habeas.services import manual_collections
from habeas.services.request_views import RequestView
from habeas.web.api.request_bodies import Text
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/privacy-request", tags=["privacy requests"], route_class=StrictRoute)

_Resumer: TypeAlias = Annotated[Context, needs("privacy-request:resume")]

_ROWS = Body(
    description="Rows with fields of the collection; an empty list: nothing was found.",
    max_length=10_000,
    openapi_examples={
        "rows": Example(value=[{"card": 7, "person": 12, "remark": "likes tea"}]),
        "nothing found": Example(value=[]),
    },
)


class Collection(BaseModel):
    """Query parameter for when several collections wait."""

    collection: Text | None = Field(None, description="`dataset:collection`; needed when several wait.")


class RowCount(BaseModel):
    """How many rows a person has erased."""

    row_count: int = Field(ge=0, lt=2**31)


@router.post("/{request_id}/manual_input", summary="Give the rows of a collection that a paused request waits for")
def answer(
    context: _Resumer,
    request_id: str,
    rows: Annotated[list[dict[str, Any]], _ROWS],
    asked: Annotated[Collection, Query()],
) -> RequestView:
    return manual_collections.answer(context, request_id, rows, asked.collection)


@router.post("/{request_id}/erasure_confirm", summary="Say that the rows a paused request waits for are erased")
def confirm(
    context: _Resumer,
    request_id: str,
    erased: Annotated[RowCount, Body(openapi_examples={"one row": Example(value={"row_count": 1})})],
    asked: Annotated[Collection, Query()],
) -> RequestView:
    return manual_collections.confirm(context, request_id, erased.row_count, asked.collection)
