"""Others change rows between access and erasure: what is a person's still is masked, and nothing else moves."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from unittest.mock import patch

import routes
from disturbance import disturb
from drawing import SEEDS, UNSHRUNK, draw_world
from expected_masks import Masking, is_targeted, list_maskings
from hypothesis import given, settings
from nesting import Position, change, places, spell
from oracle import Found, State
from recognition import Version
from routes import Refused
from stage import Scene, Stage, spell_row
from worlds import POLICIES, Address, Collection, Row, Secrets

from habeas.execution import erasure
from habeas.execution.run import Done, Failed, Run, Wait
from habeas.execution.steps import STEPS

ERASING = [key for key, facts in POLICIES.items() if facts.erasure and facts.shared == "mask" and not facts.strict]


@settings(UNSHRUNK, max_examples=25)
@given(SEEDS)
def test_what_is_a_persons_still_is_masked_and_nothing_else_moves(stage: Stage, seed: int) -> None:
    random = Random(seed)
    world = draw_world(random, ERASING)
    step = world.steps[0]
    state = State(world)
    try:
        route = routes.route(world, step.kinds)
        routes.check_erasure_order(world, route)
    except Refused:
        return
    people = [state.find(person, route) for person in step.people]
    with stage.set_up(world) as scene:
        ids = stage.submit(step.policy, step.people)
        before = Before(
            {address: dict(rows) for address, rows in state.rows.items()},
            dict(zip(ids, people, strict=True)),
            stage.secrets_of(ids),
        )
        disturb_late(stage, scene, state, random)
        assert {request_id: stage.failure(request_id) for request_id in ids} == dict.fromkeys(ids, "")
        policy = POLICIES[step.policy]
        for item in world.collections:
            maskings = list_maskings(item, policy)
            acts = is_targeted(item, policy) if item.delete else bool(maskings)
            acts = acts and item.address in route.visited and not world.database(item.address).read_only
            acts = acts and state.can_find(item, route, maskings)
            check(scene, state, before, item, maskings if acts else [], delete=acts and item.delete)


@dataclass(frozen=True)
class Before:
    """What was found, and under which secrets it is masked."""

    rows: Mapping[Address, Mapping[int, Row]]
    found: Mapping[str, Found]
    secrets: Mapping[str, Secrets]

    def owners(self, address: Address, number: int) -> list[str]:
        return sorted(request for request, found in self.found.items() if number in found.get(address, ()))


def disturb_late(stage: Stage, scene: Scene, state: State, random: Random) -> None:
    """Run; the rows change when all is found and nothing is erased. The state is what was there just before that."""

    def perform(run: Run) -> Done | Failed | Wait:
        run.context.connectors.close()  # else files would be open still
        for address in disturb(random, state):
            scene.write(address, [list(row.values()) for row in state.rows[address].values()])
        return erasure.perform(run)

    steps = tuple(replace(one, perform=perform) if one.name == "erasure" else one for one in STEPS)
    with patch("habeas.execution.steps.STEPS", steps):
        stage.engine.run()


def check(
    scene: Scene, state: State, before: Before, item: Collection, maskings: Sequence[Masking], *, delete: bool
) -> None:
    """The table holds what it held when erasure began, but for what was a person's."""
    held = state.rows[item.address]
    now = [dict(zip((column.name for column in item.columns), row, strict=True)) for row in scene.values(item.address)]
    if not item.key:
        expected = [
            row for row in (mask_copy(before, item, row, maskings, delete=delete) for row in held.values()) if row
        ]
        assert Counter(spell_row(item, row.values()) for row in now) == Counter(
            spell_row(item, row.values()) for row in expected
        )
        return
    found = {spell([row[name] for name in item.key]): row for row in now}
    kept = {n: row for n, row in held.items() if not (delete and before.owners(item.address, n))}
    assert sorted(found) == sorted(spell([row[name] for name in item.key]) for row in kept.values())
    for number, row in kept.items():
        check_row(before, item, number, row, found[spell([row[name] for name in item.key])], maskings)


def mask_copy(before: Before, item: Collection, row: Row, maskings: Sequence[Masking], *, delete: bool) -> Row | None:
    """A row of a table without key as it must be: one that holds what an owned row held is that row."""
    declared = sorted(column.name for column in item.columns if column.declared)
    for number, original in before.rows[item.address].items():
        owners = before.owners(item.address, number)
        if owners and all(spell(original[name]) == spell(row[name]) for name in declared):
            if delete:
                return None
            key = [original[name] for name in declared]
            masked = {one.path[0]: one.apply(original[one.path[0]], key, before.secrets[owners[0]]) for one in maskings}
            return {**row, **masked}
    return row


def check_row(before: Before, item: Collection, number: int, held: Row, now: Row, maskings: Sequence[Masking]) -> None:
    """Wherever a masking may not have acted the row is as it was; wherever it must have, it did."""
    owners = before.owners(item.address, number)
    expected: Any = held
    for masking in maskings if owners else ():
        original = before.rows[item.address][number]
        key = [original[name] for name in sorted(item.key)]

        def mask(value: Any, masking: Masking = masking, key: list[Any] = key) -> Any:
            return masking.apply(value, key, before.secrets[owners[0]])

        if not item.column(masking.path[0]).is_nested:
            expected = {**expected, masking.path[0]: mask(original[masking.path[0]])}
            continue
        versions = [Version(original, before.found[request][item.address][number]) for request in owners]
        outcomes = {
            position: outcome(masking, versions, held, position, value, mask)
            for position, value in places(held, masking.path)
        }

        def settle(position: Position, value: Any, outcomes: Any = outcomes, now: Row = now) -> Any:
            allowed = outcomes[position]
            actual = value_at(now, position)
            return actual if spell(actual) in {spell(one) for one in allowed} else allowed[0]

        expected = change(expected, settle, masking.path)
    assert spell_row(item, now.values()) == spell_row(item, expected.values())


def outcome(
    masking: Masking,
    versions: Sequence[Version],
    held: Row,
    position: Position,
    value: Any,
    mask: Callable[[Any], Any],
) -> list[Any]:
    """What may stand at a place afterwards: itself, its mask, or where others wrote something new a mask or null."""
    origins = [version.at(origin) for version in versions for origin in version.origins(held, position)]
    if not origins or (value is None and masking.column.array and isinstance(position[-1], str)):
        return [value]
    known = [origin for origin in origins if origin is not ...]
    if any(spell(origin) == spell(value) for origin in known):
        return [mask(value)]
    if value is None:
        return [None]
    return [None, *(mask(leaf) for origin in known for leaf in _leaves(origin))]


def _leaves(value: Any) -> Iterator[Any]:
    """What is no array inside of one."""
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    else:
        yield value


def value_at(row: Row, position: Position) -> Any:
    """What stands at a place; for nothing, something that is never allowed."""
    here: Any = row
    for step in position:
        if isinstance(here, dict):
            here = here.get(step, {"nothing": True})
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return {"nothing": True}
    return here
