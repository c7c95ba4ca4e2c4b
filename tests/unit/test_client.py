"""The client of the API, against answers made up here."""

import json
from collections.abc import Callable

import httpx
import pytest

from habeas.client import ApiFailure, Client, path_of


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
