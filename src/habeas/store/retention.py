"""Repository of forgetting: which kept rows nobody needs any more."""

from datetime import datetime

import sqlalchemy as sa

from habeas.domain.request import TERMINAL, ActionType, RequestStatus
from habeas.store.tables import masking_secrets, outcomes, requests


def release_finished(connection: sa.Connection, before: datetime) -> int:
    """Let finished requests' counts stand without their rows."""
    finished = sa.select(requests.c.id).where(
        requests.c.status.in_([RequestStatus.COMPLETE, RequestStatus.CANCELED]), requests.c.finished_at < before
    )
    return connection.execute(
        outcomes.update()
        .where(outcomes.c.request_id.in_(finished), outcomes.c.task_id.is_not(None))
        .values(task_id=None, attempt=None, ordinal=None)
    ).rowcount


def forget_keys(connection: sa.Connection, before: datetime) -> None:
    """Delete package keys and masking secrets of requests that ended, however they did."""
    over = sa.and_(
        requests.c.status.in_(sorted(TERMINAL)),
        sa.func.coalesce(requests.c.finished_at, requests.c.updated_at) < before,
    )
    kept = sa.and_(over, requests.c.sealed_encryption_key.is_not(None))
    connection.execute(requests.update().where(kept).values(sealed_encryption_key=None))
    ended = sa.exists().where(requests.c.id == masking_secrets.c.request_id, over)
    connection.execute(masking_secrets.delete().where(ended))


def release_abandoned(connection: sa.Connection, before: datetime) -> int:
    """Make requests in `error` since long start afresh when retried; those that began to erase keep their rows."""
    erasing = sa.select(outcomes.c.request_id).where(outcomes.c.action == ActionType.ERASURE)
    abandoned = sa.select(requests.c.id).where(
        requests.c.status == RequestStatus.ERROR, requests.c.updated_at < before, requests.c.id.not_in(erasing)
    )
    released = connection.execute(outcomes.delete().where(outcomes.c.request_id.in_(abandoned))).rowcount
    connection.execute(
        requests.update()
        .where(requests.c.id.in_(abandoned), requests.c.plan_digest.is_not(None))
        .values(plan_digest=None, next_step=None, sealed_encryption_key=None)
    )
    return released
