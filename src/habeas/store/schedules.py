"""Repository of when jobs are due and when they last came to their end."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from habeas.store.ledger import Ledger
from habeas.store.tables import schedules


@dataclass(frozen=True, slots=True)
class Job:
    """A job: when it is due (epoch seconds), when it last came to its end, and how much it did then."""

    name: str
    due_at: float
    ran_at: datetime | None
    done: int | None


def jobs_of(connection: sa.Connection) -> list[Job]:
    """The jobs that the ledger knows, by name."""
    rows = connection.execute(sa.select(schedules).order_by(schedules.c.job))
    return [Job(row.job, row.due_at, row.ran_at, row.done) for row in rows]


def enter(ledger: Ledger, names: Iterable[str]) -> None:
    """Make the ledger know these jobs, due at once; nothing happens for those it knows."""
    for name in names:
        with suppress(IntegrityError), ledger.write() as connection:
            known = sa.select(schedules.c.job).where(schedules.c.job == name)
            if connection.execute(known).first() is None:
                connection.execute(schedules.insert().values(job=name, due_at=0.0))


def take(connection: sa.Connection, job: Job, until: float) -> bool:
    """Claim a job by moving its due time on; False when another process did so first."""
    moved = connection.execute(
        schedules.update().where(schedules.c.job == job.name, schedules.c.due_at == job.due_at).values(due_at=until)
    )
    return bool(moved.rowcount)


def conclude(connection: sa.Connection, name: str, due_at: float, ran_at: datetime, done: int) -> None:
    """A job has come to its end."""
    connection.execute(
        schedules.update().where(schedules.c.job == name).values(due_at=due_at, ran_at=ran_at, done=done)
    )
