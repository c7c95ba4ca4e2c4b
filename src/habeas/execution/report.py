"""The report of a request: per collection what was reached, found, masked, left out and why (design §3, §9)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from typing_extensions import TypedDict

from habeas.domain.dataset import Address
from habeas.domain.policy import SharedRows
from habeas.domain.request import ActionType
from habeas.planning.plan import NodeErasure, OmitReason, Plan, Skipped, SkipReason
from habeas.store.configurations import Record


class SkippedField(TypedDict):
    """A field that was not masked, and why."""

    path: str
    reason: str


class CollectionReport(TypedDict):
    """What happened in one collection: rows by what became of them.

    `verified`: all of it was read again after it was masked; null where nothing is masked.
    """

    address: str
    reached: bool
    found: int
    changed: int
    drifted: int
    already: int
    absent: int
    refused: int
    submitted: int
    shared: int
    skipped: list[SkippedField]
    reason: str | None
    verified: bool | None
    statement_digest: str | None


class Confirmation(TypedDict):
    """What people say they erased by hand, by label: yes, no, or null where there was nothing."""

    connection_key: str
    erased: Mapping[str, bool | None]


class Report(TypedDict):
    """A request's report; `exceptions` are sentences on all that did not go as the policy and the request say."""

    request_id: str
    plan_digest: str
    collections: list[CollectionReport]
    confirmed: list[Confirmation]
    exceptions: list[str]


def make_report(
    request_id: str,
    plan: Plan,
    outcomes: Sequence[Record],
    confirmed: Mapping[str, Mapping[str, bool | None]] | None = None,
) -> Report:
    """A JSON-able report; collections in walk order, then the skipped ones. No value of a row is in it.

    `confirmed` is what people say they erased: connection → label → whether.
    """
    by_place = {(row.action, row.collection): row for row in outcomes}
    erasures = {erasure.address: erasure for erasure in plan.erasure}
    collections = [_report_node(node.address, erasures.get(node.address), by_place) for node in plan.nodes]
    collections += [_report_skipped(skipped) for skipped in plan.skipped]
    return {
        "request_id": request_id,
        "plan_digest": plan.digest,
        "collections": collections,
        "confirmed": [{"connection_key": key, "erased": said} for key, said in sorted((confirmed or {}).items())],
        "exceptions": _exceptions(plan, collections),
    }


def has_exceptions(plan: Plan) -> bool:
    """Whether every request of this plan has exceptions, whatever its rows were like."""
    return bool(make_report("", plan, ())["exceptions"])


def _report_node(
    address: Address, erasure: NodeErasure | None, by_place: Mapping[tuple[str, str], Record]
) -> CollectionReport:
    access = by_place.get((ActionType.ACCESS, str(address)))
    erased = by_place.get((ActionType.ERASURE, str(address)))
    verified = None
    if erasure is not None and (erasure.maskings or erasure.delete):
        unproved = erased and (erased.refused or erased.submitted or erased.skipped or _is_said(erased))
        verified = bool(erased and erased.complete and not unproved)
    return {
        "address": str(address),
        "reached": access is not None and not access.skipped,
        "found": access.found if access else 0,
        "changed": erased.changed if erased else 0,
        "drifted": erased.drifted if erased else 0,
        "already": erased.already if erased else 0,
        "absent": erased.absent if erased else 0,
        "refused": erased.refused if erased else 0,
        "submitted": erased.submitted if erased else 0,
        "shared": erased.shared if erased else 0,
        "skipped": [
            {"path": f"{address}:{omitted.field}", "reason": str(omitted.reason)}
            for omitted in (erasure.omitted if erasure else ())
        ],
        "reason": (access and access.skipped) or (erased and erased.skipped) or None,
        "verified": verified,
        "statement_digest": (erased and erased.statement_digest) or (access and access.statement_digest) or None,
    }


def _report_skipped(skipped: Skipped) -> CollectionReport:
    return {
        "address": str(skipped.address),
        "reached": False,
        "found": 0,
        "changed": 0,
        "drifted": 0,
        "already": 0,
        "absent": 0,
        "refused": 0,
        "submitted": 0,
        "shared": 0,
        "skipped": [],
        "reason": ": ".join(filter(None, (skipped.reason, skipped.detail))),
        "verified": None,
        "statement_digest": None,
    }


def _exceptions(plan: Plan, collections: Sequence[CollectionReport]) -> list[str]:
    """Sentences on everything that did not go as the policy and the request say."""
    said = [
        f"{skipped.address} was not visited: {skipped.reason}"
        for skipped in plan.skipped
        if skipped.reason != SkipReason.NOT_CHOSEN
    ]
    if not collections:
        said.append("nothing was visited: no dataset is described")
    visited = {str(node.address) for node in plan.nodes}
    said += [
        f"{c['address']} was passed over: {c['reason']}" for c in collections if c["address"] in visited and c["reason"]
    ]
    for erasure in plan.erasure:
        said += [
            f"{erasure.address}:{omitted.field} was not masked: {omitted.reason}"
            for omitted in erasure.omitted
            if omitted.reason is not OmitReason.PRESERVED
        ]
        said += [
            f"{erasure.address}:{masking.field} was masked by a substitute: {masking.substitute}"
            for masking in erasure.maskings
            if masking.substitute is not None
        ]
    for count, meaning in _meanings(plan).items():
        said += [f"{place['address']}: {place[count]} {meaning}" for place in collections if place[count]]
    return said


def _is_said(outcome: Record) -> bool:
    """Whether rows were changed by no statement of ours: nobody has read them again."""
    return bool(outcome.changed and outcome.statement_digest is None)


def _meanings(plan: Plan) -> dict[Literal["drifted", "absent", "refused", "submitted", "shared"], str]:
    """Counts of rows that went another way than asked for, in words."""
    shared = "left" if plan.shared_rows is SharedRows.SKIP else "masked"
    return {
        "drifted": "rows had changed since they were read and were masked all the same",
        "absent": "rows were gone before they could be masked",
        "refused": "rows could not be masked",
        "submitted": "erasures were asked of others and are not proved",
        "shared": f"rows belong to others too and were {shared}",
    }
