"""Decisions about all requests that match: what the body may say, and what it does."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.web.conftest import Caller
from tests.integration.web.test_web_users import log_in, make_user

from habeas.execution.context import Context

ANN = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
BOB = {"policy_key": "give_and_forget", "identity": {"email": "bob@example.com"}, "external_id": "crm-2"}
DECIDE = "/api/v1/privacy-request/administrate/"


@pytest.fixture
def two(configured: Caller) -> list[str]:
    made = configured("POST", "/api/v1/privacy-request", json=[ANN, BOB]).json()["succeeded"]
    return [item["id"] for item in made]


def test_filters_choose_by_anything_a_search_knows(root: Caller, two: list[str]) -> None:
    person = {"filters": {"identities": {"email": "Bob@example.com"}}, "reason": "withdrawn"}
    canceled = root("PATCH", DECIDE + "cancel", json=person).json()
    assert [(item["id"], item["cancel_reason"]) for item in canceled["succeeded"]] == [(two[1], "withdrawn")]
    rest = {"filters": {"policy_key": "give_and_forget", "status": ["pending", "canceled"]}}
    excluded = root("PATCH", DECIDE + "deny", json={**rest, "exclude_ids": [two[0]]}).json()
    assert excluded == {"succeeded": [], "failed": []}
    denied = root("PATCH", DECIDE + "deny", json=rest).json()
    assert [item["id"] for item in denied["succeeded"]] == [two[0]] and not denied["failed"]
    assert root("POST", "/api/v1/privacy-request/bulk/retry", json=rest).json() == {"succeeded": [], "failed": []}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "either request_ids or filters"),
        ({"filters": {}}, "no condition"),
        ({"filters": {"status": ["pending"]}, "exclude_id": ["pri_x"]}, "exclude_id.*Extra inputs"),
        ({"filters": {"external_id": "", "status": []}}, "no condition"),
        ({"filters": {"size": 10, "policy_key": "give_and_forget"}}, "size.*Extra inputs"),
        ({"filters": {"identities": {"email": "nobody"}}}, "not an e-mail address"),
        ({"filters": {"policy_key": "x"}, "request_ids": ["pri_1"]}, "either request_ids or filters"),
        ({"request_ids": ["pri_1"], "exclude_ids": ["pri_1"]}, "exclude_ids goes with filters"),
    ],
)
def test_a_body_that_could_mean_more_than_was_said_is_refused(
    root: Caller, two: list[str], body: dict[str, Any], why: str
) -> None:
    answer = root("PATCH", DECIDE + "cancel", json=body)
    assert answer.status_code == 422
    assert re.search(why, answer.text), answer.text
    listed = root("GET", "/api/v1/privacy-request").json()["items"]
    assert {item["status"] for item in listed} == {"pending"}


@pytest.mark.parametrize("decision", ["deny", "cancel"])
def test_no_reason_need_be_given(root: Caller, two: list[str], decision: str) -> None:
    answer = root("PATCH", DECIDE + decision, json={"request_ids": two, "reason": None})
    assert len(answer.json()["succeeded"]) == 2


def test_listings_know_the_policy(root: Caller, two: list[str]) -> None:
    for policy, found in (("give_and_forget", 2), ("other", 0)):
        assert root("GET", f"/api/v1/privacy-request?policy_key={policy}").json()["total"] == found


def test_a_user_who_decided_is_named_by_one_query_and_only_to_callers_with_a_token(
    root: Caller, anyone: Caller, context: Context, two: list[str]
) -> None:
    eve, path = make_user(root, "eve", "approver"), "/api/v1/privacy-request"
    decided = log_in(anyone, "eve")("PATCH", DECIDE + "approve", json=two).json()["succeeded"]
    by_client = root("POST", path, json=[ANN]).json()["succeeded"][0]["id"]
    root("PATCH", DECIDE + "deny", json=[by_client])
    asked: list[str] = []
    with context.ledger.read() as connection:
        sa.event.listen(connection.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    shown = {item["id"]: item["reviewer"] for item in root("GET", path).json()["items"]}
    assert len([statement for statement in asked if "username" in statement]) == 1
    named = {"id": eve, "username": "eve"}
    assert shown == {**dict.fromkeys(two, named), by_client: None}
    assert [item["reviewer"] for item in decided] == [named, named]
    assert root("GET", f"{path}/{two[0]}").json()["reviewer"] == named
    root("DELETE", f"/api/v1/user/{eve}")
    gone = root("GET", f"{path}/{two[0]}").json()
    assert (gone["reviewer"], gone["reviewed_by"]) == (None, eve)
