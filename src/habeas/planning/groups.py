"""Groups: collections that are visited together, because values go round between them, and their order.

A cycle of references is one group, run to a fix-point (data-plane §2.2, weakness 17; design §3).
"""

from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from habeas.domain.dataset import Address
from habeas.planning.plan import Group
from habeas.planning.traversal import Walk, refuse_order


def form_groups(walked: Walk, after: Mapping[Address, Container[Address]]) -> tuple[Group, ...]:
    """Groups in an order in which each stands after its upstream, else in walk order.

    Raises DatasetError when `after` and the references contradict each other.
    """
    onward: dict[Address, list[Address]] = {address: [] for address in walked.order}
    loops = set()
    for edge in walked.edges:
        onward[edge.source.address].append(edge.target.address)
        if edge.source.address == edge.target.address:
            loops.add(edge.source.address)
    components = find_components(walked.order, onward)
    home = {address: number for number, members in enumerate(components) for address in members}
    upstream: list[set[int]] = [set() for _ in components]
    for address in walked.order:
        for other in onward[address]:
            upstream[home[other]].add(home[address])
        upstream[home[address]].update(home[other] for other in after[address] if other in home)
    for number, before in enumerate(upstream):
        before.discard(number)

    order = _sort(components, upstream)
    place = {number: position for position, number in enumerate(order)}
    return tuple(
        Group(
            nodes=tuple(components[number]),
            upstream=tuple(sorted(place[other] for other in upstream[number])),
            cyclic=len(components[number]) > 1 or components[number][0] in loops,
        )
        for number in order
    )


def find_components(order: Sequence[Address], onward: Mapping[Address, Sequence[Address]]) -> list[list[Address]]:
    """Strongly connected components by Kosaraju's two passes; they and their members stand in the order given."""
    backward: dict[Address, list[Address]] = {address: [] for address in order}
    for address in order:
        for other in onward[address]:
            backward[other].append(address)
    leader: dict[Address, Address] = {}
    for start in reversed(_postorder(order, onward)):
        stack = [start]
        while stack:
            here = stack.pop()
            if here not in leader:
                leader[here] = start
                stack.extend(backward[here])
    members: dict[Address, list[Address]] = {}
    for address in order:
        members.setdefault(leader[address], []).append(address)
    return list(members.values())


def _postorder(order: Iterable[Address], onward: Mapping[Address, Sequence[Address]]) -> list[Address]:
    entered: set[Address] = set()
    left: list[Address] = []
    for start in order:
        if start in entered:
            continue
        entered.add(start)
        stack = [(start, iter(onward[start]))]
        while stack:
            here, others = stack[-1]
            following = next((other for other in others if other not in entered), None)
            if following is None:
                left.append(here)
                stack.pop()
            else:
                entered.add(following)
                stack.append((following, iter(onward[following])))
    return left


def _sort(components: Sequence[Sequence[Address]], upstream: Sequence[Container[int]]) -> list[int]:
    downstream: list[list[int]] = [[] for _ in components]
    for number, before in enumerate(upstream):
        for other in before:
            downstream[other].append(number)
    waits_for = [len(before) for before in upstream]
    ready = [number for number, count in enumerate(waits_for) if count == 0]
    heapify(ready)
    order = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for other in downstream[number]:
            waits_for[other] -= 1
            if waits_for[other] == 0:
                heappush(ready, other)
    if len(order) < len(components):
        done = set(order)
        raise refuse_order(
            address for number, members in enumerate(components) if number not in done for address in members
        )
    return order
