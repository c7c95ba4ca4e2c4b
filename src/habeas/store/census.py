"""Repository of counting: how much there is of what, for those who watch. Numbers, statuses and names of jobs only.

Every query is an aggregate over an index, or over rows that are few or go again (runs, workers, chunks).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import sqlalchemy as sa

from habeas.domain.request import RequestStatus
from habeas.store.ledger import Ledger
from habeas.store.messages import MessageStatus
from habeas.store.requests import is_overdue
from habeas.store.runs import MAY_RUN, READY, WAITS
from habeas.store.schedules import Job, jobs_of
from habeas.store.tables import chunks, connections, messages, packages, requests, runs
from habeas.store.workers import Kind, living


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What the ledger holds at one moment. Times in seconds, sizes in bytes."""

    requests: Mapping[RequestStatus, int]
    overdue: int
    """Unfinished requests that were due before today."""
    longest_wait: float
    """Since when the request has been ready that has waited longest for a run; 0 when none waits."""
    runs: Mapping[str, int]
    """Unfinished ones: `leased` by a worker, `paused` as what they wait for is, or `ready`."""
    connections_paused: int
    processes: Mapping[str, int]
    """Living ones, by kind."""
    messages: Mapping[str, int]
    """By status."""
    packages: int
    chunks: int
    kept_rows: int
    kept_bytes: int
    jobs: Sequence[Job]


def take_census(connection: sa.Connection, ledger: Ledger) -> Census:
    """Count everything."""
    kept = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(chunks.c.size), 0),
            sa.func.coalesce(sa.func.sum(sa.func.length(chunks.c.sealed_rows)), 0),
        ).select_from(chunks)
    ).one()
    return Census(
        requests=_count_requests(connection),
        overdue=_count_overdue(connection, ledger),
        longest_wait=_longest_wait(connection, ledger),
        runs=_count_runs(connection, ledger),
        connections_paused=_count(connection, connections, connections.c.paused_at.is_not(None)),
        processes=_count_processes(connection, ledger),
        messages=_count_messages(connection),
        packages=_count(connection, packages),
        chunks=kept[0],
        kept_rows=int(kept[1]),
        kept_bytes=int(kept[2]),
        jobs=jobs_of(connection),
    )


def _count(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()


def _count_requests(connection: sa.Connection) -> dict[RequestStatus, int]:
    query = sa.select(requests.c.status, sa.func.count()).group_by(requests.c.status)
    found = {row[0]: row[1] for row in connection.execute(query)}
    return {status: found.get(status, 0) for status in RequestStatus}


def _count_overdue(connection: sa.Connection, ledger: Ledger) -> int:
    return _count(connection, requests, is_overdue(ledger.clock.now()))


def _longest_wait(connection: sa.Connection, ledger: Ledger) -> float:
    since = connection.execute(sa.select(sa.func.min(requests.c.updated_at)).where(MAY_RUN)).scalar()
    return 0.0 if since is None else max(0.0, (ledger.clock.now() - since).total_seconds())


def _count_runs(connection: sa.Connection, ledger: Ledger) -> dict[str, int]:
    state = sa.case((runs.c.lease_until > ledger.epoch(), "leased"), (WAITS, "paused"), else_="ready")
    each = sa.select(state.label("state")).where(runs.c.status == READY).subquery()
    found = connection.execute(sa.select(each.c.state, sa.func.count()).group_by(each.c.state))
    return {"ready": 0, "leased": 0, "paused": 0, **{row[0]: row[1] for row in found}}


def _count_messages(connection: sa.Connection) -> dict[str, int]:
    found = connection.execute(sa.select(messages.c.status, sa.func.count()).group_by(messages.c.status))
    counted = {row[0]: row[1] for row in found}
    return {str(status): counted.get(status, 0) for status in MessageStatus}


def _count_processes(connection: sa.Connection, ledger: Ledger) -> dict[str, int]:
    kinds = [seen.process.kind for seen in living(connection, ledger)]
    return {kind: kinds.count(kind) for kind in get_args(Kind)}
