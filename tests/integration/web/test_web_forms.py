"""Manual webhooks over HTTP: what people are asked for, the forms of requests, and every answer there is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import carry_on
from habeas import bootstrap
from habeas.settings import SecuritySettings, Settings

API = "/api/v1"
DESK = f"{API}/connection/desk/access_manual_webhook"
FIELDS = [{"pii_field": " Given name "}, {"pii_field": "Born", "dsr_package_label": "date_of_birth"}]


class Desk:
    """The API of a server whose requests wait for the people of connection `desk`."""

    def __init__(self, caller: Caller) -> None:
        self.call = caller
        self.context = caller.app.state.context

    def submit(self, policy: str = "give") -> str:
        """A request, carried on until it waits; the address of its routes."""
        item = {"policy_key": policy, "identity": {"email": "ann@example.com"}}
        answer = self.call("POST", f"{API}/privacy-request", json=[item]).json()
        assert answer["failed"] == [], answer
        carry_on(self.context)
        return f"{API}/privacy-request/{answer['succeeded'][0]['id']}"

    def with_scopes(self, *scopes: str) -> Caller:
        made = self.call("POST", f"{API}/oauth/client", json=list(scopes)).json()
        return sign_in(Caller(self.call.app), made["client_id"], made["client_secret"])

    def define(self, fields: Any, method: str = "PATCH") -> httpx.Response:
        return self.call(method, DESK, json={"fields": fields})

    def audits(self, request: str) -> list[tuple[str, str, str]]:
        results = self.call("GET", f"{request}?verbose=true").json()["results"]
        return [
            (entry["status"], entry["user_id"], entry["message"])
            for title in ("Input uploaded", "Input viewed", "Request resumed")
            for entry in results.get(title, [])
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    security = SecuritySettings(oauth_root_client_id="root", oauth_root_client_secret="root-secret")
    application = bootstrap.build(Settings(data_dir=tmp_path, security=security))
    caller = sign_in(Caller(SharedApp(application.context)))
    rules = [{"name": "give", "action_type": "access", "storage_destination_key": "packages"}]
    erasing = {"name": "wipe", "action_type": "erasure", "masking_strategy": {"strategy": "null_rewrite"}}
    connections = [
        {"name": key, "connection_type": kind, "access": "write"}
        for key, kind in (("desk", "manual_webhook"), ("bare", "manual_webhook"), ("shop", "sqlite"))
    ]
    for path, items in (
        ("storage/config", [{"name": "packages", "type": "local"}]),
        ("policy", [{"name": "give"}, {"name": "forget"}]),
        ("policy/give/rule", rules),
        ("policy/give/rule/give/target", [{"data_category": "user"}]),
        ("policy/forget/rule", [erasing]),
        ("policy/forget/rule/wipe/target", [{"data_category": "user"}]),
        ("connection", connections),
    ):
        answer = caller("PATCH", f"{API}/{path}", json=items)
        assert answer.json()["failed"] == [], answer.text
    assert caller("POST", DESK, json={"fields": FIELDS}).status_code == 201
    yield Desk(caller)
    bootstrap.close(application)


def test_a_definition_is_made_shown_changed_and_deleted(desk: Desk) -> None:
    shown = desk.call("GET", DESK).json()
    assert shown["id"].startswith("mwh_") and shown["connection_config"]["key"] == "desk"
    first = {"pii_field": "Given name", "dsr_package_label": "given_name", "types": ["string"], "data_categories": []}
    assert shown["fields"] == [first, {**first, "pii_field": "Born", "dsr_package_label": "date_of_birth"}]
    assert desk.call("GET", f"{API}/access_manual_webhook").json() == [shown]
    again = desk.define(FIELDS, "POST")
    assert again.status_code == 400 and "has a manual webhook" in again.text
    changed = desk.define([{"pii_field": "Shoe size (EU)", "dsr_package_label": " ", "data_categories": ["user.name"]}])
    assert changed.status_code == 200
    (field,) = desk.call("GET", DESK).json()["fields"]
    assert (field["dsr_package_label"], field["data_categories"]) == ("shoe_size_eu", ["user.name"])
    gone = desk.call("DELETE", DESK)
    assert (gone.status_code, gone.content) == (204, b"")
    assert [desk.call(method, DESK).status_code for method in ("GET", "DELETE")] == [404, 404]
    assert desk.define(FIELDS).status_code == 404
    assert desk.call("GET", f"{API}/access_manual_webhook").json() == []


SENSELESS: list[tuple[Any, list[str | int]]] = [
    ([], ["fields"]),
    ([{"pii_field": "  "}], ["fields", 0, "pii_field"]),
    ([{"pii_field": "x" * 201}], ["fields", 0, "pii_field"]),
    ([{"pii_field": "a", "dsr_package_label": "x" * 201}], ["fields", 0, "dsr_package_label"]),
    ([{"pii_field": "a\x00"}], ["fields", 0, "pii_field"]),
    ([{"pii_field": "a"}, {"pii_field": "a ", "dsr_package_label": "b"}], ["fields", 0, "pii_field"]),
    ([{"pii_field": "Given name"}, {"pii_field": "given_name"}], ["fields", 1, "dsr_package_label"]),
    ([{"pii_field": "a", "types": ["string", "file"]}], ["fields", 0, "types"]),
    ([{"pii_field": "a", "data_categories": ["user.nonsense"]}], ["fields", 0, "data_categories"]),
    ([{"dsr_package_label": "a"}], ["fields", 0, "pii_field"]),
    (None, ["fields"]),
]
"""Fields of a definition, and the place that is complained of."""


def test_a_definition_that_makes_no_sense_is_refused_and_changes_nothing(desk: Desk) -> None:
    before = desk.call("GET", DESK).json()
    for fields, place in SENSELESS:
        refused = desk.define(fields)
        assert refused.status_code == 422, (fields, refused.text)
        assert ["body", *place] in [problem["loc"] for problem in refused.json()["detail"]], fields
    assert desk.call("GET", DESK).json() == before


def test_only_connections_of_the_type_are_asked(desk: Desk) -> None:
    for key, status in (("shop", 400), ("nobody", 404)):
        path = f"{API}/connection/{key}/access_manual_webhook"
        for method in ("POST", "PATCH"):
            assert desk.call(method, path, json={"fields": FIELDS}).status_code == status
        assert [desk.call(method, path).status_code for method in ("GET", "DELETE")] == [status] * 2
    found = desk.call("GET", f"{API}/connection?system_type=manual").json()["items"]
    assert {one["key"] for one in found} == {"desk", "bare"}
    tested = desk.call("PUT", f"{API}/connection/desk/secret", json={}).json()
    assert tested["test_status"] == "skipped"


def test_a_request_waits_for_its_form_and_goes_on_when_nothing_is_held(desk: Desk) -> None:
    """Acceptance check A16."""
    request = desk.submit()
    form = f"{request}/access_manual_webhook/desk"
    view = desk.call("GET", request).json()
    assert view["status"] == "requires_input"
    assert view["resume_endpoint"] == f"{request.removeprefix(API)}/resume_from_requires_input"
    details = view["action_required_details"]
    assert (details["step"], details["collection"]) == ("manual_webhooks", None)
    assert details["forms"] == [{"connection_key": "desk", "action_type": "access"}]
    empty = {"checked": False, "fields": {"given_name": None, "date_of_birth": None}}
    assert desk.call("GET", form).json() == empty
    refused = desk.call("POST", f"{request}/resume_from_requires_input")
    assert refused.status_code == 400 and "the access form of desk" in refused.json()["detail"]
    saved = desk.call("PATCH", form, json={})
    assert (saved.status_code, saved.json()) == (200, None)
    assert desk.call("GET", form).json() == {**empty, "checked": True}
    assert desk.call("GET", request).json()["action_required_details"]["forms"] == []
    resumed = desk.call("POST", f"{request}/resume_from_requires_input")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "in_processing")
    assert resumed.json()["resume_endpoint"] is None
    carry_on(desk.context)
    assert desk.call("GET", request).json()["status"] == "complete"
    package = desk.call("GET", f"{request}/package/give").json()
    assert package == {"desk": [{"given_name": None, "date_of_birth": None}]}
    assert desk.audits(request) == [
        ("input_uploaded", "root", "access form of desk"),
        *[("data_viewed", "root", "access form of desk")] * 2,
        ("resumed", "root", ""),
    ]


def test_answers_replace_earlier_ones_and_may_be_empty(desk: Desk) -> None:
    request = desk.submit()
    form = f"{request}/access_manual_webhook/desk"
    for answers in ({"given_name": "Anne", "date_of_birth": "1990"}, {"given_name": "Ann", "date_of_birth": ""}):
        assert desk.call("PATCH", form, json=answers).status_code == 200
        assert desk.call("GET", form).json() == {"checked": True, "fields": answers}


def test_what_the_form_does_not_have_is_refused_without_repeating_it(desk: Desk) -> None:
    request = desk.submit()
    form = f"{request}/access_manual_webhook/desk"
    for body in (
        {"nickname": "Secret Sam"},
        {"given_name": 4711},
        {"given_name": ["x"]},
        {"given_name": "\x00"},
        [],
        "x",
    ):
        refused = desk.call("PATCH", form, json=body)
        assert refused.status_code == 422, body
        assert "Secret Sam" not in refused.text and "4711" not in refused.text
    assert desk.call("GET", form).json()["checked"] is False


def test_what_was_erased_is_yes_or_no(desk: Desk) -> None:
    request = desk.submit("forget")
    assert desk.call("GET", request).json()["action_required_details"]["forms"] == [
        {"connection_key": "desk", "action_type": "erasure"}
    ]
    form = f"{request}/erasure_manual_webhook/desk"
    assert desk.call("PATCH", f"{request}/access_manual_webhook/desk", json={}).status_code == 400
    for body in ({"given_name": "yes"}, {"given_name": 1}, {"nickname": True}):
        assert desk.call("PATCH", form, json=body).status_code == 422
    assert desk.call("PATCH", form, json={"given_name": True, "date_of_birth": False}).status_code == 200
    said = {"given_name": True, "date_of_birth": False}
    assert desk.call("GET", form).json() == {"checked": True, "fields": said}
    assert desk.call("POST", f"{request}/resume_from_requires_input").status_code == 200
    carry_on(desk.context)
    assert desk.call("GET", request).json()["status"] == "complete"
    report = desk.call("GET", f"{request}/report").json()
    assert report["confirmed"] == [{"connection_key": "desk", "erased": said}]


def test_forms_of_nothing_and_of_requests_that_do_not_wait(desk: Desk) -> None:
    request = desk.submit()
    missing = f"{API}/privacy-request/pri_nobody"

    def statuses(place: str, key: str) -> list[int]:
        form = f"{place}/access_manual_webhook/{key}"
        return [desk.call("PATCH", form, json={}).status_code, desk.call("GET", form).status_code]

    assert statuses(missing, "desk") == [404, 404]
    assert statuses(request, "nobody") == [404, 404]
    assert statuses(request, "shop") == [400, 400]
    assert statuses(request, "bare") == [400, 400]
    assert desk.call("POST", f"{missing}/resume_from_requires_input").status_code == 404
    desk.call("PATCH", f"{request}/access_manual_webhook/desk", json={})
    assert desk.call("POST", f"{request}/resume_from_requires_input").status_code == 200
    assert statuses(request, "desk") == [400, 400]
    again = desk.call("POST", f"{request}/resume_from_requires_input")
    assert again.status_code == 400 and "in_processing" in again.json()["detail"]


def test_each_route_needs_its_scope(desk: Desk) -> None:
    request = desk.submit()
    fields = {"fields": FIELDS}
    access, erasure = (f"{request}/{action}_manual_webhook/desk" for action in ("access", "erasure"))
    routes = [
        ("GET", DESK, None, "webhook:read"),
        ("GET", f"{API}/access_manual_webhook", None, "webhook:read"),
        ("POST", DESK, fields, "webhook:create_or_update"),
        ("PATCH", DESK, fields, "webhook:create_or_update"),
        ("GET", access, None, "privacy-request:view_data"),
        ("GET", erasure, None, "privacy-request:view_data"),
        ("PATCH", access, {}, "privacy-request:upload_data"),
        ("PATCH", erasure, {}, "privacy-request:upload_data"),
        ("POST", f"{request}/resume_from_requires_input", None, "privacy-request:resume"),
        ("DELETE", DESK, None, "webhook:delete"),
    ]
    every = {scope for *_, scope in routes}
    callers = {scope: (desk.with_scopes(scope), desk.with_scopes(*every - {scope})) for scope in every}
    for method, path, body, scope in routes:
        holder, others = callers[scope]
        assert others(method, path, json=body).status_code == 403, (method, path)
        assert holder(method, path, json=body).status_code in (200, 204, 400), (method, path)


def test_ending_to_ask_lets_go_who_waited(desk: Desk) -> None:
    one, two = desk.submit(), desk.submit("forget")
    desk.call(
        "PATCH",
        f"{API}/connection",
        json=[{"name": "desk", "connection_type": "manual_webhook", "access": "write", "disabled": True}],
    )
    assert {desk.call("GET", request).json()["status"] for request in (one, two)} == {"in_processing"}
    carry_on(desk.context)
    assert {desk.call("GET", request).json()["status"] for request in (one, two)} == {"complete"}
    assert desk.call("GET", f"{one}/package/give").json() == {}
