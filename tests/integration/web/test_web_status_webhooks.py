"""Status webhooks by the API: whose they are, and what is shown of them."""

import pytest
from tests.integration.web.conftest import Caller, sign_in
from tests.integration.web.test_web_security import make_client

PATH = "/api/v1/status-webhook"
ALL = ("status-webhook:create_or_update", "status-webhook:read", "status-webhook:delete", "privacy-request:read")
DRAFT = {"url": "https://tickets.example.com/x", "statuses": ["error", "complete"]}


def test_each_client_has_its_own_and_root_sees_all(root: Caller) -> None:
    one, other = make_client(root, *ALL), make_client(root, *ALL)
    made = one("POST", PATH, json=DRAFT).json()
    own = f"{PATH}/{made['webhook']['id']}"
    assert one("GET", own).json() == made["webhook"]
    assert made["webhook"]["statuses"] == ["complete", "error"]
    assert one("GET", PATH).json()["total"] == root("GET", PATH).json()["total"] == 1
    assert other("GET", PATH).json()["items"] == []
    attempts = [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/secret"),
        ("POST", "/test"),
        ("GET", "/delivery"),
    ]
    for method, rest in [*attempts, ("POST", "/replay")]:
        body = {"json": {"delivery_ids": ["dlv_1"]} if rest == "/replay" else {}} if method in ("POST", "PATCH") else {}
        assert other(method, own + rest, **body).status_code == 404, (method, rest)
    assert root("PATCH", own, json={"statuses": []}).json()["statuses"] == []
    assert one("DELETE", own).status_code == 204
    assert root("GET", own).status_code == 404


def test_who_may_not_read_requests_any_more_sees_no_deliveries(root: Caller) -> None:
    made = root("POST", "/api/v1/oauth/client", json=list(ALL)).json()
    one = sign_in(root, made["client_id"], made["client_secret"])
    own = f"{PATH}/{one('POST', PATH, json=DRAFT).json()['webhook']['id']}"
    assert one("GET", f"{own}/delivery").status_code == 200
    root("PUT", f"/api/v1/oauth/client/{made['client_id']}/scope", json=list(ALL[:3]))
    refused = one("GET", f"{own}/delivery")
    assert (refused.status_code, "privacy-request:read is needed" in refused.text) == (403, True)
    assert one("GET", own).status_code == 200


def test_a_secret_is_shown_when_it_is_made(root: Caller) -> None:
    made = root("POST", PATH, json=DRAFT).json()
    own = f"{PATH}/{made['webhook']['id']}"
    new = root("POST", f"{own}/secret").json()["secret"]
    assert made["secret"].startswith("whsec_")
    assert new.startswith("whsec_")
    assert new != made["secret"]
    for shown in (root("GET", own).text, root("GET", PATH).text, root("PATCH", own, json={}).text):
        assert "whsec_" not in shown


@pytest.mark.parametrize(
    ("draft", "status"),
    [
        ({"url": "ftp://tickets.example.com"}, 400),
        ({"url": "https://me:secret@tickets.example.com"}, 400),
        ({"url": "https://tickets.example.com/\x00"}, 400),
        ({**DRAFT, "statuses": ["done"]}, 422),
        ({**DRAFT, "policy_keys": ["unknown"]}, 400),
        ({**DRAFT, "policy_keys": ["\x00"]}, 400),
    ],
)
def test_what_nobody_can_be_told_is_refused(root: Caller, draft: object, status: int) -> None:
    answer = root("POST", PATH, json=draft)
    assert answer.status_code == status
    assert "secret@" not in answer.text
    assert root("GET", PATH).json()["total"] == 0


def test_what_is_to_be_told_is_listed(configured: Caller) -> None:
    made = configured("POST", PATH, json={"url": DRAFT["url"], "policy_keys": ["give_and_forget"]}).json()
    item = {"policy_key": "give_and_forget", "identity": {"email": "ann@example.com"}}
    request_id = configured("POST", "/api/v1/privacy-request", json=[item]).json()["succeeded"][0]["id"]
    [shown] = configured("GET", f"{PATH}/{made['webhook']['id']}/delivery").json()["items"]
    assert shown["id"].startswith("dlv_")
    assert (shown["request_id"], shown["status"], shown["state"], shown["attempts"]) == (
        request_id,
        "pending",
        "due",
        0,
    )
