"""The client of the API, against answers made up here."""

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from habeas.client import ApiFailure, Client, InvalidSignature, path_of, verify_webhook_signature
from habeas.domain.signature import sign


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client(httpx.Client(base_url="http://habeas", transport=httpx.MockTransport(answer)))


def test_a_listing_is_read_to_its_end() -> None:
    things = [{"key": str(number)} for number in range(250)]

    def answer(request: httpx.Request) -> httpx.Response:
        page, size = (int(request.url.params[name]) for name in ("page", "size"))
        assert request.url.params["search"] == "shop"
        return httpx.Response(200, json={"items": things[(page - 1) * size : page * size]})

    assert client_of(answer).list_all("/connection", search="shop") == things


def test_many_items_are_saved_in_the_portions_that_the_api_takes() -> None:
    portions = []

    def answer(request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)
        portions.append(len(items))
        return httpx.Response(200, json={"succeeded": items, "failed": []})

    items = [{"key": str(number)} for number in range(120)]
    assert client_of(answer).patch_all("/connection", items) == items
    assert portions == [50, 50, 20]


def test_a_refused_item_is_told_with_those_that_are_saved() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        first, second, third = json.loads(request.content)
        failed = [{"message": "no such storage", "data": second}, {"message": "no name", "data": third}]
        return httpx.Response(200, json={"succeeded": [first], "failed": failed})

    with pytest.raises(ApiFailure, match=r"no such storage; no name \(saved: a\)"):
        client_of(answer).patch_all("/policy", [{"key": "a"}, {"key": "b"}, {"key": "c"}])


def test_decisions_that_are_not_possible_are_told_once_all_were_tried() -> None:
    request = {
        "status": "approved",
        "policy": {"key": "give", "name": "Give", "rules": []},
        "requested_at": "2026-01-01T00:00:00Z",
    }
    empty = ("external_id", "started_processing_at", "finished_processing_at", "due_date", "days_left")
    request |= dict.fromkeys((*empty, "duplicate_of", "failure", "cancel_reason"))

    def answer(asked: httpx.Request) -> httpx.Response:
        first, *others = json.loads(asked.content)["request_ids"]
        failed = [{"message": "its status is denied", "data": {"privacy_request_id": first}}]
        return httpx.Response(200, json={"succeeded": [{"id": one, **request} for one in others], "failed": failed})

    ids = [f"pri_{number}" for number in range(60)]
    with pytest.raises(
        ApiFailure, match=r"^2 requests were not decided upon \(approve\): its status is denied$"
    ) as told:
        client_of(answer).approve(ids)
    assert [one["data"]["privacy_request_id"] for one in told.value.failed] == ["pri_0", "pri_50"]
    assert [one.id for one in told.value.succeeded] == [one for one in ids if one not in ("pri_0", "pri_50")]


def test_a_refusal_keeps_its_status_also_while_streaming() -> None:
    client = client_of(lambda _: httpx.Response(404, json={"detail": "there is no package"}))
    for ask in (lambda: client.call("GET", "/x"), lambda: list(client.stream("/x")), lambda: client.download("/x")):
        with pytest.raises(ApiFailure, match="GET /x answered 404: there is no package") as refusal:
            ask()
        assert refusal.value.status == 404


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    def broken() -> "object":
        yield b"half"
        raise httpx.ReadError("gone")

    client = client_of(lambda _: httpx.Response(200, content=broken()))
    with pytest.raises(ApiFailure, match="ReadError"):
        list(client.stream("/x"))


def test_keys_become_one_step_of_a_path() -> None:
    assert path_of("connection", "a/b ?") == "/connection/a%2Fb%20%3F"


SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"type":"privacy_request.status_changed"}'
SIGNED = {"webhook-id": "dlv_1", "webhook-timestamp": "1000", "webhook-signature": sign(SECRET, "dlv_1", 1000, BODY)}


def test_a_signature_is_that_of_the_specification() -> None:
    # the example of the Standard Webhooks specification's reference libraries
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_that_was_signed_is_trusted() -> None:
    titled = {name.title(): value for name, value in SIGNED.items()}
    two = {**SIGNED, "webhook-signature": f"v1,AAAA {SIGNED['webhook-signature']}"}
    for headers in (SIGNED, titled, two):
        verify_webhook_signature(headers, BODY, SECRET, now=lambda: 1299.0)


@pytest.mark.parametrize(
    ("changed", "body", "now"),
    [
        ({"webhook-id": "dlv_2"}, BODY, 1000.0),
        ({"webhook-timestamp": "1001"}, BODY, 1000.0),
        ({"webhook-timestamp": "soon"}, BODY, 1000.0),
        ({"webhook-timestamp": "9" * 400}, BODY, 1000.0),
        ({"webhook-signature": ""}, BODY, 1000.0),
        ({"webhook-signature": "v1,ß"}, BODY, 1000.0),
        ({}, BODY + b" ", 1000.0),
        ({}, BODY, 1301.0),
        ({}, BODY, 699.0),
    ],
)
def test_any_other_webhook_is_not(changed: dict[str, str], body: bytes, now: float) -> None:
    with pytest.raises(InvalidSignature):
        verify_webhook_signature({**SIGNED, **changed}, body, SECRET, now=lambda: now)


def test_a_webhook_without_its_headers_is_not_trusted() -> None:
    with pytest.raises(InvalidSignature):
        verify_webhook_signature({}, BODY, SECRET)
