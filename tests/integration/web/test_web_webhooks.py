"""Lists of policy webhooks (A31): their order, and what is refused."""

import pytest
from tests.integration.web.conftest import Caller
from tests.unit.services.wiring import FakeStore

from habeas.connectors.https import https_type
from habeas.execution.context import Context

PRE = "/api/v1/policy/give_and_forget/webhook/pre_execution"
POST = "/api/v1/dsr/policy/give_and_forget/webhook/post_execution"


@pytest.fixture
def hooked(configured: Caller, context: Context, store: FakeStore) -> Caller:
    """Root, with a receiver, and three webhooks before and one after."""
    types = context.connection_types
    assert isinstance(types, dict)
    types["https"] = https_type(context.outgoing.check)
    receiver = {"name": "receiver", "connection_type": "https", "access": "read"}
    other = {"name": "cabinet", "connection_type": "file", "access": "read"}
    configured("PATCH", "/api/v1/connection", json=[receiver, other])
    assert configured("PUT", PRE, json=[item("a"), item("b"), item("c")]).status_code == 200
    assert configured("PUT", POST, json=[item("z")]).status_code == 200
    return configured


def item(key: str, **changes: str) -> dict[str, str]:
    return {"key": key, "connection_config_key": "receiver", "direction": "one_way", **changes}


def order(caller: Caller, path: str) -> list[tuple[str, int]]:
    return [(found["key"], found["order"]) for found in caller("GET", path).json()["items"]]


def test_places_are_contiguous_and_other_lists_untouched(hooked: Caller) -> None:
    moved = hooked("PATCH", f"{PRE}/c", json={"order": 0}).json()
    assert [place["key"] for place in moved["new_order"]] == ["c", "a", "b"]
    assert order(hooked, PRE) == [("c", 0), ("a", 1), ("b", 2)]
    left = hooked("DELETE", f"{PRE}/a").json()["new_order"]
    assert left == [{"key": "c", "order": 0}, {"key": "b", "order": 1}]
    hooked("PUT", PRE, json=[item("b"), item("d")])
    assert order(hooked, PRE) == [("b", 0), ("d", 1)]
    assert order(hooked, POST) == [("z", 0)]
    assert hooked("PUT", PRE, json=[]).json() == []
    assert order(hooked, PRE) == []


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([item("a"), item("a")], 400),
        ([item("a", name="one"), item("b", name="one")], 400),
        ([item("d"), item("z")], 400),
        ([item("d"), item("e", connection_config_key="cabinet")], 400),
        ([item("d"), item("e", connection_config_key="nobody")], 404),
        ([item("d"), item("e", connection_config_key="no\x00body")], 400),
        ([item("d"), item("e", name="no\x00body")], 400),
    ],
)
def test_a_list_is_replaced_whole_or_not_at_all(hooked: Caller, items: list[dict[str, str]], status: int) -> None:
    assert hooked("PUT", PRE, json=items).status_code == status
    assert order(hooked, PRE) == [("a", 0), ("b", 1), ("c", 2)]


@pytest.mark.parametrize("place", [-1, 3])
def test_a_place_out_of_range(hooked: Caller, place: int) -> None:
    assert hooked("PATCH", f"{PRE}/a", json={"order": place}).status_code == 400
    assert order(hooked, PRE) == [("a", 0), ("b", 1), ("c", 2)]


def test_a_name_that_no_ledger_can_hold_is_refused(hooked: Caller) -> None:
    assert hooked("PATCH", f"{PRE}/a", json={"name": "no\x00body"}).status_code == 400


def test_no_dataset_is_saved_on_a_receiver(hooked: Caller) -> None:
    answer = hooked("PATCH", "/api/v1/connection/receiver/dataset", json=[{"fides_key": "x", "name": "x"}])
    assert (answer.status_code, "holds no data" in answer.text) == (400, True)


def test_a_connection_that_policies_call_cannot_be_deleted(hooked: Caller) -> None:
    refused = hooked("DELETE", "/api/v1/connection/receiver")
    assert refused.status_code == 409
    assert "webhook 'a' of policy 'give_and_forget'" in refused.json()["detail"]
    assert order(hooked, PRE) == [("a", 0), ("b", 1), ("c", 2)]
    for path in (f"{PRE}/a", f"{PRE}/b", f"{PRE}/c", f"{POST}/z"):
        hooked("DELETE", path)
    assert hooked("DELETE", "/api/v1/connection/receiver").status_code == 204
