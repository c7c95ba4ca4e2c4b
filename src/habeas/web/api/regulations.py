"""Routes of regulations: the deadlines of laws, each with its article and the day when somebody last checked it."""

from fastapi import APIRouter

from habeas.services import regulations
from habeas.services.regulations import RegulationView
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.security import Wired, needs

router = APIRouter(prefix="/regulation", tags=["regulations"])

_READ = [needs("policy:read")]


@router.get("", summary="List regulations", dependencies=_READ)
def list_regulations(context: Wired, page: PageNumber = 1, size: PageSize = 50) -> PageBody[RegulationView]:
    return show_page(regulations.list_regulations(context, page, size))


@router.get("/{key}", summary="Show a regulation", dependencies=_READ)
def find_regulation(context: Wired, key: str) -> RegulationView:
    return regulations.show_regulation(regulations.find_regulation(context, key))
