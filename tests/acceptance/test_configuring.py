"""Wrong configuration through HTTP: each error says where and what mends it, and changes nothing (§10.16)."""

from typing import Any

import pytest
from landscape import Landscape, on_one_ledger
from targets import ANN, dataset, field, first_dataset, key, link

pytestmark = on_one_ledger


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"fides_key": "shop"}, "collections"),
        ({"name": "shop", "collections": []}, "fides_key"),
        (dataset("shop", members=[field("mail", "user.contact.mail", identity="email")]), "user.contact.mail"),
        (dataset("shop", members=[field("mail", "user.contact.email", identity="email")] * 2), "mail"),
        (dataset("shop", members=[field("mail", data_type="text")]), "shop.members.mail"),
        (dataset("shop", members=[field("mail", length=0)]), "length"),
        (dataset("shop", members=[key(), link("boss", "shop", "members.nothing")]), "nothing"),
        ({**first_dataset(), "collections": {"members": []}}, "collections"),
        ({**first_dataset(), "fides_key": "white space"}, "fides_key"),
    ],
    ids=["no collections", "no key", "unknown category", "twice", "unknown type", "no length", "unknown field",
         "no list", "bad key"],
)  # fmt: skip
def test_a_malformed_dataset_is_refused_with_its_place(landscape: Landscape, body: dict[str, Any], words: str) -> None:
    target = landscape.new_target("first")
    target.execute(
        "CREATE TABLE rocks (id integer PRIMARY KEY)",
        "CREATE TABLE members (id integer PRIMARY KEY, mail text, boss integer)",
    )
    connection = landscape.connect("first", target)
    answer = landscape.ask("PATCH", f"/connection/{connection}/dataset", json=[body, dataset("sound", rocks=[key()])])
    (failed,) = answer["failed"]
    assert words in failed["message"]
    assert failed["data"] == body
    assert [made["fides_key"] for made in answer["succeeded"]] == ["sound"]
    stored = landscape.ask("GET", f"/connection/{connection}/dataset")["items"]
    assert [made["fides_key"] for made in stored] == ["sound"]
    checked = landscape.call("PUT", f"/connection/{connection}/validate_dataset", json=body)
    assert checked.status_code in (400, 422)
    assert words in checked.text


@pytest.mark.parametrize(
    "document",
    [
        "dataset: [",
        "dataset:\n\t- fides_key: shop",
        "- fides_key: shop",
        "dataset: &all [*all]",
        "dataset: !!python/object/apply:os.system ['true']",
        b"dataset: \xff\xfe",
    ],
    ids=["cut off", "tab", "no mapping", "alias", "tag", "no UTF-8"],
)
def test_a_malformed_yaml_document_is_refused(landscape: Landscape, document: str | bytes) -> None:
    connection = landscape.connect("first", landscape.new_target("first"))
    path = f"/yml/connection/{connection}/dataset"
    answer = landscape.call("PATCH", path, content=document, headers={"Content-Type": "application/x-yaml"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert landscape.call("PATCH", path, content=document, headers={"Content-Type": "text/html"}).status_code == 415
    assert landscape.ask("GET", f"/connection/{connection}/dataset")["total"] == 0


def test_a_reference_to_a_dataset_that_is_not_there_is_told_before_anything_is_queried(landscape: Landscape) -> None:
    target = landscape.new_target("first")
    target.execute("CREATE TABLE members (id integer PRIMARY KEY, mail text)")
    connection = landscape.connect("first", target)
    body = dataset("shop", members=[key(), link("mail", "elsewhere", "people.id")])
    checked = landscape.ask("PUT", f"/connection/{connection}/validate_dataset", json=body)["traversal_details"]
    assert checked["is_traversable"] is False
    assert "elsewhere" in checked["msg"]
    landscape.describe(connection, body)
    stopped = landscape.finish(landscape.policy(access={"give": ["user"]}), {"email": ANN}, "error")
    assert "elsewhere" in stopped["failure"]
    assert {entry["dataset_name"] for entry in landscape.log(stopped["id"])} == {"Dataset traversal"}


# Y01
def test_a_policy_without_a_key_is_named_after_its_name(landscape: Landscape) -> None:
    (made,) = landscape.ask("PATCH", "/policy", json=[{"name": f"Give {landscape.tag} All"}])["succeeded"]
    assert made["key"] == f"give_{landscape.tag}_all"
    for prefix in ("/policy", "/dsr/policy"):
        assert landscape.ask("GET", f"{prefix}/{made['key']}")["name"] == made["name"]
        assert landscape.call("GET", f"{prefix}/{made['key']}/").status_code == 200


# Y02
@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"action_type": "erasure", "masking_strategy": {"strategy": "null_rewrite"}, "storage": True}, "storage"),
        ({"action_type": "erasure"}, "masking"),
        ({"action_type": "erasure", "masking_strategy": {"strategy": "shred"}}, "shred"),
        ({"action_type": "update"}, "update"),
        ({"action_type": "access"}, "storage"),
        ({"action_type": "access", "storage_destination_key": "nowhere"}, "nowhere"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(landscape: Landscape, rule: dict[str, Any], words: str) -> None:
    policy = landscape.policy()
    if rule.pop("storage", False):
        rule["storage_destination_key"] = landscape.storage
    answer = landscape.call("PATCH", f"/policy/{policy}/rule", json=[{"name": "rule", "key": f"{policy}.rule", **rule}])
    assert answer.is_success
    (failed,) = answer.json()["failed"]
    assert words in failed["message"]
    assert landscape.ask("GET", f"/policy/{policy}")["rules"] == []


# Y02
# Y06
def test_targets_that_are_unknown_or_overlap_are_refused(landscape: Landscape) -> None:
    policy = landscape.policy(erasure={"null_rewrite": ["user.contact"], "hmac": ["user.name"]})
    path = f"/policy/{policy}/rule/{policy}.hmac/target"
    for category in ("user.contact.email", "user", "user.contact", "user.shoe"):
        (failed,) = landscape.ask("PATCH", path, json=[{"data_category": category}])["failed"]
        assert category in failed["message"]
    assert [target["data_category"] for target in landscape.ask("GET", path)["items"]] == ["user.name"]


# Y13
# Y19
def test_a_storage_in_use_stays_and_a_key_must_fit(landscape: Landscape) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    assert landscape.call("DELETE", f"/storage/config/{landscape.storage}").status_code == 409
    item = {"policy_key": policy, "identity": {"email": ANN}}
    assert landscape.call("POST", "/privacy-request", json=[{**item, "encryption_key": "short"}]).status_code == 422
    (failed,) = landscape.ask("POST", "/privacy-request", json=[{**item, "policy_key": "nowhere"}])["failed"]
    assert "nowhere" in failed["message"]
    landscape.finish(policy, {"email": ANN})
    assert landscape.call("DELETE", f"/policy/{policy}").status_code == 409


@pytest.mark.parametrize(
    "storage",
    [{"type": "s3"}, {"format": "html"}, {"details": {"bucket": "x"}}, {"details": {"path": "relative"}},
     {"details": {"path": "/\x00"}}],
)  # fmt: skip
def test_a_storage_that_cannot_work_is_refused(landscape: Landscape, storage: dict[str, Any]) -> None:
    item = {"name": "wrong", "key": f"{landscape.tag}-wrong", "type": "local", **storage}
    answer = landscape.call("PATCH", "/storage/config", json=[item])
    assert answer.status_code == 422 or answer.json()["failed"]
    assert landscape.call("GET", f"/storage/config/{item['key']}").status_code == 404


def test_more_than_fifty_of_anything_are_refused(landscape: Landscape) -> None:
    connection = landscape.connect("first", landscape.new_target("first"))
    for path in ("/connection", "/policy", "/storage/config", f"/connection/{connection}/dataset"):
        assert landscape.call("PATCH", path, json=[{}] * 51).status_code == 422
    assert landscape.ask("GET", f"/connection/{connection}/dataset")["total"] == 0


def test_a_connection_of_an_unknown_type_or_without_its_secrets_is_refused(landscape: Landscape) -> None:
    item = {"name": "x", "key": f"{landscape.tag}-x", "connection_type": "oracle", "access": "read"}
    assert landscape.call("PATCH", "/connection", json=[item]).status_code == 422
    connection = landscape.connect("first", landscape.new_target("first"))
    for secrets in ({}, {"path": "/tmp/x", "colour": "red"}, {"url": "sqlite://"}):
        assert landscape.call("PUT", f"/connection/{connection}/secret", json=secrets).status_code == 422
    (failed,) = landscape.ask(
        "PATCH", "/connection", json=[{**item, "key": connection, "connection_type": "postgres"}]
    )["failed"]
    assert "type" in failed["message"]
    assert landscape.call("PUT", "/connection/nobody/secret", json={"path": "x"}).status_code == 404
