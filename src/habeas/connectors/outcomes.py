"""What becomes of locked rows where one row's outcome is not one comparison: nested columns, and tables without key.

Pure, and the same for every store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from habeas.domain.documents import Rewrite, Rewritten
from habeas.domain.ports import Change, Effect, Erasure, Outcome, Value

_FIRST = (Outcome.DRIFTED, Outcome.CHANGED, Outcome.ABSENT, Outcome.ALREADY)
"""What the row becomes when its parts differ: the first of these that any of them is."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The values of one change's columns, none of them a Rewrite, and what setting them makes of the row."""

    after: tuple[Value, ...]
    outcome: Outcome


def settle(change: Change, held: tuple[Value, ...], same: Callable[[int, Value, Value], bool]) -> Settled:
    """Apply a change to what its row holds; `same` compares two values of the column at a place.

    Flat columns are one part of the row, as they are without nested ones; each nested column is a part of its own.
    """
    after = list(change.after)
    outcomes = []
    for place, wanted in enumerate(change.after):
        if isinstance(wanted, Rewrite):
            done = wanted.apply(held[place])
            after[place] = done.value
            outcomes.append(_outcome_of(done))
    flat = [place for place, wanted in enumerate(change.after) if not isinstance(wanted, Rewrite)]
    if any(not same(place, after[place], held[place]) for place in flat):
        kept = all(same(place, change.original[place], held[place]) for place in flat)
        outcomes.append(Outcome.CHANGED if kept else Outcome.DRIFTED)
    elif flat:
        outcomes = [Outcome.ALREADY if outcome is Outcome.ABSENT else outcome for outcome in outcomes]
    return Settled(tuple(after), min([*outcomes, Outcome.ALREADY], key=_FIRST.index))


def effects_by_rows(erasure: Erasure, place: int, here: int, done: int = 0, *, idle: bool = False) -> list[Effect]:
    """The effects of one change that may concern several rows, one for each outcome.

    `here` rows hold the original; of those missing up to `copies`, `done` hold what they were to hold. `idle`: the
    two do not differ, and what holds them beyond `copies` is none of this change's.
    """
    change = erasure.changes[place]
    gone = max(0, change.copies - here)
    if erasure.delete:
        counts = {Outcome.CHANGED: here, Outcome.ALREADY: gone}
    elif idle:
        counts = {Outcome.ALREADY: min(here, change.copies), Outcome.ABSENT: gone}
    else:
        counts = {Outcome.CHANGED: here, Outcome.ALREADY: done, Outcome.ABSENT: gone - done}
    return [Effect(change.key, outcome, rows=rows) for outcome, rows in counts.items() if rows]


def refused(changes: Sequence[Change], reason: str) -> list[Effect]:
    """The effects of a batch that the store would not keep."""
    return [Effect(change.key, Outcome.REFUSED, reason, change.copies) for change in changes]


def target_of(erasure: Erasure, change: Change) -> tuple[Value, ...]:
    """What a row of a keyless table holds after its change, in the order of the table's columns."""
    after = dict(zip(erasure.columns, change.after, strict=True))
    return tuple(after.get(name, value) for name, value in zip(erasure.table.columns, change.key, strict=True))


def _outcome_of(done: Rewritten) -> Outcome:
    if done.drifted:
        return Outcome.DRIFTED
    if done.changed:
        return Outcome.CHANGED
    return Outcome.ABSENT if done.missing else Outcome.ALREADY
