"""Submitting and finding requests through HTTP: control-plane §1.2–1.4, checks A1–A7 and A12 of §9."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from landscape import Landscape, on_one_ledger
from targets import ANN, BOB, MARK

SEED_PHONE = "+1 (123) 456 7891"


def post(landscape: Landscape, *items: Any) -> Any:
    return landscape.call("POST", "/privacy-request", json=list(items))


def count(landscape: Landscape) -> int:
    return int(landscape.ask("GET", "/privacy-request", params={"size": 1})["total"])


def item(policy: str, number: int = 0) -> dict[str, Any]:
    return {"policy_key": policy, "identity": {"email": f"{number}.{MARK}@example.com"}}


@pytest.fixture
def policy(landscape: Landscape) -> str:
    landscape.members()
    return landscape.policy(access={"give": ["user"]})


def test_a1_the_example_of_the_guide_is_accepted(landscape: Landscape, policy: str) -> None:
    answer = post(
        landscape,
        {
            "external_id": "a-user-defined-id",
            "requested_at": "2021-10-31T16:00:00.000Z",
            "policy_key": policy,
            "identity": {"email": "identity@example.com", "phone_number": SEED_PHONE},
        },
    )
    assert answer.status_code == 200
    made = answer.json()["succeeded"][0]
    assert made["id"].startswith("pri_")
    assert made["status"] == "pending"
    assert made["external_id"] == "a-user-defined-id"
    assert made["identity"] is None
    assert landscape.wait(made["id"])["requested_at"] == "2021-10-31T16:00:00Z"


def test_a2_identities_make_one_request_for_each_person(landscape: Landscape, policy: str) -> None:
    shared = {"policy_key": policy, "external_id": f"{landscape.tag}-both", "encryption_key": "0123456789abcdef"}
    answer = post(landscape, {**shared, "identities": [{"email": ANN}, {"email": BOB}]}).json()
    assert [made["status"] for made in answer["succeeded"]] == ["pending", "pending"]
    found = landscape.ask("GET", "/privacy-request", params={"external_id": shared["external_id"]})
    assert found["total"] == 2
    for made, person in zip(answer["succeeded"], (ANN, BOB), strict=True):
        landscape.wait(made["id"])
        assert landscape.show(made["id"], include_identities="plain")["identity"] == {"email": person}
        assert MARK not in landscape.packages(made["id"])[0].read_text()


def test_a3_fifty_are_taken_and_fifty_one_leave_no_trace(landscape: Landscape, policy: str) -> None:
    before = count(landscape)
    assert post(landscape, *(item(policy, number) for number in range(51))).status_code == 422
    people = [{"email": f"{number}.{MARK}@example.com"} for number in range(50)]
    refused = post(landscape, {"policy_key": policy, "identities": people}, item(policy))
    assert refused.status_code == 422
    assert MARK not in refused.text
    assert count(landscape) == before
    taken = post(landscape, {"policy_key": policy, "identities": people}).json()
    assert (len(taken["succeeded"]), len(taken["failed"])) == (50, 0)
    assert count(landscape) == before + 50
    for made in taken["succeeded"]:
        landscape.wait(made["id"])


def test_fifty_people_of_one_call_are_carried_out_together(landscape: Landscape, policy: str) -> None:
    people = [{"email": f"{number}.{MARK}@example.com"} for number in range(50)]
    requests = landscape.submit(policy, *people)
    landscape.wait(requests[-1])
    runs = landscape.read_ledger(
        "SELECT DISTINCT run.id, run.size FROM member JOIN run ON run.id = run_id WHERE request_id IN "
        f"({', '.join(repr(request) for request in requests)})"
    )
    assert [size for _, size in runs] == [50]


def test_a4_one_bad_item_stops_no_other(landscape: Landscape, policy: str) -> None:
    empty = f"{landscape.tag}-empty"
    landscape.save("/policy", {"key": empty, "name": empty})
    bad = [
        ({"policy_key": "nowhere", "identity": {"email": ANN}}, "no policy"),
        ({"policy_key": empty, "identity": {"email": ANN}}, "no rules"),
        ({"policy_key": policy, "identity": {}}, "identity"),
        ({"policy_key": policy}, "identity"),
        ({"policy_key": policy, "identity": {"email": ANN}, "identities": [{"email": ANN}]}, "both"),
        ({"policy_key": policy, "identity": {"phone_number": f"12 {MARK}"}}, "E.164"),
        ({"policy_key": policy, "identity": {"email": MARK}}, "e-mail"),
        ({"policy_key": policy, "identity": {"email": ANN}, "dataset_keys": ["first", "nowhere"]}, "'nowhere'"),
        ({"policy_key": policy, "identity": {"email": ANN}, "dataset_keys": []}, "no dataset"),
    ]
    answer = post(landscape, item(policy, 1), *(wrong for wrong, _ in bad), item(policy, 2)).json()
    assert len(answer["succeeded"]) == 2
    assert [failed["data"] for failed in answer["failed"]] == [wrong for wrong, _ in bad]
    for failed, (_, words) in zip(answer["failed"], bad, strict=True):
        assert words in failed["message"]
        assert MARK not in failed["message"]
    for made in answer["succeeded"]:
        landscape.wait(made["id"])


@on_one_ledger
@pytest.mark.parametrize("key", ["a" * 15, "a" * 17, "a" * 15 + "ä", ""], ids=["15", "17", "16 letters, 17 bytes", "0"])
def test_a5_a_key_of_another_length_refuses_the_whole_call(landscape: Landscape, policy: str, key: str) -> None:
    before = count(landscape)
    answer = post(landscape, item(policy), {**item(policy), "encryption_key": key})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", 1, "encryption_key"]
    assert not key or key not in answer.text
    assert count(landscape) == before


def test_a6_a_phone_number_is_found_by_either_spelling(landscape: Landscape) -> None:
    landscape.members()
    policy = landscape.policy(access={"give": ["user"]})
    request = landscape.finish(policy, {"phone_number": SEED_PHONE})["id"]
    for spelling in (SEED_PHONE, "+11234567891"):
        found = landscape.ask("GET", "/privacy-request", params={"identity": spelling, "size": 100})
        assert request in [entry["id"] for entry in found["items"]]
    assert ANN in landscape.packages(request)[0].read_text()


def test_a7_the_moment_of_the_request_is_that_of_its_creation(landscape: Landscape, policy: str) -> None:
    made = post(landscape, item(policy)).json()["succeeded"][0]
    assert made["requested_at"] == made["created_at"]
    assert datetime.fromisoformat(made["created_at"]).utcoffset() is not None
    landscape.wait(made["id"])


def test_a12_requests_are_found_by_id_and_external_id(landscape: Landscape, policy: str) -> None:
    external = f"CRM-{landscape.tag}"
    request = landscape.finish(policy, {"email": ANN}, external_id=external)["id"]
    for wanted in (
        {"id": request},
        {"request_id": request},
        {"request_id": request[:14].upper()},
        {"external_id": external},
        {"external_id": external.lower()},
        {"id": request, "status": ["pending", "complete"]},
        {"id": request, "identity": ANN.upper()},
    ):
        found = landscape.ask("GET", "/privacy-request", params=wanted)
        assert [entry["id"] for entry in found["items"]] == [request], wanted
    for wanted in ({"id": request[:-1]}, {"id": request, "status": "error"}, {"id": request, "identity": BOB}):
        assert landscape.ask("GET", "/privacy-request", params=wanted)["items"] == [], wanted
    assert landscape.call("GET", "/privacy-request", params={"status": "finished"}).status_code == 422
    for path in ("", "/log", "/logs", "/report", "/access-results"):
        assert landscape.call("GET", f"/privacy-request/pri_nobody{path}").status_code == 404
    assert landscape.call("POST", "/privacy-request/pri_nobody/retry").status_code == 404


@on_one_ledger
@pytest.mark.parametrize(
    "body",
    [
        f'[{{"policy_key": "{MARK}"',
        f'"{MARK}"',
        f'{{"policy_key": "{MARK}"}}',
        "[]",
        f'[{{"identity": {{"email": "{MARK}"}}}}]',
        f'[{{"policy_key": ["{MARK}"], "identity": {{"email": "{MARK}"}}}}]',
        f'[{{"policy_key": "x", "identity": "{MARK}"}}]',
        f'[{{"policy_key": "x", "identity": {{}}, "requested_at": "{MARK}"}}]',
        "[" * 3000 + f'"{MARK}"' + "]" * 3000,
        f'["{MARK}\\ud800"]',
    ],
    ids=["cut off", "text", "object", "empty", "no policy", "list", "text person", "no date", "deep", "half a letter"],
)
def test_a_body_that_is_no_list_of_requests_is_refused_without_an_echo(landscape: Landscape, body: str) -> None:
    answer = landscape.call(
        "POST", "/privacy-request", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert MARK not in answer.text


def test_two_calls_at_once_are_both_served(landscape: Landscape, policy: str) -> None:
    def submit(start: int) -> list[str]:
        return landscape.submit(policy, *({"email": f"{start + n}.{MARK}@example.com"} for n in range(10)))

    with ThreadPoolExecutor(4) as pool:
        requests = [request for batch in pool.map(submit, (0, 10, 20, 30)) for request in batch]
    assert len(set(requests)) == 40
    for request in requests:
        landscape.wait(request)
