"""What becomes of a locked row some of whose columns are rewritten inside: the values it must hold, and the outcome.

Pure, and the same for every store.
"""

from collections.abc import Callable
from dataclasses import dataclass

from habeas.domain.documents import Rewrite, Rewritten
from habeas.domain.ports import Change, Outcome, Value

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


def _outcome_of(done: Rewritten) -> Outcome:
    if done.drifted:
        return Outcome.DRIFTED
    if done.changed:
        return Outcome.CHANGED
    return Outcome.ABSENT if done.missing else Outcome.ALREADY
