"""Rows kept by access, found again through outcomes: for packages, for erasure, and after a restart."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeVar

from habeas.domain.ports import Row
from habeas.store.ledger import Ledger
from habeas.store.progress import Spool
from habeas.store.spool import BUCKET, Source, read_chunks

Spools = Mapping[int, Spool | None]
"""Member's ordinal in this run → where its rows of one collection are; None: it was passed over."""

Place = TypeVar("Place")


def read_rows(ledger: Ledger, wanted: Mapping[Place, Spools]) -> Iterator[tuple[Place, list[Row]]]:
    """The rows of these members, collection by collection, with the ordinals of this run.

    A row comes once for each of its owners, or once for several of them.
    """
    owners: dict[Source, dict[int, int]] = defaultdict(dict)
    places: dict[Source, Place] = {}
    for place, spools in wanted.items():
        for ordinal, spool in sorted(spools.items()):
            if spool is not None:
                source = Source(spool.task_id, spool.attempt, spool.ordinal // BUCKET)
                owners[source][spool.ordinal] = ordinal
                places[source] = place
    for source, chunk in read_chunks(ledger, list(owners)):
        rows = _renumber(chunk, owners[source])
        if rows:
            yield places[source], rows


def _renumber(chunk: list[Row], owners: Mapping[int, int]) -> list[Row]:
    """The rows of these owners, whose ordinals may have been others when the rows were kept."""
    if all(then == now for then, now in owners.items()) and all(o in owners for row in chunk for o in row.ordinals):
        return chunk
    return [
        Row(row.key, row.values, now, row.matched)
        for row in chunk
        if (now := tuple(owners[ordinal] for ordinal in row.ordinals if ordinal in owners))
    ]
