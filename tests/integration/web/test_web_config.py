"""Settings by the API: what is shown, what can be changed, and that a change holds at once."""

from typing import Any

from tests.integration.web.conftest import Caller, sign_in
from tests.unit.services.wiring import ROOT_ID, ROOT_SECRET

from habeas.execution.context import Context
from habeas.store import journal

CONFIG = "/api/v1/config"
ANN = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}


def test_settings_are_shown_without_secrets_and_addresses(root: Caller) -> None:
    answer = root("GET", CONFIG)
    shown = answer.json()
    assert shown["execution"]["require_manual_request_approval"] is False
    assert shown["duplicates"] == {"enabled": False, "window_days": 365, "identity_kinds": ["email"], "hold": False}
    assert shown["notifications"]["send_request_receipt_notification"] is None
    assert ROOT_SECRET not in answer.text
    for hidden in ("database", "encryption_keys", "oauth_root_client", "outgoing_allow_list", "data_dir"):
        assert hidden not in answer.text


def test_a_change_is_merged_a_replacement_gives_up_the_rest_and_a_deletion_all(root: Caller) -> None:
    assert root("GET", f"{CONFIG}?api_set=true").json() == {}
    first = {"duplicates": {"enabled": True}, "notifications": {"send_request_review_notification": False}}
    assert root("PATCH", CONFIG, json=first).json() == first
    merged = {**first, "duplicates": {"enabled": True, "window_days": 30}}
    assert root("PATCH", CONFIG, json={"duplicates": {"window_days": 30}}).json() == merged
    assert root("GET", f"{CONFIG}?api_set=true").json() == merged
    assert root("GET", CONFIG).json()["duplicates"]["window_days"] == 30
    replaced = {"notifications": {"send_request_review_notification": None}}
    assert root("PUT", CONFIG, json=replaced).json() == replaced
    assert root("GET", CONFIG).json()["duplicates"]["window_days"] == 365
    assert root("DELETE", CONFIG).json() == {}
    assert root("GET", f"{CONFIG}?api_set=true").json() == {}


WRONG: list[tuple[Any, list[Any], str]] = [
    ({"executon": {}}, ["executon"], "did you mean execution?"),
    (
        {"execution": {"require_manual_approval": True}},
        ["execution", "require_manual_approval"],
        "did you mean require_manual_request_approval?",
    ),
    ({"duplicates": {"zzz": 1}}, ["duplicates", "zzz"], "known are enabled, window_days, identity_kinds, hold"),
    ({"execution": {"task_retry_count": 1}}, ["execution", "task_retry_count"], "file or environment alone"),
    ({"security": {"encryption_keys": "canary"}}, ["security", "encryption_keys"], "file or environment alone"),
    ({"database": {"url": "canary"}}, ["database"], "file or environment alone"),
    ({"duplicates": {"window_days": 0}}, ["duplicates", "window_days"], "greater than or equal to 1"),
    ({"duplicates": {"window_days": "canary"}}, ["duplicates", "window_days"], "valid integer"),
    ({"duplicates": {"identity_kinds": []}}, ["duplicates", "identity_kinds"], "at least 1"),
    ({"duplicates": {"identity_kinds": ["a\x00"]}}, ["duplicates", "identity_kinds"], "control character"),
    ({"duplicates": {"identity_kinds": ["a"] * 11}}, ["duplicates", "identity_kinds"], "at most 10"),
    (
        {"notifications": {"organization_name": "Shop\r\nBcc: canary"}},
        ["notifications", "organization_name"],
        "control character",
    ),
    ({"duplicates": {"identity_kinds": [{"a": "canary"}]}}, ["duplicates", "identity_kinds", 0], "valid string"),
    (
        {"execution": {"require_manual_request_approval": None}},
        ["execution", "require_manual_request_approval"],
        "valid boolean",
    ),
    ({"storage": {"default_key": "canary"}}, ["storage", "default_key"], "no storage"),
    ({"security": {"cors_origins": ["*"]}}, ["security", "cors_origins"], "scheme://host"),
    ({"execution": "canary"}, ["execution"], "valid dictionary"),
]
"""What cannot be changed, at which place, and what is said of it."""


def test_what_cannot_be_changed_is_named_and_nothing_is(root: Caller) -> None:
    for body, place, said in WRONG:
        for method in ("PATCH", "PUT"):
            answer = root(method, CONFIG, json={"notifications": {"organization_name": "Shop"}, **body})
            assert answer.status_code == 422, body
            problems = answer.json()["detail"]
            assert any(one["loc"] == ["body", *place] and said in one["msg"] for one in problems), problems
            assert "canary" not in answer.text
    assert root("GET", f"{CONFIG}?api_set=true").json() == {}


def test_a_change_needs_its_own_scope_and_is_audited_without_its_value(root: Caller, context: Context) -> None:
    made = root("POST", "/api/v1/oauth/client", json=["config:read"]).json()
    reader = sign_in(root, made["client_id"], made["client_secret"])
    change = {"notifications": {"organization_name": "Canary Ltd."}}
    assert reader("GET", CONFIG).status_code == 200
    assert reader("PATCH", CONFIG, json=change).status_code == 403
    root("PATCH", CONFIG, json=change)
    root("DELETE", CONFIG)
    with context.ledger.read() as connection:
        rows = journal.read_audits(connection, "notifications.organization_name")
    assert [(row.object_kind, row.action, row.actor) for row in rows] == [
        ("configuration", "saved", ROOT_ID),
        ("configuration", "deleted", ROOT_ID),
    ]
    assert "Canary" not in str(rows)


def test_a_change_holds_for_the_next_call(configured: Caller) -> None:
    def submit() -> str:
        made = configured("POST", "/api/v1/privacy-request/authenticated", json=[ANN]).json()["succeeded"][0]
        return str(made["reviewed_by"])

    assert submit() == "system"
    configured("PATCH", CONFIG, json={"execution": {"require_manual_request_approval": True}})
    assert submit() == "None"
    configured("DELETE", CONFIG)
    assert submit() == "system"


def test_the_default_storage_is_one_that_there_is_and_stays(configured: Caller) -> None:
    rule = {"name": "Give more", "action_type": "access"}
    path = "/api/v1/policy/give_and_forget/rule"
    assert configured("PATCH", path, json=[rule]).json()["failed"]
    configured("PATCH", CONFIG, json={"storage": {"default_key": "packages"}})
    assert configured("PATCH", path, json=[rule]).json()["failed"] == []
    configured("DELETE", f"{path}/give")
    assert configured("DELETE", "/api/v1/storage/config/packages").status_code == 409


def test_pages_learn_whether_a_code_is_asked_for(root: Caller) -> None:
    root("PATCH", CONFIG, json={"execution": {"subject_identity_verification_required": True}})
    assert root("GET", "/api/v1/id-verification/config").json()["identity_verification_required"] is True
