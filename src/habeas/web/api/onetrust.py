"""Routes of OneTrust (control-plane §1.21)."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query

from habeas.execution.context import Context
from habeas.services import onetrust
from habeas.services.onetrust import Poll, PollingState
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/onetrust", tags=["onetrust"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("storage:read")]
_Poller: TypeAlias = Annotated[Context, needs("onetrust:exec")]


@router.get("", summary="Show when each storage for OneTrust was polled, and what OneTrust is still to be told")
def list_states(context: _Reader) -> list[PollingState]:
    return onetrust.list_states(context)


@router.post("/poll", summary="Make privacy requests of what is open in OneTrust, now", responses={404: {}})
def poll(
    context: _Poller, storage_key: Annotated[str | None, Query(description="This storage alone; default: all.")] = None
) -> list[Poll]:
    return onetrust.poll(context, storage_key)
