"""A small client of Habeas' HTTP API: what the story says to the server, and nothing it does not need."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from habeas.demo.failure import DemoFailure
from habeas.domain.request import TERMINAL, RequestStatus

Json = Any
"""Whatever a JSON answer holds; the server's own tests check its shape."""

_POLL_SECONDS = 0.1
_LOG_PAGE = 100


class Client:
    """Calls the API with a token. Every refusal is a DemoFailure that says who said what."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, **content: Json) -> Json:
        """The JSON answer of `/api/v1{path}`; `content` is httpx's `json`, `data` or `params`."""
        try:
            answer = self._http.request(method, f"/api/v1{path}", **content)
            return answer.raise_for_status().json()
        except httpx.HTTPStatusError as refused:
            status, text = refused.response.status_code, refused.response.text[:300]
            raise DemoFailure(f"{method} {path} answered {status}: {text}") from None
        except (httpx.TransportError, ValueError) as broken:
            raise DemoFailure(f"{method} {path} had no usable answer: {type(broken).__name__}") from None

    def patch_all(self, path: str, items: Sequence[Mapping[str, Json]]) -> None:
        """Create or update every item; one that fails is a DemoFailure."""
        for failed in self.call("PATCH", path, json=items)["failed"]:
            raise DemoFailure(f"PATCH {path} refused an item: {failed['message']}")

    def submit(self, policy: str, email: str) -> str:
        """Submit a privacy request for one person; its id."""
        answer = self.call("POST", "/privacy-request", json=[{"policy_key": policy, "identity": {"email": email}}])
        for failed in answer["failed"]:
            raise DemoFailure(f"the privacy request was refused: {failed['message']}")
        return str(answer["succeeded"][0]["id"])

    def follow(self, request: str, patience: float, show: Callable[[Json], None]) -> None:
        """Wait at most `patience` seconds for the request to complete; `show` gets the whole log at each look."""
        deadline = time.monotonic() + patience
        while True:
            status = self.call("GET", "/privacy-request", params={"id": request})["items"][0]["status"]
            entries = self.call("GET", f"/privacy-request/{request}/log", params={"size": _LOG_PAGE})["items"]
            show(entries)
            if status == RequestStatus.COMPLETE:
                return
            if status in TERMINAL | {RequestStatus.ERROR}:
                causes = [entry["message"] for entry in entries if entry["status"] == "error"]
                raise DemoFailure(f"the request ended as {status}: {'; '.join(causes) or 'its log names no cause'}")
            if time.monotonic() > deadline:
                raise DemoFailure(f"the request was still {status} after {patience:.0f} seconds")
            time.sleep(_POLL_SECONDS)


@contextmanager
def log_in(
    base_url: str, client_id: str, client_secret: str, transport: httpx.BaseTransport | None = None
) -> Iterator[Client]:
    """A client with a token. `transport` replaces the network in tests."""
    with httpx.Client(base_url=base_url, timeout=30, transport=transport) as http:
        client = Client(http)
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        token = client.call("POST", "/oauth/token", data=form)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield client
