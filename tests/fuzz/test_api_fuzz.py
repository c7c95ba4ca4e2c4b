"""Calls that schemathesis makes up from the API's own description, to a real server on a PostgreSQL ledger.

Whatever is sent, the server answers as it says it does, and never with a fault; without a token nothing opens.
"""

import random
import re
import sqlite3
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from servers.habeas import (
    HabeasServer,
    register_connection,
    register_dataset,
    register_policy,
    register_storage,
    submit,
)
from servers.postgres import PostgresServer
from servers.process import wait_for

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
OPEN = {
    "POST /api/v1/oauth/token",
    "POST /api/v1/oauth/revoke",
    "POST /api/v1/login",
    "POST /api/v1/session",
    "POST /api/v1/user/accept-invite",
    "POST /api/v1/user/forgot-password",
    "POST /api/v1/user/reset-password-with-token",
    "GET /api/v1/messaging/email-invite/status",
    "POST /api/v1/privacy-request",
    "POST /api/v1/privacy-request/{request_id}/verify",
    "POST /api/v1/privacy-request/{request_id}/resend-code",
    "GET /api/v1/id-verification/config",
    "GET /health",
    "GET /health/database",
    "GET /health/workers",
    "GET /metrics",
}
DATASET = {
    "fides_key": "shop_db",
    "name": "Shop",
    "collections": [
        {
            "name": "members",
            "fields": [
                {"name": "member_no", "fides_meta": {"primary_key": True}},
                {"name": "mail", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
            ],
        }
    ],
}

JSON = "application/json"

Operation = Any
Case = Any


@dataclass(frozen=True)
class Stage:
    """A server with something of everything; `known` are values of path parameters."""

    server: HabeasServer
    operations: Mapping[str, Operation]
    headers: Mapping[str, str]
    known: Mapping[str, list[str]]
    session: requests.Session

    def call(self, case: Case, headers: Mapping[str, str]) -> requests.Response:
        answer: requests.Response = case.call(
            base_url=self.server.url, session=self.session, headers=dict(headers), timeout=20
        )
        return answer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fuzz")
    with closing(sqlite3.connect(folder / "shop.sqlite")) as shop:
        shop.execute("CREATE TABLE members (member_no INTEGER PRIMARY KEY, mail TEXT)")
    environment = {"HABEAS__DATABASE__URL": postgres_server.create_database("fuzz")}
    with (
        HabeasServer(folder / "data", environment=environment) as server,
        server.client() as http,
        requests.Session() as session,
    ):
        session.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=[])
        )  # no call brings the session of an earlier one
        register_storage(http)
        register_connection(http, "shop", "sqlite", {"path": str(folder / "shop.sqlite")})
        register_dataset(http, "shop", DATASET)
        register_policy(http, "both", access=["user"], erasure=["user.contact"])
        (request,) = submit(http, "both", {"email": "ann@example.com"})
        wait_for("the request", lambda: status_of(http, request) == "complete")
        desk = {"name": "desk", "connection_type": "manual_webhook", "access": "write"}
        receiver = {"name": "receiver", "connection_type": "https", "access": "read"}
        http.patch("/api/v1/connection", json=[desk, receiver]).raise_for_status()
        definition = {"fields": [{"pii_field": "Given name"}, {"pii_field": "Date of birth"}]}
        http.post("/api/v1/connection/desk/access_manual_webhook", json=definition).raise_for_status()
        (waiting,) = submit(http, "both", {"email": "bob@example.com"})
        wait_for("the form", lambda: status_of(http, waiting) == "requires_input")
        mail = {"service_type": "smtp", "details": {"host": "localhost", "from_address": "me@example.com", "port": 9}}
        http.post("/api/v1/messaging/config", json=mail).raise_for_status()
        receipt = {"type": "privacy_request_receipt", "content": {"subject": "Received", "body": "<p>Thanks</p>"}}
        saved = http.put("/api/v1/messaging/templates", json=[receipt]).json()
        template = saved["succeeded"][0]["id"]
        client = http.post("/api/v1/oauth/client", json=["policy:read"]).json()["client_id"]
        user = http.post("/api/v1/user", json={"username": "ann", "password": "Correct-horse-1"}).json()["id"]
        subscription = {"url": "https://127.0.0.1:9/status"}
        subscribed = http.post("/api/v1/status-webhook", json=subscription).json()["webhook"]["id"]
        described = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
        operations = {found.ok().label: found.ok() for found in described.get_all_operations()}
        known = {
            "key": ["shop", "both", "packages", "desk", "smtp", "wake_the_archive"],
            "connection_key": ["desk"],
            "rule_key": ["both_access", "both_erasure"],
            "target_key": ["both_access-user"],
            "fides_key": ["shop_db"],
            "request_id": [request, waiting],
            "client_id": [client, "root"],
            "user_id": [user],
            "jti": ["tok_unknown"],
            "name": ["sqlite", "postgres"],
            "policy_key": ["both"],
            "when": ["pre_execution", "post_execution"],
            "service_type": ["smtp"],
            "template_id": [template],
            "event": ["privacy_request_receipt"],
            "webhook_id": [subscribed],
        }
        yield Stage(server, operations, {"Authorization": http.headers["Authorization"]}, known, session)
        assert not re.search(r"\bfault\b", server.log_text())


def status_of(http: httpx.Client, request_id: str) -> str:
    return str(http.get(f"/api/v1/privacy-request/{request_id}").json()["status"])


ODD = st.one_of(
    st.sampled_from([None, True, -1, 0, 2**31, 2**63, 2**70, 1.5, [], {}, [None], {"value": {}}]),
    st.sampled_from(["", " ", "\x00", "\ufeff", "ß" * 300, "x" * 5000, "../..", "%", "'\"`;--", "null", "a.b"]),
    st.text(max_size=8),
)
"""What no example has: values of the wrong kind, too large, and text that stores, parsers and paths stumble over."""


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """The value with one part of it replaced, left out or added."""
    if not isinstance(value, dict | list) or not value or not draw(st.integers(0, 6)):
        return draw(ODD)
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(spoiled(value[at])), *value[at + 1 :]]
    name = draw(st.sampled_from(sorted(value)))
    match draw(st.integers(0, 9)):
        case 0:
            return {other: part for other, part in value.items() if other != name}
        case 1:
            return {**value, draw(st.text(max_size=5)): draw(ODD)}
    return {**value, name: draw(spoiled(value[name]))}


@st.composite
def calls(draw: st.DrawFn, operation: Operation, known: Mapping[str, list[str]]) -> Case:
    """Calls of an operation: sound, unsound, examples as they are or with a flaw; mostly about what is there."""
    modes = [GenerationMode.POSITIVE] * 2
    if operation.body or operation.query:
        modes.append(GenerationMode.NEGATIVE)
    case = draw(operation.as_strategy(generation_mode=draw(st.sampled_from(modes))))
    if case.path_parameters and draw(st.integers(0, 3)):
        case.path_parameters = {name: draw(st.sampled_from(known[name])) for name in case.path_parameters}
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    if JSON in content and draw(st.booleans()):
        examples = [example["value"] for example in content[JSON]["examples"].values()]
        example = draw(st.sampled_from(examples))
        case.body, case.media_type = draw(spoiled(example)) if draw(st.integers(0, 3)) else example, JSON
    return case


def try_all(stage: Stage, examples: int, attempt: Callable[[str, Case], None]) -> None:
    """Make up calls of every operation, those that delete at the end; the same ones each time."""
    for label, operation in sorted(stage.operations.items(), key=lambda item: (item[1].method == "delete", item[0])):
        try_one(stage, operation, examples, partial(attempt, label))


def try_one(stage: Stage, operation: Operation, examples: int, attempt: Callable[[Case], None]) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=calls(operation, stage.known))
    def attempt_each(case: Case) -> None:
        attempt(case)

    attempt_each()


def test_whatever_is_sent_is_answered_as_described(stage: Stage) -> None:
    seen: dict[str, set[int]] = {label: set() for label in stage.operations}

    def attempt(label: str, case: Case) -> None:
        answer = stage.call(case, stage.headers)
        seen[label].add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    try_all(stage, 20, attempt)
    served = [label for label, statuses in seen.items() if min(statuses) < 300]
    assert len(served) > 0.7 * len(seen), f"too few calls came through: not {sorted(set(seen) - set(served))}"


def test_no_made_up_token_opens_a_route(stage: Stage) -> None:
    made_up = random.Random(7)

    def attempt(label: str, case: Case) -> None:
        token = "".join(made_up.choices(string.printable[:94], k=made_up.randint(0, 50)))
        scheme = made_up.choice(["Bearer ", "bearer ", "Basic ", ""])
        answer = stage.call(case, {"Authorization": scheme + token})
        assert answer.status_code < 500, (label, answer.text)
        assert label in OPEN or answer.status_code in (400, 401, 422), (label, answer.status_code)

    try_all(stage, 3, attempt)
