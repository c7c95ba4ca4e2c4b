"""Users by the API: what each role opens, what ends at once, and what nobody may do to those who may do more."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.web.conftest import Caller
from tests.unit.services.wiring import MovableClock

from habeas.execution.context import Context
from habeas.store import journal, tables

PASSWORD, OTHER = "Correct-horse-1", "Battery-staple-2"


def make_user(root: Caller, name: str, *roles: str, password: str = PASSWORD) -> str:
    made = root("POST", "/api/v1/user", json={"username": name, "password": password})
    assert made.status_code == 201, made.text
    user_id = str(made.json()["id"])
    if roles:
        permitted = root("POST", f"/api/v1/user/{user_id}/permission", json={"roles": roles})
        assert permitted.status_code == 201, permitted.text
    return user_id


def log_in(anyone: Caller, name: str, password: str = PASSWORD) -> Caller:
    answer = anyone("POST", "/api/v1/login", json={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    assert answer.json()["user_data"]["username"] == name
    return anyone.with_token(answer.json()["token_data"]["access_token"])


@pytest.mark.parametrize(
    ("role", "reads_policies", "reads_requests", "makes_storages"),
    [
        ("owner", 200, 200, 200),
        ("contributor", 200, 200, 403),
        ("viewer", 200, 403, 403),
        ("approver", 403, 200, 403),
        ("viewer_and_approver", 200, 200, 403),
    ],
)
def test_what_each_role_opens(
    root: Caller, role: str, reads_policies: int, reads_requests: int, makes_storages: int
) -> None:
    make_user(root, "ann", role)
    ann = log_in(root, "ann")
    assert ann("GET", "/api/v1/policy").status_code == reads_policies
    assert ann("GET", "/api/v1/privacy-request").status_code == reads_requests
    storage = [{"name": "Packages", "type": "local"}]
    assert ann("PATCH", "/api/v1/storage/config", json=storage).status_code == makes_storages


def test_a_new_user_is_a_viewer_and_a_second_one_of_its_name_is_refused(root: Caller) -> None:
    user_id = make_user(root, "Ann")
    shown = root("GET", f"/api/v1/user/{user_id}").json()
    assert (shown["username"], shown["roles"], shown["has_password"]) == ("ann", ["viewer"], True)
    again = root("POST", "/api/v1/user", json={"username": "ANN", "password": PASSWORD})
    assert (again.status_code, "somebody's already" in again.text) == (400, True)
    assert root("GET", "/api/v1/user", params={"username": "NN"}).json()["total"] == 1
    assert root("GET", "/api/v1/user", params={"username": "%"}).json()["total"] == 0


def test_an_address_is_one_users(root: Caller) -> None:
    draft = {"username": "ann", "password": PASSWORD, "email_address": "Ann@Example.com"}
    user_id = root("POST", "/api/v1/user", json=draft).json()["id"]
    other = {**draft, "username": "bob", "email_address": "ann@example.com"}
    assert root("POST", "/api/v1/user", json=other).status_code == 400
    root("PUT", f"/api/v1/user/{user_id}", json={"email_address": ""})
    assert root("POST", "/api/v1/user", json=other).status_code == 201
    assert root("PUT", f"/api/v1/user/{user_id}", json={"email_address": "ann@example.com"}).status_code == 400


def test_each_weakness_of_a_password_is_a_problem_and_none_repeats_it(root: Caller) -> None:
    answer = root("POST", "/api/v1/user", json={"username": "ann", "password": "sesame7"})
    assert answer.status_code == 422
    assert [(problem["loc"], problem["msg"]) for problem in answer.json()["detail"]] == [
        (["body", "password"], "has less than 8 characters"),
        (["body", "password"], "lacks an upper-case letter"),
        (["body", "password"], "lacks a symbol, e.g. ! or ?"),
    ]
    assert "sesame" not in answer.text


@pytest.mark.parametrize("draft", [{"username": "ann"}, {"username": "a b", "password": PASSWORD}])
def test_who_cannot_be_made(root: Caller, draft: dict[str, Any]) -> None:
    assert root("POST", "/api/v1/user", json=draft).status_code == 422


def test_a_password_may_be_sent_in_base64(root: Caller) -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    make_user(root, "ann", password=encoded)
    assert log_in(root, "ann", PASSWORD)
    assert log_in(root, "ann", encoded)


def test_a_wrong_login_tells_nothing(root: Caller) -> None:
    make_user(root, "ann")
    answers = {
        (answer.status_code, answer.text)
        for name, password in (("ann", OTHER), ("nobody", OTHER), ("ann@b.c", PASSWORD), ("\x00", ""))
        for answer in [root("POST", "/api/v1/login", json={"username": name, "password": password})]
    }
    assert answers == {(403, '{"detail":"name or password is wrong"}')}


def test_disabling_ends_everything_at_once_and_enabling_brings_no_token_back(root: Caller) -> None:
    user_id = make_user(root, "ann")
    ann = log_in(root, "ann")
    assert ann("GET", "/api/v1/policy").status_code == 200
    assert root("PUT", f"/api/v1/user/{user_id}", json={"disabled": True}).json()["disabled"]
    assert ann("GET", "/api/v1/policy").status_code == 401
    login = {"username": "ann", "password": PASSWORD}
    refused = root("POST", "/api/v1/login", json=login)
    assert (refused.status_code, refused.json()["detail"]) == (403, "name or password is wrong")
    root("PUT", f"/api/v1/user/{user_id}", json={"disabled": False})
    assert ann("GET", "/api/v1/policy").status_code == 401
    assert log_in(root, "ann")("GET", "/api/v1/policy").status_code == 200


def test_narrowing_deleting_and_logging_out_act_at_once(root: Caller) -> None:
    user_id = make_user(root, "ann", "viewer")
    ann, ann_elsewhere = log_in(root, "ann"), log_in(root, "ann")
    root("PUT", f"/api/v1/user/{user_id}/permission", json={"roles": [], "scopes": ["rule:read"]})
    assert ann("GET", "/api/v1/policy").status_code == 403
    assert ann("GET", f"/api/v1/user/{user_id}/permission").json()["total_scopes"] == ["rule:read"]
    assert ann("POST", "/api/v1/logout").status_code == 204
    assert {caller("GET", f"/api/v1/user/{user_id}").status_code for caller in (ann, ann_elsewhere)} == {401}
    ann = log_in(root, "ann")
    assert root("DELETE", f"/api/v1/user/{user_id}").status_code == 204
    assert ann("GET", f"/api/v1/user/{user_id}").status_code == 401
    assert root("DELETE", f"/api/v1/user/{user_id}").status_code == 404
    assert root("POST", "/api/v1/login", json={"username": "ann", "password": PASSWORD}).status_code == 403


def test_what_users_may_do_to_themselves(root: Caller) -> None:
    user_id, other_id = make_user(root, "ann"), make_user(root, "bob")
    root("PUT", f"/api/v1/user/{user_id}/permission", json={"roles": []})
    ann = log_in(root, "ann")
    assert ann("GET", f"/api/v1/user/{user_id}").json()["username"] == "ann"
    assert ann("PUT", f"/api/v1/user/{user_id}", json={"first_name": "Ann"}).json()["first_name"] == "Ann"
    refused = {
        ann("GET", f"/api/v1/user/{other_id}").status_code,
        ann("PUT", f"/api/v1/user/{other_id}", json={"first_name": "Ann"}).status_code,
        ann("PUT", f"/api/v1/user/{user_id}", json={"disabled": False}).status_code,
        ann("POST", f"/api/v1/user/{other_id}/reset-password", json={}).status_code,
        ann("PUT", f"/api/v1/user/{user_id}/permission", json={"roles": ["viewer"]}).status_code,
        ann("DELETE", f"/api/v1/user/{user_id}").status_code,
        root("POST", "/api/v1/logout").status_code,
    }
    assert refused == {403}


def test_a_new_password_ends_all_other_tokens(root: Caller) -> None:
    user_id = make_user(root, "ann")
    here, elsewhere = log_in(root, "ann"), log_in(root, "ann")
    path = f"/api/v1/user/{user_id}/reset-password"
    wrong = here("POST", path, json={"old_password": OTHER, "new_password": OTHER})
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "the password is wrong")
    assert elsewhere("GET", "/api/v1/policy").status_code == 200
    changed = here("POST", path, json={"old_password": PASSWORD, "new_password": OTHER})
    assert changed.status_code == 200
    assert here("GET", "/api/v1/policy").status_code == 200
    assert elsewhere("GET", "/api/v1/policy").status_code == 401
    assert root("POST", "/api/v1/login", json={"username": "ann", "password": PASSWORD}).status_code == 403
    assert root("POST", f"/api/v1/user/{user_id}/force-reset-password", json={"new_password": PASSWORD}).is_success
    assert here("GET", "/api/v1/policy").status_code == 401
    assert log_in(root, "ann", PASSWORD)


def test_a_token_is_not_enough_to_have_ones_codes_mailed_elsewhere(root: Caller) -> None:
    user_id = make_user(root, "ann", "owner")
    path, ann = f"/api/v1/user/{user_id}", log_in(root, "ann")
    assert root("PUT", path, json={"email_address": "ann@example.com"}).status_code == 200
    for address in ("thief@example.com", ""):
        refused = ann("PUT", path, json={"email_address": address})
        assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "password"])
    assert ann("PUT", path, json={"email_address": "ann@example.com", "first_name": "Ann"}).status_code == 200
    for _ in range(6):
        changed = ann("PUT", path, json={"email_address": "lee@example.com", "password": PASSWORD})
        assert changed.json()["email_address"] == "lee@example.com"
        changed = ann("PUT", path, json={"email_address": "ann@example.com", "password": PASSWORD})
        assert changed.json()["email_address"] == "ann@example.com"
    guess = {"email_address": "thief@example.com", "password": OTHER}
    assert [ann("PUT", path, json=guess).status_code for _ in range(6)] == [401] * 5 + [429]
    assert root("GET", path).json()["email_address"] == "ann@example.com"


def test_an_old_password_cannot_be_guessed_either(root: Caller) -> None:
    user_id = make_user(root, "ann")
    ann = log_in(root, "ann")
    guess = {"old_password": OTHER, "new_password": OTHER}
    statuses = [ann("POST", f"/api/v1/user/{user_id}/reset-password", json=guess).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_nobody_changes_or_shuts_out_somebody_who_may_do_more(root: Caller) -> None:
    owner = make_user(root, "olga", "owner")
    make_user(root, "carl", "contributor")
    carl = log_in(root, "carl")
    refused = {
        carl("PUT", f"/api/v1/user/{owner}", json={"email_address": "carl@example.com"}).status_code,
        carl("PUT", f"/api/v1/user/{owner}", json={"disabled": True}).status_code,
        carl("DELETE", f"/api/v1/user/{owner}").status_code,
        carl("POST", f"/api/v1/user/{owner}/force-reset-password", json={"new_password": OTHER}).status_code,
        carl("POST", f"/api/v1/user/{owner}/reinvite").status_code,
        carl("PUT", f"/api/v1/user/{owner}/permission", json={"roles": ["viewer"]}).status_code,
    }
    assert refused == {403}
    assert log_in(root, "olga")


def test_nobody_gives_what_it_lacks(root: Caller) -> None:
    carl_id, victim = make_user(root, "carl", "contributor"), make_user(root, "vic")
    carl = log_in(root, "carl")
    for wanted in ({"roles": ["owner"]}, {"scopes": ["storage:delete"]}, {"scopes": ["user-permission:assign_owners"]}):
        for user_id in (carl_id, victim):
            assert carl("PUT", f"/api/v1/user/{user_id}/permission", json=wanted).status_code == 403, wanted
    assert carl("PUT", f"/api/v1/user/{victim}/permission", json={"roles": ["approver"]}).status_code == 200
    assert carl("PUT", f"/api/v1/user/{victim}/permission", json={"scopes": ["policy:fly"]}).status_code == 422
    assert carl("PUT", f"/api/v1/user/{victim}/permission", json={"roles": ["king"]}).status_code == 422


def test_five_wrong_logins_lock_a_name_whether_somebody_has_it_or_not(root: Caller, clock: MovableClock) -> None:
    make_user(root, "ann")
    ann = log_in(root, "ann")
    for name in ("ann", "nobody"):
        wrong = {"username": name, "password": OTHER}
        assert [root("POST", "/api/v1/login", json=wrong).status_code for _ in range(5)] == [403] * 5
        locked = root("POST", "/api/v1/login", json={"username": name, "password": PASSWORD})
        assert (locked.status_code, locked.headers["Retry-After"]) == (429, "60")
    assert ann("GET", "/api/v1/policy").status_code == 200  # who is in stays in
    clock.ahead = timedelta(seconds=61)
    assert root("POST", "/api/v1/login", json={"username": "ann", "password": OTHER}).status_code == 403
    assert root("POST", "/api/v1/login", json={"username": "ann", "password": OTHER}).headers["Retry-After"] == "120"
    clock.ahead = timedelta(seconds=190)
    assert log_in(root, "ann")
    assert root("POST", "/api/v1/login", json={"username": "ann", "password": OTHER}).status_code == 403
    assert log_in(root, "ann")


def test_deeds_are_in_the_audit_log_by_ids_only(root: Caller, context: Context) -> None:
    user_id = make_user(root, "ann", "approver")
    root("POST", "/api/v1/login", json={"username": "ann", "password": OTHER})
    ann = log_in(root, "ann")
    ann("PUT", f"/api/v1/user/{user_id}", json={"first_name": "Annabel"})
    ann("POST", f"/api/v1/user/{user_id}/reset-password", json={"old_password": PASSWORD, "new_password": OTHER})
    ann("POST", "/api/v1/logout")
    root("DELETE", f"/api/v1/user/{user_id}")
    with context.ledger.read() as connection:
        rows = journal.read_audits(connection, user_id)
        stored = repr(list(connection.execute(tables.audits.select())))
    assert [(row.action, row.object_kind, row.actor) for row in rows] == [
        ("created", "user", "root"),
        ("permitted", "user", "root"),
        ("login_failed", "user", "anonymous"),
        ("logged_in", "user", user_id),
        ("saved", "user", user_id),
        ("secret_changed", "user", user_id),
        ("logged_out", "user", user_id),
        ("deleted", "user", "root"),
    ]
    assert not [value for value in ("Annabel", "'ann'", PASSWORD, OTHER) if value in stored]


def test_who_a_user_is_and_its_password_are_not_in_the_clear(root: Caller, context: Context) -> None:
    draft = {"username": "u1", "password": PASSWORD, "email_address": "ann@example.com", "first_name": "Annabel"}
    root("POST", "/api/v1/user", json=draft)
    with context.ledger.read() as connection:
        stored = repr(list(connection.execute(tables.users.select())))
    assert not [value for value in (PASSWORD, "ann@example.com", "Annabel") if value in stored]
