"""How a request that stopped goes on: under which plan, from which step, and what of it does not stand any more.

As long as nothing was erased the present configuration counts; what was read and still stands is not read again.
What has been masked cannot be found again: from then on the plan stays, but for what changes no visit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.dataset import Address
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.run import place_of
from habeas.execution.steps import ACCESS, ERASURE, UPLOAD, is_after
from habeas.planning.comparison import Difference, Differences, compare_visits
from habeas.planning.plan import Node, Plan
from habeas.store import journal, packages, runs
from habeas.store.configurations import Record
from habeas.store.journal import Entry

PLACE = (None, "Retry", "")
"""Where the execution log files what concerns no single collection."""

_ERASING = "the request has begun to erase"
_SEALED = "the key of its packages is gone"


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a stopped request, beside the two plans, decides how it goes on."""

    next_step: str
    erasing: bool
    can_package: bool
    """Its packages need no key, or it is there."""
    passed_over: frozenset[str]
    """Collections that nobody was asked about."""

    @property
    def is_bound(self) -> bool:
        """Whether what was done under the plan can be done under no other."""
        return self.erasing or is_after(self.next_step, ERASURE)


@dataclass(frozen=True, slots=True)
class Course:
    """How requests go on. `forgotten`: collections whose rows count no more; `outdated`: rules to package again."""

    plan: Plan
    next_step: str
    forgotten: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    """What the execution log says of it."""


def read_standings(connection: sa.Connection, stopped: Sequence[Record]) -> dict[str, Standing]:
    """The standing of requests that have a plan and a next step, by id."""
    ids = [request.id for request in stopped]
    erasing, passed_over = runs.erasing_among(connection, ids), runs.passed_over(connection, ids)
    return {
        request.id: Standing(
            request.next_step or ACCESS,
            request.id in erasing,
            request.can_package,
            frozenset(passed_over.get(request.id, ())),
        )
        for request in stopped
    }


def choose_course(stored: Plan, fresh: Plan, standing: Standing) -> Course:
    """How a request of this standing goes on when it was carried under one plan and would now get another."""
    step = standing.next_step
    if is_after(step, ERASURE):
        return keep_course(stored, standing)
    passed_over = [node.address for node in fresh.nodes if str(node.address) in standing.passed_over]
    differences = compare_visits(stored, fresh, () if standing.erasing else passed_over)
    if standing.erasing:
        return keep_course(stored, standing) if differences else Course(fresh, step)
    packaged = bool(stored.access) and is_after(step, UPLOAD)
    if packaged and not standing.can_package:
        return _keep(stored, step, _SEALED) if differences else Course(fresh, step)
    outdated = _outdated(stored, fresh, differences)
    if any(difference is not Difference.REMOVED for difference in differences.values()):
        step = ACCESS
    elif is_after(step, UPLOAD) and any(rule not in stored.access or rule.rule in outdated for rule in fresh.access):
        step = UPLOAD
    return Course(fresh, step, tuple(map(str, differences)), outdated, _tell(stored, fresh, differences))


def keep_course(stored: Plan, standing: Standing) -> Course:
    """How a request goes on whose plan stays, be the configuration what it may."""
    if is_after(standing.next_step, ERASURE):
        return Course(stored, standing.next_step)
    return _keep(stored, standing.next_step, _ERASING)


def follow_course(connection: sa.Connection, course: Course, request_ids: Sequence[str], now: datetime) -> None:
    """Let go of what does not stand any more for these requests, and log it."""
    if course.forgotten:
        runs.forget_access(connection, request_ids, course.forgotten)
    if course.outdated:
        packages.outdate_packages(connection, request_ids, course.outdated)
    for entry in course.entries:
        journal.log_requests(connection, request_ids, entry, now)


def _keep(stored: Plan, step: str, reason: str) -> Course:
    message = f"the configuration has changed since, but the plan stays as it was: {reason}"
    return Course(stored, step, entries=(Entry(PLACE, ActionType.ACCESS, LogStatus.RETRYING, message),))


def _outdated(stored: Plan, fresh: Plan, differences: Differences) -> tuple[str, ...]:
    """Rules whose packages would come out otherwise now: other fields, another place, other rows."""
    before = {rule.rule: rule for rule in stored.access}
    several = (len(stored.access) > 1) != (len(fresh.access) > 1)  # it is part of a package's name
    return tuple(
        rule.rule
        for rule in fresh.access
        if rule.rule in before
        and (several or rule != before[rule.rule] or any(one.address in differences for one in rule.selections))
    )


def _tell(stored: Plan, fresh: Plan, differences: Mapping[Address, Difference]) -> tuple[Entry, ...]:
    nodes: dict[Address, Node] = {node.address: node for plan in (stored, fresh) for node in plan.nodes}
    return tuple(
        Entry(place_of(nodes[address]), ActionType.ACCESS, _status_of(difference), str(difference))
        for address, difference in differences.items()
    )


def _status_of(difference: Difference) -> LogStatus:
    return LogStatus.SKIPPED if difference is Difference.REMOVED else LogStatus.RETRYING
