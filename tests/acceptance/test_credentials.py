"""Tokens, scopes and clients through HTTP: 401, 403, deleted clients, expired tokens (control-plane §1.16, A27)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from landscape import Landscape, on_one_ledger
from targets import ANN

LIST = "/api/v1/privacy-request"


def log_in(landscape: Landscape, client_id: str, secret: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return httpx.post(f"{landscape.server.url}/api/v1/oauth/token", data=form, timeout=30)


def make_client(landscape: Landscape, *scopes: str) -> tuple[str, str]:
    made = landscape.ask("POST", "/oauth/client", json={"name": landscape.tag, "scopes": list(scopes)})
    return made["client_id"], made["client_secret"]


@pytest.fixture
def reader(landscape: Landscape) -> Iterator[tuple[str, httpx.Client]]:
    """Id of a client that may read requests, and calls with its token."""
    client_id, secret = make_client(landscape, "privacy-request:read")
    headers = {"Authorization": f"Bearer {log_in(landscape, client_id, secret).json()['access_token']}"}
    with httpx.Client(base_url=landscape.server.url, headers=headers, timeout=30) as http:
        yield client_id, http


def test_a_token_opens_what_its_scopes_name_and_nothing_else(
    landscape: Landscape, reader: tuple[str, httpx.Client]
) -> None:
    _, http = reader
    assert http.get(LIST).status_code == 200
    for method, path in (
        ("GET", "/api/v1/connection"),
        ("GET", "/api/v1/policy"),
        ("GET", "/api/v1/storage/config"),
        ("GET", "/api/v1/oauth/client"),
        ("POST", f"{LIST}/pri_x/retry"),
        ("GET", f"{LIST}/pri_x/access-results"),
        ("GET", f"{LIST}/pri_x/package/rule"),
        ("DELETE", "/api/v1/connection/x"),
    ):
        assert http.request(method, path).status_code == 403, path
    assert http.post(f"{LIST}/authenticated", json=[{"policy_key": "x", "identity": {"email": ANN}}]).status_code == 403
    assert http.post("/api/v1/oauth/client", json=["privacy-request:read"]).status_code == 403


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "Basic eDp5", "nonsense"])
@on_one_ledger
def test_without_a_valid_token_there_is_nothing_to_see(landscape: Landscape, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in (LIST, "/api/v1/connection", f"{LIST}/pri_x/log", "/api/v1/oauth/scope"):
        answer = httpx.get(f"{landscape.server.url}{path}", headers=headers, timeout=30)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"]


def test_a_token_dies_with_its_client(landscape: Landscape, reader: tuple[str, httpx.Client]) -> None:
    client_id, http = reader
    assert http.get(LIST).status_code == 200
    assert landscape.call("DELETE", f"/oauth/client/{client_id}").is_success
    assert http.get(LIST).status_code == 401
    assert landscape.call("DELETE", f"/oauth/client/{client_id}").is_success  # nothing happens for an unknown one


def test_a_scope_taken_from_a_client_is_gone_from_its_tokens(
    landscape: Landscape, reader: tuple[str, httpx.Client]
) -> None:
    client_id, http = reader
    landscape.ask("PUT", f"/oauth/client/{client_id}/scope", json=["policy:read"])
    assert http.get(LIST).status_code == 403
    assert http.get("/api/v1/policy").status_code == 403  # and what is given later needs a new token


def test_a_token_expires_and_can_be_revoked(landscape: Landscape, reader: tuple[str, httpx.Client]) -> None:
    client_id, http = reader
    token = http.headers["Authorization"].removeprefix("Bearer ")
    stored = landscape.read_ledger("SELECT hash FROM token WHERE client_id = :id", id=client_id)
    assert token not in str(stored)
    past = datetime.now(UTC) - timedelta(minutes=1)
    earlier = (
        past.isoformat() if landscape.ledger.dialect.name == "postgresql" else past.strftime("%Y-%m-%d %H:%M:%S.%f")
    )
    assert landscape.write_ledger("UPDATE token SET expires_at = :at WHERE client_id = :id", at=earlier, id=client_id)
    assert http.get(LIST).status_code == 401
    client_id, secret = make_client(landscape, "privacy-request:read")
    fresh = log_in(landscape, client_id, secret).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {fresh}"
    assert http.get(LIST).status_code == 200
    assert http.post("/api/v1/oauth/revoke", data={"token": fresh}).is_success
    assert http.get(LIST).status_code == 401


@on_one_ledger
def test_wrong_credentials_are_refused_without_saying_which_part(landscape: Landscape) -> None:
    client_id, secret = make_client(landscape, "privacy-request:read")
    refused = [
        log_in(landscape, *wrong) for wrong in ((client_id, "secret-x"), ("nobody", secret), ("root", "secret-x"))
    ]
    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert len({answer.text for answer in refused}) == 1
    assert secret not in "".join(answer.text for answer in refused)
    rotated = landscape.ask("POST", f"/oauth/client/{client_id}/secret")["client_secret"]
    assert log_in(landscape, client_id, secret).status_code == 401
    assert log_in(landscape, client_id, rotated).status_code == 200
    assert landscape.call("POST", "/oauth/client", json={"scopes": ["everything"]}).status_code == 422


@on_one_ledger
def test_secrets_are_shown_by_no_answer(landscape: Landscape) -> None:
    landscape.members()
    kept = f"{landscape.tag}-secret"
    landscape.save("/connection", {"key": kept, "name": kept, "connection_type": "postgres", "access": "read"})
    secrets = {"host": "127.0.0.1", "port": 1, "dbname": "d", "username": "u", "password": "canary-password-9d"}
    tested = landscape.call("PUT", f"/connection/{kept}/secret", json=secrets)
    assert tested.json()["test_status"] == "failed"
    unknown = landscape.call("PUT", f"/connection/{kept}/secret", json={**secrets, "canary-password-9d": "x"})
    assert unknown.status_code == 422
    said = [tested, landscape.call("GET", f"/connection/{kept}/test")]
    said += [
        landscape.call("GET", path) for path in (f"/connection/{kept}", "/connection", f"/connection/{kept}/dataset")
    ]
    assert "canary-password-9d" not in "".join(answer.text for answer in said)
    assert "canary-password-9d" not in landscape.server.log_text()
    landscape.call("DELETE", f"/connection/{kept}")
