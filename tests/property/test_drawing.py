"""The random worlds hold what the other tests are to meet: a generator that draws only easy cases proves nothing."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import routes
from drawing import draw_world
from expected_masks import is_targeted, list_maskings
from nesting import arrays, holds, is_own, places
from oracle import Erasure, Found, State
from routes import Arrow, Refused, Route
from worlds import ANY, POLICIES, TEXT, Address, Step, World

from habeas.masking.registry import generate_request_secrets, strategies

WORLDS = 300
COMMON = {
    "a world of one collection",
    "a world of ten or more collections",
    "three databases",
    "several kinds of stores in one world",
    "a run of more than thirty people",
    "a person who owns nothing",
    "a row of several people",
    "a row of a composite key with 0 in it",
    "a row of a composite key with an empty text in it",
    "a row of a collection without a key",
    "the same row twice",
    "a row with null",
    "a row with unicode",
    "a row that is deleted",
    "a row without key that is deleted",
    "a row without key that is masked",
    "a row that others own too and that is left",
    "a row that others own too and that is reported",
    "values go round",
    "an order to keep",
    "an order that cannot be kept",
    "an order of erasure to keep",
    "a collection that nothing leads to",
    "a collection with a category",
    "a link that finds rows",
    "a link of value 0 that finds rows",
    "a link of an empty text that finds rows",
    "a link of unicode text that finds rows",
    "a link between databases that finds rows",
    "a link between text and integer that finds rows",
    "a link to its own collection that finds rows",
    "a link declared twice that finds rows",
    "an undirected link that finds rows",
    "an undirected link that finds rows against its declaration",
    "a link from inside that finds rows",
    "a link to inside that finds rows",
    "a link from inside to inside that finds rows",
    "a link from one of a person's elements and not from others",
    "a masked row that is found again later",
    "a document of which a person owns a part",
    "a document of which a person owns a part in a part",
    "a document whose parts are several people's",
    "a typed array or object of which a person owns a part",
    "an array in an array of which a person owns a part",
    "an array returned whole",
    "an element that is masked",
    "an object that is masked as one",
    "a package of documents as CSV",
    "an encrypted package",
    "values go round through parts of documents",
}


def test_worlds_hold_every_case_several_times() -> None:
    seen: Counter[str] = Counter()
    for seed in range(WORLDS):
        seen.update(set(list_traits(draw_world(Random(seed)))))
    assert {trait: seen[trait] for trait in COMMON if seen[trait] < 3} == {}
    assert set(seen) == COMMON


def list_traits(world: World) -> Iterator[str]:
    if len(world.collections) == 1:
        yield "a world of one collection"
    if len(world.collections) >= 10:
        yield "a world of ten or more collections"
    if len(world.databases) == 3:
        yield "three databases"
    if len({database.kind for database in world.databases}) > 1:
        yield "several kinds of stores in one world"
    state = State(world)
    masked: set[tuple[object, int]] = set()
    for step in world.steps:
        try:
            route = routes.route(world, step.kinds)
            routes.check_erasure_order(world, route)
        except Refused:
            yield "an order that cannot be kept"
            continue
        if routes.lost(world, step.kinds):
            yield "a collection that nothing leads to"
        if any(routes.waits_for(world, address, route.visited) for address in route.visited):
            yield "an order to keep"
        found = [state.find(person, route) for person in step.people]
        owned = {(address, row) for own in found for address, rows in own.items() for row in rows}
        yield from _list_of_people(state, step, found)
        yield from _list_of_parts(state, route, step, found)
        for arrow in route.arrows:
            yield from _list_of_link(state, arrow, found)
        if masked & owned:
            yield "a masked row that is found again later"
        if POLICIES[step.policy].erasure:
            yield from _list_of_erasure(state, step, route, found)
            masked |= owned


def _list_of_people(state: State, step: Step, found: list[Found]) -> Iterator[str]:
    if len(step.people) > 30:
        yield "a run of more than thirty people"
    if not all(any(own.values()) for own in found):
        yield "a person who owns nothing"
    owners = Counter((address, row) for own in found for address, rows in own.items() for row in rows)
    if any(count > 1 for count in owners.values()):
        yield "a row of several people"
    for address, number in owners:
        item, row = state.world.collection(address), state.rows[address][number]
        values = [row[name] for name in item.key]
        if len(item.key) > 1 and 0 in values:
            yield "a row of a composite key with 0 in it"
        if len(item.key) > 1 and "" in values:
            yield "a row of a composite key with an empty text in it"
        if not item.key:
            yield "a row of a collection without a key"
        if list(state.rows[address].values()).count(row) > 1:
            yield "the same row twice"
        if None in row.values():
            yield "a row with null"
        if any(isinstance(value, str) and not value.isascii() for value in row.values()):
            yield "a row with unicode"
        if item.category:
            yield "a collection with a category"
        if step.key and POLICIES[step.policy].access:
            yield "an encrypted package"
        if step.format == "csv" and POLICIES[step.policy].access and any(c.is_nested for c in item.columns):
            yield "a package of documents as CSV"


def _list_of_parts(state: State, route: Route, step: Step, found: list[Found]) -> Iterator[str]:
    """What there is to say of elements that are some person's while others of the same array are not."""
    parts: Counter[tuple[Address, int]] = Counter()
    for address, number, matches in ((a, n, m) for own in found for a, rows in own.items() for n, m in rows.items()):
        item, row = state.world.collection(address), state.rows[address][number]
        cut = False
        for path, column in item.paths().items():
            for position, _ in places(row, path.split(".")):
                if column.all_elements and any(arrays(position)) and not is_own(position, matches):
                    continue
                if column.all_elements and any(arrays(position)):
                    yield "an array returned whole"
                if is_own(position, matches):
                    continue
                cut = True
                typed = not any(c.is_document and c.name == position[0] for c in item.columns)
                yield (
                    "a typed array or object of which a person owns a part"
                    if typed
                    else ("a document of which a person owns a part")
                )
                outer = [array for array in arrays(position) if holds(array, matches)]
                if len(outer) > 1 and holds(outer[-1], matches) and is_own(outer[-1], matches):
                    yield "a document of which a person owns a part in a part"
                    if any(isinstance(array[-1], int) for array in outer):
                        yield "an array in an array of which a person owns a part"
        parts[address, number] += cut
    if any(count > 1 for count in parts.values()):
        yield "a document whose parts are several people's"
    for group in route.groups:
        inner = [a for a in route.arrows if {a.source[0], a.target[0]} <= group]
        if inner and any(parts[address, number] for address, number in parts if address in group):
            yield "values go round through parts of documents"


def _list_of_erasure(state: State, step: Step, route: Route, found: list[Found]) -> Iterator[str]:
    """Carries the erasure out."""
    policy = POLICIES[step.policy]
    requests = {str(number): own for number, own in enumerate(found)}
    secrets = {**generate_request_secrets(strategies()), "derived": {"key": "key"}}
    targeted = [state.world.collection(a) for a in route.visited if is_targeted(state.world.collection(a), policy)]
    if any(set(item.erase_after) & {other.address for other in targeted} for item in targeted):
        yield "an order of erasure to keep"
    effects = state.erase(Erasure(policy, route, requests, dict.fromkeys(requests, secrets)))
    for item in targeted:
        done = [own[":".join(item.address)] for own in effects.values() if ":".join(item.address) in own]
        if any(effect.changed for effect in done):
            if item.delete:
                yield "a row that is deleted"
            if not item.key:
                yield f"a row without key that is {'deleted' if item.delete else 'masked'}"
            if any(masking.inside for masking in list_maskings(item, policy)):
                yield "an element that is masked"
            if any(masking.column.fields for masking in list_maskings(item, policy)):
                yield "an object that is masked as one"
        if any(effect.shared for effect in done):
            yield f"a row that others own too and that is {'left' if policy.shared == 'skip' else 'reported'}"


def _list_of_link(state: State, arrow: Arrow, found: list[Found]) -> Iterator[str]:
    """What there is to say of a link that leads from these rows to others."""
    rows = {number for own in found for number in own[arrow.source[0]]}
    leading = [number for number in rows if state.follow(arrow, number)]
    if not leading:
        return
    yield "a link that finds rows"
    (source, path), world = arrow.source, state.world
    values = [value for number in leading for _, value in places(state.rows[source][number], path.split("."))]
    if any(value == 0 for value in values):
        yield "a link of value 0 that finds rows"
    if "" in values:
        yield "a link of an empty text that finds rows"
    if any(isinstance(value, str) and not value.isascii() for value in values):
        yield "a link of unicode text that finds rows"
    if world.home[source[0]] != world.home[arrow.target[0][0]]:
        yield "a link between databases that finds rows"
    inside = ["." in path, "." in arrow.target[1]]
    if any(inside):
        yield "a link {} inside that finds rows".format(
            "from inside to" if all(inside) else "from" if inside[0] else "to"
        )
    if any(
        not is_own(position, own[source][number])
        for own in found
        for number in own[source]
        for position, value in places(state.rows[source][number], path.split("."))
        if value is not None
    ):
        yield "a link from one of a person's elements and not from others"
    ends = [world.collection(address).column(name) for address, name in (arrow.source, arrow.target)]
    if ANY not in (ends[0].type, ends[1].type) and [column.type == TEXT for column in ends].count(True) == 1:
        yield "a link between text and integer that finds rows"
    if arrow.source[0] == arrow.target[0]:
        yield "a link to its own collection that finds rows"
        yield "values go round"
    if arrow.link.at_source + arrow.link.at_target > 1:
        yield "a link declared twice that finds rows"
    if arrow.link.undirected:
        yield "an undirected link that finds rows"
        if arrow.source == arrow.link.target:
            yield "an undirected link that finds rows against its declaration"
