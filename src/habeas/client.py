"""A small client of Habeas' HTTP API, for the command line and the demo."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from habeas.domain.errors import HabeasError
from habeas.domain.request import TERMINAL, RequestStatus

Json = Any
"""Whatever a JSON answer holds; the server's own tests check its shape."""

_POLL_SECONDS = 0.1
_LOG_PAGE = 100


class ApiFailure(HabeasError):
    """The server refused, did not answer, or a request did not end well."""

    code = "api_failure"


class Client:
    """Calls the API with a token. Every refusal is a ApiFailure that says who said what."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, **content: Json) -> Json:
        """The JSON answer of `/api/v1{path}`; `content` is httpx's `json`, `data` or `params`."""
        try:
            return self._ask(method, path, **content).json()
        except ValueError as broken:
            raise ApiFailure(f"{method} {path} had no usable answer: {type(broken).__name__}") from None

    def download(self, path: str) -> bytes:
        """The content of `/api/v1{path}`, whatever it is."""
        return self._ask("GET", path).content

    def _ask(self, method: str, path: str, **content: Json) -> httpx.Response:
        try:
            return self._http.request(method, f"/api/v1{path}", **content).raise_for_status()
        except httpx.HTTPStatusError as refused:
            raise ApiFailure(f"{method} {path} answered {_explain(refused.response)}") from None
        except httpx.ConnectError:
            raise ApiFailure(
                f"no server answers at {self._http.base_url}", hint="start one with `habeas serve`, or give its --url"
            ) from None
        except httpx.TransportError as broken:
            raise ApiFailure(f"{method} {path} had no usable answer: {type(broken).__name__}") from None

    def patch_all(self, path: str, items: Sequence[Mapping[str, Json]]) -> None:
        """Create or update every item; one that fails is a ApiFailure."""
        for failed in self.call("PATCH", path, json=items)["failed"]:
            raise ApiFailure(f"PATCH {path} refused an item: {failed['message']}")

    def submit(self, policy: str, identity: Mapping[str, str | Sequence[str]], **details: Json) -> str:
        """Submit a privacy request for one person, a value or several per kind; its id.

        `details` are further fields of the item.
        """
        item = {"policy_key": policy, "identity": identity, **details}
        answer = self.call("POST", "/privacy-request", json=[item])
        for failed in answer["failed"]:
            raise ApiFailure(f"the privacy request was refused: {failed['message']}")
        return str(answer["succeeded"][0]["id"])

    def _read_log(self, path: str) -> list[Json]:
        """The whole execution log, page by page."""
        entries: list[Json] = []
        while True:
            params = {"size": _LOG_PAGE, "page": len(entries) // _LOG_PAGE + 1}
            items = self.call("GET", f"{path}/log", params=params)["items"]
            entries += items
            if len(items) < _LOG_PAGE:
                return entries

    def follow(self, request: str, patience: float, show: Callable[[Json], None]) -> None:
        """Wait at most `patience` seconds for the request to complete; `show` gets the whole log at each look."""
        deadline = time.monotonic() + patience
        path = f"/privacy-request/{quote(request, safe='')}"
        while True:
            status = self.call("GET", path)["status"]
            entries = self._read_log(path)
            show(entries)
            if status == RequestStatus.COMPLETE:
                return
            if status in TERMINAL | {RequestStatus.ERROR}:
                causes = dict.fromkeys(entry["message"] for entry in entries if entry["status"] == "error")
                raise ApiFailure(f"the request ended as {status}: {'; '.join(causes) or 'its log names no cause'}")
            if time.monotonic() > deadline:
                raise ApiFailure(f"the request was still {status} after {patience:.0f} seconds")
            time.sleep(_POLL_SECONDS)


def _explain(response: httpx.Response) -> str:
    """Status and detail of a refusal, on one line."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in detail)
    return f"{response.status_code}: {detail}"


def _check_address(base_url: str) -> None:
    """The address is not repeated: it may hold a password."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ApiFailure("the server's URL is not an HTTP address", hint="write it as http://host:port")


@contextmanager
def log_in(
    base_url: str, client_id: str, client_secret: str, transport: httpx.BaseTransport | None = None
) -> Iterator[Client]:
    """A client with a token. `transport` replaces the network in tests."""
    _check_address(base_url)
    with httpx.Client(base_url=base_url, timeout=30, transport=transport) as http:
        client = Client(http)
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        token = client.call("POST", "/oauth/token", data=form)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield client
