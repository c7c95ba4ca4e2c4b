"""Repository of runs: who carries which requests, under which lease, and which tasks were begun.

A run is the only thing that is claimed. The fence rises with every claim; whoever holds an older one
can commit nothing here (`hold`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from habeas.domain.errors import LeaseLost
from habeas.domain.request import ActionType, RequestStatus
from habeas.store import status_webhooks
from habeas.store.configurations import Record
from habeas.store.ledger import Ledger
from habeas.store.tables import connections, members, requests, runs, tasks

READY, DONE = "ready", "done"
PREPARE, DATA = "prepare", "data"
"""Phases of a run: what comes before a plan is made, member by member, and all that follows."""

MAY_RUN = sa.and_(
    sa.or_(~requests.c.must_verify, requests.c.identity_verified_at.is_not(None)),
    sa.or_(
        requests.c.status.in_([RequestStatus.APPROVED, RequestStatus.IN_PROCESSING]),
        sa.and_(requests.c.status == RequestStatus.PENDING, requests.c.reviewed_at.is_not(None)),
    ),
    sa.func.coalesce(requests.c.run_id, "") == "",  # for IS NULL SQLite would look at all that no run carries any more
)
"""What requests are like that wait for a run: nobody carries them, they are approved, by somebody or the system, and
the person has proved who they are if they must. Every run is formed under this condition."""


def ready_requests(connection: sa.Connection, limit: int, together: int | None = None) -> list[Record]:
    """Requests that no run carries and that may run now, the most urgent first.

    With `together` only those that came in a submission of at most so many.
    """
    query = (
        sa.select(
            requests.c.id,
            requests.c.policy_key,
            requests.c.identity_kinds,
            requests.c.derived_kinds,
            requests.c.dataset_keys,
            requests.c.plan_digest,
            requests.c.next_step,
            requests.c.due_at,
            requests.c.created_at,
            requests.c.submitted_together,
            requests.c.updated_at,
            sa.or_(~requests.c.encrypted, requests.c.sealed_encryption_key.is_not(None)).label("can_package"),
        )
        .where(MAY_RUN)
        .order_by(sa.func.coalesce(requests.c.due_at, requests.c.created_at), requests.c.created_at)
        .limit(limit)
    )
    if together is not None:
        query = query.where(requests.c.submitted_together <= together)
    return list(connection.execute(query).mappings())


def form_run(
    connection: sa.Connection,
    run_id: str,
    request_ids: Sequence[str],
    phase: str,
    plan_digest: str,
    next_step: str,
    due_at: datetime,
    now: datetime,
) -> list[str]:
    """Make a run of those requests that still are nobody's; the ids of those that joined (none: no run was made).

    Ordinals follow the request ids, so that the smallest id of a shared row's owners is the smallest ordinal.
    Subscribers are to be told of those that begin.
    """
    beginning = _lock_beginning(connection, request_ids) if status_webhooks.are_heeded(connection) else set()
    taken = sorted(
        connection.scalars(
            requests.update()
            .where(requests.c.id.in_(request_ids), MAY_RUN)
            .values(
                run_id=run_id,
                plan_digest=None if phase == PREPARE else plan_digest,
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
                phase=phase,
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
    status_webhooks.record_moves(connection, [one for one in taken if one in beginning], now)
    return taken


def _lock_beginning(connection: sa.Connection, request_ids: Sequence[str]) -> set[str]:
    """Those that may run and are not in processing yet: to join a run is a move of theirs, and of no others."""
    new = (requests.c.id.in_(request_ids), MAY_RUN, requests.c.status != RequestStatus.IN_PROCESSING)
    return set(connection.scalars(sa.select(requests.c.id).where(*new).order_by(requests.c.id).with_for_update()))


_PAUSED = sa.select(connections.c.key).where(
    connections.c.key == runs.c.waits_for, connections.c.paused_at.is_not(None), ~connections.c.disabled
)
WAITS = sa.and_(runs.c.waits_for.is_not(None), sa.exists(_PAUSED))
"""A run that waits for a connection that is paused."""


def is_due(ledger: Ledger, lease: float) -> sa.ColumnElement[bool]:
    """Ready, under nobody's lease, and not waiting for a connection that is paused."""
    return sa.and_(runs.c.status == READY, is_free(ledger, lease), ~WAITS)


def is_free(ledger: Ledger, lease: float) -> sa.ColumnElement[bool]:
    """Nobody's lease holds: none was taken, or it is over, or it ends so late that it was taken by a clock that has
    been moved back since. A worker that is alive renews such a lease soon; a dead one must not hold it that long."""
    now = ledger.epoch()
    return sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until < now, runs.c.lease_until > now + 2 * lease)


def due_runs(
    connection: sa.Connection,
    ledger: Ledger,
    limit: int,
    without: Collection[str],
    lease: float,
    *,
    largest: int | None = None,
) -> list[Record]:
    """Runs of at most `largest` members that are ready and under nobody's lease (of `lease` seconds), by deadline."""
    query = sa.select(runs.c.id).where(is_due(ledger, lease))
    if largest is not None:
        query = query.where(runs.c.size <= largest)
    if without:
        query = query.where(runs.c.id.not_in(without))
    return list(connection.execute(query.order_by(runs.c.due_at, runs.c.created_at).limit(limit)).mappings())


def claim(connection: sa.Connection, ledger: Ledger, run_id: str, worker: str, lease: float) -> Record | None:
    """Take a due run under a new fence for `lease` seconds; None when another has it or it is done."""
    return (
        connection.execute(
            runs.update()
            .where(runs.c.id == run_id, is_due(ledger, lease))
            .values(
                worker=worker,
                fence=runs.c.fence + 1,
                claims=runs.c.claims + 1,
                lease_until=ledger.epoch() + lease,
                waits_for=None,
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


_RUN = sa.bindparam("wanted_run", type_=sa.String)
_FENCE = sa.bindparam("wanted_fence", type_=sa.Integer)
_HOLD = runs.update().where(runs.c.id == _RUN, runs.c.fence == _FENCE).values(fence=runs.c.fence)
_HOLD_ANEW = _HOLD.values(claims=0)
_LIVING = sa.select(members.c.ordinal).where(members.c.run_id == _RUN, members.c.living)


def hold(connection: sa.Connection, run_id: str, fence: int, *, progress: bool = False) -> None:
    """Lock the run for this transaction; raises LeaseLost when another holds a higher fence.

    With `progress` its claims are counted anew: what is recorded here need not be done again.
    """
    statement = _HOLD_ANEW if progress else _HOLD
    if not connection.execute(statement, {"wanted_run": run_id, "wanted_fence": fence}).rowcount:
        raise LeaseLost("another worker carries this run now")


def is_leased(connection: sa.Connection, ledger: Ledger, run_id: str, fence: int) -> bool:
    """True while the fence is ours and the lease has not run out."""
    query = sa.select(runs.c.id).where(runs.c.id == run_id, runs.c.fence == fence, runs.c.lease_until > ledger.epoch())
    return connection.execute(query).first() is not None


_ONE_LESS = sa.case((runs.c.claims > 0, runs.c.claims - 1), else_=0)


def release(connection: sa.Connection, run_id: str, fence: int) -> None:
    """Give a run back before its lease ends, to be claimed again at once; not counted as a claim."""
    connection.execute(
        runs.update().where(runs.c.id == run_id, runs.c.fence == fence).values(lease_until=None, claims=_ONE_LESS)
    )


def wait_for(connection: sa.Connection, run_id: str, connection_key: str) -> None:
    """Give a held run back until this connection is not paused; the claim was no attempt."""
    waiting = {"waits_for": connection_key, "lease_until": None, "claims": _ONE_LESS}
    connection.execute(runs.update().where(runs.c.id == run_id).values(waiting))


def excuse(connection: sa.Connection, run_id: str, fence: int) -> None:
    """Do not count a claim that the ledger itself brought to an end; its lease goes on."""
    connection.execute(runs.update().where(runs.c.id == run_id, runs.c.fence == fence).values(claims=_ONE_LESS))


_LIVING_IDS = sa.select(members.c.request_id).where(members.c.run_id == _RUN, members.c.living)
_NEXT = {
    "next_step": sa.bindparam("new_step", type_=runs.c.next_step.type),
    "updated_at": sa.bindparam("new_time", type_=runs.c.updated_at.type),
}
_ADVANCE_RUN = runs.update().where(runs.c.id == _RUN).values(claims=0, **_NEXT)
_ADVANCE_MEMBERS = requests.update().where(requests.c.id.in_(_LIVING_IDS)).values(_NEXT)


def advance(connection: sa.Connection, run_id: str, next_step: str, now: datetime) -> None:
    """Remember the next step, on the run and on the requests that are still in it."""
    new = {"wanted_run": run_id, "new_step": next_step, "new_time": now}
    connection.execute(_ADVANCE_RUN, new)
    connection.execute(_ADVANCE_MEMBERS, new)


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
    return set(connection.scalars(_LIVING, {"wanted_run": run_id}))


def leave(connection: sa.Connection, run_id: str, request_ids: Sequence[str]) -> None:
    """Take members out of the run; their requests are free for a later one."""
    connection.execute(
        members.update().where(members.c.run_id == run_id, members.c.request_id.in_(request_ids)).values(living=False)
    )
    connection.execute(
        requests.update().where(requests.c.id.in_(request_ids), requests.c.run_id == run_id).values(run_id=None)
    )


def leave_all(connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """Take requests out of whatever run carries them. Their rows are locked by this transaction: they have moved."""
    living = members.update().where(members.c.request_id.in_(request_ids), members.c.living)
    connection.execute(living.values(living=False))
    connection.execute(requests.update().where(requests.c.id.in_(request_ids)).values(run_id=None))


@cache
def _open_task(dialect: str) -> sa.Insert:
    insert = sqlite.insert(tasks) if dialect == "sqlite" else postgresql.insert(tasks)
    again = insert.on_conflict_do_update(
        index_elements=["run_id", "action", "collection"], set_={"attempts": tasks.c.attempts + 1}
    )
    return again.returning(tasks.c.collection, tasks.c.id, tasks.c.attempts)


def open_tasks(
    connection: sa.Connection, run_id: str, action: ActionType, collections: Collection[str]
) -> dict[str, tuple[int, int]]:
    """A new attempt at each of these tasks, which begin with it if they had not: (task id, attempt from 1)."""
    if not collections:
        return {}
    rows = [{"run_id": run_id, "action": action, "collection": one, "attempts": 1} for one in collections]
    opened = connection.execute(_open_task(connection.dialect.name), rows)
    return {row.collection: (row.id, row.attempts) for row in opened}


def started_collections(connection: sa.Connection, run_id: str, action: ActionType) -> set[str]:
    """Collections that some worker has begun in this run."""
    query = sa.select(tasks.c.collection).where(tasks.c.run_id == run_id, tasks.c.action == action)
    return set(connection.scalars(query))
