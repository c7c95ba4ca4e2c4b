"""Which rows that were read stand after a dataset has changed."""

from dataclasses import replace

import pytest

from habeas.domain.dataset import Address, Match
from habeas.domain.ports import Table
from habeas.planning.comparison import Difference, compare_visits
from habeas.planning.plan import Group, Link, Node, Plan

PEOPLE, ORDERS, ITEMS, VISITS = (Address("shop", name) for name in ("people", "orders", "items", "visits"))


def node(address: Address, *links: Link, feeds: tuple[str, ...] = (), columns: tuple[str, ...] = ("id",)) -> Node:
    return Node(address, "shop", Table(address, columns, ("id",)), links, 0, feeds)


def fed(source: Address, field: str = "id") -> Link:
    return Link("owner", source=source, source_field=field)


MAIL = Link("mail", identity="email")


def plan(*nodes: Node, cycle: tuple[Address, ...] = ()) -> Plan:
    """Nodes in walk order; those of the cycle are one group."""
    groups = [Group((one.address,)) for one in nodes if one.address not in cycle]
    return Plan("digest", "policy", ("email",), nodes, (*groups, *([Group(cycle, cyclic=True)] if cycle else [])))


CHAIN = plan(node(PEOPLE, MAIL), node(ORDERS, fed(PEOPLE)), node(ITEMS, fed(ORDERS)), node(VISITS, MAIL))


def test_the_same_visits_stand() -> None:
    assert compare_visits(CHAIN, CHAIN) == {}


def test_a_new_collection_leaves_what_leads_to_it_alone() -> None:
    fresh = plan(node(PEOPLE, MAIL, feeds=("id",)), node(ORDERS, fed(PEOPLE)))
    assert compare_visits(plan(node(PEOPLE, MAIL)), fresh) == {ORDERS: Difference.NEW}


@pytest.mark.parametrize(
    "changed",
    [
        node(ORDERS, fed(PEOPLE), columns=("id", "note")),
        node(ORDERS, fed(PEOPLE, "mail")),
        node(ORDERS, replace(fed(PEOPLE), match=Match.CASEFOLD)),
        node(ORDERS, fed(PEOPLE), MAIL),
        replace(node(ORDERS, fed(PEOPLE)), connection="archive"),
        replace(node(ORDERS, fed(PEOPLE)), table=Table(ORDERS, ("id",), ("id",), "other")),
        replace(node(ORDERS, fed(PEOPLE)), table=Table(ORDERS, ("id",))),
    ],
)
def test_a_changed_collection_and_all_that_it_leads_to_is_read_anew(changed: Node) -> None:
    fresh = plan(node(PEOPLE, MAIL), changed, node(ITEMS, fed(ORDERS)), node(VISITS, MAIL))
    assert compare_visits(CHAIN, fresh) == {ORDERS: Difference.CHANGED, ITEMS: Difference.UPSTREAM}


def test_the_order_of_links_and_the_place_in_the_walk_change_nothing() -> None:
    old = plan(node(PEOPLE, MAIL), node(ORDERS, MAIL, fed(PEOPLE)))
    assert compare_visits(old, plan(node(PEOPLE, MAIL), replace(node(ORDERS, fed(PEOPLE), MAIL), group=1))) == {}


def test_a_removed_collection_takes_what_it_led_to_with_it_or_changes_it() -> None:
    fresh = plan(node(PEOPLE, MAIL), node(ITEMS, MAIL), node(VISITS, MAIL))
    assert compare_visits(CHAIN, fresh) == {ITEMS: Difference.CHANGED, ORDERS: Difference.REMOVED}


def test_what_was_passed_over_is_read_with_all_that_it_leads_to() -> None:
    assert compare_visits(CHAIN, CHAIN, [ORDERS]) == {ORDERS: Difference.PASSED_OVER, ITEMS: Difference.UPSTREAM}
    assert compare_visits(CHAIN, plan(node(PEOPLE, MAIL)), [ORDERS])[ORDERS] is Difference.REMOVED


def test_a_cycle_is_read_anew_as_a_whole() -> None:
    first, second = node(PEOPLE, MAIL, fed(ORDERS)), node(ORDERS, fed(PEOPLE))
    old = plan(first, second, cycle=(PEOPLE, ORDERS))
    fresh = plan(first, node(ORDERS, fed(PEOPLE), columns=("id", "note")), cycle=(PEOPLE, ORDERS))
    assert compare_visits(old, fresh) == {PEOPLE: Difference.UPSTREAM, ORDERS: Difference.CHANGED}
