"""Repository of the notes that staff write about requests; their text is sealed."""

from datetime import datetime

import sqlalchemy as sa

from habeas.store.columns import place_of
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import notes


def add_note(connection: sa.Connection, sealer: Sealer, request_id: str, author: str, text: str, now: datetime) -> int:
    """Keep a note; its number."""
    sealed = sealer.seal(text.encode(), _place(request_id))
    values = {"request_id": request_id, "author": author, "sealed_text": sealed, "created_at": now}
    number: int = connection.scalars(notes.insert().values(values).returning(notes.c.id)).one()
    return number


def read_notes(connection: sa.Connection, request_id: str, page: int, size: int) -> tuple[list[Record], int]:
    """One page of a request's notes, oldest first, and the total."""
    own = notes.c.request_id == request_id
    total = connection.execute(sa.select(sa.func.count()).select_from(notes).where(own)).scalar_one()
    query = sa.select(notes).where(own).order_by(notes.c.id).limit(size).offset((page - 1) * size)
    return list(connection.execute(query).mappings()), total


def open_text(sealer: Sealer, note: Record) -> str:
    """What a note says."""
    return sealer.open(note.sealed_text, _place(note.request_id)).decode()


def _place(request_id: str) -> str:
    return place_of(notes.c.sealed_text, request_id=request_id)
