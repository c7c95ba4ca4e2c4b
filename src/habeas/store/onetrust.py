"""Repository of what was taken in from OneTrust: which request came from which subtask, what OneTrust was told of it,
and when each of its storages was polled.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from habeas.domain.request import RequestStatus
from habeas.store.configurations import Record
from habeas.store.ledger import Ledger
from habeas.store.tables import onetrust_polls as polls
from habeas.store.tables import onetrust_subtasks as subtasks
from habeas.store.tables import requests, storages


class SubtaskStatus(StrEnum):
    """What OneTrust can be told of a subtask."""

    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


def find_queue(ledger: Ledger, request_id: str) -> str | None:
    """The reference of the request in OneTrust's queue that this one was made for."""
    with ledger.read() as connection:
        queue_ref: str | None = connection.scalar(
            sa.select(subtasks.c.queue_ref).where(subtasks.c.request_id == request_id)
        )
    return queue_ref


def known_queues(connection: sa.Connection, storage_key: str, queue_refs: Sequence[str]) -> set[str]:
    """Those of these requests of the queue that were taken in."""
    own = (subtasks.c.storage_key == storage_key, subtasks.c.queue_ref.in_(queue_refs))
    return set(connection.scalars(sa.select(subtasks.c.queue_ref).where(*own)))


def known_subtasks(connection: sa.Connection, storage_key: str, subtask_ids: Sequence[str]) -> set[str]:
    """Those of these subtasks that were taken in."""
    own = (subtasks.c.storage_key == storage_key, subtasks.c.subtask_id.in_(subtask_ids))
    return set(connection.scalars(sa.select(subtasks.c.subtask_id).where(*own)))


def add_subtask(
    connection: sa.Connection, storage_key: str, subtask_id: str, queue_ref: str, request_id: str, now: datetime
) -> None:
    """Keep which request was made of a subtask, in the transaction that makes it. IntegrityError if there is one."""
    values = {"storage_key": storage_key, "subtask_id": subtask_id, "queue_ref": queue_ref, "request_id": request_id}
    connection.execute(subtasks.insert().values(**values, due_at=0.0, created_at=now))


def claim_untold(
    connection: sa.Connection, now: float, until: float, far: float, abandoned: datetime, limit: int
) -> list[Record]:
    """Take subtasks of which OneTrust is to be told another status, which is their `status`.

    Nobody else takes them before `until`. What is due later than `far` is due too: the clock must have been moved back
    since. Requests that ended in `error` before `abandoned` count as failed; a later one may still be retried.
    """
    late = sa.or_(subtasks.c.due_at <= now, subtasks.c.due_at > far)
    query = (
        _untold(abandoned, subtasks)
        .where(late)
        .order_by(subtasks.c.due_at, subtasks.c.request_id)
        .limit(limit)
        .with_for_update(of=subtasks, skip_locked=True)
    )
    found = list(connection.execute(query).mappings())
    taken = subtasks.update().where(subtasks.c.request_id.in_([row.request_id for row in found]))
    connection.execute(taken.values(due_at=until, attempts=subtasks.c.attempts + 1))
    return found


def count_subtasks(connection: sa.Connection, storage_key: str, abandoned: datetime) -> tuple[int, int]:
    """How many subtasks were taken in from a storage, and of how many OneTrust is to be told something now."""
    own = subtasks.c.storage_key == storage_key
    taken = connection.scalar(sa.select(sa.func.count()).select_from(subtasks).where(own))
    untold = _untold(abandoned, subtasks.c.request_id).where(own).subquery()
    return taken or 0, connection.scalar(sa.select(sa.func.count()).select_from(untold)) or 0


def _untold(abandoned: datetime, *shown: "sa.Table | sa.Column[str]") -> "sa.Select[Any]":
    status = sa.case(
        (requests.c.status == RequestStatus.COMPLETE, SubtaskStatus.COMPLETED.value),
        (requests.c.status.in_([RequestStatus.DENIED, RequestStatus.CANCELED]), SubtaskStatus.REJECTED.value),
        (
            sa.and_(requests.c.status == RequestStatus.ERROR, requests.c.finished_at < abandoned),
            SubtaskStatus.FAILED.value,
        ),
    )
    return (
        sa.select(*shown, status.label("status"))
        .join(requests, requests.c.id == subtasks.c.request_id)
        .where(status.is_not(None), subtasks.c.told.is_distinct_from(status))
    )


def mark_told(connection: sa.Connection, request_id: str, status: SubtaskStatus) -> None:
    """OneTrust was told a status, or refused it for good."""
    own = subtasks.c.request_id == request_id
    connection.execute(subtasks.update().where(own).values(told=status, attempts=0, due_at=0.0))


def put_off(connection: sa.Connection, request_id: str, due_at: float) -> None:
    """Tell OneTrust later."""
    connection.execute(subtasks.update().where(subtasks.c.request_id == request_id).values(due_at=due_at))


def find_poll(connection: sa.Connection, storage_key: str) -> Record | None:
    """What is known of the polls of a storage; None before the first."""
    return connection.execute(sa.select(polls).where(polls.c.storage_key == storage_key)).mappings().first()


def hold_storage(connection: sa.Connection, storage_key: str) -> None:
    """Until this write transaction ends, nobody else holds this storage."""
    own = sa.select(storages.c.key).where(storages.c.key == storage_key)
    connection.execute(own.with_for_update(key_share=True))


def hold_poll(connection: sa.Connection, storage_key: str) -> Record:
    """What is known of the polls of a storage, unchanged by others until this write transaction ends."""
    hold_storage(connection, storage_key)
    found = find_poll(connection, storage_key)
    if found is None:
        fresh = polls.insert().values(storage_key=storage_key, due_at=0.0).returning(*polls.c)
        found = connection.execute(fresh).mappings().one()
    return found


def put_poll_off(connection: sa.Connection, storage_key: str, until: float) -> None:
    """Let nobody else begin a poll before that."""
    connection.execute(polls.update().where(polls.c.storage_key == storage_key).values(due_at=until))


def conclude_poll(connection: sa.Connection, storage_key: str, began_at: datetime) -> None:
    """A poll has come to its end."""
    own = polls.c.storage_key == storage_key
    values = {"polled_at": began_at, "due_at": 0.0, "failures": 0, "failure": None}
    connection.execute(polls.update().where(own).values(values))


def fail_poll(connection: sa.Connection, storage_key: str, due_at: float, failure: str) -> None:
    """A poll has failed and is due again then."""
    own = polls.c.storage_key == storage_key
    values = {"due_at": due_at, "failures": polls.c.failures + 1, "failure": failure}
    connection.execute(polls.update().where(own).values(values))
