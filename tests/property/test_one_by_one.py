"""Set-based is the same as one by one: a run of many gives each what a run of its own would have given."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
import routes
from drawing import SEEDS, UNSHRUNK, draw_world
from hypothesis import given, settings
from hypothesis import strategies as st
from nesting import spell
from oracle import Erasure, State
from routes import Refused
from stage import Scene, Stage
from worlds import INTEGER, POLICIES, TEXT, Address, Collection, Column, Database, Person, Step, World

from habeas.masking.registry import strategies

FEW = 6
"""People per example: each costs a run of its own."""
SAME = {"salt": "one", "key": "two"}
many = settings(UNSHRUNK, max_examples=14)


@many
@given(SEEDS, st.sampled_from(["give", "give_contact"]))
def test_packages_of_one_run_are_byte_for_byte_those_of_many_runs(stage: Stage, seed: int, policy: str) -> None:
    world, people = draw_people(Random(seed), policy, find_owners)
    with stage.set_up(world):
        together = stage.carry(policy, people)
        alone = [stage.carry(policy, [person])[0] for person in people]
        assert list(map(stage.package, together)) == list(map(stage.package, alone))


@many
@given(SEEDS, st.sampled_from(["null", "hash", "hash_512", "hmac", "mixed", "random", "hash_skip"]))
def test_people_who_share_nothing_that_is_masked_are_erased_together_as_one_by_one(
    stage: Stage, seed: int, policy: str
) -> None:
    """They may share rows, documents for instance, if the oracle finds that it makes no difference."""
    world, people = draw_people(Random(seed), policy, find_separate_owners)
    with same_secrets():
        with stage.set_up(world) as scene:
            together = read_counts(stage, stage.carry(policy, people))
            rows = read_rows(scene, world)
        with stage.set_up(world) as scene:
            alone = [stage.carry(policy, [person])[0] for person in people]
            assert read_counts(stage, alone) == together
            assert read_rows(scene, world) == rows


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgres", "mariadb"])
def test_the_smallest_request_id_masks_a_shared_row_in_a_run_and_each_request_counts_it(
    stage: Stage, kind: str
) -> None:
    address = ("d0", "notes")
    columns = (
        Column("id", INTEGER, nullable=False),
        Column("first", INTEGER, identity="card"),
        Column("second", INTEGER, identity="card"),
        Column("note", TEXT, category="user.content"),
    )
    rows = (
        (1, 1, None, "of one"),
        (2, 2, None, "of two"),
        (3, 1, 2, "of both"),
        (4, 2, 3, "of two and three"),
        (0, 9, 9, "of none"),
    )
    world = World((Database(kind),), {"d0": 0}, (Collection(address, ("id",), True, True, columns, rows),), (), {})
    owners = {1: [1], 2: [2], 3: [1, 2], 4: [2, 3], 0: []}
    with stage.set_up(world) as scene:
        ids = dict(enumerate(stage.submit("hash", [{"card": (number,)} for number in (1, 2, 3)]), start=1))
        salts = {
            number: stage.secrets_of([request_id])[request_id]["hash"]["salt"] for number, request_id in ids.items()
        }
        stage.engine.run()
        for number, _, _, note in rows:
            masked = [
                sha256((note + salts[person]).encode()).hexdigest()
                for person in sorted(owners[number], key=ids.__getitem__)
            ]
            assert [row[3] for row in scene.values(address) if row[0] == number] == (masked or [note])[:1]
        changed = {person: stage.engine.counts(ids[person])[":".join(address)]["changed"] for person in ids}
        assert changed == {1: 2, 2: 3, 3: 1}


def same_secrets() -> AbstractContextManager[Any]:
    """Every request gets the same secrets."""
    return patch("habeas.masking.registry.secrets.token_urlsafe", lambda _: "one secret for all")


def read_counts(stage: Stage, ids: Sequence[str]) -> list[Any]:
    """The reports; statements differ, one value is asked for in other words than many."""
    return [
        {name: place | {"statement_digest": None} for name, place in stage.engine.counts(request_id).items()}
        for request_id in ids
    ]


def read_rows(scene: Scene, world: World) -> dict[Address, Counter[str]]:
    return {item.address: scene.rows(item.address) for item in world.collections}


def draw_people(
    random: Random, policy: str, choose: Callable[[State, Step], list[Person]]
) -> tuple[World, list[Person]]:
    """A world that can be planned, and at least two people of it."""
    while True:
        world = draw_world(random, [policy])
        try:
            people = choose(State(world), world.steps[0])
        except Refused:
            continue
        if len(people) > 1:
            return world, people[:FEW]


def find_owners(state: State, step: Step) -> list[Person]:
    """People who own rows, as the oracle says. Raises Refused."""
    route = routes.route(state.world, step.kinds)
    routes.check_erasure_order(state.world, route)
    return [person for person in step.people if any(state.find(person, route).values())]


def find_separate_owners(state: State, step: Step) -> list[Person]:
    """People who own rows and are erased together as one by one, as the oracle says. Raises Refused."""
    people: list[Person] = []
    for person in find_owners(state, step):
        together = [*people, person]
        if len(people) < FEW and erase(state.world, step, [together]) == erase(
            state.world, step, [[p] for p in together]
        ):
            people = together
    return people


def erase(world: World, step: Step, runs: Sequence[Sequence[Person]]) -> Any:
    """What is left after these runs, and what became of each person's rows; with the same secrets for all."""
    state, route, told = State(world), routes.route(world, step.kinds), []
    for people in runs:
        found = {str(number): state.find(person, route) for number, person in enumerate(people)}
        secrets = dict.fromkeys(found, dict.fromkeys((*strategies(), "derived"), SAME))
        told += [
            ({address: len(rows) for address, rows in found[name].items()}, effects)
            for name, effects in state.erase(Erasure(POLICIES[step.policy], route, found, secrets)).items()
        ]
    rows = {item.address: sorted(map(spell, state.rows[item.address].values())) for item in world.collections}
    return rows, told
