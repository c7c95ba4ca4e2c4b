"""Access through HTTP: packages, retries, and going on where a request stopped (A17, A21, A22; X rows of §10.15)."""

import json
from collections import Counter

import pytest
from landscape import CHAIN, Landscape, on_one_ledger
from targets import ANN, BOB, MARK, Target, dataset, field, key, link

from habeas.delivery.encryption import decrypt

GIVE = {"give": ["user"]}


def test_a_package_holds_everything_along_the_chain_and_nothing_of_others(landscape: Landscape) -> None:
    landscape.chain()
    policy = landscape.policy(access=GIVE)
    request = landscape.finish(policy, {"email": ANN})["id"]
    (package,) = landscape.packages(request)
    assert package.name == f"{request}.json"
    found = json.loads(package.read_text())
    assert {address: len(rows) for address, rows in found.items()} == dict(zip(CHAIN, (1, 2, 2, 1, 1), strict=True))
    assert found["first:members"][0]["mail"] == ANN
    assert BOB not in package.read_text()
    downloaded = landscape.call("GET", f"/privacy-request/{request}/package/{policy}.give")
    assert downloaded.content == package.read_bytes()
    assert downloaded.headers["content-disposition"] == f'attachment; filename="{request}.json"'


@pytest.mark.parametrize("package_key", ["0123456789abcdef", "0123456789abcdef" * 2], ids=["16 bytes", "32 bytes"])
def test_a_package_opens_with_the_key_of_its_request(landscape: Landscape, package_key: str) -> None:
    landscape.members()
    policy = landscape.policy(access=GIVE)
    request = landscape.finish(policy, {"email": ANN}, encryption_key=package_key)["id"]
    sealed = landscape.packages(request)[0].read_text()
    assert MARK not in sealed
    assert json.loads(decrypt(sealed, package_key.encode()))["first:members"][0]["mail"] == ANN
    kept = landscape.read_ledger("SELECT sealed_encryption_key FROM request WHERE id = :id", id=request)
    assert kept == [(None,)]


def test_a22_two_access_rules_make_two_packages(landscape: Landscape) -> None:
    landscape.chain()
    policy = landscape.policy(access={"contact": ["user.contact"], "content": ["user.content"]})
    request = landscape.finish(policy, {"email": ANN})["id"]
    contact, content = sorted(landscape.packages(request))
    assert contact.name == f"{request}-{policy}.contact.json"
    assert content.name == f"{request}-{policy}.content.json"
    assert set(json.loads(contact.read_text())) == {"first:members", "second:parcels"}
    assert set(json.loads(content.read_text())) == {"first:orders", "second:items", "second:marks"}
    assert "note" not in contact.read_text()
    assert ANN not in content.read_text()


def test_a17_access_fails_at_the_third_collection_and_goes_on_from_there(landscape: Landscape) -> None:
    _, second = landscape.chain()
    policy = landscape.policy(access=GIVE)
    with second.locked("items"):
        stopped = landscape.finish(policy, {"email": ANN}, "error")
        request = stopped["id"]
    assert stopped["action_required_details"] == {
        "step": "access",
        "collection": "second:items",
        "action_needed": None,
        "forms": None,
    }
    assert stopped["resume_endpoint"] == f"/privacy-request/{request}/retry"
    assert "second:items" in stopped["failure"]
    before = landscape.visits(request)
    assert before == {
        "first:members": ["in_processing", "complete"],
        "first:orders": ["in_processing", "complete"],
        "second:items": ["in_processing", "retrying", "retrying", "error"],  # three attempts
    }
    assert landscape.packages(request) == []
    landscape.retry(request)
    after = landscape.visits(request)
    for address in CHAIN[:2]:
        assert after[address] == before[address]
    for address in CHAIN[2:]:
        assert after[address] == [*before.get(address, ()), "in_processing", "complete"]
    assert set(json.loads(landscape.packages(request)[0].read_text())) == set(CHAIN)
    results = landscape.show(request, verbose=True)["results"]
    assert [entry["status"] for entry in results["second"] if entry["collection_name"] == "items"] == after[CHAIN[2]]
    said = {"Request created", "Request approved", "Request retried", "Request finished", "first", "second"}
    assert said <= set(results)


def test_what_was_read_before_a_failure_is_not_read_again(landscape: Landscape) -> None:
    first, second = landscape.chain()
    policy = landscape.policy(access=GIVE)
    second.execute("ALTER TABLE items RENAME TO things")
    request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    first.execute(f"UPDATE members SET name = 'later {MARK}'")
    second.execute("ALTER TABLE things RENAME TO items")
    landscape.retry(request)
    text = landscape.packages(request)[0].read_text()
    assert f"Ann {MARK}" in text
    assert "later" not in text


def _branches(landscape: Landscape) -> Target:
    """Two branches that hang on the members, `right` and `left`, each in a target of its own; the left one."""
    landscape.members()
    for name in ("right", "left"):
        target = landscape.new_target(name)
        target.execute(
            "CREATE TABLE leaves (id integer PRIMARY KEY, member integer, word text)",
            "CREATE TABLE veins (id integer PRIMARY KEY, leaf integer, word text)",
            f"INSERT INTO leaves VALUES (1, 1, 'word {MARK}'), (2, 2, 'word {MARK}')",
            f"INSERT INTO veins VALUES (1, 1, 'word {MARK}')",
        )
        word = field("word", "user.content", data_type="string")
        leaves = [key(), link("member", "first", "members.id"), word]
        veins = [key(), link("leaf", name, "leaves.id"), word]
        landscape.describe(landscape.connect(name, target), dataset(name, leaves=leaves, veins=veins))
    return target


# X03
# X04
def test_a_broken_store_stops_its_branch_alone_and_a_retry_serves_only_that(landscape: Landscape) -> None:
    left = _branches(landscape)
    left.execute("ALTER TABLE leaves RENAME TO fallen")
    policy = landscape.policy(access=GIVE)
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    before = landscape.visits(stopped["id"])
    assert before["right:leaves"] == before["right:veins"] == ["in_processing", "complete"]
    assert before["left:leaves"] == ["in_processing", "error"]
    assert "left:veins" not in before
    assert "left:leaves" in stopped["failure"]
    left.execute("ALTER TABLE fallen RENAME TO leaves")
    landscape.retry(stopped["id"])
    after = landscape.visits(stopped["id"])
    assert {address: after[address] for address in ("first:members", "right:leaves", "right:veins")} == {
        address: before[address] for address in ("first:members", "right:leaves", "right:veins")
    }
    assert after["left:leaves"] == ["in_processing", "error", "in_processing", "complete"]
    assert after["left:veins"] == ["in_processing", "complete"]


# X15
def test_a_disabled_connection_is_skipped_and_named(landscape: Landscape) -> None:
    _branches(landscape)
    landscape.change(f"{landscape.tag}-left", disabled=True)
    request = landscape.finish(landscape.policy(access=GIVE), {"email": ANN})["id"]
    assert not any(address.startswith("left") and "complete" in s for address, s in landscape.visits(request).items())
    left = landscape.report(request)["left:leaves"]
    assert left["reached"] is False
    assert "disabled" in left["reason"]
    assert "left" not in "".join(json.loads(landscape.packages(request)[0].read_text()))


# X16
def test_a_connection_disabled_after_a_failure_is_not_asked_again(landscape: Landscape) -> None:
    _, second = landscape.chain()
    policy = landscape.policy(access=GIVE)
    second.execute("ALTER TABLE items RENAME TO things")
    request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    landscape.change(f"{landscape.tag}-second", disabled=True)
    landscape.ask("POST", f"/privacy-request/{request}/retry")
    landscape.wait(request)
    tries = landscape.visits(request)
    assert tries["second:items"][:2] == ["in_processing", "error"]
    assert "complete" not in tries["second:items"]
    assert set(json.loads(landscape.packages(request)[0].read_text())) == set(CHAIN[:2])


# X22
# X23
def test_the_log_names_the_fields_that_each_action_covers_once(landscape: Landscape) -> None:
    landscape.members()
    policy = landscape.policy(erasure={"null_rewrite": ["user.contact"]})
    request = landscape.finish(policy, {"email": ANN})["id"]
    covered = {
        (entry["action_type"], entry["collection_name"]): [item["path"] for item in entry["fields_affected"]]
        for entry in landscape.log(request)
        if entry["status"] == "complete"
    }
    assert covered["access", "members"] == []
    assert sorted(covered["erasure", "members"]) == ["first:members:mail", "first:members:phone"]
    both = landscape.policy(access={"give": ["user.name"]}, erasure={"null_rewrite": ["user.name"]})
    log = landscape.log(landscape.finish(both, {"email": BOB})["id"])
    paths = Counter((entry["action_type"], item["path"]) for entry in log for item in entry["fields_affected"] or ())
    assert paths == {("access", "first:members:name"): 1, ("erasure", "first:members:name"): 1}


# X08
def test_a21_an_unreachable_collection_ends_the_request_before_the_first_query(landscape: Landscape) -> None:
    first, second = landscape.chain()
    island = dataset("island", stones=[key(), field("word", "user.content")])
    target = landscape.new_target("island")
    target.execute("CREATE TABLE stones (id integer PRIMARY KEY, word text)")
    landscape.describe(landscape.connect("island", target), island)
    policy = landscape.policy(access=GIVE, erasure={"null_rewrite": ["user"]})
    with first.locked("members"), second.locked("items"):  # a query would have to wait, and be retried
        stopped = landscape.finish(policy, {"email": ANN}, "error")
    assert "island:stones" in stopped["failure"]
    assert landscape.visits(stopped["id"]) == {"Dataset traversal:island:stones": ["error"]}
    assert stopped["action_required_details"]["step"] == "access"
    landscape.call("DELETE", f"/connection/{landscape.tag}-island/dataset/island")
    landscape.retry(stopped["id"])
    assert set(json.loads(landscape.packages(stopped["id"])[0].read_text())) == set(CHAIN)


def test_collections_that_are_not_asked_for_are_skipped_and_named(landscape: Landscape) -> None:
    landscape.chain()
    request = landscape.finish(landscape.policy(access=GIVE), {"email": ANN}, dataset_keys=["first"])["id"]
    report = landscape.report(request)
    assert [report[address]["reached"] for address in CHAIN] == [True, True, False, False, False]
    assert all("not chosen" in report[address]["reason"] for address in CHAIN[2:])
    assert landscape.ask("GET", f"/privacy-request/{request}/report")["exceptions"] == []
    assert set(json.loads(landscape.packages(request)[0].read_text())) == set(CHAIN[:2])


@on_one_ledger
def test_an_access_of_nobody_is_complete_and_empty(landscape: Landscape) -> None:
    landscape.chain()
    request = landscape.finish(landscape.policy(access=GIVE), {"email": f"nobody.{MARK}@example.com"})["id"]
    assert json.loads(landscape.packages(request)[0].read_text()) == {}
    assert {address: place["found"] for address, place in landscape.report(request).items()} == dict.fromkeys(CHAIN, 0)
