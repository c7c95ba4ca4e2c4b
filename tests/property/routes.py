"""Who is visited, in which order, along which links (data-plane §2.1, 2.2; design §3): the oracle's own reading."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from worlds import Address, Link, World


class Refused(Exception):
    """No such request may be carried out; the text is part of what its error must say."""


@dataclass(frozen=True)
class Arrow:
    """A link with its direction settled."""

    source: tuple[Address, str]
    target: tuple[Address, str]
    link: Link


@dataclass(frozen=True)
class Route:
    """What is visited, in order, along which arrows; collections between which values go round are one group."""

    kinds: frozenset[str]
    visited: tuple[Address, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[frozenset[Address], ...]


def roots(world: World, kinds: Iterable[str]) -> list[Address]:
    wanted = set(kinds)
    return sorted(
        item.address for item in world.collections if any(column.identity in wanted for column in item.paths().values())
    )


def reach(world: World, kinds: Iterable[str], *, also_skipped: bool) -> set[Address]:
    skipped = {item.address for item in world.collections if item.skipped and not also_skipped}
    reached = set(roots(world, kinds)) - skipped
    while True:
        more = {address for here in reached for address in _neighbours(world, here)} - reached - skipped
        if not more:
            return reached
        reached |= more


def lost(world: World, kinds: Iterable[str]) -> set[Address]:
    """Collections that no way leads to, not even through those that are left out."""
    everything = {item.address for item in world.collections if not item.skipped}
    return everything - reach(world, kinds, also_skipped=True)


def _neighbours(world: World, here: Address) -> list[Address]:
    """Where values may go from a collection, by address."""
    found = {link.target[0] for link in world.links if link.source[0] == here}
    found |= {link.source[0] for link in world.links if link.undirected and link.target[0] == here}
    return sorted(found)


def waits_for(world: World, address: Address, among: Iterable[Address]) -> set[Address]:
    before = set(world.dataset_after.get(address[0], ()))
    named = set(world.collection(address).after)
    return {other for other in among if other in named or other[0] in before}


def visits(world: World, kinds: Iterable[str]) -> list[Address]:
    """The order of visits: first found first visited, but after those it is to come after."""
    reached = reach(world, kinds, also_skipped=False)
    known = [address for address in roots(world, kinds) if address in reached]
    order: list[Address] = []
    while True:
        ready = [a for a in known if a not in order and waits_for(world, a, reached) <= set(order)]
        if not ready:
            break
        order.append(ready[0])
        known += [a for a in _neighbours(world, ready[0]) if a in reached and a not in known]
    if set(order) != reached:
        raise Refused("cannot be reached in the given order")
    return order


def route(world: World, kinds: Iterable[str]) -> Route:
    """Links between visited collections. Raises Refused when `after` contradicts the links."""
    order = visits(world, kinds)
    arrows = []
    for link in world.links:
        if link.source[0] not in order or link.target[0] not in order:
            continue
        back = link.undirected and order.index(link.source[0]) > order.index(link.target[0])
        arrows.append(Arrow(link.target, link.source, link) if back else Arrow(link.source, link.target, link))
    _check_order(world, order, arrows)
    return Route(frozenset(kinds), tuple(order), tuple(arrows), tuple(_group(order, arrows)))


def _check_order(world: World, order: Sequence[Address], arrows: Sequence[Arrow]) -> None:
    """What feeds, or must come before; round about only where values go round too."""
    feeds = _closure({(arrow.source[0], arrow.target[0]) for arrow in arrows})
    waits = {(other, here) for here in order for other in waits_for(world, here, order)}
    apart = {(a, b) for a, b in feeds | waits if a != b and not ({(a, b), (b, a)} <= feeds)}
    before = _closure(apart | {(a, b) for a, b in feeds if (b, a) in feeds})
    if any((b, a) in before for a, b in apart):
        raise Refused("cannot be reached in the given order")


def check_erasure_order(world: World, route: Route) -> None:
    """Raises Refused when `erase_after` forms a ring."""
    waits = {(here, other) for here in route.visited for other in world.collection(here).erase_after}
    if any((here, here) in _closure({w for w in waits if w[1] in route.visited}) for here in route.visited):
        raise Refused("cannot be erased in the given order")


def _group(order: Sequence[Address], arrows: Iterable[Arrow]) -> Iterator[frozenset[Address]]:
    """Collections between which values go round together, each group after those that feed it."""
    feeds = _closure({(arrow.source[0], arrow.target[0]) for arrow in arrows})
    group_of = {a: frozenset({a, *(b for b in order if {(a, b), (b, a)} <= feeds)}) for a in order}
    left = list(dict.fromkeys(group_of.values()))
    while left:
        ready = next(g for g in left if not any((a, b) in feeds for h in left if h != g for a in h for b in g))
        left.remove(ready)
        yield ready


def _closure(pairs: set[tuple[Address, Address]]) -> set[tuple[Address, Address]]:
    while True:
        more = {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs
        if not more:
            return pairs
        pairs = pairs | more
