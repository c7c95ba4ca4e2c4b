"""What browsers are told: pages of other origins, frames, sniffing, and TLS from now on."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from tests.integration.web.conftest import Caller
from tests.unit.services.wiring import MovableClock

from habeas.execution.context import Context
from habeas.web.app import create_app

PORTAL = "https://privacy.example.com"
ALLOWED = "Access-Control-Allow-Origin"


def allow(root: Caller, clock: MovableClock, *origins: str) -> None:
    root("PATCH", "/api/v1/config", json={"security": {"cors_origins": list(origins)}}).raise_for_status()
    clock.ahead += timedelta(seconds=3)


def ask(caller: Caller, origin: str) -> httpx.Response:
    """What a browser asks before it lets a page call."""
    wanted = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return caller("OPTIONS", "/api/v1/privacy-request", headers=wanted)


@pytest.fixture
def anyone(context: Context) -> Caller:
    """Calls without a token, an application of its own."""
    return Caller(create_app(context))


def test_no_page_of_another_origin_may_call_unless_it_is_named(root: Caller, clock: MovableClock) -> None:
    assert ask(root, PORTAL).status_code == 405
    allow(root, clock, "https://other.example.com", PORTAL)
    asked = ask(root, PORTAL)
    assert (asked.status_code, asked.headers[ALLOWED], asked.headers["Vary"]) == (204, PORTAL, "Origin")
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    for stranger in ("https://privacy.example.com.evil.example", "http://privacy.example.com", "null", "*"):
        answer = ask(root, stranger)
        assert (answer.status_code, ALLOWED in answer.headers) == (405, False), stranger
    allow(root, clock)
    assert ask(root, PORTAL).status_code == 405


def test_a_named_page_can_read_every_answer_but_never_with_credentials(root: Caller, clock: MovableClock) -> None:
    allow(root, clock, PORTAL)
    for path, status in (("/api/v1/policy", 200), ("/api/v1/policy/none", 404), ("/health", 200)):
        answer = root("GET", path, headers={"Origin": PORTAL})
        assert (answer.status_code, answer.headers[ALLOWED]) == (status, PORTAL)
        assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert ALLOWED not in root("GET", "/health").headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://*.example.com", "https://a.example/", "a.example", "ftp://a.example", "HTTPS://a"]
)
def test_an_origin_is_named_exactly(root: Caller, origin: str) -> None:
    answer = root("PATCH", "/api/v1/config", json={"security": {"cors_origins": [origin]}})
    assert answer.status_code == 422


def test_a_ledger_that_does_not_answer_is_said_so(
    anyone: Caller, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr("habeas.services.configuration.present_settings", fail)
    assert anyone("GET", "/health", headers={"Origin": PORTAL}).status_code == 503
    assert anyone("GET", "/health").status_code == 200


def test_browsers_are_told_not_to_frame_sniff_or_keep_answers(anyone: Caller) -> None:
    for path in ("/health", "/api/v1/policy", "/none"):
        headers = anyone("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "Server" not in headers


def test_whoever_came_by_tls_is_told_to_stay_with_it(anyone: Caller) -> None:
    async def call(scheme: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=anyone.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://test") as client:
            return await client.get("/health")

    assert asyncio.run(call("https")).headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in asyncio.run(call("http")).headers
