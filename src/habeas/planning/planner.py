"""The planner's door: `make_plan` turns all that decides a plan into the plan.

graph (edges) -> survey (who takes part, who is reached) -> traversal (order, directions) -> groups (cycles) ->
targeting (what each rule returns or masks) -> erasure_order. Pure: no I/O, no clock, no randomness.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from habeas.domain.dataset import Address, Match
from habeas.domain.errors import DatasetError, InputError, Unreachable
from habeas.domain.policy import OnUnreachable, Policy, Rule, check_erasure_targets
from habeas.domain.ports import SystemType, Table
from habeas.domain.request import ActionType
from habeas.planning.checks import check_against_sketch, check_composite_keys, check_datasets
from habeas.planning.columns import NO_FACTS, TableFacts
from habeas.planning.digest import digest_input
from habeas.planning.erasure_order import order_erasure
from habeas.planning.graph import Place, lay_out
from habeas.planning.groups import form_groups
from habeas.planning.plan import Group, Link, Node, Plan, Skipped, SkipReason
from habeas.planning.plan_input import AccessLevel, ConnectionState, PlacedDataset, PlanInput, StrategyFacts
from habeas.planning.reach import find_kinds, find_needed_kinds
from habeas.planning.survey import Survey, survey_graph
from habeas.planning.targeting import Targeting, gather_facts
from habeas.planning.traversal import Walk, walk

__all__ = [
    "AccessLevel",
    "ConnectionState",
    "PlacedDataset",
    "PlanInput",
    "StrategyFacts",
    "check_against_sketch",
    "check_datasets",
    "make_plan",
    "plan_look_ups",
    "traversability",
]


def make_plan(given: PlanInput) -> Plan:
    """The plan for these inputs; equal inputs give equal plans.

    Raises DatasetError (references, order), Unreachable (identities do not reach a collection and the policy
    says fail) and InputError (policy, strategies, dataset keys), all before anything is queried.
    """
    _check_policy(given.policy)
    for placed in given.datasets:
        if placed.connection.sketch is not None and not placed.connection.disabled:
            check_composite_keys(placed.dataset, placed.connection.sketch)
    survey = survey_graph(given.datasets, given.identity_kinds, given.dataset_keys)
    unreachable = _settle_unreached(survey, given.policy.on_unreachable)
    walked = walk(survey.graph, survey.roots, survey.reached)
    groups = form_groups(walked, survey.graph.after)
    _check_asked(groups, survey.graph.places)
    visited = [survey.graph.places[address] for group in groups for address in group.nodes]
    facts = gather_facts(visited)
    nodes = _make_nodes(visited, groups, walked, given.identity_kinds, facts)
    targeting = Targeting(given.policy, visited, given.strategies)
    erasures = targeting.plan_erasure(facts, _find_narrowed(nodes))
    erases = bool(given.policy.rules_for(ActionType.ERASURE))
    deleting = {address for address, erasure in erasures.items() if erasure.delete}
    order = order_erasure(visited if erases else (), walked.edges, deleting, facts)
    return Plan(
        digest=digest_input(given),
        policy=given.policy.key,
        identity_kinds=tuple(sorted(given.identity_kinds)),
        nodes=nodes,
        groups=groups,
        skipped=tuple(sorted((*survey.skipped, *unreachable), key=lambda item: item.address)),
        access=targeting.select(),
        erases=erases,
        shared_rows=given.policy.shared_rows,
        erasure=tuple(erasures[address] for address in order.addresses if address in erasures),
        affected=targeting.list_affected(),
        warnings=(
            *survey.warnings,
            *_warn_of_arbitrary_order(survey),
            *_warn_of_scans(nodes),
            *_warn_of_keys(visited, facts),
            *_warn_of_alternatives(nodes),
            *order.warnings,
            *_warn_of_children(deleting, survey.graph.places, facts),
        ),
    )


def plan_look_ups(datasets: Sequence[PlacedDataset]) -> Plan:
    """The plan of visiting these datasets alone when every declared identity is given, for no policy.

    Raises DatasetError (references, order) and Unreachable.
    """
    reading = Policy("none", "none", (Rule("none", "none", ActionType.ACCESS),))
    return make_plan(PlanInput(reading, tuple(datasets), find_kinds(lay_out(datasets).values())))


def traversability(datasets: Sequence[PlacedDataset]) -> tuple[bool, str]:
    """Whether all collections are reached when every declared identity is given; if not, why (case D30)."""
    kinds = find_kinds(lay_out(datasets).values())
    try:
        survey = survey_graph(datasets, kinds)
        _settle_unreached(survey, OnUnreachable.FAIL)
        groups = form_groups(walk(survey.graph, survey.roots, survey.reached), survey.graph.after)
        _check_asked(groups, survey.graph.places)
        order_erasure([survey.graph.places[address] for group in groups for address in group.nodes])
    except (DatasetError, Unreachable) as error:
        return False, str(error)
    return True, ""


def _check_policy(policy: Policy) -> None:
    if not policy.rules:
        raise InputError(f"policy {policy.key!r} has no rules", hint="add an access or an erasure rule")
    check_erasure_targets(policy.rules)


def _check_asked(groups: Sequence[Group], places: Mapping[Address, Place]) -> None:
    """Raise DatasetError for a cycle through a collection that people look into: they would be asked without end."""
    circling = (address for group in groups if group.cyclic for address in group.nodes)
    for address in circling:
        if places[address].connection.system is SystemType.MANUAL:
            raise DatasetError(
                "people look into this collection, and what they find leads back to it",
                path=str(address),
                hint="give the references of the cycle a direction that does not lead back",
            )


def _settle_unreached(survey: Survey, on_unreachable: OnUnreachable) -> list[Skipped]:
    """Unreached collections as skipped ones, each with the identity kinds it would need, or Unreachable raised."""
    if not survey.unreached:
        return []
    needed = find_needed_kinds(survey.graph, survey.unreached)
    if on_unreachable is OnUnreachable.SKIP:
        return [Skipped(address, SkipReason.UNREACHABLE, _name_need(kinds)) for address, kinds in needed.items()]
    names = [str(address) for address in survey.unreached]
    raise Unreachable(
        f"the identities given do not reach {', '.join(names)}", names, hint=_hint_for(set(needed.values()))
    )


def _name_need(kinds: Sequence[str]) -> str:
    return f"needs {' or '.join(kinds)}" if kinds else "no identity leads to it"


def _hint_for(needs: set[tuple[str, ...]]) -> str:
    helpful = sorted({kind for kinds in needs for kind in kinds})
    hints = [f"identities that would reach some: {', '.join(helpful)}"] if helpful else []
    if () in needs:
        hints.append("declare an identity or a reference where none leads to a collection")
    return "; ".join([*hints, "or set the policy's on_unreachable to skip"])


def _make_nodes(
    visited: Sequence[Place],
    groups: Sequence[Group],
    walked: Walk,
    kinds: frozenset[str],
    facts: Mapping[Address, TableFacts],
) -> tuple[Node, ...]:
    group_of = {address: number for number, group in enumerate(groups) for address in group.nodes}
    links = {place.address: _identity_links(place, kinds) for place in visited}
    feeds: dict[Address, set[str]] = {place.address: set() for place in visited}
    places = {place.address: place for place in visited}
    for edge in sorted(walked.edges, key=lambda edge: (edge.target.field, str(edge.source))):
        source, target = edge.source, edge.target
        place = places[target.address]
        links[target.address].append(
            Link(
                target.field,
                place.fields[target.field].data_type,
                source=source.address,
                source_field=source.field,
                all_elements=_keeps_all(place, target.field),
            )
        )
        feeds[source.address].add(source.field)
    return tuple(
        Node(
            place.address,
            place.connection.key,
            _make_table(place),
            tuple(_mark_nested(link, place, facts.get(place.address, NO_FACTS)) for link in links[place.address]),
            group_of[place.address],
            tuple(sorted(feeds[place.address])),
            place.connection.system,
        )
        for place in visited
    )


def _identity_links(place: Place, kinds: frozenset[str]) -> list[Link]:
    return [
        Link(path, item.data_type, item.match, identity=item.identity, all_elements=_keeps_all(place, path))
        for path, item in place.fields.items()
        if item.identity in kinds
    ]


def _make_table(place: Place) -> Table:
    columns = tuple(item.name for item in place.collection.fields)
    return Table(place.address, columns, tuple(sorted(place.collection.key)), place.dataset.schema)


def _keeps_all(place: Place, path: str) -> bool:
    """Whether the field or one that it is part of returns all elements."""
    names = path.split(".")
    return any(place.fields[".".join(names[:end])].all_elements for end in range(1, len(names) + 1))


def _mark_nested(link: Link, place: Place, facts: TableFacts) -> Link:
    """The link, with word of whether its values stand inside of a column."""
    column = facts.column(link.field.partition(".")[0])
    return replace(link, nested="." in link.field or place.fields[link.field].array or column.nested)


def _find_narrowed(nodes: Iterable[Node]) -> frozenset[Address]:
    """Collections that are entered inside of a column, so that arrays in their rows may be cut to what matched."""
    return frozenset(node.address for node in nodes if any(link.cuts for link in node.links))


def _warn_of_arbitrary_order(survey: Survey) -> list[str]:
    roots = set(survey.roots)
    return [
        f"{edge.source} and {edge.target} are linked without direction and both collections hold an identity: "
        "values go one way only; declare a direction"
        for edge in survey.graph.undirected
        if edge.source.address in roots and edge.target.address in roots
    ]


def _warn_of_scans(nodes: Iterable[Node]) -> list[str]:
    return [
        f"{node.address}.{link.field} is matched by {link.match.value}: without an index on that expression "
        "the whole table is read"
        for node in nodes
        for link in node.links
        if link.match is not Match.EXACT
    ]


def _warn_of_alternatives(nodes: Iterable[Node]) -> list[str]:
    """Collections that several fields of one other lead to: each alone, never all together."""
    warnings = []
    for node in nodes:
        sources = sorted({link.source for link in node.links if link.source is not None})
        for source in sources:
            links = [link for link in node.links if link.source == source]
            if len({link.field for link in links}) > 1 and len({link.source_field for link in links}) > 1:
                ways = " or ".join(sorted({f"{link.field} = {link.source_field}" for link in links}))
                warnings.append(f"{node.address} is found through {source} by any of {ways}, not by all together")
    return warnings


def _warn_of_keys(visited: Iterable[Place], facts: Mapping[Address, TableFacts]) -> list[str]:
    """Declared keys that the store does not keep unique."""
    warnings = []
    for place in visited:
        table, key = facts.get(place.address), place.collection.key
        if table is not None and table.known and key and not any(unique.issubset(key) for unique in table.keys):
            warnings.append(f"{place.address}: the store does not keep the declared key unique ({', '.join(key)})")
    return warnings


def _warn_of_children(
    deleting: Iterable[Address], places: Mapping[Address, Place], facts: Mapping[Address, TableFacts]
) -> list[str]:
    """Tables whose rows refer to some that are deleted, and stay."""
    warnings = []
    gone = {(places[address].connection.key, facts.get(address, NO_FACTS).name) for address in deleting}
    for address in sorted(deleting):
        children = facts.get(address, NO_FACTS).children
        stay = sorted(name for schema, name in children if (places[address].connection.key, (schema, name)) not in gone)
        if stay:
            warnings.append(
                f"rows of {address} are deleted while {', '.join(stay)} may refer to them by a foreign key: the store "
                "decides whether that is allowed"
            )
    return warnings
