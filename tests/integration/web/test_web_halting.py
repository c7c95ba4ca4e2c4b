"""Policy webhooks over HTTP: a request that one halts, is resumed by its receiver's token, fails and is retried."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import carry_on
from habeas import bootstrap
from habeas.services.logins import make_csrf_token
from habeas.settings import ExecutionSettings, SecuritySettings, Settings
from habeas.store import tables
from servers.receiver import Answer, Receiver

API = "/api/v1"
GIVEN, DERIVED = "former@example.com", "ann@example.com"


class Office:
    """The API of a server whose policy `give` asks two receivers first and tells one afterwards."""

    def __init__(self, caller: Caller, receiver: Receiver) -> None:
        self.call = caller
        self.receiver = receiver
        self.context = caller.app.state.context

    def submit(self) -> str:
        """A request, carried on until it stops; the address of its routes."""
        item = {"policy_key": "give", "identity": {"email": GIVEN}}
        answer = self.call("POST", f"{API}/privacy-request", json=[item]).json()
        carry_on(self.context)
        return f"{API}/privacy-request/{answer['succeeded'][0]['id']}"

    def show(self, request: str) -> Any:
        return self.call("GET", f"{request}?verbose=true").json()

    def resume(self, request: str, token: str, body: Any = None) -> httpx.Response:
        answer = self.call("POST", f"{request}/resume", json=body or {}, headers={"Authorization": f"Bearer {token}"})
        carry_on(self.context)
        return answer

    def called(self) -> list[str]:
        return [call.path for call in self.receiver.calls]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()
    served.answers |= {path: Answer(body={"halt": False}) for path in ("/first", "/second")}
    yield served
    served.close()


@pytest.fixture
def office(tmp_path: Path, receiver: Receiver) -> Iterator[Office]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE people (id integer PRIMARY KEY, mail text, name text)")
        shop.execute("INSERT INTO people VALUES (1, ?, 'Ann Example')", (DERIVED,))
    security = SecuritySettings(
        oauth_root_client_id="root", oauth_root_client_secret="root-secret", outgoing_allow_list=("127.0.0.1",)
    )
    execution = ExecutionSettings(privacy_request_delay_timeout=3600)
    settings = Settings(data_dir=tmp_path / "data", security=security, execution=execution)
    application = bootstrap.build(settings)
    caller = sign_in(Caller(SharedApp(application.context)))
    hooks = ("first", "second", "after")
    connections = [{"name": key, "connection_type": "https", "access": "read"} for key in hooks]
    shop_connection = {"name": "shop", "connection_type": "sqlite", "access": "write"}
    caller("PATCH", f"{API}/connection", json=[*connections, shop_connection])
    for key in hooks:
        caller("PUT", f"{API}/connection/{key}/secret?verify=false", json={"url": receiver.url(f"/{key}")})
    caller("PUT", f"{API}/connection/shop/secret", json={"path": str(tmp_path / "shop.db")})
    fields = [
        {"name": "id", "fides_meta": {"primary_key": True, "data_type": "integer"}},
        {"name": "mail", "fides_meta": {"identity": "email"}},
        {"name": "name", "data_categories": ["user.name"]},
    ]
    dataset = {"fides_key": "shop", "name": "Shop", "collections": [{"name": "people", "fields": fields}]}
    caller("PATCH", f"{API}/connection/shop/dataset", json=[dataset])
    caller("PATCH", f"{API}/storage/config", json=[{"name": "packages", "type": "local", "format": "json"}])
    caller("PATCH", f"{API}/policy", json=[{"name": "give"}])
    rule = {"name": "give", "action_type": "access", "storage_destination_key": "packages"}
    caller("PATCH", f"{API}/policy/give/rule", json=[rule])
    caller("PATCH", f"{API}/policy/give/rule/give/target", json=[{"data_category": "user"}])
    before = [{"connection_config_key": key, "direction": "two_way"} for key in hooks[:2]]
    after = [{"connection_config_key": "after", "direction": "one_way"}]
    assert caller("PUT", f"{API}/policy/give/webhook/pre_execution", json=before).is_success
    assert caller("PUT", f"{API}/policy/give/webhook/post_execution", json=after).is_success
    yield Office(caller, receiver)
    bootstrap.close(application)


def halt(office: Office) -> tuple[str, str]:
    """A request that the first receiver has halted, and the token that resumes it."""
    office.receiver.answers["/first"] = Answer(body={"halt": True})
    request = office.submit()
    return request, office.receiver.calls[-1].headers["reply-to-token"]


def test_halted_then_resumed_with_an_identity_that_only_locates(office: Office) -> None:
    """A13."""
    request, token = halt(office)
    assert (office.show(request)["status"], office.called()) == ("paused", ["/first"])
    assert office.show(request)["paused_at"]
    assert office.resume(request, token, {"derived_identity": {"email": DERIVED}}).is_success
    assert office.show(request)["status"] == "complete"
    assert office.called() == ["/first", "/second", "/after"]
    assert office.receiver.calls[1].json["identity"]["email"] == DERIVED
    package = office.call("GET", f"{request}/package/give").text
    assert "Ann Example" in package and DERIVED not in package
    shown = office.call("GET", f"{API}/privacy-request?include_identities=true&verbose=true").text
    assert GIVEN in shown and DERIVED not in shown


def test_a_token_resumes_its_own_request_once(office: Office) -> None:
    """A14."""
    request, token = halt(office)
    other, others_token = halt(office)
    assert office.resume(request, others_token).status_code == 403
    unknown = office.resume(request, "no token of ours")
    assert (unknown.status_code, unknown.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert office.show(request)["status"] == "paused"
    assert office.resume(request, token).is_success
    again = office.resume(request, token)
    assert (again.status_code, "complete" in again.text) == (400, True)
    assert office.show(other)["status"] == "paused"


def test_a_token_whose_time_or_webhook_is_over_resumes_nothing(office: Office) -> None:
    request, token = halt(office)
    [first, _] = office.call("GET", f"{API}/policy/give/webhook/pre_execution").json()["items"]
    assert office.call("DELETE", f"{API}/policy/give/webhook/pre_execution/{first['key']}").is_success
    assert office.resume(request, token).status_code == 404
    other, late = halt_again(office)
    with office.context.ledger.write() as connection:
        long_ago = office.context.clock.now().replace(year=2020)
        connection.execute(tables.webhook_calls.update().values(answered_at=long_ago))
    assert office.resume(other, late).status_code == 401
    assert office.show(other)["status"] == "paused"


def test_a_used_token_does_not_resume_a_later_halt(office: Office) -> None:
    request, first = halt(office)
    office.receiver.answers["/second"] = Answer(body={"halt": True})
    assert office.resume(request, first).is_success
    again = office.resume(request, first)
    assert (again.status_code, "used already" in again.text) == (400, True)
    assert office.show(request)["status"] == "paused"


def test_two_webhooks_of_a_list_do_not_share_a_name(office: Office) -> None:
    first, second = office.call("GET", f"{API}/policy/give/webhook/pre_execution").json()["items"]
    path = f"{API}/policy/give/webhook/pre_execution/{first['key']}"
    assert office.call("PATCH", path, json={"name": second["name"]}).status_code == 400
    assert office.call("PATCH", path, json={"name": first["name"]}).is_success


def halt_again(office: Office) -> tuple[str, str]:
    """The same by the second receiver."""
    office.receiver.answers["/second"] = Answer(body={"halt": True})
    request = office.submit()
    return request, office.receiver.calls[-1].headers["reply-to-token"]


def test_a_failed_call_ends_in_error_and_a_retry_calls_all_before_it_again(office: Office) -> None:
    """A15."""
    office.receiver.answers["/second"] = Answer(500)
    request = office.submit()
    shown = office.show(request)
    assert (shown["status"], shown["action_required_details"]["step"]) == ("error", "pre_webhooks")
    office.receiver.answers["/second"] = Answer(body={"halt": False})
    assert office.call("POST", f"{request}/retry").is_success
    carry_on(office.context)
    assert office.show(request)["status"] == "complete"
    assert office.called() == ["/first", "/second"] * 2 + ["/after"]


def test_what_is_told_afterwards_is_all_that_a_retry_repeats(office: Office) -> None:
    """A20."""
    office.receiver.answers["/after"] = Answer(503)
    request = office.submit()
    shown = office.show(request)
    assert (shown["status"], shown["action_required_details"]["step"]) == ("error", "post_webhooks")
    before = [entry["updated_at"] for entry in shown["results"]["shop"]]
    del office.receiver.answers["/after"]
    office.call("POST", f"{request}/retry")
    carry_on(office.context)
    shown = office.show(request)
    assert shown["status"] == "complete"
    assert [entry["updated_at"] for entry in shown["results"]["shop"]] == before
    assert office.called() == ["/first", "/second", "/after", "/after"]


def test_a_receiver_that_is_paused_is_waited_for_and_one_that_is_disabled_passed_over(office: Office) -> None:
    office.call("POST", f"{API}/connection/first/pause")
    request = office.submit()
    assert (office.show(request)["status"], office.called()) == ("in_processing", [])
    disabled = {"name": "second", "key": "second", "connection_type": "https", "access": "read", "disabled": True}
    office.call("PATCH", f"{API}/connection", json=[disabled])
    office.call("POST", f"{API}/connection/first/resume")
    carry_on(office.context)
    assert (office.show(request)["status"], office.called()) == ("complete", ["/first", "/after"])
    [skipped] = [
        one for one in office.show(request)["results"]["Webhooks before execution"] if one["status"] == "skipped"
    ]
    assert skipped["connection_key"] == "second"


def test_no_identity_is_hashed_into_a_token(office: Office) -> None:
    """Kinds of identities are chosen by whoever asks, and their hashes stand in the ledger."""
    office.receiver.answers["/first"] = Answer(body={"halt": True})
    request = office.submit()
    assert office.show(request)["status"] == "paused"
    token = office.receiver.calls[-1].headers["reply-to-token"]
    call_id, _, proof = token.partition(".")
    asked = dict.fromkeys(("webhook_call", "webhook.call", "webhook-call", "csrf"), call_id)
    made = office.call("POST", f"{API}/privacy-request", json=[{"policy_key": "give", "identity": asked}]).json()
    assert made["failed"] == []
    with office.context.ledger.read() as connection:
        hashes = {found.hex() for found in connection.scalars(sa.select(tables.identities.c.hash))}
    assert len(hashes) == 1 + len(asked)
    assert not hashes & {proof, make_csrf_token(office.context, call_id)}
