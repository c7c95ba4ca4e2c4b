"""Review over HTTP and by command, with a server that asks for it (control-plane §1.6, A11; gap list G6, G53)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import refused, run
from fleet import start_server
from landscape import Landscape
from targets import ANN, BOB, SqliteTarget

from servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Landscape]:
    settings = {"HABEAS__EXECUTION__REQUIRE_MANUAL_REQUEST_APPROVAL": "true"}
    folder = tmp_path / f"office_{request.param}"
    server, ledger_url = start_server(folder, request.param, postgres_server, **settings)
    with server, server.client() as http:
        yield Landscape(server, http, ledger_url, lambda name: SqliteTarget(tmp_path / f"{name}.db"), tmp_path)


def test_a11_requests_await_a_reviewer_who_approves_or_denies(office: Landscape) -> None:
    office.members()
    policy = office.policy(access={"give": ["user"]})
    ann, bob = office.submit(policy, {"email": ANN}, {"email": BOB})
    shown = office.show(ann)
    assert (shown["status"], shown["reviewed_at"], shown["reviewed_by"]) == ("pending", None, None)
    path = "/privacy-request/administrate"
    approved = office.ask("PATCH", f"{path}/approve", json={"request_ids": [ann, ann]})
    assert [one["id"] for one in approved["succeeded"]] == [ann] and not approved["failed"]
    assert office.wait(ann)["status"] == "complete"
    denied = office.ask("PATCH", f"{path}/deny", json={"request_ids": [bob, ann, "pri_none"], "reason": "no customer"})
    assert [one["status"] for one in denied["succeeded"]] == ["denied"]
    about_ann, about_none = denied["failed"]
    assert about_ann["data"]["id"] == ann and "complete" in about_ann["message"]
    assert about_none["data"] == {"privacy_request_id": "pri_none"}
    results = office.show(bob, verbose="true")["results"]
    assert [entry["message"] for entry in results["Request denied"]] == ["no customer"]
    assert "Request finished" not in results


def test_what_is_approved_survives_a_crash_and_what_is_not_is_not_carried_out_by_it(office: Landscape) -> None:
    office.members()
    policy = office.policy(access={"give": ["user"]})
    ann, bob = office.submit(policy, {"email": ANN}, {"email": BOB})
    office.ask("PATCH", "/privacy-request/administrate/approve", json=[ann])
    office.server.kill()
    office.server.start()
    with office.server.client() as http:
        office.http = http
        assert office.wait(ann)["status"] == "complete"
        assert office.show(bob)["status"] == "pending"


def test_decisions_need_a_scope_and_a_sound_body(office: Landscape) -> None:
    path = "/privacy-request/administrate/cancel"
    for body in ({"request_ids": []}, {"request_ids": ["x"] * 51}, {}, {"request_ids": ["x"], "reason": "r" * 201}):
        assert office.call("PATCH", path, json=body).status_code == 422
    program = office.ask("POST", "/oauth/client", json={"scopes": ["privacy-request:read"]})
    form = {"grant_type": "client_credentials", **program}
    token = office.ask("POST", "/oauth/token", data=form)["access_token"]
    answer = office.call("PATCH", path, json=["x"], headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_reviewers_decide_by_command(office: Landscape, tmp_path: Path) -> None:
    office.members()
    policy = office.policy(access={"give": ["user"]})
    ann, bob = office.submit(policy, {"email": ANN}, {"email": BOB})
    at = ("--url", office.server.url, "--data-dir", str(office.server.data_dir))
    done = run(tmp_path, "request", "approve", ann, *at)
    assert (done.returncode, done.stdout) == (0, f"{ann}  approved\n"), done.stderr
    office.wait(ann)
    done = run(tmp_path, "request", "deny", bob, "--reason", "no customer", "--json", *at)
    assert [one["status"] for one in json.loads(done.stdout)["succeeded"]] == ["denied"]
    refused(run(tmp_path, "request", "cancel", bob, "pri_none", *at), bob, "denied", "pri_none")
