"""Forms runs of ready requests and hands due runs to the executor. One in every server.

Several dispatchers on one ledger do no harm: forming is compare-and-set, and a run submitted twice is claimed once.
"""

import hashlib
import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from habeas.domain.errors import HabeasError, Unreachable
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.attempts import name_fault
from habeas.execution.context import Context
from habeas.execution.executors import Executor
from habeas.execution.housekeeping import enter_jobs, run_due_jobs
from habeas.execution.planning_input import PlanRequest, encode_plan
from habeas.execution.retries import (
    Course,
    Standing,
    choose_course,
    follow_course,
    keep_course,
    package_expired,
    read_away,
    read_standings,
)
from habeas.execution.steps import FIRST_DATA_STEP, FIRST_STEP, PRE_WEBHOOKS, phase_of
from habeas.execution.telling import tell_failed
from habeas.planning.plan import Plan
from habeas.store import journal, manual_webhooks, requests, runs, webhooks
from habeas.store.configurations import Record
from habeas.store.journal import Entry
from habeas.store.ledger import name_failure
from habeas.store.tables import policies
from habeas.store.tables import requests as requests_table

_log = logging.getLogger(__name__)

SMALL_RUN = 10
"""Members up to which a run may take the slot that is kept free."""

_HOUSE_SECONDS = 2.0

SETTLE = 0.05
"""Seconds without further requests after which a larger group is taken to be complete."""


class Dispatcher:
    """A thread that looks for work when it is woken, and every `poll_seconds` besides; another keeps house."""

    def __init__(self, context: Context, executor: Executor, awake: threading.Event) -> None:
        self._context = context
        self._executor = executor
        self._awake = awake
        self._stopping = threading.Event()
        self._in_flight: dict[str, tuple[Future[None], float]] = {}  # with the time it was handed out
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._loop, name="dispatcher", daemon=True),
            threading.Thread(target=self._keep_house, name="housekeeper", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hand out nothing more; what the executor holds is its own matter."""
        self._stopping.set()
        self._awake.set()
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        woken = False
        while not self._stopping.is_set():
            self._awake.clear()
            with _going_on("dispatching"):
                self._dispatch()
            woken = self._awake.wait(SETTLE if woken else self._context.settings.execution.poll_seconds)

    def _dispatch(self) -> None:
        capacity = self._executor.capacity()
        kept = 1 if capacity > 1 else 0
        with self._lock:
            free = capacity - len(self._in_flight)
        if free > 0:
            # What nobody could carry yet goes on gathering: the fewer the runs, the less the work.
            form_runs(self._context, small_only=free == kept, settle=SETTLE)
            self._submit_due(free, kept)

    def _keep_house(self) -> None:
        """Beside the loop: however much there is to delete, nobody's request waits for it."""
        entered = False
        while not self._stopping.wait(_HOUSE_SECONDS):
            with _going_on("keeping house"):
                if not entered:
                    enter_jobs(self._context)
                    entered = True
                run_due_jobs(self._context)

    def _submit_due(self, free: int, kept: int) -> None:
        """Hand out the most urgent runs; the last slots, of which there are `kept`, only to small ones."""
        # What is due although it was handed out a lease ago stands still somewhere: it is handed out anew.
        lease = self._context.settings.execution.lease_seconds
        still = time.monotonic() - lease
        with self._lock:
            taken = {run_id for run_id, (_, since) in self._in_flight.items() if since > still}
        ledger = self._context.ledger
        with ledger.read() as connection:
            due = runs.due_runs(connection, ledger, free - kept, taken, lease)
            if len(due) == free - kept:  # else there are no others
                taken |= {run.id for run in due}
                due += runs.due_runs(connection, ledger, kept, taken, lease, largest=SMALL_RUN)
        for run in due:
            if self._stopping.is_set():
                return
            future = self._executor.submit(run.id)
            with self._lock:
                self._in_flight[run.id] = (future, time.monotonic())
            future.add_done_callback(lambda done, run_id=run.id: self._landed(run_id, done))  # type: ignore[misc]

    def _landed(self, run_id: str, future: "Future[None]") -> None:
        with self._lock:
            if self._in_flight.get(run_id, (None, 0.0))[0] is future:
                del self._in_flight[run_id]
        reason = "cancelled" if future.cancelled() else type(future.exception()).__name__
        if reason != "NoneType":
            _log.warning(
                "run %s was not carried to its end (%s); it is due again when its lease is over", run_id, reason
            )
        else:
            self._awake.set()


@contextmanager
def _going_on(doing: str) -> Iterator[None]:
    """Whatever fails in the block is logged and ends there: the next round tries again."""
    try:
        yield
    except SQLAlchemyError as error:
        _log.warning("the ledger failed (%s); trying again", name_failure(error))
    except Exception as error:
        _log.error("the dispatcher goes on after: %s", name_fault(error, doing))


@dataclass(frozen=True, slots=True)
class _Kind:
    """What requests agree in that are planned together. `standing`: how they stopped, if they did."""

    wanted: PlanRequest
    stored: str | None
    next_step: str
    small: bool
    standing: Standing | None


_Planned: TypeAlias = tuple[Record, Course]


def form_runs(context: Context, *, small_only: bool = False, settle: float = 0.0) -> int:
    """Group ready requests that share a plan and a next step into runs; how many were formed.

    Those of small submissions are a group of their own; with `small_only` they make one small run. A group that is
    neither small nor full waits while it grows, which is within `settle` seconds, ten times at most: many requests
    come in several POSTs.
    """
    size, now = context.settings.execution.run_size, context.clock.now()
    settled, patient = now - timedelta(seconds=settle), now - timedelta(seconds=10 * settle)
    formed = 0
    for (digest, next_step, _), group in _plan_ready(context, small_only, size).items():
        born = [request.created_at for request, _ in group]
        if SMALL_RUN < len(group) < size and settled < max(born) <= now and min(born) > patient:
            continue
        body = encode_plan(group[0][1].plan)
        for start in range(0, len(group), size):
            formed += _form_run(context, group[start : start + size], (digest, body), next_step)
    return formed


def _plan_ready(context: Context, small_only: bool, size: int) -> dict[tuple[str, str, bool], list[_Planned]]:
    """Ready requests by plan, next step and whether they are of a small submission; those without a plan end."""
    with context.ledger.read() as connection:
        found = runs.ready_requests(connection, SMALL_RUN if small_only else size, together=SMALL_RUN)
        if not small_only:
            found += runs.ready_requests(connection, size * 10)
        must_prepare = _preparing(connection) if found else frozenset()
        stopped = [request for request in found if request.plan_digest]
        standings = read_standings(connection, stopped) if stopped else {}
    kinds: dict[_Kind, list[Record]] = defaultdict(list)
    for request in {request.id: request for request in found}.values():
        first = FIRST_STEP if request.policy_key in must_prepare else FIRST_DATA_STEP
        small, standing = request.submitted_together <= SMALL_RUN, standings.get(request.id)
        step = request.next_step or first
        kinds[_Kind(_plan_request(request), request.plan_digest, step, small, standing)].append(request)
    planned: dict[tuple[str, str, bool], list[_Planned]] = defaultdict(list)
    for kind, group in kinds.items():
        try:
            course = _plan(context, kind)
        except Exception as problem:
            _fail(context, group, name_fault(problem, "planning"))
        else:
            planned[course.plan.digest, course.next_step, kind.small] += ((request, course) for request in group)
    return planned


def _form_run(context: Context, part: Sequence[_Planned], plan: tuple[str, bytes], next_step: str) -> bool:
    """Make a run of those that still are as they were when it was settled how they go on; whether there were any."""
    now = context.clock.now()
    digest, body = plan
    due_at = min(request.due_at or request.created_at for request, _ in part)
    stopped = [request for request, _ in part if request.plan_digest]
    run_id = f"run_{uuid.uuid4()}"
    with context.ledger.write() as connection:
        requests.add_plan(connection, digest, body, now)
        ids = [request.id for request, _ in part if not request.plan_digest]
        ids += requests.lock_unchanged(connection, stopped) if stopped else []
        joined = set(runs.form_run(connection, run_id, ids, phase_of(next_step), digest, next_step, due_at, now))
        for course, own in groupby(part, itemgetter(1)):
            if course.entries or course.outdated:
                follow_course(connection, course, [request.id for request, _ in own if request.id in joined], now)
    if joined:
        _log.info("run %s formed: %d requests of policy %s", run_id, len(joined), part[0][0].policy_key)
    return bool(joined)


def _plan_request(request: Record) -> PlanRequest:
    chosen = request.dataset_keys
    kinds = sorted({*request.identity_kinds, *(request.derived_kinds or ())})
    return PlanRequest(request.policy_key, tuple(kinds), None if chosen is None else tuple(sorted(chosen)))


def _preparing(connection: sa.Connection) -> frozenset[str]:
    """Policies whose requests have something to do before they are planned."""
    if manual_webhooks.are_asked(connection):
        return frozenset(connection.scalars(sa.select(policies.c.key)))
    return webhooks.policies_with(connection, webhooks.PRE)


def _plan(context: Context, kind: _Kind) -> Course:
    """How requests of a kind are carried out. Nothing is visited to prepare. Raises what planning raises.

    A retry that cannot be planned now goes on under the plan that it has.
    """
    if phase_of(kind.next_step) == runs.PREPARE:
        policy = kind.wanted.policy_key
        digest = hashlib.sha256(f"prepare:{policy}".encode()).hexdigest()
        return Course(Plan(digest, policy, (), (), ()), kind.next_step)
    if kind.stored is None or kind.standing is None:
        return Course(context.planner.plan(kind.wanted), kind.next_step)
    stored = context.planner.load(kind.stored)
    try:
        fresh = context.planner.plan(kind.wanted)
    except HabeasError as error:
        course = keep_course(stored, kind.standing, f"it cannot be planned now: {error}")
    else:
        with context.ledger.read() as connection:
            away = read_away(connection, stored)
        course = choose_course(stored, fresh, kind.standing, away)
    return package_expired(course, kind.standing)


def _fail(context: Context, group: list[Record], error: HabeasError) -> None:
    """End requests that cannot be planned, before anything is queried; one log row per collection to blame.

    A retry calls the webhooks before it again: what they derive may be what lacks.
    """
    now = context.clock.now()
    places = error.addresses if isinstance(error, Unreachable) else ("",)
    with context.ledger.write() as connection:
        is_told = not group[0].plan_digest and group[0].policy_key in webhooks.policies_with(connection, webhooks.PRE)
        step = PRE_WEBHOOKS if is_told else FIRST_DATA_STEP
        free = sa.select(requests_table.c.id).where(
            requests_table.c.id.in_([request.id for request in group]), requests_table.c.run_id.is_(None)
        )
        ids = list(connection.scalars(free))
        failed = requests.transition(
            connection, ids, RequestStatus.ERROR, now, failure=str(error), next_step=step, finished_at=now
        )
        tell_failed(context, connection, failed)
        for address in places:
            entry = Entry((None, "Dataset traversal", address), ActionType.ACCESS, LogStatus.ERROR, str(error))
            journal.log_requests(connection, failed, entry, now)
