"""Random schemas, rows and people: packages, masked rows and untouched rows are what a brute-force oracle says."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import routes
from drawing import SEEDS, UNSHRUNK, draw_world
from hypothesis import given, settings
from oracle import Effect, Erasure, Found, State
from routes import Refused, Route
from stage import Scene, Stage, spell_row
from unpacking import read_csv_package, read_json_package, spell_lines, spell_rows
from worlds import POLICIES, Step


@settings(UNSHRUNK, max_examples=60)
@given(SEEDS)
def test_packages_masked_rows_and_untouched_rows_are_what_the_oracle_says(stage: Stage, seed: int) -> None:
    world = draw_world(Random(seed))
    with stage.set_up(world) as scene:
        state = State(world)
        for step in world.steps:
            carry_out(stage, scene, state, step)


def carry_out(stage: Stage, scene: Scene, state: State, step: Step) -> None:
    """One step by the engine and by the oracle; what a user could see of it must be the same."""
    ids = stage.submit(step.policy, step.people, step.format, step.key)
    secrets = stage.secrets_of(ids)
    stage.engine.run()
    try:
        route, found = find_all(state, step, ids)
    except Refused as refusal:
        assert all(re.match(f"error: .*{refusal}", stage.failure(request_id)) for request_id in ids)
    else:
        assert {request_id: stage.failure(request_id) for request_id in ids} == dict.fromkeys(ids, "")
        check_packages(stage, state, step, found)
        check_erasure(stage, state, Erasure(POLICIES[step.policy], route, found, secrets))
    check_rows(scene, state)


def find_all(state: State, step: Step, ids: Sequence[str]) -> tuple[Route, dict[str, Found]]:
    """What each request finds; raises Refused."""
    if POLICIES[step.policy].strict and routes.lost(state.world, step.kinds):
        raise Refused("the identities given do not reach")
    route = routes.route(state.world, step.kinds)
    if POLICIES[step.policy].erasure:
        routes.check_erasure_order(state.world, route)
    return route, {request: state.find(person, route) for request, person in zip(ids, step.people, strict=True)}


def check_packages(stage: Stage, state: State, step: Step, found: Mapping[str, Found]) -> None:
    """Each package holds the rows and fields it must, as often as it must."""
    policy = POLICIES[step.policy]
    if policy.access is None:
        return
    for request_id, rows in found.items():
        package, expected = stage.package(request_id), state.package(policy, rows)
        if step.format == "json":
            tables = {name: spell_rows(given) for name, given in expected.items()}
            assert read_json_package(package, step.key) == tables
        else:
            headers = {":".join(address): state.covered_paths(address, policy) for address in rows}
            tables = {name: spell_lines(headers[name], given) for name, given in expected.items()}
            assert read_csv_package(package, step.key) == tables


def check_erasure(stage: Stage, state: State, erasure: Erasure) -> None:
    """Masks the state's rows; each report counts what was found and what became of it, and nothing else."""
    sizes = {request: {":".join(a): len(own) for a, own in rows.items()} for request, rows in erasure.found.items()}
    effects = state.erase(erasure)
    for request_id in erasure.found:
        report = stage.engine.counts(request_id)
        assert {name: place["found"] for name, place in report.items() if place["reached"]} == sizes[request_id]
        odd = [(name, key) for name, place in report.items() for key in ("drifted", "absent", "refused") if place[key]]
        assert odd == []
        counts = {name: Effect(place["changed"], place["already"], place["shared"]) for name, place in report.items()}
        assert {name: count for name, count in counts.items() if count != Effect()} == effects[request_id]


def check_rows(scene: Scene, state: State) -> None:
    """The stores hold what the state holds; rows that were never changed, to the byte."""
    for item in state.world.collections:
        rows = {number: spell_row(item, row.values()) for number, row in state.rows[item.address].items()}
        assert scene.rows(item.address) == Counter(rows.values())
        same = Counter(text for number, text in rows.items() if text == spell_row(item, item.rows[number]))
        assert same <= scene.untouched(item.address)
