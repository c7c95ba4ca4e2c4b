"""Reach: which collections the identities given can find, and what the others would need (data-plane §2.5).

Works on any graph; knows no policy and no order of visits.
"""

from collections import deque
from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping

from habeas.domain.dataset import Address
from habeas.planning.graph import Graph, Place


def find_roots(graph: Graph, kinds: Container[str]) -> tuple[Address, ...]:
    """Collections with a field of one of these identity kinds, sorted by address."""
    return tuple(
        address
        for address, place in graph.places.items()
        if any(item.identity in kinds for item in place.fields.values() if item.identity is not None)
    )


def find_reached(graph: Graph, roots: Iterable[Address]) -> dict[Address, Address | None]:
    """Every collection that values can travel to, with the one it was first found from; None for a root."""
    found: dict[Address, Address | None] = dict.fromkeys(roots)
    queue = deque(found)
    while queue:
        here = queue.popleft()
        for there in graph.onward[here]:
            if there not in found:
                found[there] = here
                queue.append(there)
    return found


def find_needed_kinds(graph: Graph, unreached: Iterable[Address]) -> dict[Address, tuple[str, ...]]:
    """For each collection the identity kinds that would reach it, sorted; empty when none would."""
    needed: dict[Address, list[str]] = {address: [] for address in unreached}
    for kind in sorted(find_kinds(graph.places.values())):
        reached = find_reached(graph, find_roots(graph, {kind}))
        for address, kinds in needed.items():
            if address in reached:
                kinds.append(kind)
    return {address: tuple(kinds) for address, kinds in needed.items()}


def find_kinds(places: Iterable[Place]) -> frozenset[str]:
    """All identity kinds that fields of these collections declare."""
    return frozenset(item.identity for place in places for item in place.fields.values() if item.identity is not None)


def find_gate(address: Address, came_from: Mapping[Address, Address | None], left_out: Container[Address]) -> Address:
    """The last collection on the way to `address` that is left out; one must stand there."""
    here: Address | None = address
    while here is not None and here not in left_out:
        here = came_from[here]
    if here is None:
        raise ValueError(f"nothing on the way to {address} is left out")
    return here
