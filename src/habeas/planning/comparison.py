"""Two plans compared, visit by visit: which rows that were read under the one stand under the other.

A kept row stands when a run of the new plan alone would have read the same. Pure, like all of planning.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import TypeAlias

from habeas.domain.dataset import Address
from habeas.planning.plan import Link, Node, Plan


class Difference(StrEnum):
    """Why what is known of a collection does not stand, in the words of the execution log."""

    NEW = "it is planned in: the plan had no such collection before"
    CHANGED = "it is read anew: the way it is read has changed since"
    UPSTREAM = "it is read anew: what leads to it is read anew"
    PASSED_OVER = "it is read after all: it had been passed over"
    REMOVED = "it is left out: it is not part of the plan any more"


Differences: TypeAlias = dict[Address, Difference]
"""By collection, in walk order, those that are left out at the end. What is missing stands."""


def compare_visits(old: Plan, new: Plan, passed_over: Collection[Address] = ()) -> Differences:
    """Collections whose rows of the old plan do not stand under the new one, and those that have become part of it.

    `passed_over`: collections that nobody asked, though the old plan has them. What a changed collection leads to, and
    all of a cycle with one in it, is read anew. Fields that have only come to lead on elsewhere change nothing: every
    declared field was read.
    """
    before = {node.address: node for node in old.nodes}
    nodes = {node.address: node for node in new.nodes}
    found: Differences = {}
    for group in new.groups:
        own = {address: _compare(before.get(address), nodes[address], passed_over) for address in group.nodes}
        sources = {link.source for address in group.nodes for link in nodes[address].links}
        if any(own.values()) or not sources.isdisjoint(found):
            found |= {address: difference or Difference.UPSTREAM for address, difference in own.items()}
    return found | {address: Difference.REMOVED for address in before if address not in nodes}


def _compare(old: Node | None, new: Node, passed_over: Collection[Address]) -> Difference | None:
    if old is None:
        return Difference.NEW
    if _visit(old) != _visit(new):
        return Difference.CHANGED
    return Difference.PASSED_OVER if new.address in passed_over else None


def _visit(node: Node) -> tuple[object, ...]:
    """What decides which rows a collection gives, beside the values that lead to it."""
    links: frozenset[Link] = frozenset(node.links)
    return node.connection, node.table, links
