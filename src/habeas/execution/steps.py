"""The ordered steps of a run, as data (seed 003). Later issues add theirs before, between and after."""

from collections.abc import Callable
from dataclasses import dataclass

from habeas.execution import access, erasure, upload
from habeas.execution.run import Done, Failed, Run


@dataclass(frozen=True, slots=True)
class Step:
    """A named step; the name is the checkpoint that a request remembers."""

    name: str
    perform: Callable[[Run], Done | Failed]


STEPS = (
    Step("access", access.perform),
    Step("upload", upload.perform),
    Step("erasure", erasure.perform),
)
FIRST_STEP = STEPS[0].name
LAST_CHECKPOINT = "close"
"""All steps are done; what is left is to say so."""


def steps_from(name: str) -> tuple[tuple[Step, str], ...]:
    """The steps that are left, each with the checkpoint that follows it."""
    names = [step.name for step in STEPS]
    first = names.index(name) if name in names else len(names)
    return tuple(zip(STEPS[first:], [*names, LAST_CHECKPOINT][first + 1 :], strict=True))
