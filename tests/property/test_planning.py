"""Properties of every plan, over random schemas, against oracles that share no code with the planner."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from habeas.domain.dataset import Address, Collection, Dataset, Direction, Field, Reference
from habeas.domain.errors import DatasetError, Unreachable
from habeas.domain.policy import Masking, OnUnreachable, Policy, Rule
from habeas.domain.request import ActionType
from habeas.planning.plan import Plan, SkipReason
from habeas.planning.planner import ConnectionState, PlacedDataset, PlanInput, StrategyFacts, make_plan, traversability

RULES = (
    Rule("give", "give", ActionType.ACCESS, ("user",)),
    Rule("wipe", "wipe", ActionType.ERASURE, ("user",), masking=Masking("hash")),
)
KINDS = ("email", "phone_number")
DIRECTIONS = (None, Direction.FROM, Direction.TO)
LINKED = ("k", "x", "o.p", "o.q.r")
"""Paths of fields that may have references, and be referred to."""


@st.composite
def schemas(draw: st.DrawFn, *, ordered: bool = False) -> tuple[PlacedDataset, ...]:
    """Up to nine collections in up to three datasets, some disabled, with random links and identities, also nested."""
    addresses = [Address(f"d{number % 3}", f"c{number}") for number in range(draw(st.integers(1, 9)))]
    disabled = draw(st.sets(st.sampled_from(["d0", "d1", "d2"]), max_size=1))
    links = st.tuples(st.sampled_from(addresses), st.sampled_from(LINKED), st.sampled_from(DIRECTIONS))
    collections: dict[str, list[Collection]] = {}
    for address in addresses:
        references = {
            field: tuple(
                Reference(target, name, direction)
                for target, name, direction in draw(st.lists(links, max_size=2))
                if target != address or direction is not None
            )
            for field in LINKED
        }
        identity, inner = (draw(st.sampled_from([None, None, *KINDS])) for _ in range(2))
        others = st.lists(st.sampled_from(addresses), max_size=1)
        array = draw(st.booleans())
        collections.setdefault(address.dataset, []).append(
            Collection(
                address.collection,
                (
                    Field("i", ("user.contact.email",), identity=identity),
                    Field("k", primary_key=True, references=references["k"]),
                    Field(
                        "o",
                        array=array,
                        fields=(
                            Field("p", references=references["o.p"]),
                            Field("q", fields=(Field("r", identity=inner, references=references["o.q.r"]),)),
                        ),
                    ),
                    Field("x", references=references["x"]),
                ),
                after=tuple(draw(others)) if ordered else (),
                erase_after=tuple(draw(others)) if ordered else (),
                skip_processing=draw(st.integers(0, 9)) == 0,
            )
        )
    return tuple(
        PlacedDataset(Dataset(key, key, tuple(items)), ConnectionState(key, "sqlite", disabled=key in disabled))
        for key, items in collections.items()
    )


kinds_given = st.sets(st.sampled_from(KINDS), min_size=1).map(frozenset)


def input_of(
    datasets: Sequence[PlacedDataset], kinds: frozenset[str], on_unreachable: OnUnreachable = OnUnreachable.SKIP
) -> PlanInput:
    policy = Policy("p", "p", RULES, on_unreachable=on_unreachable)
    return PlanInput(policy, tuple(datasets), kinds, strategies={"hash": StrategyFacts()})


def reach_by_force(datasets: Sequence[PlacedDataset], kinds: frozenset[str], *, everything: bool) -> set[Address]:
    """Repeat over all references until nothing is added; `everything` ignores that some are left out."""
    entries = {
        Address(placed.dataset.key, collection.name): collection
        for placed in datasets
        for collection in placed.dataset.collections
        if everything or not (placed.connection.disabled or collection.skip_processing)
    }
    reached = {
        address for address, item in entries.items() if any(field.identity in kinds for field in item.paths().values())
    }
    size = -1
    while size != len(reached):
        size = len(reached)
        for address, item in entries.items():
            for reference in [each for field in item.paths().values() for each in field.references]:
                if reference.target not in entries:
                    continue
                if reference.direction is not Direction.TO and reference.target in reached:
                    reached.add(address)
                if reference.direction is not Direction.FROM and address in reached:
                    reached.add(reference.target)
    return reached


def try_plan(given: PlanInput) -> Plan | None:
    """The plan, or None when the random `after` or `erase_after` cannot be kept."""
    try:
        return make_plan(given)
    except DatasetError as error:
        assert "cannot be reached in the given order" in error.message or "cannot be erased in" in error.message
        return None


@given(schemas(), kinds_given)
def test_exactly_the_reachable_collections_are_visited_and_all_others_are_named(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    plan = make_plan(input_of(datasets, kinds))
    reached = reach_by_force(datasets, kinds, everything=False)
    all_reached = reach_by_force(datasets, kinds, everything=True)
    addresses = {Address(item.dataset.key, entry.name) for item in datasets for entry in item.dataset.collections}
    reasons = {item.address: item.reason for item in plan.skipped}
    assert {node.address for node in plan.nodes} == reached
    assert set(reasons) == addresses - reached
    for address, reason in reasons.items():
        assert reason is not SkipReason.CUT_OFF or address in all_reached
        assert reason is not SkipReason.UNREACHABLE or address not in all_reached


@given(schemas(), kinds_given)
def test_unreachable_is_raised_exactly_when_something_would_be_skipped_as_unreachable(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    skipped = make_plan(input_of(datasets, kinds)).skipped
    lost = [str(item.address) for item in skipped if item.reason is SkipReason.UNREACHABLE]
    try:
        make_plan(input_of(datasets, kinds, OnUnreachable.FAIL))
    except Unreachable as error:
        assert list(error.addresses) == lost != []
    else:
        assert lost == []


@given(schemas())
def test_a_dataset_is_traversable_exactly_when_all_identities_together_reach_everything(
    datasets: tuple[PlacedDataset, ...],
) -> None:
    plan = make_plan(input_of(datasets, frozenset(KINDS)))
    traversable, message = traversability(datasets)
    assert traversable == all(item.reason is not SkipReason.UNREACHABLE for item in plan.skipped)
    assert traversable == (message == "")


@given(schemas(ordered=True), kinds_given)
def test_every_visit_stands_after_all_it_waits_for(datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]) -> None:
    plan = try_plan(input_of(datasets, kinds))
    if plan is None:
        return
    after = {
        Address(item.dataset.key, entry.name): entry.after for item in datasets for entry in item.dataset.collections
    }
    group_of = {node.address: node.group for node in plan.nodes}
    assert [node.address for node in plan.nodes] == [address for group in plan.groups for address in group.nodes]
    for number, group in enumerate(plan.groups):
        assert all(before < number for before in group.upstream)
    for node in plan.nodes:
        upstream = {node.group, *plan.groups[node.group].upstream}
        assert node.links
        assert all(group_of[link.source] in upstream for link in node.links if link.source)
        assert all(group_of[other] in upstream for other in after[node.address] if other in group_of)


@given(schemas(), kinds_given)
def test_collections_share_a_group_exactly_when_values_go_round(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    plan = make_plan(input_of(datasets, kinds))
    addresses = [node.address for node in plan.nodes]
    paths = {(link.source, node.address) for node in plan.nodes for link in node.links if link.source}
    for middle, start, end in product(addresses, repeat=3):
        if (start, middle) in paths and (middle, end) in paths:
            paths.add((start, end))
    group_of = {node.address: node.group for node in plan.nodes}
    for start, end in product(addresses, repeat=2):
        if start != end:
            together = (start, end) in paths and (end, start) in paths
            assert (group_of[start] == group_of[end]) == together
        else:
            assert plan.groups[group_of[start]].cyclic == ((start, start) in paths)


@given(schemas(), kinds_given)
def test_every_declared_link_between_visited_collections_is_used(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    plan = make_plan(input_of(datasets, kinds))
    used = {
        ((link.source, link.source_field), (node.address, link.field))
        for node in plan.nodes
        for link in node.links
        if link.source
    }
    visited = {node.address for node in plan.nodes}
    declared = 0
    for item in datasets:
        for entry in item.dataset.collections:
            here = Address(item.dataset.key, entry.name)
            for name, reference in [(path, each) for path, field in entry.paths().items() for each in field.references]:
                near, far = (here, name), (reference.target, reference.field)
                if here not in visited or reference.target not in visited:
                    continue
                declared += 1
                forward, backward = (near, far) in used, (far, near) in used
                expected = {Direction.TO: forward, Direction.FROM: backward, None: forward or backward}
                assert expected[reference.direction]
    assert len(used) <= declared


@given(schemas(ordered=True), kinds_given, st.randoms(use_true_random=False))
def test_the_order_in_which_datasets_are_given_does_not_matter(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str], shuffler: random.Random
) -> None:
    shuffled = list(datasets)
    shuffler.shuffle(shuffled)
    assert try_plan(input_of(datasets, kinds)) == try_plan(input_of(shuffled, kinds))


@given(schemas(), kinds_given)
def test_the_digest_changes_with_what_the_planner_receives(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    given = input_of(datasets, kinds)
    first, *others = datasets
    switched = replace(first, connection=replace(first.connection, disabled=not first.connection.disabled))
    described = replace(first, dataset=replace(first.dataset, schema="elsewhere"))
    variants = [
        given,
        replace(given, identity_kinds=kinds | {"loyalty_id"}),
        replace(given, dataset_keys=frozenset(item.dataset.key for item in datasets)),
        replace(given, policy=replace(given.policy, rules=RULES[:1])),
        replace(given, datasets=(switched, *others)),
        replace(given, datasets=(described, *others)),
    ]
    assert len({make_plan(variant).digest for variant in variants}) == len(variants)


def without_erase_after(placed: PlacedDataset) -> PlacedDataset:
    collections = tuple(replace(item, erase_after=()) for item in placed.dataset.collections)
    return replace(placed, dataset=replace(placed.dataset, collections=collections))


@settings(max_examples=50)
@given(schemas(ordered=True), kinds_given)
def test_erasure_goes_backwards_through_the_visits(datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]) -> None:
    plan = try_plan(input_of([without_erase_after(placed) for placed in datasets], kinds))
    if plan is None:
        return
    assert [item.address for item in plan.erasure] == [node.address for node in reversed(plan.nodes)]
    assert [item.address for item in plan.access[0].selections] == [node.address for node in plan.nodes]


@given(schemas(ordered=True), kinds_given)
def test_erase_after_is_kept_or_refused_and_moves_nothing_else(
    datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]
) -> None:
    plain = try_plan(input_of([without_erase_after(placed) for placed in datasets], kinds))
    if plain is None:
        return
    base = [item.address for item in plain.erasure]
    waits = {
        Address(item.dataset.key, entry.name): {other for other in entry.erase_after if other in base}
        for item in datasets
        for entry in item.dataset.collections
    }
    expected: list[Address] = []
    while free := [address for address in base if address not in expected and waits[address] <= set(expected)]:
        expected.append(free[0])
    plan = try_plan(input_of(datasets, kinds))
    assert (plan is not None) == (len(expected) == len(base))
    assert plan is None or [item.address for item in plan.erasure] == expected


@given(schemas(), kinds_given)
def test_tables_have_columns_and_links_have_paths(datasets: tuple[PlacedDataset, ...], kinds: frozenset[str]) -> None:
    plan = make_plan(input_of(datasets, kinds))
    for node in plan.nodes:
        assert node.table.columns == ("i", "k", "o", "x")
        assert {link.field for link in node.links} <= {"i", *LINKED}
        assert set(node.feeds) <= {*LINKED}
