"""People answer over HTTP for collections that only they can look into."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine, opened

PATH = "/api/v1/privacy-request"
CARD = {"card": 7, "mail": "ann@example.com", "remark": "likes tea"}
DESK = {
    "fides_key": "desk",
    "name": "Desk",
    "collections": [
        {
            "name": "cards",
            "fields": [
                {"name": "card", "fides_meta": {"primary_key": True, "data_type": "integer"}},
                {"name": "mail", "fides_meta": {"identity": "email"}},
                {"name": "remark", "data_categories": ["user.content"]},
            ],
        }
    ],
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened(tmp_path, f"sqlite:///{tmp_path}/ledger.db") as engine:
        yield engine


@pytest.fixture
def staff(engine: Engine) -> Caller:
    """The root client, after a card index was connected that people look into."""
    security = engine.context.settings.security
    client, secret = security.oauth_root_client_id, security.oauth_root_client_secret
    assert client and secret
    staff = sign_in(Caller(SharedApp(engine.context)), client, secret)
    desk = {"name": "Desk", "connection_type": "manual", "access": "write"}
    assert staff("PATCH", "/api/v1/connection", json=[desk]).json()["failed"] == []
    assert staff("PATCH", "/api/v1/connection/desk/dataset", json=[DESK]).json()["failed"] == []
    engine.policy("both", access=["user"], erasure={"null_rewrite": ["user.content"]})
    return staff


def submit(staff: Caller, engine: Engine) -> str:
    """A request that waits for what stands on the cards."""
    item = {"policy_key": "both", "identity": {"email": "ann@example.com"}}
    request_id = str(staff("POST", PATH, json=[item]).json()["succeeded"][0]["id"])
    engine.run()
    return request_id


def show(staff: Caller, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = staff("GET", f"{PATH}/{request_id}").json()
    return found


def test_rows_and_the_word_that_they_are_erased_carry_a_request_to_its_end(staff: Caller, engine: Engine) -> None:
    request_id = submit(staff, engine)
    shown = show(staff, request_id)
    assert (shown["status"], shown["resume_endpoint"]) == ("paused", f"/privacy-request/{request_id}/manual_input")
    locators, fields = {"mail": ["ann@example.com"]}, ["card", "mail", "remark"]
    needed = {"collection": "desk:cards", "locators": locators, "get": fields, "update": None}
    assert shown["action_required_details"] == {
        "step": "access",
        "collection": "desk:cards",
        "action_needed": [needed],
        "forms": None,
    }
    answer = staff("POST", f"{PATH}/{request_id}/manual_input", json=[CARD])
    assert (answer.status_code, answer.json()["status"]) == (200, "in_processing")
    assert answer.json()["action_required_details"] is None
    engine.run()
    shown = show(staff, request_id)
    assert shown["resume_endpoint"] == f"/privacy-request/{request_id}/erasure_confirm"
    needed |= {"locators": locators | {"card": [7]}, "get": None, "update": {"remark": "null_rewrite"}}
    assert shown["action_required_details"]["action_needed"] == [needed]
    answer = staff("POST", f"{PATH}/{request_id}/erasure_confirm", json={"row_count": 1})
    assert (answer.status_code, answer.json()["status"]) == (200, "in_processing")
    engine.run()
    assert show(staff, request_id)["status"] == "complete"
    assert staff("GET", f"{PATH}/{request_id}/package/both-give").json() == {"desk:cards": [{"remark": "likes tea"}]}
    [collection] = staff("GET", f"{PATH}/{request_id}/report").json()["collections"]
    assert (collection["found"], collection["changed"]) == (1, 1)
    audited = staff("GET", f"{PATH}/{request_id}", params={"verbose": True}).json()["results"]["Input uploaded"]
    assert [entry["message"] for entry in audited] == ["access of desk:cards", "erasure of desk:cards"]


@pytest.mark.parametrize(
    "body",
    [
        [{"card": 1, "telephone": "x"}],
        [{"mail": "x"}],
        [{"card": "likes tea"}],
        [CARD, CARD],
        {"card": 1},
        [1],
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_not_repeated(body: Any, staff: Caller, engine: Engine) -> None:
    request_id = submit(staff, engine)
    refused = staff("POST", f"{PATH}/{request_id}/manual_input", json=body)
    assert refused.status_code == 422
    assert not [word for word in ("telephone", "likes tea", "ann@example.com") if word in refused.text]
    assert show(staff, request_id)["status"] == "paused"


@pytest.mark.parametrize("count", [-1, 2**31, None, "many"])
def test_a_count_of_rows_is_a_count(count: Any, staff: Caller, engine: Engine) -> None:
    answer = staff("POST", f"{PATH}/pri_x/erasure_confirm", json={"row_count": count})
    assert answer.status_code == 422


def test_answers_come_at_their_time_only(staff: Caller, engine: Engine) -> None:
    request_id = submit(staff, engine)
    early = staff("POST", f"{PATH}/{request_id}/erasure_confirm", json={"row_count": 1})
    other = staff("POST", f"{PATH}/{request_id}/manual_input", params={"collection": "desk:drawers"}, json=[])
    assert (early.status_code, other.status_code) == (400, 400)
    assert staff("POST", f"{PATH}/{request_id}/manual_input", params={"collection": "desk:cards"}, json=[]).is_success
    twice = staff("POST", f"{PATH}/{request_id}/manual_input", json=[])
    assert (twice.status_code, "no collection waits" in twice.text) == (400, True)
    engine.run()
    assert staff("POST", f"{PATH}/{request_id}/manual_input", json=[]).status_code == 400
    assert staff("POST", f"{PATH}/pri_nobody/manual_input", json=[]).status_code == 404


def test_answering_needs_the_scope_to_resume(staff: Caller, engine: Engine) -> None:
    request_id = submit(staff, engine)
    client = staff("POST", "/api/v1/oauth/client", json=["privacy-request:read"]).json()
    reader = sign_in(Caller(staff.app), client["client_id"], client["client_secret"])
    for path, body in (("manual_input", []), ("erasure_confirm", {"row_count": 0})):
        assert reader("POST", f"{PATH}/{request_id}/{path}", json=body).status_code == 403
        assert Caller(staff.app)("POST", f"{PATH}/{request_id}/{path}", json=body).status_code == 401


def test_the_plan_says_that_a_person_is_asked(staff: Caller, engine: Engine) -> None:
    question = {"policy_key": "both", "identity_kinds": ["email"]}
    plan = staff("PUT", f"{PATH}/preview", json=question).json()
    statements = [plan["visits"][0]["statement"], plan["erasure"][0]["statement"]]
    assert statements == [
        "asked of a person: card, mail, remark of cards where mail = ?",
        "asked of a person: set remark = ? of cards by card = ?",
    ]
