"""The plan for people and for the API: order, statements, what each rule returns or masks, what is skipped.

Statements come from the caller, with placeholders in place of values; this module asks no connector.
"""

from collections.abc import Iterator, Mapping

from typing_extensions import TypedDict

from habeas.domain.dataset import Address, Match
from habeas.domain.policy import SharedRows
from habeas.planning.plan import FieldMasking, Link, Node, NodeErasure, Plan, Substitute

_SHARED = {
    SharedRows.REPORT: "rows that other people own too are masked or deleted, and listed",
    SharedRows.SKIP: "rows that other people own too are left, and listed",
}
_SUBSTITUTES = {
    Substitute.NULL: "null instead: the column cannot hold the text",
    Substitute.DERIVED: "derived text instead: the column is unique or must not be null",
}


class Visit(TypedDict):
    """A collection in the order of visits, with the ways into it and its look-up."""

    collection: str
    connection: str
    group: int
    after_groups: list[int]
    cyclic: bool
    found_by: list[str]
    statement: str | None


class MaskedField(TypedDict):
    """A field that a rule masks; the note says what is written instead where the strategy's value cannot stand."""

    field: str
    rule: str
    strategy: str
    note: str


class KeptField(TypedDict):
    """A field that a rule names and that stays, and why."""

    field: str
    reason: str


class ErasureVisit(TypedDict):
    """A collection in the order of erasure: what is masked there, or that rows are deleted."""

    collection: str
    deletes: bool
    key: list[str]
    masks: list[MaskedField]
    omits: list[KeptField]
    statement: str | None


class SkippedCollection(TypedDict):
    """A collection that is not visited, and why."""

    collection: str
    reason: str
    detail: str


class Preview(TypedDict):
    """A plan. `access`: rule → collection → fields it returns."""

    digest: str
    policy: str
    identity_kinds: list[str]
    visits: list[Visit]
    access: dict[str, dict[str, list[str]]]
    shared_rows: str
    erasure: list[ErasureVisit]
    skipped: list[SkippedCollection]
    warnings: list[str]


def preview_plan(
    plan: Plan, statements: Mapping[Address, str], erasure_statements: Mapping[Address, str] | None = None
) -> Preview:
    """The plan as plain JSON values. A collection without a statement has null there."""
    changes = erasure_statements or {}
    return {
        "digest": plan.digest,
        "policy": plan.policy,
        "identity_kinds": list(plan.identity_kinds),
        "visits": [_describe_visit(node, plan, statements.get(node.address)) for node in plan.nodes],
        "access": {
            rule.rule: {str(selection.address): list(selection.fields) for selection in rule.selections}
            for rule in plan.access
        },
        "shared_rows": plan.shared_rows.value,
        "erasure": [_describe_erasure(erasure, plan, changes.get(erasure.address)) for erasure in plan.erasure],
        "skipped": [
            {"collection": str(item.address), "reason": item.reason.value, "detail": item.detail}
            for item in plan.skipped
        ],
        "warnings": list(plan.warnings),
    }


def render_plan(
    plan: Plan, statements: Mapping[Address, str], erasure_statements: Mapping[Address, str] | None = None
) -> str:
    """The plan as text, as `habeas plan` prints it; ends without a line break."""
    return "\n".join(_lines(plan, statements, erasure_statements or {}))


def _describe_visit(node: Node, plan: Plan, statement: str | None) -> Visit:
    group = plan.groups[node.group]
    return {
        "collection": str(node.address),
        "connection": node.connection,
        "group": node.group,
        "after_groups": list(group.upstream),
        "cyclic": group.cyclic,
        "found_by": [_describe_link(link) for link in node.links],
        "statement": statement,
    }


def _describe_erasure(erasure: NodeErasure, plan: Plan, statement: str | None) -> ErasureVisit:
    return {
        "collection": str(erasure.address),
        "deletes": erasure.delete,
        "key": list(plan.node(erasure.address).table.key),
        "masks": [
            {"field": item.field, "rule": item.rule, "strategy": item.strategy, "note": _note(item)}
            for item in erasure.maskings
        ],
        "omits": [{"field": item.field, "reason": item.reason.value} for item in erasure.omitted],
        "statement": statement,
    }


def _describe_link(link: Link) -> str:
    origin = f"identity {link.identity}" if link.source is None else f"{link.source}.{link.source_field}"
    match = "" if link.match is Match.EXACT else f" ({link.match.value})"
    return f"{link.field} = {origin}{match}" + (" (whole arrays)" if link.all_elements else "")


def _note(item: FieldMasking) -> str:
    return _SUBSTITUTES[item.substitute] if item.substitute else ""


def _lines(plan: Plan, statements: Mapping[Address, str], changes: Mapping[Address, str]) -> Iterator[str]:
    yield f"Plan for policy {plan.policy}, identities: {', '.join(plan.identity_kinds) or 'none'}"
    yield f"digest {plan.digest}"
    yield from _visit_lines(plan, statements)
    for rule in plan.access:
        yield f"\nAccess rule {rule.rule} returns"
        for selection in rule.selections:
            yield f"  {selection.address}: {', '.join(selection.fields)}"
        if not rule.selections:
            yield "  nothing: no visited field has a category it covers"
    yield from _erasure_lines(plan, changes)
    if plan.skipped:
        yield "\nNot visited"
    for skipped in plan.skipped:
        yield f"  {skipped.address}: {skipped.reason.value}" + (f" ({skipped.detail})" if skipped.detail else "")
    if plan.warnings:
        yield "\nWarnings"
    for warning in plan.warnings:
        yield f"  {warning}"


def _visit_lines(plan: Plan, statements: Mapping[Address, str]) -> Iterator[str]:
    yield "\nVisits, in this order"
    for number, node in enumerate(plan.nodes, start=1):
        cycle = f", again and again with group {node.group + 1}" if plan.groups[node.group].cyclic else ""
        yield f"  {number}. {node.address} on {node.connection}{cycle}"
        for link in node.links:
            yield f"       {_describe_link(link)}"
        yield from _statement_lines(statements.get(node.address))
    if not plan.nodes:
        yield "  none"


def _erasure_lines(plan: Plan, changes: Mapping[Address, str]) -> Iterator[str]:
    if not plan.erases:
        return
    yield "\nErasure, in this order"
    if plan.shared_rows is not SharedRows.MASK:
        yield f"  {_SHARED[plan.shared_rows]}"
    for number, erasure in enumerate(plan.erasure, start=1):
        yield f"  {number}. {erasure.address}" + (": rows are deleted" if erasure.delete else "")
        if (erasure.delete or erasure.maskings) and not plan.node(erasure.address).table.key:
            yield "       without a key: rows are found by all that was read of them"
        for item in erasure.maskings:
            note = _note(item)
            yield f"       {item.field}: {item.strategy} by rule {item.rule}" + (f" ({note})" if note else "")
        for omitted in erasure.omitted:
            yield f"       {omitted.field}: kept ({omitted.reason.value})"
        yield from _statement_lines(changes.get(erasure.address))
    if not plan.erasure:
        yield "  nothing: no visited field has a category that an erasure rule covers"


def _statement_lines(statement: str | None) -> Iterator[str]:
    for line in (statement or "").splitlines():
        yield f"       | {line}"
