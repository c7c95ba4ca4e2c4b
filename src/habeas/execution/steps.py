"""The ordered steps of a request, as data (seed 003), in two phases.

*Prepare* goes member by member before there is a plan: what it brings may change the plan. All that follows is one
run: set-based as far as data is concerned, member by member where others are told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import dropwhile

from habeas.execution import access, erasure, erasure_emails, manual_webhooks, upload, webhooks
from habeas.execution.run import Done, Failed, Run, Wait
from habeas.store.runs import DATA, PREPARE


@dataclass(frozen=True, slots=True)
class Step:
    """A named step; the name is the checkpoint that a request remembers. `concerns`: it has something to do."""

    name: str
    phase: str
    perform: Callable[[Run], Done | Failed | Wait]
    concerns: Callable[[Run], bool] = lambda run: True


PRE_WEBHOOKS, ACCESS, UPLOAD, ERASURE = "pre_webhooks", "access", "upload", "erasure"
STEPS = (
    Step("manual_webhooks", PREPARE, manual_webhooks.perform),
    Step(PRE_WEBHOOKS, PREPARE, webhooks.perform_pre),
    Step(ACCESS, DATA, access.perform),
    Step(UPLOAD, DATA, upload.perform, lambda run: bool(run.plan.access) or upload.has_outdated(run)),
    Step(ERASURE, DATA, erasure.perform, lambda run: run.plan.erases),
    Step("erasure_emails", DATA, erasure_emails.perform, lambda run: run.plan.mails),
    Step("post_webhooks", DATA, webhooks.perform_post, lambda run: run.has_post_webhooks),
)
_PHASES = {step.name: step.phase for step in STEPS}
_PLACES = {step.name: place for place, step in enumerate(STEPS)}
FIRST_STEP = STEPS[0].name
FIRST_DATA_STEP = next(step.name for step in STEPS if step.phase == DATA)


def is_after(name: str, other: str) -> bool:
    """Whether a step comes after another."""
    return _PLACES[name] > _PLACES[other]


def phase_of(name: str) -> str:
    """The phase of a step."""
    return _PHASES[name]


def steps_from(name: str, run: Run) -> list[Step]:
    """The steps that are left of the phase."""
    left = dropwhile(lambda step: step.name != name, STEPS)
    return [step for step in left if step.phase == phase_of(name) and step.concerns(run)]
