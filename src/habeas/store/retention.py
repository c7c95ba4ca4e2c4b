"""Repository of forgetting: which kept rows nobody needs any more. Every deletion is a portion of bounded size.

Two processes that forget at once do not wait for one another: on PostgreSQL each passes over rows the other holds.
"""

from datetime import datetime

import sqlalchemy as sa

from habeas.domain.request import TERMINAL, ActionType, RequestStatus
from habeas.store.runs import DONE
from habeas.store.tables import chunks, derived_identities, forms, outcomes, plans, requests, runs, tasks


def release_finished(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Let the counts of requests that were finished before stand without their rows; how many outcomes."""
    is_finished = sa.exists().where(
        requests.c.id == outcomes.c.request_id,
        requests.c.status.in_(sorted(TERMINAL)),
        requests.c.finished_at < before,
    )
    key = tuple(outcomes.primary_key)
    naming_rows = outcomes.c.task_id > 0  # IS NOT NULL is not found by an index of SQLite
    found = sa.select(*key).where(naming_rows, is_finished).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(
        outcomes.update().where(sa.tuple_(*key).in_(found)).values(task_id=None, attempt=None, ordinal=None)
    ).rowcount


def release_abandoned(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Make requests in `error` since before start afresh when retried, without their package keys; how many requests.

    Those that began to erase keep all they need to go on. Packages stay, and are served, until there is a retry.
    """
    erasing = sa.exists().where(outcomes.c.request_id == requests.c.id, outcomes.c.action == str(ActionType.ERASURE))
    keeps = sa.or_(
        requests.c.next_step.is_not(None),
        requests.c.sealed_encryption_key.is_not(None),
        sa.exists().where(forms.c.request_id == requests.c.id),
    )
    abandoned = (requests.c.status == RequestStatus.ERROR, requests.c.updated_at < before, keeps)
    found = sa.select(requests.c.id).where(*abandoned, ~erasing).limit(limit).with_for_update(skip_locked=True)
    released = connection.scalars(
        requests.update()
        .where(requests.c.id.in_(list(connection.scalars(found))), *abandoned)
        .values(plan_digest=None, next_step=None, sealed_encryption_key=None, derived_kinds=None)
        .returning(requests.c.id)
    ).all()
    for kept in (outcomes, forms, derived_identities):
        connection.execute(kept.delete().where(kept.c.request_id.in_(released)))
    return len(released)


def forget_answers(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Delete what people were asked and found for requests that were finished before; how many forms.

    What the people of manual webhooks say they erased is part of the report and stays: it is yes or no.
    """
    is_reported = sa.and_(forms.c.action == str(ActionType.ERASURE), forms.c.place.not_like("%:%"))
    is_finished = sa.exists().where(
        requests.c.id == forms.c.request_id,
        requests.c.status.in_(sorted(TERMINAL)),
        requests.c.finished_at < before,
    )
    key = tuple(forms.primary_key)
    found = sa.select(*key).where(~is_reported, is_finished).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(forms.delete().where(sa.tuple_(*key).in_(found))).rowcount


def delete_stale_chunks(connection: sa.Connection, limit: int) -> int:
    """Delete chunks of attempts that no outcome names, in runs that are done; how many."""
    named = sa.exists().where(outcomes.c.task_id == chunks.c.task_id, outcomes.c.attempt == chunks.c.attempt)
    stale = (
        sa.select(chunks.c.id)
        .join(tasks, tasks.c.id == chunks.c.task_id)
        .join(runs, runs.c.id == tasks.c.run_id)
        .where(runs.c.status == DONE, ~named)
        .limit(limit)
        .with_for_update(skip_locked=True, of=chunks)
    )
    return connection.execute(chunks.delete().where(chunks.c.id.in_(stale))).rowcount


def delete_ended_runs(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Delete runs that were done before, with their members and tasks; how many.

    One stays as long as an outcome names a task of it, be there rows or not: SQLite gives the numbers of deleted
    tasks to new ones, and the outcome would come to name another's rows.
    """
    own = tasks.c.run_id == runs.c.id
    needed = (
        sa.exists().where(own, outcomes.c.task_id == tasks.c.id),
        sa.exists().where(own, chunks.c.task_id == tasks.c.id),
        sa.exists().where(requests.c.run_id == runs.c.id),
    )
    ended = (
        sa.select(runs.c.id)
        .where(runs.c.status == DONE, runs.c.updated_at < before, *(~reason for reason in needed))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(runs.delete().where(runs.c.id.in_(ended))).rowcount


def unused_plans(connection: sa.Connection, before: datetime) -> list[str]:
    """Digests of plans that were made before and that neither a request nor a run names."""
    used = sa.union(
        sa.select(requests.c.plan_digest).where(requests.c.plan_digest.is_not(None)), sa.select(runs.c.plan_digest)
    )
    return list(
        connection.scalars(sa.select(plans.c.digest).where(plans.c.created_at < before, plans.c.digest.not_in(used)))
    )


def delete_plan(connection: sa.Connection, digest: str) -> None:
    """Delete a plan. Raises IntegrityError when it is named after all."""
    connection.execute(plans.delete().where(plans.c.digest == digest))
