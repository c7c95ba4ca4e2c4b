"""Fixtures of the web tests: the application on a fresh ledger, called in this process."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from tests.unit.services.wiring import ROOT_ID, ROOT_SECRET, FakeStore, MovableClock, make_context

from habeas.execution.context import Context
from habeas.services import passwords
from habeas.web.app import create_app
from habeas.web.metrics import Metrics


class SharedApp:
    """The application around a context; its routes are put together once for all tests of a process, which takes time.

    What the application keeps from the context that it was first made around (limits, origins, numbers) is that one's:
    tests of these make an application of their own.
    """

    _made: ClassVar[list[FastAPI]] = []

    def __init__(self, context: Context) -> None:
        self.state = SimpleNamespace(context=context, metrics=Metrics(context))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._made:
            self._made.append(create_app(self.state.context))
        app = self._made[0]
        app.state.context, app.state.metrics = self.state.context, self.state.metrics
        await app(scope, receive, send)


class Caller:
    """Sends requests to the application; `headers` go with each."""

    def __init__(self, app: FastAPI | SharedApp, headers: Mapping[str, str] | None = None) -> None:
        self.app = app
        self.headers = dict(headers or {})

    def __call__(self, method: str, path: str, **content: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, content))

    async def _send(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        headers = {**self.headers, **content.pop("headers", {})}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            return await client.request(method, path, **content)

    def with_token(self, token: str) -> "Caller":
        return Caller(self.app, {"Authorization": f"Bearer {token}"})


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and secrets are hashed as in life, but with less work."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def context(tmp_path: Path, store: FakeStore, clock: MovableClock) -> Iterator[Context]:
    made = make_context(tmp_path, store, clock)
    yield made
    made.connectors.close()
    made.ledger.close()


@pytest.fixture
def anyone(context: Context) -> Caller:
    """Calls without a token."""
    return Caller(SharedApp(context))


def sign_in(anyone: Caller, client_id: str = ROOT_ID, secret: str = ROOT_SECRET) -> Caller:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    answer = anyone("POST", "/api/v1/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    return anyone.with_token(answer.json()["access_token"])


@pytest.fixture
def root(anyone: Caller) -> Caller:
    """Calls with a token of the root client."""
    return sign_in(anyone)


@pytest.fixture
def configured(root: Caller) -> Caller:
    """Root, after storage `packages` and policy `give_and_forget` with one access rule were made."""
    for path, item in (
        ("storage/config", {"name": "Packages", "type": "local"}),
        ("policy", {"name": "Give and forget"}),
        (
            "policy/give_and_forget/rule",
            {"name": "Give", "action_type": "access", "storage_destination_key": "packages"},
        ),
        ("policy/give_and_forget/rule/give/target", {"data_category": "user"}),
    ):
        answer = root("PATCH", f"/api/v1/{path}", json=[item])
        assert answer.json()["failed"] == [], answer.text
    return root
