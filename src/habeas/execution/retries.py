"""How a request that stopped goes on: under which plan, from which step, and what of it does not stand any more.

As long as nothing was erased the present configuration counts; what was read and still stands is not read again.
What has been masked cannot be found again: from then on the plan stays, but for what changes no visit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.dataset import Address
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.connector_pool import hindrance_of
from habeas.execution.run import place_of
from habeas.execution.steps import ACCESS, ERASURE, UPLOAD, is_after
from habeas.planning.comparison import Difference, Differences, compare_visits
from habeas.planning.plan import Node, Plan
from habeas.store import journal, packages, progress
from habeas.store.configurations import Record, find_connections
from habeas.store.journal import Entry

PLACE = (None, "Retry", "")
"""Where the execution log files what concerns no single collection."""

_ERASING = "the request has begun to erase"
_SEALED = "the key of its packages is gone"
_AWAY = "a connection that it needs is disabled or deleted"


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a stopped request, beside the two plans, decides how it goes on."""

    next_step: str
    erasing: bool
    can_package: bool
    """Its packages need no key, or it is there."""
    passed_over: frozenset[str]
    """Collections that nobody was asked about."""
    expired: frozenset[str]
    """Rules whose packages are gone from their storages, since their time was over."""


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
    erasing, passed_over = progress.erasing_among(connection, ids), progress.passed_over(connection, ids)
    expired = packages.expired_among(connection, ids)
    return {
        request.id: Standing(
            request.next_step or ACCESS,
            request.id in erasing,
            request.can_package,
            frozenset(passed_over.get(request.id, ())),
            frozenset(expired.get(request.id, ())),
        )
        for request in stopped
    }


def read_away(connection: sa.Connection, stored: Plan) -> frozenset[str]:
    """Connections of a stored plan that cannot be used now: disabled or deleted."""
    keys = {node.connection for node in stored.nodes}
    found = find_connections(connection, keys)
    return frozenset(key for key in keys if hindrance_of(found.get(key)))


def choose_course(stored: Plan, fresh: Plan, standing: Standing, away: Collection[str]) -> Course:
    """How a request of this standing goes on when it was carried under one plan and would now get another.

    `away`: connections that cannot be used now. What they hold is passed over, as in any run, and not forgotten.
    """
    step = standing.next_step
    if is_after(step, ERASURE):
        return Course(stored, step)
    passed_over = [node.address for node in fresh.nodes if str(node.address) in standing.passed_over]
    differences = compare_visits(stored, fresh, () if standing.erasing else passed_over)
    if differences and (reason := _why_bound(stored, differences, standing, away)):
        return keep_course(stored, standing, reason)
    if standing.erasing or _is_sealed(stored, standing):
        return Course(fresh, step)
    outdated = _outdated(stored, fresh, differences)
    if any(difference is not Difference.REMOVED for difference in differences.values()):
        step = ACCESS
    elif is_after(step, UPLOAD) and (outdated or any(rule not in stored.access for rule in fresh.access)):
        step = UPLOAD
    return Course(fresh, step, tuple(map(str, differences)), outdated, _tell(stored, fresh, differences))


def keep_course(stored: Plan, standing: Standing, reason: str) -> Course:
    """How a request goes on whose plan stays; the log says why, unless there is nothing left to ask of any store."""
    step = standing.next_step
    if is_after(step, ERASURE):
        return Course(stored, step)
    message = f"the configuration has changed since, but the plan stays as it was: {reason}"
    return Course(stored, step, entries=(Entry(PLACE, ActionType.ACCESS, LogStatus.RETRYING, message),))


def package_expired(course: Course, standing: Standing) -> Course:
    """The same course, with packages made again that nobody was told of before their time was over.

    The rows for it are kept until the request has ended, also once they are masked in their stores.
    """
    lost = [rule.rule for rule in course.plan.access if rule.rule in standing.expired]
    if not lost or not standing.can_package:
        return course
    step = UPLOAD if is_after(course.next_step, UPLOAD) else course.next_step
    return replace(course, next_step=step, outdated=tuple(dict.fromkeys((*course.outdated, *lost))))


def follow_course(connection: sa.Connection, course: Course, request_ids: Sequence[str], now: datetime) -> None:
    """Let go of what does not stand any more for these requests, and log it."""
    if course.forgotten:
        progress.forget_access(connection, request_ids, course.forgotten)
    if course.outdated:
        packages.outdate_packages(connection, request_ids, course.outdated)
    for entry in course.entries:
        journal.log_requests(connection, request_ids, entry, now)


def _why_bound(stored: Plan, differences: Differences, standing: Standing, away: Collection[str]) -> str:
    """Why these differences must not count, or nothing."""
    if standing.erasing:
        return _ERASING
    if _is_sealed(stored, standing):
        return _SEALED
    removed = (node for node in stored.nodes if differences.get(node.address) is Difference.REMOVED)
    return _AWAY if any(node.connection in away for node in removed) else ""


def _is_sealed(stored: Plan, standing: Standing) -> bool:
    """Whether there are packages that cannot be made again."""
    return bool(stored.access) and is_after(standing.next_step, UPLOAD) and not standing.can_package


def _outdated(stored: Plan, fresh: Plan, differences: Differences) -> tuple[str, ...]:
    """Rules whose packages would come out otherwise now (other fields, another place, other rows), or not at all."""
    before = {rule.rule: rule for rule in stored.access}
    gone = before.keys() - {rule.rule for rule in fresh.access}
    several = (len(stored.access) > 1) != (len(fresh.access) > 1)  # it is part of a package's name
    others = (
        rule.rule
        for rule in fresh.access
        if rule.rule in before
        and (several or rule != before[rule.rule] or any(one.address in differences for one in rule.selections))
    )
    return (*others, *sorted(gone))


def _tell(stored: Plan, fresh: Plan, differences: Mapping[Address, Difference]) -> tuple[Entry, ...]:
    nodes: dict[Address, Node] = {node.address: node for plan in (stored, fresh) for node in plan.nodes}
    return tuple(
        Entry(place_of(nodes[address]), ActionType.ACCESS, _status_of(difference), str(difference))
        for address, difference in differences.items()
    )


def _status_of(difference: Difference) -> LogStatus:
    return LogStatus.SKIPPED if difference is Difference.REMOVED else LogStatus.RETRYING
