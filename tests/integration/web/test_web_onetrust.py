"""OneTrust by the API: it is polled on demand, and how it stands is shown."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from habeas.delivery.onetrust import onetrust_storage
from habeas.execution.context import Context
from habeas.outgoing import OutgoingClient
from habeas.store import onetrust as store
from servers.onetrust import CLIENT, OneTrustServer

DETAILS = {"service_name": "shop", "onetrust_polling_hr": 3, "onetrust_polling_day_of_week": 0}


@pytest.fixture
def server() -> Iterator[OneTrustServer]:
    served = OneTrustServer()
    yield served
    served.close()


@pytest.fixture
def desk(context: Context, server: OneTrustServer) -> Caller:
    """Root, after storage `desk` leads to the server."""
    kind = onetrust_storage(OutgoingClient(["127.0.0.1"]), lambda one: store.find_queue(context.ledger, one))
    types = {**context.storage_types, "onetrust": kind}
    root = sign_in(Caller(SharedApp(replace(context, storage_types=types))))
    item = {"name": "desk", "type": "onetrust", "details": {**DETAILS, "onetrust_base_url": server.url}}
    assert root("PATCH", "/api/v1/storage/config", json=[item]).json()["failed"] == []
    return root


def test_it_is_polled_on_demand(desk: Caller, server: OneTrustServer) -> None:
    tested = desk("PUT", "/api/v1/storage/config/desk/secret", json=CLIENT)
    assert tested.json()["test_status"] == "succeeded"
    assert desk("GET", "/api/v1/onetrust").json()[0]["polled_at"] is None
    [failed] = desk("POST", "/api/v1/onetrust/poll").json()
    assert "no policy 'onetrust'" in failed["failure"]
    for path, item in (
        ("policy", {"name": "onetrust"}),
        ("policy/onetrust/rule", {"name": "Give", "action_type": "access", "storage_destination_key": "desk"}),
        ("policy/onetrust/rule/give/target", {"data_category": "user"}),
    ):
        assert desk("PATCH", f"/api/v1/{path}", json=[item]).json()["failed"] == []
    server.add("R-0", "ann@example.com", "2199-01-01T00:00:00", t0="fides task")
    [polled] = desk("POST", "/api/v1/onetrust/poll", params={"storage_key": "desk"}).json()
    assert (polled["created"], polled["failure"]) == (1, None)
    [state] = desk("GET", "/api/v1/onetrust").json()
    assert (state["subtasks"], state["untold"], state["failure"]) == (1, 0, None)
    [made] = desk("GET", "/api/v1/privacy-request", params={"external_id": "t0"}).json()["items"]
    assert made["policy"]["key"] == "onetrust"


def test_a_wrong_secret_is_told_without_being_repeated(desk: Caller) -> None:
    secrets = {**CLIENT, "client_secret": "wrong-secret-of-mine"}
    tested = desk("PUT", "/api/v1/storage/config/desk/secret", json=secrets)
    assert tested.json()["test_status"] == "failed"
    assert "refused the account" in tested.json()["failure_reason"]
    assert "wrong-secret-of-mine" not in tested.text


def test_what_is_polled_must_be_there(desk: Caller) -> None:
    assert desk("POST", "/api/v1/onetrust/poll", params={"storage_key": "shelf"}).status_code == 404
    desk("PATCH", "/api/v1/storage/config", json=[{"name": "shelf", "type": "local"}])
    assert desk("POST", "/api/v1/onetrust/poll", params={"storage_key": "shelf"}).status_code == 400


@pytest.mark.parametrize(
    ("detail", "value"),
    [
        ("onetrust_polling_hr", 24),
        ("onetrust_polling_hr", "3"),
        ("onetrust_polling_day_of_week", 7),
        ("onetrust_polling_day_of_week", True),
        ("onetrust_look_back_days", 0),
        ("onetrust_base_url", "ftp://desk.example"),
        ("service_name", ""),
    ],
)
def test_wrong_details_are_refused(desk: Caller, detail: str, value: object) -> None:
    item = {"name": "desk", "type": "onetrust", "details": {**DETAILS, detail: value}}
    [failed] = desk("PATCH", "/api/v1/storage/config", json=[item]).json()["failed"]
    assert f"details.{detail}" in failed["message"]


def test_details_that_lack_and_other_formats_are_refused(desk: Caller) -> None:
    for change in ({"details": {"service_name": "shop"}}, {"details": DETAILS, "format": "csv"}):
        answer = desk("PATCH", "/api/v1/storage/config", json=[{"name": "desk", "type": "onetrust", **change}])
        assert answer.status_code == 422
