"""The report of a request: per collection what was reached, found, masked, left out and why (design §3, §9)."""

from collections.abc import Mapping, Sequence

from habeas.domain.dataset import Address
from habeas.domain.policy import SharedRows
from habeas.domain.request import ActionType
from habeas.planning.plan import NodeErasure, OmitReason, Plan, SkipReason
from habeas.store.configurations import Record

COUNTS = ("changed", "drifted", "already", "absent", "refused", "shared")


def make_report(request_id: str, plan: Plan, outcomes: Sequence[Record]) -> dict[str, object]:
    """A JSON-able report; collections in walk order, then the skipped ones. No value of a row is in it."""
    by_place = {(row.action, row.collection): row for row in outcomes}
    erasures = {erasure.address: erasure for erasure in plan.erasure}
    collections = [_report_node(plan, node.address, erasures.get(node.address), by_place) for node in plan.nodes] + [
        {
            "address": str(skipped.address),
            "reached": False,
            "found": 0,
            **dict.fromkeys(COUNTS, 0),
            "skipped": [],
            "reason": ": ".join(filter(None, (skipped.reason, skipped.detail))),
            "verified": None,
            "statement_digest": None,
        }
        for skipped in plan.skipped
    ]
    return {
        "request_id": request_id,
        "plan_digest": plan.digest,
        "collections": collections,
        "exceptions": _exceptions(plan, collections),
    }


def _report_node(
    plan: Plan, address: Address, erasure: NodeErasure | None, by_place: Mapping[tuple[str, str], Record]
) -> dict[str, object]:
    access = by_place.get((ActionType.ACCESS, str(address)))
    erased = by_place.get((ActionType.ERASURE, str(address)))
    digest = (erased and erased.statement_digest) or (access and access.statement_digest) or None
    verified = None
    if erasure is not None and (erasure.maskings or erasure.delete):
        verified = bool(erased and erased.complete and not erased.refused and not erased.skipped)
    return {
        "address": str(address),
        "reached": access is not None and not access.skipped,
        "found": access.found if access else 0,
        **{count: getattr(erased, count) if erased else 0 for count in COUNTS},
        "skipped": [
            {"path": f"{address}:{omitted.field}", "reason": str(omitted.reason)}
            for omitted in (erasure.omitted if erasure else ())
        ],
        "reason": (access and access.skipped) or (erased and erased.skipped) or None,
        "verified": verified,
        "statement_digest": digest,
    }


def _exceptions(plan: Plan, collections: Sequence[Mapping[str, object]]) -> list[str]:
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
    left = plan.shared_rows is SharedRows.SKIP
    for count, meaning in {
        "drifted": "rows had changed since they were read and were masked all the same",
        "absent": "rows were gone before they could be masked",
        "refused": "rows could not be masked",
        "shared": "rows belong to others too and were left" if left else "rows belong to others too and were masked",
    }.items():
        said += [f"{place['address']}: {place[count]} {meaning}" for place in collections if place[count]]
    return said
