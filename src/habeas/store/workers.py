"""Repository of the processes that serve or carry: with which keys, and when each was last seen.

A process shows signs of life by the ledger's clock; one that has shown none for `SILENT` seconds is dead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from habeas.store.ledger import Ledger
from habeas.store.runs import MAY_RUN, READY, is_due, is_free
from habeas.store.tables import requests, runs, workers

SILENT = 60.0
"""Seconds without a sign of life after which a process is dead."""

Kind = Literal["server", "worker"]


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours. `threads` are the runs it carries at once, 0 when it only serves; `keys` as fingerprints."""

    id: str
    kind: Kind
    version: str
    threads: int
    keys: Mapping[str, str]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """A living process, and how many seconds ago it was seen."""

    process: Process
    ago: float


def enter(connection: sa.Connection, ledger: Ledger, process: Process) -> None:
    """Make a process known that is not."""
    connection.execute(
        workers.insert().values(
            id=process.id,
            kind=process.kind,
            version=process.version,
            threads=process.threads,
            keys=dict(process.keys),
            started_at=process.started_at,
            seen_at=ledger.epoch(),
        )
    )


def renew(connection: sa.Connection, ledger: Ledger, process_id: str) -> bool:
    """A sign of life; False when the process is not known (any more)."""
    seen = workers.update().where(workers.c.id == process_id).values(seen_at=ledger.epoch())
    return bool(connection.execute(seen).rowcount)


def leave(connection: sa.Connection, process_id: str) -> None:
    """Forget a process that ends."""
    connection.execute(workers.delete().where(workers.c.id == process_id))


def living(connection: sa.Connection, ledger: Ledger) -> list[Seen]:
    """Processes that are alive, the first started first.

    Who was seen in a time to come was seen before the clock was moved back: the living show themselves anew soon.
    """
    ago = ledger.epoch() - workers.c.seen_at
    query = sa.select(workers, ago.label("ago")).where(ago.between(-SILENT, SILENT)).order_by(workers.c.started_at)
    return [
        Seen(Process(row.id, row.kind, row.version, row.threads, row.keys, row.started_at), max(0.0, row.ago))
        for row in connection.execute(query)
    ]


def delete_dead(connection: sa.Connection, ledger: Ledger, seconds: float) -> int:
    """Forget processes not seen for so long; how many."""
    ago = ledger.epoch() - workers.c.seen_at
    return connection.execute(workers.delete().where(sa.func.abs(ago) > seconds)).rowcount


def stands_still(connection: sa.Connection, ledger: Ledger, since: datetime, lease: float) -> bool:
    """Whether work has been due since then with nobody taking it, and no run moved meanwhile.

    What waits while others are carried does not stand still; nor does what waits for a paused connection.
    """
    request_waits = sa.exists().where(MAY_RUN, requests.c.updated_at < since)
    run_waits = sa.exists().where(is_due(ledger, lease), runs.c.updated_at < since)
    if not connection.scalar(sa.select(sa.or_(request_waits, run_waits))):
        return False
    carried = sa.and_(runs.c.status == READY, ~is_free(ledger, lease))
    return not connection.scalar(sa.select(sa.exists().where(sa.or_(carried, runs.c.updated_at >= since))))
