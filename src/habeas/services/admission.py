"""When a request begins to count, at once or after the person has proved who they are: duplicates, review, receipt."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.message import Event
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.services.duplicates import Fresh, find_duplicates
from habeas.store import journal

UNADMITTED: Mapping[str, Any] = {"duplicate_of": None, "reviewed_at": None, "reviewed_by": None}
"""The same columns of a request that does not count yet."""


def admit(
    context: Context,
    connection: sa.Connection,
    people: Sequence[Fresh],
    now: datetime,
    *,
    doubtful: Collection[str] = (),
) -> dict[str, Mapping[str, Any]]:
    """The columns with which requests begin to count, by id: the one they repeat, and that the system has approved
    them, unless somebody is to review them, as those that are `doubtful` whatever the settings say."""
    settings = present_settings(context, connection)
    duplicates = find_duplicates(context, connection, people, now, settings.duplicates)
    held = {*doubtful, *(request_id for request_id, duplicate in duplicates.items() if duplicate.held)}
    if settings.execution.require_manual_request_approval:
        held = {item.id for item in people}
    return {
        item.id: {
            "duplicate_of": duplicates[item.id].of if item.id in duplicates else None,
            "reviewed_at": None if item.id in held else now,
            "reviewed_by": None if item.id in held else SYSTEM.id,
        }
        for item in people
    }


def announce(
    context: Context,
    connection: sa.Connection,
    admitted: Mapping[str, Mapping[str, Any]],
    now: datetime,
    *,
    tell_people: bool,
) -> None:
    """Write down which of the stored requests the system has approved; tell people that theirs has come in."""
    approved = [request_id for request_id, columns in admitted.items() if columns["reviewed_at"] is not None]
    journal.audit(connection, context.ledger.sealer, approved, SYSTEM, AuditAction.APPROVED, now)
    if tell_people and admitted:
        outbox.enqueue(context, connection, Event.RECEIPT, list(admitted))
