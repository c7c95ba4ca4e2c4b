"""The random worlds hold what the other tests are to meet: a generator that draws only easy cases proves nothing."""

from collections import Counter
from collections.abc import Iterator
from random import Random

from drawing import draw_world
from oracle import Arrow, Found, Refused, State
from worlds import POLICIES, TEXT, Step, World

from habeas.masking.registry import generate_request_secrets, strategies

WORLDS = 300
COMMON = {
    "a world of one collection",
    "a world of ten or more collections",
    "three databases",
    "SQLite and PostgreSQL in one world",
    "a run of more than thirty people",
    "a person who owns nothing",
    "a row of several people",
    "a row of a composite key with 0 in it",
    "a row of a composite key with an empty text in it",
    "a row of a collection without a key",
    "the same row twice",
    "a row with null",
    "a row with unicode",
    "values go round",
    "an order to keep",
    "an order that cannot be kept",
    "a collection that nothing leads to",
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
    "a masked row that is found again later",
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
    if len({database.kind for database in world.databases}) == 2:
        yield "SQLite and PostgreSQL in one world"
    state = State(world)
    masked: set[tuple[object, int]] = set()
    for step in world.steps:
        try:
            visited, arrows = state.visits(step.kinds), state.arrows(step.kinds)
        except Refused:
            yield "an order that cannot be kept"
            continue
        if state.lost(step.kinds):
            yield "a collection that nothing leads to"
        if any(state.waits_for(address, visited) for address in visited):
            yield "an order to keep"
        found = [state.find(person, arrows, visited) for person in step.people]
        yield from _list_of_people(state, step, found)
        owned = {(address, place) for own in found for address, places in own.items() for place in places}
        for arrow in arrows:
            yield from _list_of_link(state, arrow, {place for address, place in owned if address == arrow.source[0]})
        if masked & owned:
            yield "a masked row that is found again later"
        if POLICIES[step.policy].erasure:
            requests = {str(number): own for number, own in enumerate(found)}
            secrets = {**generate_request_secrets(strategies()), "derived": {"key": "key"}}
            changed = state.erase(POLICIES[step.policy], requests, dict.fromkeys(requests, secrets))
            masked |= {item for item in owned if any(":".join(item[0]) in counts for counts in changed.values())}


def _list_of_people(state: State, step: Step, found: list[Found]) -> Iterator[str]:
    if len(step.people) > 30:
        yield "a run of more than thirty people"
    if not all(any(own.values()) for own in found):
        yield "a person who owns nothing"
    owners = Counter((address, place) for own in found for address, places in own.items() for place in places)
    if any(count > 1 for count in owners.values()):
        yield "a row of several people"
    for address, place in owners:
        key, row = state.world.collection(address).key, state.rows[address][place]
        values = [row[name] for name in key]
        if len(key) > 1 and 0 in values:
            yield "a row of a composite key with 0 in it"
        if len(key) > 1 and "" in values:
            yield "a row of a composite key with an empty text in it"
        if not key:
            yield "a row of a collection without a key"
        if state.rows[address].count(row) > 1:
            yield "the same row twice"
        if None in row.values():
            yield "a row with null"
        if any(isinstance(value, str) and not value.isascii() for value in row.values()):
            yield "a row with unicode"


def _list_of_link(state: State, arrow: Arrow, places: set[int]) -> Iterator[str]:
    """What there is to say of a link that leads from these rows to others."""
    leading = [place for place in places if state.follow(arrow, [place])]
    if not leading:
        return
    yield "a link that finds rows"
    values = [state.rows[arrow.source[0]][place][arrow.source[1]] for place in leading]
    if any(value == 0 for value in values):
        yield "a link of value 0 that finds rows"
    if "" in values:
        yield "a link of an empty text that finds rows"
    if any(isinstance(value, str) and not value.isascii() for value in values):
        yield "a link of unicode text that finds rows"
    world = state.world
    if world.home[arrow.source[0][0]] != world.home[arrow.target[0][0]]:
        yield "a link between databases that finds rows"
    ends = [world.collection(address).column(name) for address, name in (arrow.source, arrow.target)]
    if [column.type == TEXT for column in ends].count(True) == 1:
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
