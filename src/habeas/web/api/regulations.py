"""Routes of regulations: the deadlines of laws, each with its article and the day when somebody last checked it."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter

from habeas.execution.context import Context
from habeas.services import regulations
from habeas.services.regulations import RegulationView
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.security import needs

router = APIRouter(prefix="/regulation", tags=["regulations"])

_Reader: TypeAlias = Annotated[Context, needs("policy:read")]


@router.get("", summary="List regulations")
def list_regulations(context: _Reader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[RegulationView]:
    return show_page(regulations.list_regulations(context, page, size))


@router.get("/{key}", summary="Show a regulation")
def find_regulation(context: _Reader, key: str) -> RegulationView:
    return regulations.show_regulation(regulations.find_regulation(context, key))
