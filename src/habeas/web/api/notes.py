"""Routes of the notes that staff write about privacy requests."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, StringConstraints

from habeas.execution.context import Context
from habeas.services import notes
from habeas.services.notes import LONGEST, NoteView
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/privacy-request/{request_id}/notes", tags=["privacy requests"], route_class=StrictRoute)

_Reviewer: TypeAlias = Annotated[Context, needs("privacy-request:review")]
_Reader: TypeAlias = Annotated[Context, needs("privacy-request:read")]


class NewNote(BaseModel):
    """What staff want to remember of a request; it is kept sealed."""

    text: Annotated[
        str, StringConstraints(pattern=r"^[^\x00]*$", strip_whitespace=True, min_length=1, max_length=LONGEST)
    ]


_NOTE = Body(openapi_examples={"note": Example(value={"text": "Called back: the account is her late father's."})})


@router.post("", summary="Write a note about a request, for staff")
def add_note(
    context: _Reviewer,
    request_id: str,
    note: Annotated[NewNote, _NOTE],
) -> NoteView:
    return notes.add_note(context, request_id, note.text)


@router.get("", summary="The notes about a request, oldest first")
def list_notes(
    context: _Reader,
    request_id: str,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[NoteView]:
    return show_page(notes.list_notes(context, request_id, page, size))
