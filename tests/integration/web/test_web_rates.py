"""Whoever calls too often is asked to wait; each kind of open route has its own limit."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from tests.unit.services.wiring import MovableClock

from habeas.execution.context import Context
from habeas.settings import SecuritySettings
from habeas.web.app import create_app
from habeas.web.rates import name_caller
from habeas.web.security import read_context

LIMITS = {
    "request_rate_limit": "4/hour",
    "create_rate_limit": "3/hour",
    "verify_rate_limit": "2/hour",
    "token_rate_limit": "1/hour",
    "login_rate_limit": "2/hour",
}
ANN = {"policy_key": "no_such_policy", "identity": {"email": "ann@example.com"}}
OPEN = (
    *("privacy-request", "privacy-request/pri_0/verify", "privacy-request/pri_0/resend-code"),
    *("oauth/token", "oauth/revoke", "login", "session"),
    *("user/accept-invite", "user/forgot-password", "user/reset-password-with-token"),
)
PROOF = "/api/v1/privacy-request/pri_0/verify"

Call = Callable[..., httpx.Response]


def make_call(context: Context, limits: Mapping[str, str]) -> Call:
    """Calls the application from an address."""
    security = SecuritySettings(**{**dict(context.settings.security), **limits})
    app = create_app(replace(context, settings=context.settings.model_copy(update={"security": security})))

    async def send(host: str, method: str, path: str, **content: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **content)

    return lambda *arguments, **content: asyncio.run(send(*arguments, **content))


@pytest.fixture
def call(context: Context) -> Call:
    return make_call(context, LIMITS)


def count_passed(call: Call, host: str, method: str, path: str, **content: Any) -> int:
    return [call(host, method, path, **content).status_code for _ in range(6)].index(429)


def test_each_kind_of_call_has_its_own_limit(call: Call) -> None:
    host = "203.0.113.5"
    assert count_passed(call, host, "POST", "/api/v1/privacy-request/", json=[ANN]) == 3
    assert count_passed(call, host, "POST", PROOF, json={"code": "000000"}) == 2
    assert call(host, "POST", PROOF.replace("verify", "resend-code")).status_code == 429
    assert count_passed(call, host, "POST", "/api/v1/oauth/token", data={"client_id": "a"}) == 1
    assert count_passed(call, host, "POST", "/api/v1/user/forgot-password", json={}) == 2
    assert call(host, "POST", "/api/v1/login", json={}).status_code == 429
    assert count_passed(call, host, "GET", "/api/v1/policy") == 4


@pytest.mark.parametrize("path", OPEN)
def test_no_other_spelling_of_an_open_route_gets_round_its_limit(context: Context, path: str) -> None:
    tight = dict.fromkeys(LIMITS, "1/hour") | {"request_rate_limit": ""}
    call, host = make_call(context, tight), "203.0.113.5"
    assert count_passed(call, host, "POST", f"/api/v1/{path}", json={}) == 1
    controls = [f"%{code:02X}" for code in (*range(32), 127)]
    ends = [*controls, "%C2%85", "%E2%80%A8", "%20", "%2F", "/", "//", ";x", "/.", "%0A/", "%0D%0A", "?x", "?", "."]
    spellings = [*(path + end for end in ends), path.upper(), "/" + path, "./" + path, "%0A" + path]
    spellings += [path.replace("pri_0", "pri%0A0"), path.replace("/", "%2F"), f"%{ord(path[0]):02x}{path[1:]}"]
    for spelling in spellings:
        answer = call(host, "POST", f"/api/v1/{spelling}", json={})
        unknown = answer.status_code in (400, 405) or answer.json() == {"detail": "Not Found"}
        assert unknown or answer.status_code == 429, (spelling, answer.status_code, answer.text)


def test_one_address_does_not_slow_another_down(call: Call) -> None:
    count_passed(call, "203.0.113.5", "GET", "/health")
    assert call("203.0.113.6", "GET", "/health").status_code == 200


def test_a_refusal_says_how_long_to_wait_and_then_calls_pass(call: Call, clock: MovableClock) -> None:
    host = "203.0.113.5"
    assert count_passed(call, host, "POST", PROOF, json={"code": "000000"}) == 2
    refused = call(host, "POST", PROOF, json={"code": "000000"})
    assert "too many calls" in refused.json()["detail"] and refused.headers["X-Content-Type-Options"] == "nosniff"
    assert 1790 <= int(refused.headers["Retry-After"]) <= 1800
    clock.ahead = timedelta(seconds=int(refused.headers["Retry-After"]))
    assert call(host, "POST", PROOF, json={"code": "000000"}).status_code == 404


def test_this_machine_is_not_counted(call: Call) -> None:
    for host in ("127.0.0.1", "::1", "127.1.2.3"):
        assert {call(host, "GET", "/health").status_code for _ in range(6)} == {200}


def test_an_empty_limit_is_none(context: Context) -> None:
    call = make_call(context, {**LIMITS, "request_rate_limit": ""})
    assert {call("203.0.113.5", "GET", "/health").status_code for _ in range(6)} == {200}


def test_addresses_of_one_network_of_ipv6_are_one_caller() -> None:
    one, same, other = (name_caller(host) for host in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"))
    assert one == same != other
    assert name_caller("203.0.113.5") == name_caller("::ffff:203.0.113.5") != name_caller("203.0.113.6")
    assert name_caller("") == name_caller("::ffff:127.0.0.1") == ""
    assert name_caller("fe80::1%eth0") == name_caller("fe80::1%eth1") != ""


def test_all_whose_address_cannot_be_read_are_one_caller() -> None:
    junk = ("unknown", "junk1", "203.0.113.5 ", "203.0.113.256", "_hidden", "example.com", "%", "1.2.3", "\u0661.2.3.4")
    assert {name_caller(host) for host in junk} == {"unknown"}
    assert {name_caller(host) for host in ("203.0.113.5", "203.0.113.005", "203.00.113.05")} == {"203.0.113.5"}


@pytest.mark.parametrize(
    ("client", "origin"),
    [
        (None, "loopback"),
        (("127.0.0.1", 1), "loopback"),
        (("::ffff:127.0.0.1", 1), "loopback"),
        (("10.0.0.1", 1), "private"),
        (("::ffff:10.0.0.1", 1), "private"),
        (("93.184.215.14", 1), "public"),
        (("093.184.215.14", 1), "public"),
        (("junk", 0), "public"),
    ],
)
def test_only_who_has_no_address_at_all_is_this_machine(
    context: Context, client: tuple[str, int] | None, origin: str
) -> None:
    app = SimpleNamespace(state=SimpleNamespace(context=context))
    request = Request({"type": "http", "app": app, "client": client, "headers": []})
    assert read_context(request).actor.origin == origin


@pytest.mark.parametrize("rate", ["60", "0/minute", "60/day"])
def test_a_limit_that_makes_no_sense_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="create_rate_limit"):
        SecuritySettings(create_rate_limit=rate)
