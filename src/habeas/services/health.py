"""Whether the ledger and the processes around it are well. Who asks may be anybody: no names, no ids."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from habeas.domain.errors import SystemUnavailable
from habeas.execution.context import Context
from habeas.execution.postman import CLAIM_SECONDS
from habeas.store import messages, workers
from habeas.store.ledger import check_answers
from habeas.store.opening import needed_revision, read_revision

State = Literal["healthy", "unhealthy"]

_PATIENCE = 10
"""Leases after which due work that nobody takes stands still."""


@dataclass(frozen=True, slots=True)
class CarrierView:
    """A living process that carries runs."""

    kind: workers.Kind
    version: str
    threads: int
    seen_seconds_ago: float


@dataclass(frozen=True, slots=True)
class WorkersHealth:
    """Who carries runs; `problem` says why that is not well."""

    workers: State
    problem: str | None
    processes: list[CarrierView]


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """The ledger's database; `revision` is the schema's, null when it does not answer."""

    database: State
    dialect: str
    revision: str | None
    needed_revision: str


def read_workers(context: Context) -> WorkersHealth:
    """Unhealthy when no living process carries runs, or when one does since long, and due work or mail stands still."""
    lease = context.settings.execution.lease_seconds
    since = context.clock.now() - timedelta(seconds=_PATIENCE * lease)
    with context.ledger.read() as connection:
        carriers = [seen for seen in workers.living(connection, context.ledger) if seen.process.threads]
        problem = None
        if not carriers:
            problem = "no process carries runs"
        elif carriers[0].process.started_at < since:
            problem = _find_standstill(context, connection, since)
    views = [
        CarrierView(seen.process.kind, seen.process.version, seen.process.threads, round(seen.ago, 1))
        for seen in carriers
    ]
    return WorkersHealth("unhealthy" if problem else "healthy", problem, views)


def _find_standstill(context: Context, connection: sa.Connection, since: datetime) -> str | None:
    lease, now = context.settings.execution.lease_seconds, context.clock.now().timestamp()
    still = f"stood still for more than {_PATIENCE * lease:.0f} seconds"
    if workers.stands_still(connection, context.ledger, since, lease):
        return f"due work has {still}"
    if messages.stand_still(connection, since, now, now + CLAIM_SECONDS):
        return f"due messages have {still}"
    return None


def read_database(context: Context) -> DatabaseHealth:
    """Unhealthy when it does not answer, or its schema is not the one that this version needs."""
    engine = context.ledger.engine
    revision = None
    try:
        check_answers(engine)
        revision = read_revision(engine)
    except SystemUnavailable:
        pass
    state: State = "healthy" if revision == needed_revision() else "unhealthy"
    return DatabaseHealth(state, engine.dialect.name, revision, needed_revision())
