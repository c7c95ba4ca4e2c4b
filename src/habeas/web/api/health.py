"""Whether this server and its ledger answer."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response

from habeas import __version__
from habeas.domain.errors import SystemUnavailable
from habeas.store.ledger import check_answers
from habeas.web.security import Wired

router = APIRouter(tags=["health"])

State = Literal["healthy", "unhealthy"]


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
