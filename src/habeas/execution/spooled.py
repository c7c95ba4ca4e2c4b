"""Rows kept by access, found again through outcomes: for packages, for erasure, and after a restart."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa

from habeas.domain.ports import Row
from habeas.domain.request import ActionType
from habeas.execution.run import Run
from habeas.store.ledger import Ledger
from habeas.store.runs import Spool, outcomes_of
from habeas.store.spool import BUCKET, read_chunks

NOTHING = Spool(task_id=0, attempt=0, ordinal=0)
"""The place of a member who has no rows, since the collection was passed over."""

Spools = Mapping[int, Spool]
"""Member's ordinal in this run → where its rows of one collection are."""


def find_spools(connection: sa.Connection, run: Run, ordinals: Iterable[int]) -> dict[str, dict[int, Spool]]:
    """Per collection: the members whose access is complete there, also in an earlier run.

    A member for whom it was passed over has a place without rows.
    """
    by_request = {run.members[ordinal].request_id: ordinal for ordinal in ordinals}
    found: dict[str, dict[int, Spool]] = defaultdict(dict)
    for row in outcomes_of(connection, list(by_request), ActionType.ACCESS):
        found[row.collection][by_request[row.request_id]] = (
            NOTHING if row.task_id is None else Spool(row.task_id, row.attempt, row.ordinal)
        )
    return found


def read_rows(ledger: Ledger, spools: Spools) -> Iterator[list[Row]]:
    """The rows of these members, with the ordinals of this run; a row comes once for each of its owners."""
    sources: dict[tuple[int, int, int], dict[int, int]] = defaultdict(dict)
    for ordinal, spool in sorted(spools.items()):
        if spool == NOTHING:
            continue
        sources[spool.task_id, spool.attempt, spool.ordinal // BUCKET][spool.ordinal] = ordinal
    for (task_id, attempt, bucket), owners in sources.items():
        for chunk in read_chunks(ledger, task_id, attempt, bucket):
            rows = [
                Row(row.key, row.values, now)
                for row in chunk
                if (now := tuple(owners[ordinal] for ordinal in row.ordinals if ordinal in owners))
            ]
            if rows:
                yield rows
