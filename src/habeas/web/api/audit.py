"""Routes of the audit log: what was done, by whom, to what; and the head of its chain."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from habeas.domain.actor import ActorKind
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.execution.context import Context
from habeas.services import audit
from habeas.services.audit import AuditFilter, AuditView
from habeas.web.api.moments import ExactMoment
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/audit", tags=["audit"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("audit:read")]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class AuditQuery(BaseModel):
    """Which entries; what is not given does not narrow. Both ends of the time are exclusive."""

    model_config = ConfigDict(extra="forbid")

    object_kind: ObjectKind | None = None
    object_id: str | None = None
    actor: str | None = None
    actor_kind: ActorKind | None = None
    action: AuditAction | None = None
    begin: ExactMoment | None = None
    end: ExactMoment | None = None
    page: PageNumber = 1
    size: PageSize = 50
    download_csv: bool = False

    @property
    def filter(self) -> AuditFilter:
        return AuditFilter(**self.model_dump(exclude={"page", "size", "download_csv"}))


@dataclass(frozen=True, slots=True)
class HeadBody:
    """The last entry of the chain, and when this was asked. Keep it where nobody who writes into the ledger can."""

    head: str
    position: int
    at: datetime


@router.get(
    "",
    summary="List what was done, newest first, or give it as CSV",
    response_model=PageBody[AuditView],
    responses=_CSV,
)
def list_entries(context: _Reader, query: Annotated[AuditQuery, Query()]) -> PageBody[AuditView] | StreamingResponse:
    if query.download_csv:
        headers = {"Content-Disposition": f'attachment; filename="audit_log_{context.clock.now().date()}.csv"'}
        lines = audit.write_entries(context, query.filter)
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
    return show_page(audit.list_entries(context, query.filter, query.page, query.size))


@router.get("/head", summary="The head of the chain of entries", responses={404: {}})
def read_head(context: _Reader) -> HeadBody:
    head = audit.read_head(context)
    return HeadBody(str(head), head.position, context.clock.now())
