"""The ordered steps of a run, as data (seed 003). Later issues add theirs before, between and after."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import dropwhile

from habeas.execution import access, erasure, upload
from habeas.execution.run import Done, Failed, Run, Wait
from habeas.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class Step:
    """A named step; the name is the checkpoint that a request remembers. `concerns`: it has something to do."""

    name: str
    perform: Callable[[Run], Done | Failed | Wait]
    concerns: Callable[[Plan], bool]


STEPS = (
    Step("access", access.perform, lambda plan: True),
    Step("upload", upload.perform, lambda plan: bool(plan.access)),
    Step("erasure", erasure.perform, lambda plan: plan.erases),
)
FIRST_STEP = STEPS[0].name


def steps_from(name: str, plan: Plan) -> list[Step]:
    """The steps of a plan that are left."""
    left = dropwhile(lambda step: step.name != name, STEPS)
    return [step for step in left if step.concerns(plan)]
