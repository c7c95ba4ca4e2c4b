"""Set-based is the same as one by one: a run of many gives each what a run of its own would have given."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawing import UNSHRUNK, draw_world
from oracle import Refused, State
from stage import Scene, Stage
from worlds import INTEGER, TEXT, Address, Collection, Column, Database, Person, World

many = settings(UNSHRUNK, max_examples=40)
randoms = st.randoms(use_true_random=True)


@many
@given(randoms.map(lambda random: draw_world(random, ["give", "give_contact"])))
def test_packages_of_one_run_are_byte_for_byte_those_of_many_runs(stage: Stage, world: World) -> None:
    with stage.set_up(world):
        for step in world.steps:
            together = stage.carry(step.policy, step.people)
            alone = [stage.carry(step.policy, [person])[0] for person in step.people]
            assert read_packages(stage, together) == read_packages(stage, alone)


@many
@given(randoms, st.sampled_from(["null", "hash", "hash_512", "hmac", "mixed"]))
def test_people_without_common_rows_are_erased_together_as_one_by_one(
    stage: Stage, random: Random, policy: str
) -> None:
    world, people = draw_separate_people(random, policy)
    with same_secrets():
        with stage.set_up(world) as scene:
            together = read_counts(stage, stage.carry(policy, people))
            rows = read_rows(scene, world)
        with stage.set_up(world) as scene:
            alone = [stage.carry(policy, [person])[0] for person in people]
            assert read_counts(stage, alone) == together
            assert read_rows(scene, world) == rows


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_smallest_request_id_masks_a_shared_row_in_a_run_and_each_request_counts_it(stage: Stage, kind: str) -> None:
    address = ("d0", "notes")
    columns = (
        Column("id", INTEGER, nullable=False),
        Column("first", INTEGER, identity="card"),
        Column("second", INTEGER, identity="card"),
        Column("note", TEXT, category="user.content"),
    )
    rows = ((1, 1, None, "of one"), (2, 2, None, "of two"), (3, 1, 2, "of both"), (4, 2, 3, "of two and three"), (0, 9, 9, "of none"))
    world = World((Database(kind),), {"d0": 0}, (Collection(address, ("id",), True, True, columns, rows),), (), {})
    owners = {1: [1], 2: [2], 3: [1, 2], 4: [2, 3], 0: []}
    with stage.set_up(world) as scene:
        ids = dict(enumerate(stage.submit("hash", [{"card": (number,)} for number in (1, 2, 3)]), start=1))
        salts = {number: stage.secrets_of([request_id])[request_id]["hash"]["salt"] for number, request_id in ids.items()}
        stage.engine.run()
        for number, _, _, note in rows:
            masked = [sha256((note + salts[person]).encode()).hexdigest() for person in sorted(owners[number], key=ids.__getitem__)]
            assert [row[3] for row in scene.rows(address) if row[0] == number] == (masked or [note])[:1]
        changed = {person: stage.engine.counts(ids[person])[":".join(address)]["changed"] for person in ids}
        assert changed == {1: 2, 2: 3, 3: 1}


def same_secrets() -> AbstractContextManager[Any]:
    """Every request gets the same secrets."""
    return patch("habeas.masking.registry.secrets.token_urlsafe", lambda _: "one secret for all")


def read_packages(stage: Stage, ids: Sequence[str]) -> list[str]:
    return [stage.package(request_id) for request_id in ids]


def read_counts(stage: Stage, ids: Sequence[str]) -> list[Any]:
    """The reports; statements differ, one value is asked for in other words than many."""
    return [
        {name: place | {"statement_digest": None} for name, place in stage.engine.counts(request_id).items()}
        for request_id in ids
    ]


def read_rows(scene: Scene, world: World) -> dict[Address, Counter[tuple[Any, ...]]]:
    return {item.address: scene.rows(item.address) for item in world.collections}


def draw_separate_people(random: Random, policy: str) -> tuple[World, list[Person]]:
    """A world and people of whom none owns a row of another's, as the oracle says; at least two."""
    while True:
        world = draw_world(random, [policy])
        try:
            people = find_separate_people(world)
        except Refused:
            continue
        if len(people) > 1:
            return world, people


def find_separate_people(world: World) -> list[Person]:
    """Raises Refused."""
    state, step = State(world), world.steps[0]
    order, arrows = state.visits(step.kinds), state.arrows(step.kinds)
    people: list[Person] = []
    taken: set[tuple[Address, int]] = set()
    for person in step.people:
        own = {(a, place) for a, places in state.find(person, arrows, order).items() for place in places}
        if own and not own & taken:
            people.append(person)
            taken |= own
    return people
