"""Random schemas, rows and people: packages, masked rows and untouched rows are what a brute-force oracle says."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from drawing import draw_world
from engine import opened
from habeas.domain.request import RequestStatus
from habeas.services.requests import find_request as show_request
from habeas.store import requests
from oracle import Found, Refused, Secrets, State
from servers.postgres import PostgresServer
from stage import Scene, Stage
from worlds import POLICIES, Step, World


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("worlds")
    with opened(folder, f"sqlite:///{folder}/ledger.db") as engine:
        made = Stage(engine, folder, postgres_server)
        yield made
        made.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=True).map(draw_world))
def test_packages_masked_rows_and_untouched_rows_are_what_the_oracle_says(stage: Stage, world: World) -> None:
    with stage.set_up(world) as scene:
        state = State(world)
        for step in world.steps:
            carry_out(stage, scene, state, step)


def carry_out(stage: Stage, scene: Scene, state: State, step: Step) -> None:
    """One step by the engine and by the oracle, and all that a user could see of it compared."""
    engine, policy = stage.engine, POLICIES[step.policy]
    ids = engine.submit(step.policy, *({kind: list(values) for kind, values in person.items()} for person in step.people))
    secrets = secrets_of(stage, ids)
    engine.run()
    try:
        found = find_all(state, step, ids)
    except Refused as refusal:
        assert all(re.match(f"error: .*{refusal}", reason_of(stage, request_id)) for request_id in ids)
    else:
        assert {request_id: reason_of(stage, request_id) for request_id in ids} == dict.fromkeys(ids, "")
        if policy.access is not None:
            for request_id in ids:
                expected = state.package(policy, found[request_id])
                assert packaged(stage, request_id, f"{step.policy}-give") == {n: multiset(r) for n, r in expected.items()}
        counts = {request_id: {":".join(a): len(places) for a, places in found[request_id].items()} for request_id in ids}
        effects = state.erase(policy, found, secrets)
        for request_id in ids:
            reported = engine.counts(request_id)
            assert {n: place["found"] for n, place in reported.items() if place["reached"]} == counts[request_id]
            assert {
                n: (place["changed"], place["already"])
                for n, place in reported.items()
                if place["changed"] or place["already"]
            } == {n: c for n, c in effects[request_id].items()}
            assert not any(place["drifted"] or place["absent"] or place["refused"] for place in reported.values())
    for item in state.world.collections:
        assert scene.rows(item.address) == Counter(tuple(row.values()) for row in state.rows[item.address])


def find_all(state: State, step: Step, ids: list[str]) -> dict[str, Found]:
    """What each request finds; raises Refused."""
    visited = state.visits(step.kinds)
    if POLICIES[step.policy].strict and state.lost(step.kinds):
        raise Refused("the identities given do not reach")
    arrows = state.arrows(step.kinds)
    return {request_id: state.find(person, arrows, visited) for request_id, person in zip(ids, step.people, strict=True)}


def secrets_of(stage: Stage, ids: list[str]) -> dict[str, Secrets]:
    ledger = stage.engine.context.ledger
    with ledger.read() as connection:
        return dict(requests.secrets_of(connection, ledger.sealer, ids))


def reason_of(stage: Stage, request_id: str) -> str:
    """Why a request did not complete; nothing when it did."""
    view = show_request(stage.engine.context, request_id)
    return "" if view.status == RequestStatus.COMPLETE else f"{view.status}: {view.failure}"


def packaged(stage: Stage, request_id: str, rule: str) -> dict[str, Counter[str]]:
    return {name: multiset(rows) for name, rows in json.loads(stage.engine.package(request_id, rule)).items()}


def multiset(rows: list[dict[str, Any]]) -> Counter[str]:
    """Rows without their order; JSON text keeps 1, 1.0, "1" and true apart."""
    return Counter(json.dumps(row) for row in rows)
