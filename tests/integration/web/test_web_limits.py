"""What is too large is refused, however it is sent, and before it is read whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.integration.web.conftest import Caller

MB = 1024 * 1024
OPEN = [
    ("/api/v1/privacy-request", "application/json"),
    ("/api/v1/privacy-request/pri_0/verify", "application/json"),
    ("/api/v1/oauth/token", "application/x-www-form-urlencoded"),
    ("/api/v1/oauth/revoke", "application/x-www-form-urlencoded"),
]


def post(caller: Caller, path: str, kind: str, size: int, *, chunked: bool) -> tuple[httpx.Response, int]:
    """The answer to a body of so many bytes, and how many of them were asked for."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(0, size, MB // 4):
            taken += MB // 4
            yield b" " * (MB // 4)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=caller.app)
        headers = {**caller.headers, "Content-Type": kind}
        if not chunked:
            headers["Content-Length"] = str(size)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            return await client.post(path, content=body())

    return asyncio.run(send()), taken


@pytest.mark.parametrize("chunked", [False, True])
def test_open_routes_take_a_megabyte(anyone: Caller, chunked: bool, caplog: pytest.LogCaptureFixture) -> None:
    for path, kind in OPEN:
        answer, taken = post(anyone, path, kind, 8 * MB, chunked=chunked)
        assert (answer.status_code, answer.json()) == (413, {"detail": "the body is larger than 1 MB"}), path
        assert taken <= 1.25 * MB, path
        answer, _ = post(anyone, path, kind, MB, chunked=chunked)
        assert answer.status_code in (400, 401, 422), path
    assert "fault" not in caplog.text


@pytest.mark.parametrize("chunked", [False, True])
def test_the_others_take_sixteen(root: Caller, chunked: bool) -> None:
    answer, taken = post(root, "/api/v1/privacy-request/search", "application/json", 32 * MB, chunked=chunked)
    assert answer.status_code == 413 and taken <= 16.25 * MB
    answer, _ = post(root, "/api/v1/privacy-request/search", "application/json", 2 * MB, chunked=chunked)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'[{"policy_key": ' + b"9" * 100_000 + b"}]",
        b'[{"policy_key": "p", "identity": {"email": 1e999999}}]',
        b'[{"policy_key": "p", "requested_at": ' + b"9" * 400 + b', "identity": {"email": "a@example.com"}}]',
    ],
    ids=["arrays", "objects", "digits", "exponent", "time"],
)
def test_deep_and_huge_json_is_refused(anyone: Caller, content: bytes) -> None:
    answer = anyone("POST", "/api/v1/privacy-request", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 or answer.json()["failed"]


def test_forms_of_many_fields_and_addresses_of_many_parameters_are_harmless(anyone: Caller, root: Caller) -> None:
    many: dict[str, Any] = {f"field{number}": "x" for number in range(20_000)}
    assert anyone("POST", "/api/v1/oauth/token", data=many).status_code in (400, 401, 413)
    files = {f"file{number}": b"x" for number in range(1500)}
    assert anyone("POST", "/api/v1/oauth/token", files=files).status_code in (400, 401)
    query = "&".join(f"status=pending&x{number}=1" for number in range(2_500))
    assert root("GET", f"/api/v1/privacy-request?{query}").status_code in (200, 422)
    for number in ("9" * 5000, "1e9", "-1", "nan"):
        assert root("GET", f"/api/v1/privacy-request?page={number}").status_code == 422
