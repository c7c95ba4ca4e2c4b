"""The typed client against the API's own description: whatever the description allows as an answer, the client reads.

A server is made up from the description. It refuses what is not described, and answers with every value of every enum,
with all that may be null as null, and without what may be left out. The test fails when the API drifts.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints
from urllib.parse import unquote

import httpx
import pytest
from tests.unit.services.wiring import FakeStore, MovableClock, make_context

from habeas.client import ApiFailure, Client, log_in
from habeas.client.answers import (
    CollectionReport,
    Connection,
    LogEntry,
    Policy,
    PrivacyRequest,
    RequestRule,
    Storage,
)
from habeas.client.calls import Calls
from habeas.domain.request import RequestStatus
from habeas.web.app import create_app

Json = Any
STEPS = 12
"""Answers that each method is given: more than any enum has values."""

CALLS: dict[str, Callable[[Client], object]] = {
    "submit": lambda client: client.submit("p", {"email": ["a", "b"]}, external_id="x", by_staff=True),
    "find_request": lambda client: client.find_request("pri_1"),
    "list_requests": lambda client: list(client.list_requests(status=["complete"], policy_key="p")),
    "approve": lambda client: client.approve(["pri_1"]),
    "deny": lambda client: client.deny(["pri_1"], "no proof"),
    "cancel": lambda client: client.cancel(["pri_1"], "asked to"),
    "retry": lambda client: client.retry("pri_1"),
    "read_log": lambda client: list(client.read_log("pri_1")),
    "read_report": lambda client: client.read_report("pri_1"),
    "download_package": lambda client: client.download_package("pri_1", "rule"),
    "download_packages": lambda client: client.download_packages("pri_1"),
    "save_connection": lambda client: client.save_connection("shop", "sqlite", "write", description="x"),
    "save_secrets": lambda client: client.save_secrets("shop", {"path": "x", "port": 1}, verify=False),
    "save_dataset": lambda client: client.save_dataset("shop", {"fides_key": "shop", "collections": []}),
    "save_storage": lambda client: client.save_storage("here", "local", format="csv"),
    "save_policy": lambda client: client.save_policy("p", regulation="gdpr"),
    "save_rule": lambda client: client.save_rule("p", "r", "access", ["user"], storage_destination_key="here"),
    "subscribe": lambda client: client.subscribe("https://example.com", statuses=[RequestStatus.ERROR]),
    "unsubscribe": lambda client: client.unsubscribe("swh_1"),
}


class Described:
    """A server made up from a description; `step` chooses among the answers that it allows."""

    def __init__(self, description: Json) -> None:
        self._schemas = description["components"]["schemas"]
        self._paths = description["paths"]
        self.step = 0
        self.asked: list[str] = []

    def leave_out(self, schema: str, name: str) -> None:
        """Answer from now on as if the schema lacked this property."""
        kept = {each: shape for each, shape in self._schemas[schema]["properties"].items() if each != name}
        self._schemas = {**self._schemas, schema: {**self._schemas[schema], "properties": kept}}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, operation = self._find(request.method.lower(), request.url.raw_path.decode().partition("?")[0])
        self.asked.append(f"{request.method} {path}")
        known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        assert set(request.url.params) <= known, (path, request.url.params)
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            self.check(content["application/json"]["schema"], json.loads(request.content), path)
        status, success = next(pair for pair in operation["responses"].items() if pair[0].startswith("2"))
        for media_type, answer in success.get("content", {}).items():
            if media_type != "application/json":
                return httpx.Response(int(status), content=b"PACKAGE")
            return httpx.Response(int(status), json=self._make(answer["schema"]))
        return httpx.Response(int(status))

    def _find(self, method: str, path: str) -> tuple[str, Json]:
        """The operation whose path this is; one without parameters before others."""
        parts = path.split("/")
        for template in sorted(self._paths, key=lambda each: each.count("{")):
            named = template.split("/")
            if len(named) == len(parts) and all(
                name.startswith("{") or name == unquote(part) for name, part in zip(named, parts, strict=True)
            ):
                assert method in self._paths[template], f"{method} {path} is not described"
                return template, self._paths[template][method]
        raise AssertionError(f"{path} is not described")

    def _resolve(self, schema: Json) -> Json:
        return self._schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def check(self, schema: Json, value: Json, where: str) -> None:
        """Fail for what the schema lacks, or needs and does not get."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            kinds = {"string": str, "integer": int, "object": dict, "array": list, "null": type(None)}
            resolved = [self._resolve(each) for each in schema["anyOf"]]
            fitting = [each for each in resolved if isinstance(value, kinds[each["type"]])]
            assert fitting, (where, value)
            self.check(fitting[0], value, where)
        elif schema.get("type") == "object":
            assert set(schema.get("required", ())) <= set(value), (where, value)
            own = schema.get("properties", {})
            if not schema.get("additionalProperties"):
                assert set(value) <= set(own), (where, value)
            for name in set(value) & set(own):
                self.check(own[name], value[name], f"{where}.{name}")
        elif schema.get("type") == "array":
            for item in value:
                self.check(schema["items"], item, where)
        assert value in schema.get("enum", [value]), (where, value)

    def _make(self, schema: Json) -> Json:
        """A value that the schema allows."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            empty = [each for each in schema["anyOf"] if each.get("type") == "null"]
            return self._make(empty[0] if empty and self.step % 2 else schema["anyOf"][-1 - len(empty)])
        if "enum" in schema or "const" in schema:
            values = schema.get("enum") or [schema["const"]]
            return values[self.step % len(values)]
        match schema.get("type"):
            case "object":
                made = {
                    name: self._make(each)
                    for name, each in schema.get("properties", {}).items()
                    if name in schema.get("required", ()) or not self.step % 2
                }
                return {**made, "failed": []} if set(made) == {"succeeded", "failed"} else made
            case "array":
                return [self._make(schema["items"])]
            case "string":
                return {"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31"}.get(schema.get("format"), "text")
            case "integer" | "number":
                return 7
            case "boolean":
                return True
        return None


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Json:
    context = make_context(tmp_path_factory.mktemp("described"), FakeStore(), MovableClock())
    found = create_app(context).openapi()
    context.ledger.close()
    return found


@pytest.fixture
def described(description: Json) -> Described:
    return Described(description)


@pytest.fixture
def client(described: Described) -> Iterator[Client]:
    with log_in("http://habeas", "root", "secret", httpx.MockTransport(described)) as opened:
        yield opened


def test_every_method_is_tried() -> None:
    own = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    inherited = {name for name, _ in inspect.getmembers(Calls, inspect.isfunction)}
    assert own - inherited - {"wait_for", "follow"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_what_is_asked_is_described_and_every_answer_is_read(client: Client, described: Described, name: str) -> None:
    method = inspect.getattr_static(Client, name)
    expected = get_type_hints(method)["return"]
    for described.step in range(STEPS):
        before = len(described.asked)
        answer = CALLS[name](client)
        assert len(described.asked) > before
        kinds = [kind for kind in (expected, *get_args(expected)) if is_dataclass(kind)]
        if kinds:
            found = answer if isinstance(answer, list) else [answer]
            assert found
            assert {type(one) for one in found} == set(kinds)


def test_a_request_is_waited_for(client: Client, described: Described) -> None:
    statuses = list(RequestStatus)
    described.step = statuses.index(RequestStatus.COMPLETE)
    assert client.wait_for("pri_1", 0).status is RequestStatus.COMPLETE
    described.step = statuses.index(RequestStatus.IN_PROCESSING)
    with pytest.raises(ApiFailure, match="still in_processing"):
        client.wait_for("pri_1", 0)


def test_answers_of_another_version_are_refused(client: Client, described: Described) -> None:
    described.leave_out("RequestView", "status")
    with pytest.raises(ApiFailure, match="no PrivacyRequest"):
        client.find_request("pri_1")


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (PrivacyRequest, "RequestView"),
        (RequestRule, "RuleSummary"),
        (LogEntry, "LogEntry"),
        (CollectionReport, "CollectionReport"),
        (Connection, "ConnectionView"),
        (Storage, "StorageView"),
        (Policy, "PolicyView"),
    ],
)
def test_what_is_never_null_has_no_none_in_its_type(described: Described, kind: type, schema: str) -> None:
    shapes: Mapping[str, Json] = described._schemas[schema]["properties"]
    nullable = {name for name, shape in shapes.items() if {"type": "null"} in shape.get("anyOf", [])}
    optional = {field.name for field in fields(kind) if type(None) in get_args(get_type_hints(kind)[field.name])}
    assert optional == nullable & {field.name for field in fields(kind)}
