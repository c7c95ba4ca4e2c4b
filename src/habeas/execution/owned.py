"""The kept rows of one collection, each once, with all the members who own it: what erasure goes by.

Contacts nobody: rows come from whoever reads them, as often as needed.
"""

from collections.abc import Callable, Container, Hashable, Iterator
from dataclasses import dataclass

from habeas.domain.documents import mark
from habeas.domain.ports import Row, Table
from habeas.execution.repeats import Repeats, hash_of

_ROWS_IN_MEMORY = 20_000


@dataclass(frozen=True, slots=True)
class Owned:
    """A row to erase. `versions`: the row as its owners have it; several when each owns other elements of it.

    `copies`: how many rows of a keyless table hold the same.
    """

    versions: tuple[Row, ...]
    ordinals: tuple[int, ...]
    copies: int = 1


def identify(table: Table, row: Row) -> Hashable:
    """What tells a row apart at any time: its key, or all that it holds."""
    return row.key if table.key else mark(row.values)


def owned_rows(table: Table, read: Callable[[], Iterator[Row]], wanted: Container[int]) -> Iterator[Owned]:
    """Rows that some `wanted` member owns, in the order in which `read` first gives them."""
    repeats, kept = Repeats(), list[Row]()
    for row in read():
        repeats.add(identify(table, row))
        if len(kept) <= _ROWS_IN_MEMORY:
            kept.append(row)
    few = len(kept) <= _ROWS_IN_MEMORY
    if not few:
        kept.clear()
    repeated = repeats.found()
    gathered: dict[Hashable, _Gathered] = {}
    if repeated:
        for row in kept if few else read():
            identity = identify(table, row)
            if hash_of(identity) in repeated:
                gathered.setdefault(identity, _Gathered()).add(row)
    for row in kept if few else read():
        identity = identify(table, row)
        if hash_of(identity) not in repeated:
            owned = Owned((row,), tuple(sorted(row.ordinals)))
        elif identity in gathered:
            owned = gathered.pop(identity).owned(keyed=bool(table.key))
        else:
            continue  # it came before
        if any(ordinal in wanted for ordinal in owned.ordinals):
            yield owned


class _Gathered:
    """What is known of a row that comes more than once."""

    def __init__(self) -> None:
        self._versions: dict[Hashable, Row] = {}
        self._ordinals: set[int] = set()
        self._places: set[Hashable] = set()

    def add(self, row: Row) -> None:
        self._versions.setdefault((row.matched, mark(row.values)) if row.matched else None, row)
        self._ordinals.update(row.ordinals)
        self._places.add(row.key)

    def owned(self, *, keyed: bool) -> Owned:
        copies = 1 if keyed else len(self._places)
        return Owned(tuple(self._versions.values()), tuple(sorted(self._ordinals)), copies)
