"""Random schemas, rows and people: packages, masked rows and untouched rows are what a brute-force oracle says."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from drawing import SEEDS, UNSHRUNK, draw_world
from hypothesis import given, settings
from oracle import Found, Refused, State
from stage import Scene, Stage
from worlds import POLICIES, PolicyFacts, Row, Secrets, Step


@settings(UNSHRUNK, max_examples=150)
@given(SEEDS)
def test_packages_masked_rows_and_untouched_rows_are_what_the_oracle_says(stage: Stage, seed: int) -> None:
    world = draw_world(Random(seed))
    with stage.set_up(world) as scene:
        state = State(world)
        for step in world.steps:
            carry_out(stage, scene, state, step)


def carry_out(stage: Stage, scene: Scene, state: State, step: Step) -> None:
    """One step by the engine and by the oracle; what a user could see of it must be the same."""
    ids = stage.submit(step.policy, step.people)
    secrets = stage.secrets_of(ids)
    stage.engine.run()
    try:
        found = find_all(state, step, ids)
    except Refused as refusal:
        assert all(re.match(f"error: .*{refusal}", stage.failure(request_id)) for request_id in ids)
    else:
        assert {request_id: stage.failure(request_id) for request_id in ids} == dict.fromkeys(ids, "")
        check_packages(stage, state, POLICIES[step.policy], found)
        check_erasure(stage, state, POLICIES[step.policy], found, secrets)
    for item in state.world.collections:
        assert scene.rows(item.address) == Counter(tuple(row.values()) for row in state.rows[item.address])


def find_all(state: State, step: Step, ids: Sequence[str]) -> dict[str, Found]:
    """What each request finds; raises Refused."""
    if POLICIES[step.policy].strict and state.lost(step.kinds):
        raise Refused("the identities given do not reach")
    visited = state.visits(step.kinds)
    arrows = state.arrows(step.kinds)
    return {request: state.find(person, arrows, visited) for request, person in zip(ids, step.people, strict=True)}


def check_packages(stage: Stage, state: State, policy: PolicyFacts, found: Mapping[str, Found]) -> None:
    """Each package holds the rows and fields it must, as often as it must."""
    if policy.access is None:
        return
    for request_id, places in found.items():
        given = json.loads(stage.package(request_id))
        expected = state.package(policy, places)
        assert {name: multiset(rows) for name, rows in given.items()} == {n: multiset(r) for n, r in expected.items()}


def check_erasure(
    stage: Stage, state: State, policy: PolicyFacts, found: Mapping[str, Found], secrets: Mapping[str, Secrets]
) -> None:
    """Masks the state's rows; each report counts what was found, changed and masked already, and nothing else."""
    sizes = {request: {":".join(a): len(own) for a, own in places.items()} for request, places in found.items()}
    effects = state.erase(policy, found, secrets)
    for request_id in found:
        report = stage.engine.counts(request_id)
        assert {name: place["found"] for name, place in report.items() if place["reached"]} == sizes[request_id]
        counts = {name: (place["changed"], place["already"]) for name, place in report.items()}
        assert {name: pair for name, pair in counts.items() if any(pair)} == effects[request_id]
        assert not any(place[name] for place in report.values() for name in ("drifted", "absent", "refused"))


def multiset(rows: Sequence[Row]) -> Counter[str]:
    """Rows without their order; JSON text keeps 1, 1.0, "1" and true apart."""
    return Counter(json.dumps(row) for row in rows)
