"""Jobs that come due by the clock: rows of the ledger, claimed by moving their due time. Safe to kill.

`forget` ends what is kept longer than needed: rows of finished requests after the grace, of abandoned ones
after the TTL (design §3 *Retention*).
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from habeas.execution.context import Context
from habeas.execution.expiry import expire_packages
from habeas.execution.presence import forget_dead_processes
from habeas.store import grants, retention, runs
from habeas.store.tables import schedules

_log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two rounds of a job."""


def forget(context: Context) -> int:
    """Let go of rows that are not needed any more and delete the chunks nobody needs; how many chunks."""
    settings, now = context.settings.execution, context.clock.now()
    with context.ledger.write() as connection:
        retention.release_finished(connection, now - timedelta(seconds=settings.grace_seconds))
        retention.forget_keys(connection, now - timedelta(seconds=settings.grace_seconds))
        retention.release_abandoned(connection, now - timedelta(seconds=settings.temporary_ttl_seconds))
    deleted = 0
    while True:
        with context.ledger.write() as connection:
            count = runs.delete_stale_chunks(connection, limit=200)
        deleted += count
        if not count:
            return deleted


def drop_expired_tokens(context: Context) -> int:
    """Delete tokens that are over; how many."""
    with context.ledger.write() as connection:
        return grants.delete_expired_tokens(connection, context.clock.now())


JOBS: Mapping[str, Callable[[Context], int]] = {
    "forget": forget,
    "drop_expired_tokens": drop_expired_tokens,
    "forget_dead_processes": forget_dead_processes,
    "expire_packages": expire_packages,
}


def run_due_jobs(context: Context) -> None:
    """Run the jobs that are due and that no other process has taken."""
    now = context.clock.now().timestamp()
    with context.ledger.read() as connection:
        due = {row.job: row.due_at for row in connection.execute(sa.select(schedules))}
    for name, job in JOBS.items():
        if name in due and _is_due(due[name], now) and _take(context, name, due[name], now):
            count = job(context)
            if count:
                _log.info("housekeeping %s: %d", name, count)


def _is_due(due_at: float, now: float) -> bool:
    """Also when it lies so far ahead that the clock must have been moved back since."""
    return due_at <= now or due_at > now + 2 * INTERVAL


def enter_jobs(context: Context) -> None:
    """Make the ledger know every job; nothing happens for those it knows."""
    for name in JOBS:
        with contextlib.suppress(IntegrityError), context.ledger.write() as connection:
            known = sa.select(schedules.c.job).where(schedules.c.job == name)
            if connection.execute(known).first() is None:
                connection.execute(schedules.insert().values(job=name, due_at=0.0))


def _take(context: Context, name: str, due_at: float, now: float) -> bool:
    """Move the due time on; False when another process did so first."""
    with context.ledger.write() as connection:
        moved = connection.execute(
            schedules.update()
            .where(schedules.c.job == name, schedules.c.due_at == due_at)
            .values(due_at=now + INTERVAL)
        )
        return bool(moved.rowcount)
