"""The order of erasure: reverse of the visits, but for `erase_after` and for rows that are deleted (data-plane §2.9).

Rows that refer to others by a foreign key go before them. `erase_after` is kept or refused; an order that only
foreign keys contradict is broken with a warning, and the store has the last word.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from habeas.domain.dataset import Address
from habeas.domain.errors import DatasetError
from habeas.planning.columns import NO_FACTS, TableFacts
from habeas.planning.graph import Edge, Place

_Waits = dict[Address, dict[Address, bool]]
"""Collection → those to be erased before it, and whether that must be kept."""


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """Every visited collection, in order, and what could not be kept."""

    addresses: tuple[Address, ...]
    warnings: tuple[str, ...] = ()


def order_erasure(
    visited: Sequence[Place],
    edges: Iterable[Edge] = (),
    deleting: Container[Address] = (),
    facts: Mapping[Address, TableFacts] | None = None,
) -> ErasureOrder:
    """Order collections for erasure. Raises DatasetError when `erase_after` forms a ring.

    `deleting`: collections whose rows are deleted.
    """
    waits = _declared(visited)
    for parent, child in _find_children(visited, edges, deleting, facts or {}):
        waits[parent].setdefault(child, False)
    return _sort([place.address for place in reversed(visited)], waits)


def _declared(visited: Sequence[Place]) -> _Waits:
    known = {place.address for place in visited}
    return {
        place.address: {other: True for other in place.collection.erase_after if other in known} for place in visited
    }


def _find_children(
    visited: Sequence[Place],
    edges: Iterable[Edge],
    deleting: Container[Address],
    facts: Mapping[Address, TableFacts],
) -> list[tuple[Address, Address]]:
    """Collections that are deleted from, each with one that refers to it."""
    places = {place.address: place for place in visited}
    tables = {
        (place.connection.key, table.name): address
        for address, place in places.items()
        if (table := facts.get(address, NO_FACTS)).known
    }
    found = [
        (address, tables[place.connection.key, child])
        for address, place in places.items()
        if address in deleting
        for child in sorted(facts.get(address, NO_FACTS).children, key=str)
        if (place.connection.key, child) in tables
    ]
    for edge in edges:
        for parent, child in ((edge.source, edge.target), (edge.target, edge.source)):
            if (
                parent.address in deleting
                and parent.address != child.address
                and not facts.get(parent.address, NO_FACTS).known
                and places[parent.address].connection.key == places[child.address].connection.key
                and places[parent.address].fields[parent.field].primary_key
                and not places[child.address].fields[child.field].primary_key
            ):
                found.append((parent.address, child.address))
    return found


def _sort(base: Sequence[Address], waits: _Waits) -> ErasureOrder:
    """The base order, changed no more than it must be."""
    rank = {address: number for number, address in enumerate(base)}
    behind: dict[Address, list[Address]] = {address: [] for address in base}
    for address, others in waits.items():
        for other in others:
            behind[other].append(address)
    ready = [rank[address] for address in base if not waits[address]]
    heapify(ready)
    order: list[Address] = []
    warnings: list[str] = []
    while len(order) < len(base):
        if not ready:
            parent, child = _break_ring(rank, waits)
            warnings.append(
                f"rows of {parent} are deleted before those of {child} that refer to them, since the order forms a "
                "ring: the store may refuse it"
            )
            del waits[parent][child]
            behind[child].remove(parent)
            if not waits[parent]:
                heappush(ready, rank[parent])
            continue
        here = base[heappop(ready)]
        order.append(here)
        for address in behind[here]:
            del waits[address][here]
            if not waits[address]:
                heappush(ready, rank[address])
    return ErasureOrder(tuple(order), tuple(warnings))


def _break_ring(rank: Mapping[Address, int], waits: _Waits) -> tuple[Address, Address]:
    """The first wait of a ring that need not be kept. Raises DatasetError when all must be."""
    here = min((address for address, others in waits.items() if others), key=rank.__getitem__)
    trail: list[Address] = []
    while here not in trail:
        trail.append(here)
        here = min(waits[here], key=rank.__getitem__)
    ring = trail[trail.index(here) :]
    for parent, child in zip(ring, (*ring[1:], ring[0]), strict=True):
        if not waits[parent][child]:
            return parent, child
    names = ", ".join(map(str, sorted(ring)))
    raise DatasetError(
        f"these collections cannot be erased in the given order: {names}",
        hint="change their `erase_after`: it forms a ring",
    )
