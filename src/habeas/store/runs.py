"""Repository of runs: who carries which requests, under which lease, and what is done.

A run is the only thing that is claimed. The fence rises with every claim; whoever holds an older one
can commit nothing here (`hold`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from habeas.domain.errors import LeaseLost
from habeas.domain.request import ActionType, RequestStatus
from habeas.store.configurations import Record
from habeas.store.ledger import Ledger
from habeas.store.tables import chunks, members, outcomes, packages, requests, runs, tasks

READY, DONE = "ready", "done"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where the rows of one member in one collection are."""

    task_id: int
    attempt: int
    ordinal: int


def ready_requests(connection: sa.Connection, limit: int) -> list[Record]:
    """Requests that no run carries and that may run now, the most urgent first."""
    query = (
        sa.select(requests)
        .where(
            requests.c.run_id.is_(None),
            requests.c.status.in_([RequestStatus.PENDING, RequestStatus.IN_PROCESSING]),
        )
        .order_by(sa.func.coalesce(requests.c.due_at, requests.c.created_at), requests.c.created_at)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def form_run(
    connection: sa.Connection,
    run_id: str,
    request_ids: Sequence[str],
    plan_digest: str,
    next_step: str,
    due_at: datetime,
    now: datetime,
) -> int:
    """Make a run of those requests that still are nobody's; how many joined (0: no run was made).

    Ordinals follow the request ids, so that the smallest id of a shared row's owners is the smallest ordinal.
    """
    taken = sorted(
        connection.scalars(
            requests.update()
            .where(
                requests.c.id.in_(request_ids),
                requests.c.run_id.is_(None),
                requests.c.status.in_([RequestStatus.PENDING, RequestStatus.IN_PROCESSING]),
            )
            .values(
                run_id=run_id,
                plan_digest=plan_digest,
                status=RequestStatus.IN_PROCESSING,
                started_at=sa.func.coalesce(requests.c.started_at, sa.literal(now, requests.c.started_at.type)),
                updated_at=now,
            )
            .returning(requests.c.id)
        )
    )
    if taken:
        connection.execute(
            runs.insert().values(
                id=run_id,
                phase="data",
                status=READY,
                plan_digest=plan_digest,
                next_step=next_step,
                size=len(taken),
                due_at=due_at,
                created_at=now,
                updated_at=now,
            )
        )
        joined = [
            {"run_id": run_id, "ordinal": ordinal, "request_id": request_id, "living": True}
            for ordinal, request_id in enumerate(taken)
        ]
        connection.execute(members.insert(), joined)
    return len(taken)


def due_runs(connection: sa.Connection, ledger: Ledger, limit: int, without: Collection[str]) -> list[Record]:
    """Runs that are ready and under nobody's lease, by deadline."""
    query = sa.select(runs.c.id, runs.c.size).where(
        runs.c.status == READY, sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until < ledger.epoch())
    )
    if without:
        query = query.where(runs.c.id.not_in(without))
    return list(connection.execute(query.order_by(runs.c.due_at, runs.c.created_at).limit(limit)).mappings())


def claim(connection: sa.Connection, ledger: Ledger, run_id: str, worker: str, lease: float) -> Record | None:
    """Take a due run under a new fence for `lease` seconds; None when another has it or it is done."""
    return (
        connection.execute(
            runs.update()
            .where(
                runs.c.id == run_id,
                runs.c.status == READY,
                sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until < ledger.epoch()),
            )
            .values(
                worker=worker,
                fence=runs.c.fence + 1,
                claims=runs.c.claims + 1,
                lease_until=ledger.epoch() + lease,
                updated_at=ledger.clock.now(),
            )
            .returning(*runs.c)
        )
        .mappings()
        .first()
    )


def renew(connection: sa.Connection, ledger: Ledger, run_id: str, fence: int, lease: float) -> bool:
    """A sign of life; False when the fence is no longer ours."""
    renewed = connection.execute(
        runs.update().where(runs.c.id == run_id, runs.c.fence == fence).values(lease_until=ledger.epoch() + lease)
    )
    return bool(renewed.rowcount)


def hold(connection: sa.Connection, run_id: str, fence: int) -> None:
    """Lock the run for this transaction; raises LeaseLost when another holds a higher fence."""
    held = connection.execute(runs.update().where(runs.c.id == run_id, runs.c.fence == fence).values(fence=fence))
    if not held.rowcount:
        raise LeaseLost("another worker carries this run now")


def is_leased(connection: sa.Connection, ledger: Ledger, run_id: str, fence: int) -> bool:
    """True while the fence is ours and the lease has not run out."""
    query = sa.select(runs.c.id).where(runs.c.id == run_id, runs.c.fence == fence, runs.c.lease_until > ledger.epoch())
    return connection.execute(query).first() is not None


def release(connection: sa.Connection, run_id: str, fence: int) -> None:
    """Give a run back before its lease ends, to be claimed again at once; not counted as a claim."""
    connection.execute(
        runs.update()
        .where(runs.c.id == run_id, runs.c.fence == fence)
        .values(lease_until=None, claims=runs.c.claims - 1)
    )


def advance(connection: sa.Connection, run_id: str, next_step: str, now: datetime) -> None:
    """Remember the next step, on the run and on the requests that are still in it."""
    living = sa.select(members.c.request_id).where(members.c.run_id == run_id, members.c.living)
    connection.execute(runs.update().where(runs.c.id == run_id).values(next_step=next_step, claims=0, updated_at=now))
    connection.execute(requests.update().where(requests.c.id.in_(living)).values(next_step=next_step, updated_at=now))


def finish(connection: sa.Connection, run_id: str, now: datetime) -> None:
    """Nothing is left to do: the run is never claimed again."""
    connection.execute(runs.update().where(runs.c.id == run_id).values(status=DONE, lease_until=None, updated_at=now))


def members_of(connection: sa.Connection, run_id: str) -> list[Record]:
    """The living members with their requests, by ordinal."""
    query = (
        sa.select(members.c.ordinal, requests)
        .join(requests, requests.c.id == members.c.request_id)
        .where(members.c.run_id == run_id, members.c.living)
        .order_by(members.c.ordinal)
    )
    return list(connection.execute(query).mappings())


def living_ordinals(connection: sa.Connection, run_id: str) -> set[int]:
    query = sa.select(members.c.ordinal).where(members.c.run_id == run_id, members.c.living)
    return set(connection.scalars(query))


def leave(connection: sa.Connection, run_id: str, request_ids: Sequence[str]) -> None:
    """Take members out of the run; their requests are free for a later one."""
    connection.execute(
        members.update().where(members.c.run_id == run_id, members.c.request_id.in_(request_ids)).values(living=False)
    )
    connection.execute(
        requests.update().where(requests.c.id.in_(request_ids), requests.c.run_id == run_id).values(run_id=None)
    )


def open_task(connection: sa.Connection, run_id: str, action: ActionType, collection: str) -> None:
    """Say that a task has begun; nothing happens when it had."""
    known = sa.select(tasks.c.id).where(
        tasks.c.run_id == run_id, tasks.c.action == action, tasks.c.collection == collection
    )
    if connection.execute(known).first() is None:
        connection.execute(tasks.insert().values(run_id=run_id, action=action, collection=collection))


def open_attempt(connection: sa.Connection, run_id: str, action: ActionType, collection: str) -> tuple[int, int]:
    """A new attempt at a task, which begins with it if it has not: (task id, attempt from 1)."""
    open_task(connection, run_id, action, collection)
    opened = connection.execute(
        tasks.update()
        .where(tasks.c.run_id == run_id, tasks.c.action == action, tasks.c.collection == collection)
        .values(attempts=tasks.c.attempts + 1)
        .returning(tasks.c.id, tasks.c.attempts)
    ).one()
    return opened.id, opened.attempts


def started_collections(connection: sa.Connection, run_id: str, action: ActionType) -> set[str]:
    """Collections that some worker has begun in this run."""
    query = sa.select(tasks.c.collection).where(tasks.c.run_id == run_id, tasks.c.action == action)
    return set(connection.scalars(query))


def write_outcomes(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put outcomes in place of what stood there for (request, action, collection)."""
    if not rows:
        return
    first = rows[0]
    connection.execute(
        outcomes.delete().where(
            outcomes.c.action == first["action"],
            outcomes.c.collection == first["collection"],
            outcomes.c.request_id.in_([row["request_id"] for row in rows]),
        )
    )
    connection.execute(outcomes.insert(), list(rows))


def outcomes_of(
    connection: sa.Connection, request_ids: Sequence[str], action: ActionType | None = None
) -> list[Record]:
    """Outcomes of these requests, of one action or both."""
    query = sa.select(outcomes).where(outcomes.c.request_id.in_(request_ids))
    if action is not None:
        query = query.where(outcomes.c.action == action)
    return list(connection.execute(query).mappings())


def add_packages(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record uploaded packages; those already recorded for (request, rule) are replaced."""
    for row in rows:
        connection.execute(
            packages.delete().where(packages.c.request_id == row["request_id"], packages.c.rule_key == row["rule_key"])
        )
    if rows:
        connection.execute(packages.insert(), list(rows))


def delete_stale_chunks(connection: sa.Connection, limit: int) -> int:
    """Delete chunks of attempts that no outcome names, in runs that are done; how many."""
    named = sa.exists().where(outcomes.c.task_id == chunks.c.task_id, outcomes.c.attempt == chunks.c.attempt)
    stale = (
        sa.select(chunks.c.id)
        .join(tasks, tasks.c.id == chunks.c.task_id)
        .join(runs, runs.c.id == tasks.c.run_id)
        .where(runs.c.status == DONE, ~named)
        .limit(limit)
    )
    return connection.execute(chunks.delete().where(chunks.c.id.in_(stale))).rowcount
