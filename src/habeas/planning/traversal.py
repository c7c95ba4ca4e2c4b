"""The walk: fixes the order of visits and the direction of undirected links (data-plane §2.2).

It starts at the collections that hold an identity and goes along the edges, first found first visited. A
collection waits for those named in its `after`. Nothing is queried here: the walk only derives who feeds whom.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heappop, heappush

from habeas.domain.dataset import Address
from habeas.domain.errors import DatasetError
from habeas.planning.graph import Edge, Graph


@dataclass(frozen=True, slots=True)
class Walk:
    """`order` of visits, and `edges` between visited collections, all with a direction."""

    order: tuple[Address, ...]
    edges: tuple[Edge, ...]


def walk(graph: Graph, roots: Iterable[Address], reached: AbstractSet[Address]) -> Walk:
    """Visit every reached collection once. Raises DatasetError when `after` leaves some waiting for ever."""
    awaited = {address: {other for other in graph.after[address] if other in reached} for address in reached}
    awaiting: dict[Address, list[Address]] = {}
    for address, others in awaited.items():
        for other in others:
            awaiting.setdefault(other, []).append(address)

    found: dict[Address, int] = {}  # place in the queue
    ready: list[tuple[int, Address]] = []
    order: dict[Address, int] = {}

    def discover(addresses: Iterable[Address]) -> None:
        for address in addresses:
            if address not in found:
                found[address] = len(found)
                if not awaited[address]:
                    heappush(ready, (found[address], address))

    discover(roots)
    while ready:
        _, here = heappop(ready)
        order[here] = len(order)
        for waiting in awaiting.get(here, ()):
            awaited[waiting].discard(here)
            if not awaited[waiting] and waiting in found:
                heappush(ready, (found[waiting], waiting))
        discover(graph.onward[here])
    if len(order) < len(reached):
        raise refuse_order(reached - order.keys())
    return Walk(tuple(order), _direct(graph, order))


def refuse_order(stuck: Iterable[Address]) -> DatasetError:
    """The error for collections whose `after` cannot be kept."""
    names = ", ".join(map(str, sorted(stuck)))
    return DatasetError(
        f"these collections cannot be reached in the given order: {names}",
        hint="change their `after`: it forms a ring, with itself or with the references",
    )


def _direct(graph: Graph, order: Mapping[Address, int]) -> tuple[Edge, ...]:
    """Directed edges as declared, undirected ones from the collection visited first to the other."""
    edges: dict[Edge, None] = {}
    for edge in graph.directed:
        if edge.source.address in order and edge.target.address in order:
            edges[edge] = None
    for edge in graph.undirected:
        if edge.source.address in order and edge.target.address in order:
            forward = order[edge.source.address] < order[edge.target.address]
            edges[edge if forward else Edge(edge.target, edge.source)] = None
    return tuple(edges)
