"""Notes that staff write about a request, for staff alone. They are kept sealed, and stay when the request is over."""

from dataclasses import dataclass
from datetime import datetime

from habeas.domain.audit import AuditAction
from habeas.execution.context import Context
from habeas.services.bulk import Listing
from habeas.services.requests import get_record
from habeas.store import journal
from habeas.store import notes as store

LONGEST = 10_000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note; `author` is a client's id."""

    id: int
    author: str
    text: str
    created_at: datetime


def add_note(context: Context, request_id: str, text: str) -> NoteView:
    """Keep a note of 1 to `LONGEST` characters; the audit log says that there is one, not what it says.

    Raises NotFound.
    """
    now = context.clock.now()
    with context.ledger.write() as connection:
        get_record(connection, request_id)
        number = store.add_note(connection, context.ledger.sealer, request_id, context.actor.id, text, now)
        journal.audit(connection, context.ledger.sealer, [request_id], context.actor, AuditAction.NOTED, now)
    return NoteView(number, context.actor.id, text, now)


def list_notes(context: Context, request_id: str, page: int, size: int) -> Listing[NoteView]:
    """One page of a request's notes, oldest first. Raises NotFound."""
    sealer = context.ledger.sealer
    with context.ledger.read() as connection:
        get_record(connection, request_id)
        rows, total = store.read_notes(connection, request_id, page, size)
    items = [NoteView(row.id, row.author, store.open_text(sealer, row), row.created_at) for row in rows]
    return Listing(items, total, page, size)
