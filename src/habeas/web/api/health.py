"""Whether this server, its ledger and the processes that carry runs are well. Open routes: counts and ages only."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from habeas import __version__
from habeas.domain.errors import SystemUnavailable
from habeas.services import health
from habeas.services.health import DatabaseHealth, State, WorkersHealth
from habeas.store.ledger import check_answers
from habeas.web.security import Wired

router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Health:
    """The state of each part."""

    webserver: State
    database: State
    version: str


@router.get("/health", summary="Whether the server and its ledger answer (open; 503 when the ledger does not)")
def read_health(context: Wired, response: Response) -> Health:
    try:
        check_answers(context.ledger.engine)
    except SystemUnavailable:
        response.status_code = 503
        return Health("healthy", "unhealthy", __version__)
    return Health("healthy", "healthy", __version__)


@router.get("/health/database", summary="The ledger's dialect and schema (open; 503 when it is away or another's)")
def read_database_health(context: Wired, response: Response) -> DatabaseHealth:
    found = health.read_database(context)
    response.status_code = 200 if found.database == "healthy" else 503
    return found


@router.get("/health/workers", summary="Processes that carry runs (open; 503 when there are none or work stands still)")
def read_workers_health(context: Wired, response: Response) -> WorkersHealth:
    found = health.read_workers(context)
    response.status_code = 200 if found.workers == "healthy" else 503
    return found
