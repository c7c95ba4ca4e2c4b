"""Connections, datasets, storages and policies through HTTP."""

import pytest
import yaml
from tests.integration.web.conftest import Caller
from tests.unit.services.wiring import FakeStore, dataset_body

SHOP = {"name": "Shop", "connection_type": "file", "access": "write"}
PATH = "/srv/secret-place/shop.db"


@pytest.fixture
def shop(root: Caller) -> Caller:
    assert root("PATCH", "/api/v1/connection", json=[SHOP]).json()["failed"] == []
    return root


def test_bulk_answers_name_successes_and_failures(root: Caller) -> None:
    answer = root("PATCH", "/api/v1/connection", json=[SHOP, {**SHOP, "key": "a/b"}])
    assert answer.status_code == 200
    assert [item["key"] for item in answer.json()["succeeded"]] == ["shop"]
    (failed,) = answer.json()["failed"]
    assert failed["data"]["key"] == "a/b"
    assert "key is malformed" in failed["message"]


@pytest.mark.parametrize("path", ["connection", "storage/config", "policy", "connection/shop/dataset"])
def test_a_bulk_change_takes_1_to_50_items(shop: Caller, path: str) -> None:
    item = {"name": "x", "connection_type": "file", "access": "read", "type": "local"}
    assert shop("PATCH", f"/api/v1/{path}", json=[item] * 51).status_code == 422
    assert shop("PATCH", f"/api/v1/{path}", json=[]).status_code == 422
    assert shop("PATCH", f"/api/v1/{path}", json=[item] * 50).status_code == 200


def test_secrets_are_never_shown(shop: Caller) -> None:
    answer = shop("PUT", "/api/v1/connection/shop/secret", json={"path": PATH})
    assert answer.json() == {"msg": "shop works", "test_status": "succeeded", "failure_reason": None}
    for path in ("connection", "connection/shop", "connection/shop/test"):
        assert PATH not in shop("GET", f"/api/v1/{path}").text
    skipped = shop("PUT", "/api/v1/connection/shop/secret?verify=false", json={"path": PATH})
    assert skipped.json()["test_status"] == "skipped"


def test_secrets_that_do_not_fit_name_their_fields(shop: Caller) -> None:
    answer = shop("PUT", "/api/v1/connection/shop/secret", json={"file": PATH})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", "file"], ["body", "path"]]
    assert PATH not in answer.text


def test_some_secrets_are_changed_and_the_others_stay(root: Caller, store: FakeStore) -> None:
    root("PATCH", "/api/v1/connection", json=[{"name": "Hall", "connection_type": "server", "access": "read"}])
    path = "/api/v1/connection/hall/secret"
    assert root("PATCH", path, json={"host": "h"}).status_code == 422
    whole = {"host": "h", "port": 1, "dbname": "d", "password": "p"}
    assert root("PATCH", path, json=whole).json()["test_status"] == "succeeded"
    assert root("PATCH", path, json={"password": "q", "port": None}).json()["test_status"] == "succeeded"
    assert store.seen[-1] == {"host": "h", "dbname": "d", "password": "q"}
    assert root("PATCH", f"{path}?verify=false", json={"dbname": "e"}).json()["test_status"] == "skipped"
    for wrong in ({"password": None}, {"url": "x"}, {"colour": "red"}, {"password": ["q"]}):
        assert root("PATCH", path, json=wrong).status_code == 422
    assert root("GET", "/api/v1/connection/hall/test").json()["test_status"] == "succeeded"
    assert store.seen[-1] == {"host": "h", "dbname": "e", "password": "q"}
    assert root("PATCH", "/api/v1/connection/nope/secret", json={"host": "h"}).status_code == 404


@pytest.mark.parametrize("moved", [{"host": "evil"}, {"port": 2}, {"port": None}, {"host": "evil", "dbname": "e"}])
def test_a_password_never_goes_to_another_place(root: Caller, store: FakeStore, moved: dict[str, object]) -> None:
    root("PATCH", "/api/v1/connection", json=[{"name": "Hall", "connection_type": "server", "access": "read"}])
    path, whole = "/api/v1/connection/hall/secret", {"host": "h", "port": 1, "dbname": "d", "password": "p"}
    root("PUT", path, json=whole)
    refused = root("PATCH", path, json=moved)
    assert refused.status_code == 422
    assert [problem["loc"] for problem in refused.json()["detail"]] == [["body", "password"]]
    root("GET", "/api/v1/connection/hall/test")
    assert store.seen[-1] == {name: str(value) for name, value in whole.items()}
    assert root("PATCH", path, json={"host": "h", "port": 1}).status_code == 200
    assert root("PATCH", path, json=moved | {"password": "q"}).status_code == 200
    assert store.seen[-1]["password"] == "q"


def test_connections_are_listed_by_the_sort_of_system(shop: Caller) -> None:
    assert shop("GET", "/api/v1/connection?system_type=database").json()["total"] == 1
    assert shop("GET", "/api/v1/connection?system_type=saas").json()["total"] == 0


def test_connection_types_say_what_they_take(root: Caller) -> None:
    shown = root("GET", "/api/v1/connection_type").json()
    assert shown["items"] == [
        {
            "identifier": "file",
            "type": "database",
            "human_readable": "File cabinet",
            "supported_actions": ["access", "erasure"],
        },
        {
            "identifier": "server",
            "type": "database",
            "human_readable": "server",
            "supported_actions": ["access"],
        },
    ]
    assert (shown["total"], shown["size"]) == (2, 100)
    for query, identifiers in (
        ("search=CABINET", ["file"]),
        ("search=serv", ["server"]),
        ("search=%25", []),
        ("system_type=database&size=1&page=2", ["server"]),
        ("system_type=saas", []),
        ("erasure=true", ["file"]),
        ("erasure=false", ["server"]),
        ("access=true", ["file", "server"]),
        ("access=false", []),
        ("consent=true", []),
        ("consent=false&search=server", ["server"]),
    ):
        answer = root("GET", f"/api/v1/connection_type?{query}").json()
        assert [item["identifier"] for item in answer["items"]] == identifiers, query
    assert root("GET", "/api/v1/connection_type?system_type=toaster").status_code == 422
    assert root("GET", "/api/v1/connection_type/file/secret").json() == {
        "title": "File cabinet",
        "type": "object",
        "properties": {"path": {"title": "path", "type": ["string", "integer"]}},
        "required": ["path"],
        "additionalProperties": False,
    }
    server = root("GET", "/api/v1/connection_type/server/secret").json()
    assert (server["title"], len(server["oneOf"])) == ("server", 2)
    assert {name for name, field in server["properties"].items() if "format" in field} == {"password", "url"}
    assert server["properties"]["password"]["format"] == "password"
    assert root("GET", "/api/v1/connection_type/nope/secret").status_code == 404


def test_pages_are_counted(root: Caller) -> None:
    root("PATCH", "/api/v1/connection", json=[{**SHOP, "name": f"c{number}"} for number in range(5)])
    page = root("GET", "/api/v1/connection?page=3&size=2").json()
    assert [item["key"] for item in page["items"]] == ["c4"]
    assert {name: page[name] for name in ("total", "page", "size", "pages")} == {
        "total": 5,
        "page": 3,
        "size": 2,
        "pages": 3,
    }
    for wrong in ("page=0", "size=0", "size=101", "page=x", "page=99999999999999999999"):
        assert root("GET", f"/api/v1/connection?{wrong}").status_code == 422


def test_datasets_come_and_go(shop: Caller) -> None:
    base = "/api/v1/connection/shop/dataset"
    assert shop("PATCH", base, json=[dataset_body()]).json()["succeeded"][0]["fides_key"] == "shop_db"
    assert shop("GET", f"{base}/shop_db").json()["collections"][0]["name"] == "members"
    assert shop("GET", base).json()["total"] == 1
    assert shop("DELETE", f"{base}/shop_db").status_code == 204
    assert shop("GET", f"{base}/shop_db").status_code == 404


def test_a_dataset_is_validated_without_storing(shop: Caller) -> None:
    path = "/api/v1/connection/shop/validate_dataset"
    answer = shop("PUT", path, json=dataset_body())
    assert answer.json()["traversal_details"] == {"is_traversable": True, "msg": None}
    assert answer.json()["dataset"]["fides_key"] == "shop_db"
    assert shop("GET", "/api/v1/connection/shop/dataset").json()["total"] == 0
    assert shop("PUT", path, json={"fides_key": "x"}).status_code == 422


def test_yaml_documents_are_taken_as_yaml_only(shop: Caller) -> None:
    path = "/api/v1/yml/connection/shop/dataset"
    document = yaml.safe_dump({"dataset": [dataset_body()]})
    headers = {"Content-Type": "application/x-yaml"}
    assert shop("PATCH", path, content=document, headers=headers).json()["failed"] == []
    assert shop("PATCH", path, content="dataset: [", headers=headers).status_code == 400
    assert shop("PATCH", path, content=b"\xff", headers=headers).status_code == 400
    assert shop("PATCH", path, content=document, headers={"Content-Type": "text/plain"}).status_code == 415
    many = yaml.safe_dump({"dataset": [dataset_body(f"d{number}") for number in range(51)]})
    assert shop("PATCH", path, content=many, headers=headers).status_code == 422


def test_policies_are_served_on_both_paths_without_their_configuration(configured: Caller) -> None:
    rule = {
        "name": "Wipe",
        "action_type": "erasure",
        "masking_strategy": {"strategy": "string_rewrite", "configuration": {"rewrite_value": "SECRET-WORD"}},
    }
    answer = configured("PATCH", "/api/v1/dsr/policy/give_and_forget/rule", json=[rule])
    assert answer.json()["succeeded"][0]["masking_strategy"] == {"strategy": "string_rewrite"}
    policy = configured("GET", "/api/v1/policy/give_and_forget")
    assert policy.json() == configured("GET", "/api/v1/dsr/policy/give_and_forget").json()
    assert [item["key"] for item in policy.json()["rules"]] == ["give", "wipe"]
    assert "SECRET-WORD" not in policy.text


def test_wrong_policy_values_are_refused(root: Caller) -> None:
    for wrong in ({"shared_rows": "share"}, {"on_unreachable": "maybe"}, {"execution_timeframe": "soon"}):
        assert root("PATCH", "/api/v1/policy", json=[{"name": "P", **wrong}]).status_code == 422


def test_deleting_what_is_used_is_409_and_what_is_unknown_404(configured: Caller) -> None:
    assert configured("DELETE", "/api/v1/storage/config/packages").status_code == 409
    for path in (
        "storage/config/nope",
        "policy/nope",
        "policy/give_and_forget/rule/nope",
        "policy/give_and_forget/rule/give/target/nope",
        "connection/nope",
        "connection/nope/dataset/nope",
    ):
        assert configured("DELETE", f"/api/v1/{path}").status_code == 404
    body = [{"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}]
    configured("POST", "/api/v1/privacy-request", json=body)
    assert configured("DELETE", "/api/v1/policy/give_and_forget").status_code == 409


def test_storage_secrets_of_local_are_skipped(configured: Caller) -> None:
    assert configured("PUT", "/api/v1/storage/config/packages/secret", json={}).json()["test_status"] == "skipped"
    assert configured("PUT", "/api/v1/storage/config/packages/secret", json={"a": "b"}).status_code == 422
