"""Carries one run: claims it, keeps the lease alive, performs the steps that are left, closes it.

The ledger decides: a runner that lost its fence commits nothing more and leaves quietly.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.errors import Fault, HabeasError, LeaseLost, SystemUnavailable
from habeas.domain.identity import Identity
from habeas.domain.request import RequestStatus
from habeas.execution.attempts import name_fault
from habeas.execution.context import Context
from habeas.execution.run import Done, Failed, Member, Run, Stopped, Wait
from habeas.execution.steps import FIRST_DATA_STEP, Step, phase_of, steps_from
from habeas.execution.tally import Ending
from habeas.execution.telling import tell_completed, tell_failed
from habeas.log_fields import bound
from habeas.store import journal, requests, runs, webhooks
from habeas.store.configurations import Record
from habeas.store.ledger import name_failure

_log = logging.getLogger(__name__)

MAX_CLAIMS = 5
"""Claims without anything finished after which a run is stopped: it seems to end its workers."""


def carry(context: Context, run_id: str, worker: str, stopping: threading.Event) -> None:
    """Carry a due run as far as it goes; nothing happens when another worker has it or it is done.

    Raises SystemUnavailable when the ledger failed: nothing was recorded wrongly, the run is due again when its
    lease is over.
    """
    with bound(run=run_id):
        _carry(context, run_id, worker, stopping)


def _carry(context: Context, run_id: str, worker: str, stopping: threading.Event) -> None:
    lease = context.settings.execution.lease_seconds
    run: Run | None = None
    try:
        run = _claim(context, run_id, worker, lease, stopping)
        if run is not None:
            _perform(run, lease)
        return
    except LeaseLost:
        context.tally.add(Ending.TAKEN_OVER)
        _log.info("run %s was taken over by another worker", run_id)
        return
    except SQLAlchemyError as error:
        failure = name_failure(error)
        if run is not None and isinstance(error, OperationalError):
            _excuse(run)
    context.tally.add(Ending.INTERRUPTED)
    _log.warning("run %s left for later: the ledger failed (%s)", run_id, failure)
    raise SystemUnavailable(f"the ledger failed ({failure})")  # not out of the driver's error, which quotes values


def _excuse(run: Run) -> None:
    """A ledger that is away or full is not the run's fault: the claim does not count against it."""
    with suppress(SQLAlchemyError), run.context.ledger.write() as connection:
        runs.excuse(connection, run.id, run.fence)


def _perform(run: Run, lease: float) -> None:
    try:
        with _heartbeat(run, lease):
            _perform_steps(run)
    except Stopped:
        run.context.tally.add(Ending.GIVEN_BACK)
        with run.context.ledger.write() as connection:
            runs.release(connection, run.id, run.fence)


def _claim(context: Context, run_id: str, worker: str, lease: float, stopping: threading.Event) -> Run | None:
    """The run under a new fence; None when it is not to be had, or when it had to be given up at once."""
    with context.ledger.write() as connection:
        claimed = runs.claim(connection, context.ledger, run_id, worker, lease)
    if claimed is None:
        return None
    try:
        if claimed.claims > MAX_CLAIMS:
            raise Fault(f"workers ended {MAX_CLAIMS} times during this step", hint="see the server's log, then retry")
        plan = context.planner.load(claimed.plan_digest)
        with context.ledger.read() as connection:
            rows = runs.members_of(connection, run_id)
            identities = _identities_of(context, connection, rows)
            told_after = webhooks.policies_with(connection, webhooks.POST)
    except Exception as problem:
        _give_up(context, claimed, name_fault(problem, "taking up a run"))
        return None
    members = {row.ordinal: Member(row.ordinal, row.id, identities.get(row.id, ()), row.encrypted) for row in rows}
    tells_after = any(row.policy_key in told_after for row in rows)
    return Run(context, run_id, claimed.fence, plan, claimed.next_step, members, stopping, tells_after)


def _identities_of(
    context: Context, connection: sa.Connection, rows: Sequence[Record]
) -> dict[str, tuple[Identity, ...]]:
    """What each request's data is found by: the identities given; those that webhooks derived stand in their place."""
    sealer = context.ledger.sealer
    given = requests.identities_of(connection, sealer, [row.id for row in rows])
    derived = webhooks.derived_identities_of(connection, sealer, [row.id for row in rows if row.derived_kinds])
    for request_id, found in derived.items():
        kinds = {identity.kind for identity in found}
        kept = (identity for identity in given.get(request_id, ()) if identity.kind not in kinds)
        given[request_id] = (*kept, *found)
    return given


def _give_up(context: Context, claimed: Record, error: HabeasError) -> None:
    """End a run that cannot even be taken up: its requests stop in `error` where they were."""
    now = context.clock.now()
    with context.ledger.write() as connection:
        runs.hold(connection, claimed.id, claimed.fence)
        ids = [row.id for row in runs.members_of(connection, claimed.id)]
        ended = requests.transition(
            connection,
            ids,
            RequestStatus.ERROR,
            now,
            next_step=claimed.next_step,
            failure=str(error),
            finished_at=now,
        )
        tell_failed(context, connection, ended)
        runs.leave(connection, claimed.id, ids)
        runs.finish(connection, claimed.id, now)
    context.tally.add(Ending.FAILED)
    _log.info("run %s ended at step %s: 0 complete, %d in error", claimed.id, claimed.next_step, len(ids))


def _perform_steps(run: Run) -> None:
    result: Done | Failed = Done()
    steps = steps_from(run.next_step, run)
    for step, following in zip_longest(steps, steps[1:]):
        run.next_step = step.name
        performed = _try_step(run, step)
        if isinstance(performed, Wait):
            with run.commit() as connection:
                runs.wait_for(connection, run.id, performed.connection)
            _log.info("run %s waits at step %s: connection %s is paused", run.id, step.name, performed.connection)
            return
        result = performed
        if isinstance(result, Failed) or following is None:
            break
        with run.commit() as connection:
            result.conclude(connection)
            runs.advance(connection, run.id, following.name, run.context.clock.now())
    if isinstance(result, Done) and phase_of(run.next_step) == runs.PREPARE:
        _hand_over(run, result)
    else:
        _close(run, result)


def _hand_over(run: Run, result: Done) -> None:
    """End a run of preparation: its members are free for runs of those that turn out to share a plan."""
    now = run.context.clock.now()
    with run.commit() as connection:
        result.conclude(connection)
        runs.advance(connection, run.id, FIRST_DATA_STEP, now)
        prepared = run.request_ids(run.living(connection))
        runs.leave(connection, run.id, prepared)
        runs.finish(connection, run.id, now)
    run.context.tally.add(Ending.COMPLETE)
    waiting = f", {run.parked} waiting" if run.parked else ""
    _log.info("run %s ended: %d prepared%s", run.id, len(prepared), waiting)


def _try_step(run: Run, step: Step) -> Done | Failed | Wait:
    try:
        return step.perform(run)
    except LeaseLost:
        raise
    except Exception as problem:
        return Failed(name_fault(problem, f"performing step {step.name}"))


def _close(run: Run, result: Done | Failed) -> None:
    """End the run: members that are left are complete, or in `error` when the step failed."""
    now = run.context.clock.now()
    complete: Sequence[str] = ()
    with run.commit() as connection:
        if isinstance(result, Failed):
            run.fail(connection, run.living(connection), result.error, result.collection)
        else:
            result.conclude(connection)
            left = run.request_ids(run.living(connection))
            complete = requests.transition(
                connection,
                left,
                RequestStatus.COMPLETE,
                now,
                finished_at=now,
                next_step=None,
                failed_collection=None,
                failure=None,
                sealed_encryption_key=None,
            )
            requests.forget_secrets(connection, complete)
            journal.audit(connection, run.context.ledger.sealer, complete, SYSTEM, AuditAction.FINISHED, now)
            tell_completed(run.context, connection, run.plan, complete)
            runs.leave(connection, run.id, left)
        runs.finish(connection, run.id, now)
    run.context.tally.add(Ending.FAILED if isinstance(result, Failed) else Ending.COMPLETE)
    in_error = len(run.members) - len(complete) - run.parked
    where = f" at step {run.next_step}" if isinstance(result, Failed) else ""
    waiting = f", {run.parked} waiting" if run.parked else ""
    _log.info("run %s ended%s: %d complete, %d in error%s", run.id, where, len(complete), in_error, waiting)


@contextmanager
def _heartbeat(run: Run, lease: float) -> Iterator[None]:
    """Renew the lease every third of it; `run.lost` is set when it cannot be ours any more."""
    over = threading.Event()

    def beat() -> None:
        silent = 0.0
        while not over.wait(lease / 3):
            try:
                with run.context.ledger.write() as connection:
                    if not runs.renew(connection, run.context.ledger, run.id, run.fence, lease):
                        run.lost.set()
                        return
                silent = 0.0
            except (SQLAlchemyError, HabeasError):
                silent += lease / 3
                if silent >= lease:
                    run.lost.set()
                    return

    thread = threading.Thread(target=beat, name=f"heartbeat-{run.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
