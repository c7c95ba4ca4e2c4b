"""Jobs that come due by the clock: rows of the ledger, claimed by moving their due time. Safe to kill.

Each does portion after portion, every portion a transaction or a file of its own; what a killed process has left undone
the next round finds (design §3 *Retention*, control-plane §2.4 and §2.12).
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from habeas.delivery.naming import request_of
from habeas.domain.errors import Fault, HabeasError
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.execution.expiry import expire_packages
from habeas.execution.onetrust import tell_onetrust
from habeas.execution.portions import repeat
from habeas.execution.postman import forget_messages
from habeas.execution.presence import forget_dead_processes
from habeas.execution.status_telling import forget_deliveries
from habeas.execution.waiting import end_waits
from habeas.store import audit_log, configurations, grants, requests, retention, schedules, users, webhooks
from habeas.store.configurations import Record
from habeas.store.schedules import Job
from habeas.store.tables import storages

_log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two rounds of a job, unless `INTERVALS` says otherwise; and before another process takes it over."""

DAY = timedelta(days=1)

_PORTION = 200
_LINKS = 1000
_RUNS = 20
"""Runs with up to a thousand members each."""


def forget(context: Context) -> int:
    """Let go of rows that are not needed any more and delete the chunks nobody needs; how many chunks.

    Rows of finished requests, and what people found for them, go after the grace, of abandoned ones after the time to
    live, with their package keys.
    """
    settings, now = context.settings.execution, context.clock.now()
    finished = now - timedelta(seconds=settings.grace_seconds)
    abandoned = now - timedelta(seconds=settings.temporary_ttl_seconds)
    repeat(context, lambda connection: retention.release_finished(connection, finished, _PORTION))
    repeat(context, lambda connection: retention.forget_answers(connection, finished, _PORTION))
    repeat(context, lambda connection: webhooks.forget_finished(connection, finished, _PORTION))
    repeat(context, lambda connection: retention.release_abandoned(connection, abandoned, _PORTION))
    return repeat(context, lambda connection: retention.delete_stale_chunks(connection, _PORTION))


def drop_expired_tokens(context: Context) -> int:
    """Delete tokens that are over; how many."""
    with context.ledger.write() as connection:
        return grants.delete_expired_tokens(connection, context.clock.now())


def drop_old_logins(context: Context) -> int:
    """Delete codes of users that are over, and what was counted of names that nobody tried for a day; how many."""
    now = context.clock.now()
    with context.ledger.write() as connection:
        return users.delete_expired_codes(connection, now) + users.delete_old_tries(connection, now - DAY)


def drop_ended_runs(context: Context) -> int:
    """Delete runs that ended before the grace and whose rows nobody needs, with members and attempts; how many runs."""
    before = context.clock.now() - timedelta(seconds=context.settings.execution.grace_seconds)
    return repeat(context, lambda connection: retention.delete_ended_runs(connection, before, _RUNS))


def drop_unused_plans(context: Context) -> int:
    """Delete plans of yesterday and before that nothing refers to; how many."""
    with context.ledger.read() as connection:
        unused = retention.unused_plans(connection, context.clock.now() - DAY)
    done = 0
    for digest in unused:
        with contextlib.suppress(IntegrityError):  # a request has come to need it meanwhile
            with context.ledger.write() as connection:
                retention.delete_plan(connection, digest)
            done += 1
    return done


def drop_unfinished_packages(context: Context) -> int:
    """Remove what uploads left behind that died a day ago or earlier, from every storage; how many.

    Left alone is what belongs to a request that a run carries, or to none of this ledger. A storage that does not
    answer is logged and comes next time.
    """
    before = context.clock.now() - DAY
    with context.ledger.read() as connection:
        records = configurations.list_all(connection, storages)
    return sum(_tidy(context, record, before) for record in records)


def link_audits(context: Context) -> int:
    """Link what was done lately into the chain of the audit log, and say its new head; how many entries."""
    sealer = context.ledger.sealer
    try:
        linked = repeat(context, lambda connection: audit_log.link(connection, sealer, _LINKS))
    except Fault as altered:
        _log.error("%s", altered)
        return 0
    if linked:
        with context.ledger.read() as connection:
            _log.info("head of the audit log: %s", audit_log.read_head(connection))
    return linked


JOBS: Mapping[str, Callable[[Context], int]] = {
    "forget": forget,
    "drop_expired_tokens": drop_expired_tokens,
    "drop_old_logins": drop_old_logins,
    "drop_ended_runs": drop_ended_runs,
    "drop_unused_plans": drop_unused_plans,
    "drop_unfinished_packages": drop_unfinished_packages,
    "forget_dead_processes": forget_dead_processes,
    "expire_packages": expire_packages,
    "end_waits": end_waits,
    "forget_messages": forget_messages,
    "link_audits": link_audits,
    "forget_deliveries": forget_deliveries,
    "tell_onetrust": tell_onetrust,
}

INTERVALS: Mapping[str, float] = {
    "drop_unused_plans": 24 * 3600,
    "drop_unfinished_packages": 3600,
    "forget_deliveries": 3600,
    "link_audits": 10,
}
"""Seconds between two rounds of jobs that look at much for little, or that should not lag."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a job did when it was run, and when it had come to its end before; None: never."""

    job: str
    done: int
    seconds: float
    ran_before: datetime | None


def jobs_of(context: Context) -> Mapping[str, Callable[[Context], int]]:
    """Every job by name: housekeeping's own and those of the services."""
    return {**JOBS, **context.jobs}


def run_due_jobs(context: Context) -> None:
    """Run the jobs that are due and that no other process has taken."""
    now, jobs = context.clock.now().timestamp(), jobs_of(context)
    for job in _known(context).values():
        if job.name in jobs and _is_due(job, now) and _take(context, job, now):
            done = _run(context, job.name)
            if done:
                _log.info("housekeeping %s: %d", job.name, done)


def sweep(context: Context, name: str) -> Round:
    """Run a job now, whenever it is due."""
    enter_jobs(context)
    ran_before = _known(context)[name].ran_at
    began = time.monotonic()
    done = _run(context, name)
    return Round(name, done, time.monotonic() - began, ran_before)


def enter_jobs(context: Context) -> None:
    """Make the ledger know every job; nothing happens for those it knows."""
    schedules.enter(context.ledger, jobs_of(context))


def _known(context: Context) -> dict[str, Job]:
    with context.ledger.read() as connection:
        return {job.name: job for job in schedules.jobs_of(connection)}


def _is_due(job: Job, now: float) -> bool:
    """Also when it lies so far ahead that the clock must have been moved back since."""
    return job.due_at <= now or job.due_at > now + 2 * _interval(job.name)


def _interval(name: str) -> float:
    return INTERVALS.get(name, INTERVAL)


def _take(context: Context, job: Job, now: float) -> bool:
    with context.ledger.write() as connection:
        return schedules.take(connection, job, now + INTERVAL)


def _run(context: Context, name: str) -> int:
    """Run a job to its end and remember that. One that is killed or fails is due again a minute after it was taken."""
    done = jobs_of(context)[name](context)
    now = context.clock.now()
    with context.ledger.write() as connection:
        schedules.conclude(connection, name, now.timestamp() + _interval(name), now, done)
    return done


def _tidy(context: Context, storage: Record, before: datetime) -> int:
    def is_abandoned(name: str) -> bool:
        request_id = request_of(name)
        with context.ledger.read() as connection:
            request = requests.find_request(connection, request_id) if request_id else None
        return request is not None and request.run_id is None

    try:
        return connect_storage(context, storage).discard_unfinished(before, is_abandoned)
    except (HabeasError, SQLAlchemyError) as error:
        _log.warning("storage %s could not be tidied: %s", storage.key, type(error).__name__)
    return 0
