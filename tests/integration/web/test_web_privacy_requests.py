"""Privacy requests through HTTP: submitting, finding, what fails alone and what refuses the call."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in
from tests.unit.services.wiring import FakeStore, MovableClock, dataset_body, make_context

from habeas.domain.errors import NotFound
from habeas.services.packages import OpenPackage

PATH = "/api/v1/privacy-request"
ANN = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}


def submit(caller: Caller, *items: object) -> dict[str, list[dict[str, object]]]:
    answer = caller("POST", PATH, json=list(items))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_anyone_may_create_and_gets_a_pending_request(configured: Caller, anyone: Caller) -> None:
    (made,) = submit(anyone, {**ANN, "external_id": "crm-77", "unknown": 1})["succeeded"]
    assert made["status"] == "pending"
    assert str(made["id"]).startswith("pri_")
    assert made["requested_at"] == made["created_at"]
    assert made["identity"] is None
    assert made["policy"]["key"] == "give_and_forget"  # type: ignore[index]


def test_creating_needs_a_token_when_the_settings_say_so(tmp_path) -> None:  # type: ignore[no-untyped-def]
    context = make_context(tmp_path / "strict", FakeStore(), MovableClock(), require_auth_to_create=True)
    anyone = Caller(SharedApp(context))
    assert anyone("POST", PATH, json=[ANN]).status_code == 401
    assert sign_in(anyone)("POST", PATH, json=[ANN]).status_code == 200
    context.ledger.close()


def test_identities_make_one_request_each(configured: Caller) -> None:
    people = [{"email": "ann@example.com"}, {"email": "bob@example.com"}]
    made = submit(configured, {"policy_key": "give_and_forget", "external_id": "x", "identities": people})
    assert len(made["succeeded"]) == 2
    assert {item["external_id"] for item in made["succeeded"]} == {"x"}


@pytest.mark.parametrize(
    "bad",
    [
        {"policy_key": "nope", "identity": {"email": "bob@example.com"}},
        {"policy_key": "give_and_forget"},
        {"policy_key": "give_and_forget", "identity": {"email": "", "phone_number": None}},
        {"policy_key": "give_and_forget", "identities": []},
        {**ANN, "identities": [{"email": "bob@example.com"}]},
        {"policy_key": "give_and_forget", "identity": {"phone_number": "12"}},
        {"policy_key": "give_and_forget", "identity": {"email": "x" * 500_000 + "@secret.example"}},
        {"policy_key": "give_and_forget", "identity": {"email": [f"p{n}@secret.example" for n in range(5000)]}},
    ],
    ids=range(8),
)
def test_a_bad_item_fails_alone(configured: Caller, bad: dict[str, object]) -> None:
    made = submit(configured, bad, ANN)
    assert len(made["succeeded"]) == 1
    (failed,) = made["failed"]
    assert failed["data"] == bad
    assert failed["message"]
    assert "secret" not in failed["message"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("encryption_keyy", "encryption_key"), ("encryptionKey", "encryption_key"), ("datasetKeys", "dataset_keys")],
)
def test_a_field_that_is_misspelt_is_not_dropped(configured: Caller, name: str, meant: str) -> None:
    answer = submit(configured, {**ANN, name: "0123456789abcdef"}, {**ANN, "source": "Privacy Center"})
    assert len(answer["succeeded"]) == 1
    (failure,) = answer["failed"]
    assert failure["message"] == f"unknown field '{name}' (write {meant}, or leave it out)"


def test_so_many_unknown_fields_that_comparing_them_takes_long_are_refused(configured: Caller) -> None:
    many = {f"dataset_{number:05}": 1 for number in range(101)}
    answer = submit(configured, {**ANN, **many})
    (failure,) = answer["failed"]
    assert failure["message"] == "more than 100 unknown fields (leave them out)"


def test_only_the_bad_person_of_identities_fails(configured: Caller) -> None:
    people = [{"email": "ann@example.com"}, {"phone_number": "12"}]
    made = submit(configured, {"policy_key": "give_and_forget", "identities": people})
    assert len(made["succeeded"]) == 1
    assert made["failed"][0]["data"] == {"policy_key": "give_and_forget", "identities": [{"phone_number": "12"}]}


def test_at_most_50_people_are_taken_at_once(configured: Caller) -> None:
    people = [{"email": f"p{number}@example.com"} for number in range(51)]
    for body in ([{"policy_key": "give_and_forget", "identities": people}], [ANN] * 51, []):
        assert configured("POST", PATH, json=body).status_code == 422
    assert configured("GET", PATH).json()["total"] == 0
    assert len(submit(configured, *[ANN] * 50)["succeeded"]) == 50


@pytest.mark.parametrize(
    ("key", "status"),
    [("k" * 15, 422), ("k" * 16, 200), ("k" * 17, 422), ("é" * 16, 200), ("é" * 15 + "k", 422), ("k" * 24, 200)],
)
def test_encryption_keys_have_a_length_in_bytes(configured: Caller, key: str, status: int) -> None:
    answer = configured("POST", PATH, json=[ANN, {**ANN, "encryption_key": key}])
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["detail"][0]["loc"] == ["body", 1, "encryption_key"]
        assert key not in answer.text
        assert configured("GET", PATH).json()["total"] == 0


def test_a_request_is_found_by_each_of_its_names(configured: Caller) -> None:
    item = {**ANN, "external_id": "CRM-77", "identity": {"phone_number": "+1 (123) 456 7891"}}
    wanted = str(submit(configured, ANN, item)["succeeded"][1]["id"])
    for params in (
        {"id": wanted},
        {"request_id": wanted[:20].upper()},
        {"external_id": "crm-7"},
        {"identity": "+11234567891"},
        {"identity": "+1 (123) 456 7891"},
    ):
        found = configured("GET", PATH, params=params).json()
        assert [item["id"] for item in found["items"]] == [wanted], params
    assert configured("GET", PATH, params={"id": "pri_nope"}).json()["total"] == 0
    assert configured("GET", PATH, params={"status": ["pending", "complete"]}).json()["total"] == 2
    assert configured("GET", PATH, params={"status": "complete"}).json()["total"] == 0
    assert configured("GET", PATH, params={"status": "lost"}).status_code == 422


def test_identities_are_shown_when_asked_for(configured: Caller) -> None:
    submit(configured, ANN)

    def shown(**params: str) -> object:
        return configured("GET", PATH, params=params).json()["items"][0]["identity"]

    assert shown() is None
    assert shown(include_identities="plain") == shown(include_identities="true") == {"email": "ann@example.com"}
    assert shown(include_identities="labelled") == {"email": {"label": "Email", "value": "ann@example.com"}}
    assert configured("GET", PATH, params={"include_identities": "loud"}).status_code == 422


def test_a_verbose_answer_has_results(configured: Caller) -> None:
    made = submit(configured, ANN)["succeeded"][0]
    assert "results" not in made
    for answer in (
        configured("GET", f"{PATH}?verbose=true").json()["items"][0],
        configured("GET", f"{PATH}/{made['id']}?verbose=true").json(),
    ):
        assert [entry["status"] for entry in answer["results"]["Request approved"]] == ["approved"]
        assert answer["task_status_by_dataset"] == {}
        reviewed = {"reviewed_at": answer["reviewed_at"], "reviewed_by": "system"}
        assert answer.items() >= (made | reviewed).items(), "whoever made it without a token is not told of the review"


def test_the_submitter_is_recorded(configured: Caller) -> None:
    answer = configured("POST", f"{PATH}/authenticated", json=[ANN]).json()["succeeded"][0]
    results = configured("GET", f"{PATH}/{answer['id']}?verbose=true").json()["results"]
    assert results["Request created"][0]["user_id"] == "root"


def test_only_a_request_in_error_is_retried(configured: Caller) -> None:
    made = submit(configured, ANN)["succeeded"][0]
    answer = configured("POST", f"{PATH}/{made['id']}/retry")
    assert answer.status_code == 400
    assert "pending" in answer.json()["detail"]


def test_the_log_has_two_addresses(configured: Caller) -> None:
    made = submit(configured, ANN)["succeeded"][0]
    log = configured("GET", f"{PATH}/{made['id']}/log").json()
    assert (log["items"], log["total"]) == ([], 0)
    assert configured("GET", f"{PATH}/{made['id']}/logs").json() == log
    assert configured("GET", f"{PATH}/{made['id']}/access-results").json() == {"access_result_urls": [], "packages": []}


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("GET", "/log"),
        ("GET", "/report"),
        ("GET", "/access-results"),
        ("GET", "/package/give"),
        ("POST", "/retry"),
    ],
)
def test_an_unknown_request_is_404(configured: Caller, method: str, rest: str) -> None:
    assert configured(method, f"{PATH}/pri_nope{rest}").status_code == 404


@pytest.mark.parametrize(
    ("name", "encrypted", "media_type"),
    [
        ("pri_1-give.json", False, "application/json"),
        ("pri_1-give.json", True, "application/octet-stream"),
        ("pri_1-give.zip", True, "application/zip"),
    ],
)
def test_a_package_is_a_download(
    configured: Caller, monkeypatch: pytest.MonkeyPatch, name: str, encrypted: bool, media_type: str
) -> None:
    closed = []

    @contextmanager
    def opening() -> Iterator[BinaryIO]:
        yield BytesIO(b"{}" * 100_000)
        closed.append(True)

    give(monkeypatch, OpenPackage(name, opening(), encrypted))
    answer = configured("GET", f"{PATH}/pri_1/package/give")
    assert answer.content == b"{}" * 100_000
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert closed


def test_a_package_that_is_gone_is_404(configured: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opening() -> Iterator[BinaryIO]:
        raise NotFound("gone")
        yield

    give(monkeypatch, OpenPackage("pri_1.json", opening(), encrypted=False))
    assert configured("GET", f"{PATH}/pri_1/package/give").status_code == 404


def give(monkeypatch: pytest.MonkeyPatch, package: OpenPackage) -> None:
    """Let every request have this package."""
    monkeypatch.setattr("habeas.services.packages.open_package", lambda *given: package)


def test_a_plan_is_previewed(configured: Caller) -> None:
    question = {"policy_key": "give_and_forget", "identity_kinds": ["email"]}
    assert configured("PUT", f"{PATH}/preview", json=question).json()["policy"] == "give_and_forget"
    assert configured("PUT", f"{PATH}/preview", json={**question, "policy_key": "nope"}).status_code == 404
    assert configured("PUT", f"{PATH}/preview", json={**question, "dataset_keys": ["nope"]}).status_code == 400


def test_look_ups_of_datasets_are_previewed_without_a_policy(root: Caller) -> None:
    shop = {"name": "Shop", "connection_type": "file", "access": "read"}
    root("PATCH", "/api/v1/connection", json=[shop])
    root("PUT", "/api/v1/connection/shop/secret", json={"path": "x"})
    to_members = [{"dataset": "one", "field": "members.no", "direction": "from"}]
    two = {
        "fides_key": "two",
        "name": "two",
        "collections": [{"name": "members", "fields": [{"name": "no", "fides_meta": {"references": to_members}}]}],
    }
    datasets = "/api/v1/connection/shop/dataset"
    assert root("PATCH", datasets, json=[dataset_body("one"), dataset_body("three")]).json()["failed"] == []
    members = [
        {"collectionAddress": {"dataset": key, "collection": "members"}, "query": "SELECT … FROM members"}
        for key in ("one", "three")
    ]
    for nothing in ({"content": b""}, {"json": None}, {"json": []}):
        assert root("PUT", f"{PATH}/preview", **nothing).json() == members
    assert root("PUT", f"{PATH}/preview", json=["three"]).json() == members[1:]
    assert root("PUT", f"{PATH}/preview", json=["three", "nope"]).status_code == 404
    assert root("PATCH", datasets, json=[two]).json()["failed"] == []
    every = root("PUT", f"{PATH}/preview").json()
    assert [item["collectionAddress"]["dataset"] for item in every] == ["one", "three", "two"]
    alone = root("PUT", f"{PATH}/preview", json=["two"])
    assert alone.status_code == 400
    assert "one" in alone.json()["detail"]
