"""The description of the API: its examples work, and every refusal is in it."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import carry_on
from habeas import bootstrap
from habeas.domain.message import Message
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.context import Context
from habeas.execution.webhooks import make_token
from habeas.settings import SecuritySettings, Settings
from habeas.store import audit_log, manual_collections, requests, tables, users, verifications, webhooks
from habeas.store.webhooks import PRE, CallStatus

Json = Any

CHANGES_NOTHING = {
    *(f"patch /api/v1/privacy-request/administrate/{act}" for act in ("approve", "cancel", "deny")),
    "post /api/v1/privacy-request/bulk/retry",  # the filter of these examples finds nothing
    "post /api/v1/messaging/templates/preview",
    "post /api/v1/oauth/revoke",  # the token of its example is nobody's
    "post /api/v1/privacy-request/search",
    "post /api/v1/user/forgot-password",  # no provider is active
    "put /api/v1/connection/{key}/validate_dataset",
    "put /api/v1/cryptography/encryption/aes/decrypt",
    "put /api/v1/cryptography/encryption/aes/encrypt",
    "put /api/v1/masking/mask",
    "put /api/v1/privacy-request/preview",
    "put /api/v1/storage/config/{key}/secret",  # local storages take none
}
"""Routes of which some example succeeds without a change that would have to be written down."""


MAIL_SERVER = {"service_type": "smtp", "details": {"host": "mail.example.com", "from_address": "me@example.com"}}


class Takes:
    """A message provider that takes everything."""

    def send(self, message: Message) -> None:
        assert message.text


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Caller]:
    """The root client of the examples, at a server with a SQLite database `file_shop`."""
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE members (member_no integer PRIMARY KEY, mail text)")
    database.close()
    security = SecuritySettings(oauth_root_client_id="root", oauth_root_client_secret="root-secret")
    application = bootstrap.build(Settings(data_dir=tmp_path / "data", security=security))
    application.context.provider_types["smtp"] = replace(  # type: ignore[index]
        application.context.provider_types["smtp"], connect=lambda details, secrets: Takes()
    )
    caller = sign_in(Caller(SharedApp(application.context)))
    shop = {"name": "file_shop", "connection_type": "sqlite", "access": "write"}
    desk = {"name": "desk", "connection_type": "manual_webhook", "access": "write"}
    receiver = {"name": "receiver", "connection_type": "https", "access": "read"}
    caller("PATCH", "/api/v1/connection", json=[shop, desk, receiver])
    caller("PUT", "/api/v1/connection/file_shop/secret", json={"path": str(tmp_path / "shop.db")})
    yield caller
    bootstrap.close(application)


def operations(root: Caller) -> Iterator[tuple[str, str, Json]]:
    """Path, method and description of every route, as they stand: what an example needs is made by one before it."""
    for path, methods in root("GET", "/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def count_audits(root: Caller) -> int:
    with root.app.state.context.ledger.read() as connection:
        return audit_log.count_entries(connection, [])


def test_every_example_of_a_body_succeeds_and_what_it_changes_is_written_down(root: Caller) -> None:
    tried, silent = 0, set()
    for path, method, operation in operations(root):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            assert content.get("examples"), f"{method} {path} has no example"
            for name, example in content["examples"].items():
                before = count_audits(root)
                answer = send(root, method, path, media_type, example["value"])
                if count_audits(root) == before:
                    silent.add(f"{method} {path}")
                assert answer.is_success, (method, path, name, answer.text)
                made = answer.json() if answer.headers["content-type"] == "application/json" else None
                failed = isinstance(made, dict) and made.get("failed")
                assert not failed or path.endswith("/bulk/retry"), (method, path, name, answer.text)  # none is in error
                tried += 1
    assert tried >= 24
    assert silent == CHANGES_NOTHING


def send(root: Caller, method: str, path: str, media_type: str, value: Json) -> Json:
    names = {"key": "shop", "rule_key": "wipe_data"}
    if "dataset" in path:
        names["key"] = "file_shop"
    if path.startswith("/api/v1/policy"):
        names["key"] = "give_and_forget"
    if "/webhook/" in path:
        names |= {"policy_key": "give_and_forget", "when": "pre_execution", "key": "wake_the_archive"}
    if path.startswith("/api/v1/storage"):
        names["key"] = "packages"
    if path.startswith("/api/v1/messaging"):
        names |= {"key": "smtp", "service_type": "smtp"}
        if method != "post" or "/test" in path:
            root("POST", "/api/v1/messaging/config", json=MAIL_SERVER)
        elif path.endswith("/config"):
            root("DELETE", "/api/v1/messaging/config/smtp")
    if path.endswith("/messaging/default"):
        root("DELETE", "/api/v1/messaging/config/smtp")
    if "manual_webhook" in path:
        names |= {"key": "desk", "connection_key": "desk"}
    if "client_id" in path:
        names["client_id"] = root("POST", "/api/v1/oauth/client", json=[]).json()["client_id"]
    if "{webhook_id}" in path:
        names["webhook_id"] = root("GET", "/api/v1/status-webhook").json()["items"][0]["id"]
    if "request_id" in path:
        names["request_id"] = submit(root)
    if path.endswith("/{connection_key}"):
        carry_on(root.app.state.context)
    if path.endswith("/verify"):
        await_code(root.app.state.context, names["request_id"], value["code"])
    if path.endswith(("/manual_input", "/erasure_confirm")):
        action = ActionType.ACCESS if path.endswith("/manual_input") else ActionType.ERASURE
        wait_for_people(root.app.state.context, names["request_id"], action)
    headers = {"Content-Type": media_type}
    if "user" in path or path.endswith(("/login", "/session")):
        root, names["user_id"] = prepare_user(root, path, value)
    if path.endswith("/{request_id}/resume"):
        headers["Authorization"] = f"Bearer {halt(root.app.state.context, names['request_id'])}"
    if isinstance(value, dict) and "request_ids" in value:
        value = {**value, "request_ids": [submit(root)]}
    address = path.format(**names)
    if media_type == "application/x-www-form-urlencoded":
        return root(method.upper(), address, data=value)
    content = value if isinstance(value, str) else json.dumps(value)
    untested = "?verify=false" if path.endswith("/connection/{key}/secret") else ""  # the example's host is nobody's
    return root(method.upper(), address + untested, content=content, headers=headers)


def prepare_user(root: Caller, path: str, value: Json) -> tuple[Caller, str]:
    """Let there be the user or the code of an example; who calls, and the user's id."""
    context, login = root.app.state.context, {"username": "ann", "password": "Correct-horse-1"}
    if not root("GET", "/api/v1/user").json()["items"]:
        root("POST", "/api/v1/user", json=login)
    user_id = str(root("GET", "/api/v1/user", params={"username": "ann"}).json()["items"][0]["id"])
    code = value.get("invite_code") or value.get("token")
    if code:
        now = context.clock.now()
        with context.ledger.write() as connection:
            purpose = "invite" if path.endswith("accept-invite") else "reset"
            users.put_code(connection, user_id, purpose, code, now + timedelta(minutes=1), now)
    if path.endswith("/reset-password"):
        root("POST", f"/api/v1/user/{user_id}/force-reset-password", json={"new_password": login["password"]})
        token = root("POST", "/api/v1/login", json=login).json()["token_data"]["access_token"]
        return root.with_token(token), user_id
    return root, user_id


def halt(context: Context, request_id: str) -> str:
    """Let a request wait for the receiver of a webhook; the token that resumes it."""
    now = context.clock.now()
    with context.ledger.write() as connection:
        [webhook] = webhooks.webhooks_of(connection, "give_and_forget", PRE)
        call = webhooks.intend(connection, request_id, webhook, now)
        webhooks.settle(connection, call.id, CallStatus.HALTED, now, was=CallStatus.INTENDED)
        for status in (RequestStatus.IN_PROCESSING, RequestStatus.PAUSED):
            requests.transition(connection, [request_id], status, now, next_step="pre_webhooks")
    return make_token(context.ledger.sealer, call.id)


def await_code(context: Context, request_id: str, code: str) -> None:
    """Let a request wait for this code."""
    now, digest = context.clock.now(), context.ledger.sealer.index(f"verification:{request_id}", code)
    with context.ledger.write() as connection:
        waiting = {"status": RequestStatus.IDENTITY_UNVERIFIED, "must_verify": True}
        connection.execute(tables.requests.update().where(tables.requests.c.id == request_id).values(waiting))
        verifications.add_codes(connection, {request_id: digest}, now + timedelta(minutes=1), now)


def submit(root: Caller) -> str:
    item = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
    return str(root("POST", "/api/v1/privacy-request", json=[item]).json()["succeeded"][0]["id"])


def wait_for_people(context: Context, request_id: str, action: ActionType) -> None:
    """Let a request wait at a collection that people look into."""
    question = manual_collections.Question({"person": [12]}, get=["card", "person", "remark"])
    now, moved = context.clock.now(), RequestStatus.IN_PROCESSING
    with context.ledger.write() as connection:
        requests.transition(connection, [request_id], moved, now, next_step=action)
        requests.transition(connection, [request_id], RequestStatus.PAUSED, now)
        asked = [(request_id, "desk:cards", question)]
        manual_collections.ask(connection, context.ledger.sealer, action, asked, now)


def test_every_route_says_what_it_answers_and_how_it_refuses(root: Caller) -> None:
    for path, method, operation in operations(root):
        assert operation["summary"], (method, path)
        success = next(response for status, response in operation["responses"].items() if status.startswith("2"))
        if "200" in operation["responses"] and not path.startswith("/api/v1/oauth"):
            assert all(content["schema"] for content in success["content"].values()), (method, path)
        if not path.startswith("/api/"):
            continue
        refusals = {status for status in operation["responses"] if not status.startswith("2")}
        assert refusals >= {"400", "503"}, (method, path)
        assert refusals >= {"401", "403"} or not operation.get("security"), (method, path)
        for status in refusals:
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}, (method, path, status)


def test_conflicts_are_described_where_they_occur(root: Caller) -> None:
    described = {path for path, _, operation in operations(root) if "409" in operation["responses"]}
    assert described >= {
        "/api/v1/policy/{key}",
        "/api/v1/storage/config/{key}",
        "/api/v1/oauth/client/{client_id}",
    }


def test_the_description_is_the_same_each_time(root: Caller) -> None:
    assert root("GET", "/openapi.json").json() == root("GET", "/openapi.json").json()
