"""Repository of the execution log and the audit log: ids, names and counts only."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.request import ActionType, AuditAction, LogStatus
from habeas.store.configurations import Record
from habeas.store.tables import audits, logs, members


def log_collection(
    connection: sa.Connection,
    who: sa.Select[tuple[str]],
    place: tuple[str | None, str, str],
    action: ActionType,
    status: LogStatus,
    message: str,
    now: datetime,
) -> None:
    """One log row for each request id that `who` selects; `place` is (connection, dataset, collection)."""
    asked = who.subquery()
    connection_key, dataset, collection = place
    connection.execute(
        logs.insert().from_select(
            [
                "request_id",
                "connection_key",
                "dataset_name",
                "collection_name",
                "action_type",
                "status",
                "message",
                "created_at",
            ],
            sa.select(
                asked.c.request_id,
                sa.literal(connection_key, sa.String),
                sa.literal(dataset),
                sa.literal(collection),
                sa.literal(str(action)),
                sa.literal(str(status)),
                sa.literal(message),
                sa.literal(now, logs.c.created_at.type),
            ),
        )
    )


def members_at(run_id: str, ordinals: Sequence[int]) -> sa.Select[tuple[str]]:
    """Selects the request ids of a run's living members at these ordinals."""
    return sa.select(members.c.request_id).where(
        members.c.run_id == run_id, members.c.living, members.c.ordinal.in_(ordinals)
    )


def audit(
    connection: sa.Connection,
    request_ids: Sequence[str],
    actor: str,
    action: AuditAction,
    now: datetime,
    message: str = "",
) -> None:
    """One audit row per request."""
    rows = [
        {"request_id": request_id, "actor": actor, "action": action, "message": message, "created_at": now}
        for request_id in request_ids
    ]
    if rows:
        connection.execute(audits.insert(), rows)


def read_logs(connection: sa.Connection, request_id: str, page: int, size: int) -> tuple[list[Record], int]:
    """One page of a request's execution log, oldest first, and the total."""
    total = connection.execute(
        sa.select(sa.func.count()).select_from(logs).where(logs.c.request_id == request_id)
    ).scalar_one()
    query = sa.select(logs).where(logs.c.request_id == request_id).order_by(logs.c.id)
    return list(connection.execute(query.limit(size).offset((page - 1) * size)).mappings()), total


def read_audits(connection: sa.Connection, request_id: str) -> list[Record]:
    """A request's audit rows, oldest first."""
    query = sa.select(audits).where(audits.c.request_id == request_id).order_by(audits.c.id)
    return list(connection.execute(query).mappings())
