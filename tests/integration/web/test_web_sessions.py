"""Sessions of pages: a cookie that no script reads, and a token without which nothing is changed."""

from datetime import timedelta
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp
from tests.unit.services.wiring import FakeStore, MovableClock, make_context

from habeas.execution.context import Context

PASSWORD, OTHER = "Correct-horse-1", "Battery-staple-2"
LOGIN = {"username": "ann", "password": PASSWORD}
RULES = [{"name": "Give and forget"}]


@pytest.fixture
def user_id(root: Caller) -> str:
    """Of ann, who may change policies."""
    made = str(root("POST", "/api/v1/user", json=LOGIN).json()["id"])
    assert root("PUT", f"/api/v1/user/{made}/permission", json={"roles": ["contributor"]}).status_code == 200
    return made


def begin(anyone: Caller, login: dict[str, str] = LOGIN) -> tuple[Caller, str]:
    """A browser in a session, and the session's CSRF token."""
    answer = anyone("POST", "/api/v1/session", json=login)
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return Caller(anyone.app, {"Cookie": cookie}), answer.json()["csrf_token"]


def test_the_cookie_is_for_this_site_and_no_script(anyone: Caller, user_id: str) -> None:
    answer = anyone("POST", "/api/v1/session", json=LOGIN)
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "Max-Age=28800", "Path=/", "SameSite=strict"}
    token = cookie.removeprefix("habeas_session=")
    assert len(token) > 40
    assert token not in answer.text
    assert answer.json()["user_data"]["id"] == user_id
    over_https = anyone("POST", "https://test/api/v1/session", json=LOGIN)
    assert "Secure" in over_https.headers["Set-Cookie"].split("; ")


def test_a_setting_marks_the_cookie_as_secure(tmp_path: Any, store: FakeStore, clock: MovableClock) -> None:
    root_user = {"root_username": "root", "root_password": PASSWORD}
    context = make_context(tmp_path, store, clock, session_cookie_secure=True, **root_user)
    login = {"username": "root", "password": PASSWORD}
    answer = Caller(SharedApp(context))("POST", "/api/v1/session", json=login)
    browser, csrf = begin(Caller(SharedApp(context)), login)
    ended = browser("DELETE", "/api/v1/session", headers={"X-CSRF-Token": csrf})
    context.ledger.close()
    for set_or_deleted in (answer, ended):
        assert "Secure" in set_or_deleted.headers["Set-Cookie"].split("; ")


def test_reading_needs_the_cookie_and_changing_the_csrf_token_too(anyone: Caller, user_id: str) -> None:
    browser, csrf = begin(anyone)
    _, foreign = begin(anyone)
    assert anyone("GET", "/api/v1/policy").status_code == 401
    assert browser("GET", "/api/v1/policy").status_code == 200
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": foreign}):
        refused = browser("PATCH", "/api/v1/policy", json=RULES, headers=headers)
        assert (refused.status_code, "CSRF" in refused.text) == (403, True)
    assert browser("GET", "/api/v1/policy").json()["total"] == 0
    assert browser("PATCH", "/api/v1/policy", json=RULES, headers={"X-CSRF-Token": csrf}).status_code == 200
    storage = [{"name": "Packages", "type": "local"}]
    lacking = browser("PATCH", "/api/v1/storage/config", json=storage, headers={"X-CSRF-Token": csrf})
    assert (lacking.status_code, "storage:create_or_update" in lacking.text) == (403, True)


def test_the_route_that_may_need_a_token_asks_a_session_for_it(tmp_path: Any, store: FakeStore) -> None:
    root_user = {"root_username": "root", "root_password": PASSWORD}
    context = make_context(tmp_path, store, MovableClock(), require_auth_to_create=True, **root_user)
    browser, csrf = begin(Caller(SharedApp(context)), {"username": "root", "password": PASSWORD})
    item = [{"policy_key": "none", "identity": {"email": "ann@example.com"}}]
    assert browser("POST", "/api/v1/privacy-request", json=item).status_code == 403
    assert browser("POST", "/api/v1/privacy-request", json=item, headers={"X-CSRF-Token": csrf}).status_code == 200
    context.ledger.close()


def test_a_header_is_judged_by_itself(anyone: Caller, user_id: str) -> None:
    browser, _ = begin(anyone)
    for header in ("Bearer wrong", "Basic Zm9v", "x"):
        assert browser("GET", "/api/v1/policy", headers={"Authorization": header}).status_code == 401


def test_neither_kind_of_token_opens_the_others_door(anyone: Caller, user_id: str) -> None:
    browser, _ = begin(anyone)
    session = browser.headers["Cookie"].removeprefix("habeas_session=")
    assert anyone.with_token(session)("GET", "/api/v1/policy").status_code == 401
    access = anyone("POST", "/api/v1/login", json=LOGIN).json()["token_data"]["access_token"]
    assert Caller(anyone.app, {"Cookie": f"habeas_session={access}"})("GET", "/api/v1/policy").status_code == 401


def test_a_session_says_whose_it_is_and_ends_alone(anyone: Caller, user_id: str) -> None:
    browser, csrf = begin(anyone)
    other, _ = begin(anyone)
    shown = browser("GET", "/api/v1/session").json()
    assert (shown["user_data"]["username"], shown["csrf_token"]) == ("ann", csrf)
    assert "policy:read" in shown["scopes"]
    assert browser("DELETE", "/api/v1/session").status_code == 403
    ended = browser("DELETE", "/api/v1/session", headers={"X-CSRF-Token": csrf})
    assert (ended.status_code, 'habeas_session=""' in ended.headers["Set-Cookie"]) == (204, True)
    assert browser("GET", "/api/v1/session").status_code == 401
    assert other("GET", "/api/v1/session").status_code == 200


def test_a_client_is_in_no_session(root: Caller) -> None:
    assert {root(method, "/api/v1/session").status_code for method in ("GET", "DELETE")} == {403}


def test_sessions_are_shorter_than_tokens(anyone: Caller, user_id: str, clock: MovableClock) -> None:
    browser, _ = begin(anyone)
    clock.ahead = timedelta(minutes=479)
    assert browser("GET", "/api/v1/session").status_code == 200
    clock.ahead = timedelta(minutes=481)
    assert browser("GET", "/api/v1/session").status_code == 401


def test_a_new_password_keeps_the_session_in_which_it_was_chosen(anyone: Caller, user_id: str) -> None:
    (here, csrf), (elsewhere, _) = begin(anyone), begin(anyone)
    body = {"old_password": PASSWORD, "new_password": OTHER}
    path = f"/api/v1/user/{user_id}/reset-password"
    assert here("POST", path, json=body, headers={"X-CSRF-Token": csrf}).status_code == 200
    assert [browser("GET", "/api/v1/session").status_code for browser in (here, elsewhere)] == [200, 401]


def test_the_root_user_logs_in_and_is_nowhere_stored(tmp_path: Any, store: FakeStore, clock: MovableClock) -> None:
    context = make_context(tmp_path, store, clock, root_username="Boss", root_password=PASSWORD)
    browser, csrf = begin(Caller(SharedApp(context)), {"username": "boss", "password": PASSWORD})
    changed = {"X-CSRF-Token": csrf}
    assert browser("GET", "/api/v1/user").json()["items"] == []
    assert browser("GET", "/api/v1/user/fid_root").json()["roles"] == ["owner"]
    taken = browser("POST", "/api/v1/user", json={"username": "BOSS", "password": OTHER}, headers=changed)
    assert taken.status_code == 400
    path = "/api/v1/user/fid_root"
    assert browser("DELETE", path, headers=changed).status_code == 409
    own = {"old_password": PASSWORD, "new_password": OTHER}
    assert browser("POST", f"{path}/reset-password", json=own, headers=changed).status_code == 409
    wrong = {"username": "boss", "password": OTHER}
    assert [browser("POST", "/api/v1/login", json=wrong).status_code for _ in range(6)] == [403] * 5 + [429]
    assert browser("POST", "/api/v1/logout", headers=changed).status_code == 204
    assert browser("GET", "/api/v1/session").status_code == 401
    context.ledger.close()


def test_a_root_user_who_is_taken_out_of_the_settings_is_out(context: Context, anyone: Caller) -> None:
    def set_root(**root: str) -> None:
        security = context.settings.security.model_copy(update=root)
        object.__setattr__(context, "settings", context.settings.model_copy(update={"security": security}))

    set_root(root_username="boss", root_password=PASSWORD)
    browser, _ = begin(anyone, {"username": "boss", "password": PASSWORD})
    assert browser("GET", "/api/v1/policy").status_code == 200
    set_root(root_username="", root_password="")
    assert browser("GET", "/api/v1/policy").status_code == 401
    assert anyone("POST", "/api/v1/session", json={"username": "", "password": ""}).status_code == 403


def test_both_ways_in_are_described(anyone: Caller) -> None:
    described = anyone("GET", "/openapi.json").json()
    assert described["components"]["securitySchemes"]["session"]["name"] == "habeas_session"
    accepted = described["paths"]["/api/v1/policy"]["get"]["security"]
    assert {name for way in accepted for name in way} == {"client", "session"}
    assert len(accepted) == 2
