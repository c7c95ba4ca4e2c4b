"""Who may do what: tokens, scopes, and what an answer never gives away."""

import base64
import json
import logging
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from tests.integration.web.conftest import Caller, sign_in
from tests.unit.services.wiring import ROOT_ID, ROOT_SECRET, MovableClock

from habeas import __version__
from habeas.execution.context import Context

ANN = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
SHOP = {"name": "Shop", "connection_type": "file", "access": "read"}
OPEN = {
    ("post", "/api/v1/oauth/token"),
    ("post", "/api/v1/oauth/revoke"),
    ("post", "/api/v1/login"),
    ("post", "/api/v1/session"),
    ("post", "/api/v1/user/accept-invite"),
    ("post", "/api/v1/user/forgot-password"),
    ("post", "/api/v1/user/reset-password-with-token"),
    ("get", "/api/v1/messaging/email-invite/status"),
    ("post", "/api/v1/privacy-request"),
    ("post", "/api/v1/privacy-request/{request_id}/verify"),
    ("post", "/api/v1/privacy-request/{request_id}/resend-code"),
    ("get", "/api/v1/id-verification/config"),
    ("get", "/health"),
    ("get", "/health/database"),
    ("get", "/health/workers"),
    ("get", "/metrics"),
}

OWN_TOKEN = ("post", "/api/v1/privacy-request/{request_id}/resume")
"""What it takes is no client's token, whatever its scopes."""


def make_client(root: Caller, *scopes: str) -> Caller:
    made = root("POST", "/api/v1/oauth/client", json={"scopes": list(scopes)}).json()
    return sign_in(root, made["client_id"], made["client_secret"])


def test_every_route_but_the_open_ones_needs_a_token_and_then_a_scope(anyone: Caller, root: Caller) -> None:
    scopeless = make_client(root)
    documented = anyone("GET", "/openapi.json").json()["paths"]
    routes = {(method, path) for path, methods in documented.items() for method in methods} - OPEN
    assert len(routes) > 40
    for method, path in routes:
        address = path.replace("{", "").replace("}", "")
        refused = anyone(method.upper(), address)
        assert refused.status_code == 401, (method, path)
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        if (method, path) == OWN_TOKEN:
            assert {caller("POST", address, json={}).status_code for caller in (scopeless, root)} == {401}
            continue
        assert scopeless(method.upper(), address).status_code == 403, (method, path)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic Zm9v", "nonsense"])
def test_a_malformed_or_unknown_token_is_401(anyone: Caller, header: str) -> None:
    answer = anyone("GET", "/api/v1/policy", headers={"Authorization": header})
    assert answer.status_code == 401


def test_a_token_by_http_basic(anyone: Caller) -> None:
    basic = base64.b64encode(f"{ROOT_ID}:{ROOT_SECRET}".encode()).decode()
    answer = anyone("POST", "/api/v1/oauth/token", headers={"Authorization": f"Basic {basic}"})
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 691200
    assert anyone("POST", "/api/v1/oauth/token").status_code == 401
    for wrong in ("Basic ?", "Basic /w==", "Basic Zm9v", "Bearer x"):
        assert anyone("POST", "/api/v1/oauth/token", headers={"Authorization": wrong}).status_code == 401


def test_wrong_credentials_and_grants_are_refused(anyone: Caller) -> None:
    form = {"client_id": ROOT_ID, "client_secret": "wrong"}
    assert anyone("POST", "/api/v1/oauth/token", data=form).status_code == 401
    assert anyone("POST", "/api/v1/oauth/token", data={**form, "grant_type": "password"}).status_code == 422


def test_a_revoked_an_expired_and_an_orphaned_token_are_401_and_a_narrowed_one_403(
    root: Caller, clock: MovableClock
) -> None:
    made = root("POST", "/api/v1/oauth/client", json=["policy:read"]).json()
    client = sign_in(root, made["client_id"], made["client_secret"])
    revoked = sign_in(root, made["client_id"], made["client_secret"])
    token = revoked.headers["Authorization"].removeprefix("Bearer ")
    assert revoked("GET", "/api/v1/policy").status_code == 200
    assert root("POST", "/api/v1/oauth/revoke", data={"token": token}).status_code == 200
    assert revoked("GET", "/api/v1/policy").status_code == 401
    root("PUT", f"/api/v1/oauth/client/{made['client_id']}/scope", json=["rule:read"])
    assert client("GET", "/api/v1/policy").status_code == 403
    assert root("DELETE", f"/api/v1/oauth/client/{made['client_id']}").status_code == 200
    assert client("GET", "/api/v1/policy").status_code == 401
    clock.ahead = timedelta(days=9)
    assert root("GET", "/api/v1/policy").status_code == 401


def test_clients_are_listed_changed_and_given_new_secrets(root: Caller) -> None:
    made = root("POST", "/api/v1/oauth/client", json={"name": "desk", "scopes": ["policy:read"]}).json()
    path = f"/api/v1/oauth/client/{made['client_id']}"
    assert root("GET", path).json()["scopes"] == ["policy:read"]
    assert root("GET", f"{path}/scope").json() == ["policy:read"]
    assert [item["name"] for item in root("GET", "/api/v1/oauth/client").json()] == ["desk"]
    renewed = root("POST", f"{path}/secret").json()
    assert renewed["client_secret"] != made["client_secret"]
    assert sign_in(root, made["client_id"], renewed["client_secret"])
    assert "policy:read" in root("GET", "/api/v1/oauth/scope").json()
    assert root("GET", "/api/v1/oauth/client/nobody").status_code == 404
    assert root("POST", "/api/v1/oauth/client", json=["policy:fly"]).status_code == 422
    assert root("DELETE", f"/api/v1/oauth/client/{ROOT_ID}").status_code == 409


def test_a_client_grants_only_what_it_holds(root: Caller) -> None:
    weak = make_client(root, "client:create", "policy:read")
    assert weak("POST", "/api/v1/oauth/client", json=["policy:read"]).status_code == 200
    assert weak("POST", "/api/v1/oauth/client", json=["policy:delete"]).status_code == 403


def test_invalid_bodies_are_not_repeated(anyone: Caller, root: Caller) -> None:
    secret = "ann@example.com"
    for caller, method, path, body in (
        (anyone, "POST", "/api/v1/privacy-request", [{"policy_key": [secret], "identity": secret}]),
        (root, "PATCH", "/api/v1/connection", [{"name": secret, "connection_type": {"a": secret}, "access": secret}]),
        (root, "PUT", "/api/v1/connection/shop/secret", {"password": [secret]}),
    ):
        answer = caller(method, path, json=body)
        assert answer.status_code == 422
        assert secret not in answer.text
        for problem in answer.json()["detail"]:
            assert set(problem) == {"loc", "msg", "type"}


@pytest.mark.parametrize("body", ["{", "[" * 100_000, '["\\ud800"]', "9" * 5000, "\xff", "[NaN]"])
def test_bodies_that_are_no_json_are_refused(anyone: Caller, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = anyone("POST", "/api/v1/privacy-request", content=body.encode("latin-1"), headers=headers)
    assert answer.status_code in (400, 422), answer.text


HALF = "LONE\ud800"
"""Half a surrogate pair: JSON can spell it, no database can hold it."""


@pytest.mark.parametrize(
    ("method", "path", "sound", "bad"),
    [
        ("POST", "privacy-request", ANN, {**ANN, "identity": {"email": f"a@{HALF}"}}),
        ("POST", "privacy-request", ANN, {**ANN, "external_id": HALF}),
        ("POST", "privacy-request", ANN, {**ANN, "encryption_key": HALF}),
        ("POST", "privacy-request", ANN, {**ANN, "unknown": {HALF: 1}}),
        ("PATCH", "policy", {"name": "P"}, {"name": "Q", "key": HALF}),
        ("PATCH", "storage/config", {"name": "S", "type": "local"}, {"name": HALF, "type": "local"}),
        ("PATCH", "connection", SHOP, {**SHOP, "description": HALF}),
    ],
)  # fmt: skip
def test_text_that_is_no_unicode_refuses_the_whole_call_and_stores_nothing(
    configured: Caller, method: str, path: str, sound: object, bad: object
) -> None:
    before = configured("GET", f"/api/v1/{path}").json()["total"]
    headers = {"Content-Type": "application/json"}
    answer = configured(method, f"/api/v1/{path}", content=json.dumps([sound, bad]), headers=headers)
    assert answer.status_code == 422
    assert "surrogate" in answer.json()["detail"][0]["msg"]
    assert "LONE" not in answer.text
    assert configured("GET", f"/api/v1/{path}").json()["total"] == before


def test_every_route_that_takes_json_refuses_text_that_is_no_unicode(root: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    tried = 0
    for path, methods in root("GET", "/openapi.json").json()["paths"].items():
        for method, route in methods.items():
            if "application/json" in route.get("requestBody", {}).get("content", {}):
                address = path.replace("{", "").replace("}", "")
                answer = root(method.upper(), address, content=b'{"a": ["\\ud800"]}', headers=headers)
                assert "surrogate" in answer.text, (method, path, answer.text)
                tried += 1
    assert tried > 10


def test_control_characters_in_addresses_are_refused(root: Caller) -> None:
    for code in ("00", "09", "0A", "0D", "1F", "7F", "C2%85"):
        assert root("GET", f"/api/v1/policy/a%{code}b").status_code == 400
    assert root("GET", "/api/v1/privacy-request?external_id=a%00b").status_code == 400


def test_a_trailing_slash_answers_the_same(root: Caller) -> None:
    assert root("GET", "/api/v1/policy/").json() == root("GET", "/api/v1/policy").json()
    assert root("GET", "/health/").status_code == 200


def test_unknown_paths_are_404_and_wrong_methods_405(root: Caller) -> None:
    assert root("GET", "/api/v1/nothing").status_code == 404
    assert root("PUT", "/api/v1/policy").status_code == 405


def test_answers_carry_security_headers(anyone: Caller) -> None:
    for path in ("/health", "/api/v1/policy"):
        headers = anyone("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_the_access_log_of_the_server_sees_no_query(context: Context, anyone: Caller) -> None:
    seen = []

    async def server(scope, receive, send):  # type: ignore[no-untyped-def]
        await anyone.app(scope, receive, send)
        seen.append(scope)

    Caller(server)("GET", "/health?identity=ann@example.com")  # type: ignore[arg-type]
    assert seen[0]["query_string"] == b""


def test_a_fault_is_answered_with_a_reference_and_logged_without_its_words(
    context: Context, root: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("ann@example.com broke it")

    monkeypatch.setattr("habeas.services.policies.list_policies", fail)
    with caplog.at_level(logging.INFO):
        answer = root("GET", "/api/v1/policy")
    assert answer.status_code == 500
    reference = answer.json()["detail"].partition("reference ")[2].split()[0]
    assert reference in caplog.text
    assert "RuntimeError" in caplog.text
    assert "ann@example.com" not in answer.text + caplog.text


def test_a_ledger_that_does_not_answer_is_503(context: Context, root: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert root("GET", "/health").json() == {"webserver": "healthy", "database": "healthy", "version": __version__}

    def refuse(*args: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("ann@example.com"))

    monkeypatch.setattr(context.ledger.engine, "connect", refuse)
    health = root("GET", "/health")
    assert (health.status_code, health.json()["database"]) == (503, "unhealthy")
    answer = root("GET", "/api/v1/policy")
    assert answer.status_code == 503
    assert "ann@example.com" not in answer.text
