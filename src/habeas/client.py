"""A small client of Habeas' HTTP API, for the command line and the demo."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from habeas.domain.errors import HabeasError
from habeas.domain.request import TERMINAL, RequestStatus

if TYPE_CHECKING:
    import httpx  # only once something is asked: the command line is as quick without it, and a server smaller

Json = Any
"""Whatever a JSON answer holds; the server's own tests check its shape."""

_POLL_SECONDS = 0.1
_PAGE = 100
_BULK = 50


class ApiFailure(HabeasError):
    """The server refused (then `status` is its answer's), did not answer, or a request did not end well."""

    code = "api_failure"

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def path_of(*parts: str) -> str:
    """A path of keys and ids, which may hold any character: `/connection/shop`."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class Client:
    """Calls the API with a token. Every refusal is a ApiFailure that says who said what."""

    def __init__(self, http: "httpx.Client") -> None:
        self._http = http

    def call(self, method: str, path: str, **content: Json) -> Json:
        """The JSON answer of `/api/v1{path}`, None if it is empty; `content` is httpx's `json`, `data` or `params`."""
        answer = self._ask(method, path, **content)
        try:
            return answer.json() if answer.content else None
        except ValueError as broken:
            raise ApiFailure(f"{method} {path} had no usable answer: {type(broken).__name__}") from None

    def download(self, path: str) -> bytes:
        """The content of `/api/v1{path}`, whatever it is."""
        return self._ask("GET", path).content

    def stream(self, path: str, **params: Json) -> Iterator[bytes]:
        """The same in blocks, as they arrive."""
        with self._reporting("GET", path), self._http.stream("GET", f"/api/v1{path}", params=params) as answer:
            if answer.is_error:
                answer.read()
            yield from answer.raise_for_status().iter_bytes()

    def _ask(self, method: str, path: str, **content: Json) -> "httpx.Response":
        with self._reporting(method, path):
            return self._http.request(method, f"/api/v1{path}", **content).raise_for_status()

    @contextmanager
    def _reporting(self, method: str, path: str) -> Iterator[None]:
        """Every way in which a call fails as a ApiFailure."""
        import httpx

        try:
            yield
        except httpx.HTTPStatusError as refused:
            answer = refused.response
            raise ApiFailure(f"{method} {path} answered {_explain(answer)}", status=answer.status_code) from None
        except httpx.ConnectError:
            raise ApiFailure(
                f"no server answers at {self._http.base_url}", hint="start one with `habeas serve`, or give its --url"
            ) from None
        except httpx.TransportError as broken:
            raise ApiFailure(f"{method} {path} had no usable answer: {type(broken).__name__}") from None

    def list_all(self, path: str, **params: Json) -> list[Json]:
        """Every item of a listing, page by page."""
        items: list[Json] = []
        while True:
            page = {**params, "size": _PAGE, "page": len(items) // _PAGE + 1}
            found = self.call("GET", path, params=page)["items"]
            items += found
            if len(found) < _PAGE:
                return items

    def patch_all(self, path: str, items: Sequence[Mapping[str, Json]]) -> list[Json]:
        """Create or update every item; they as they are now. ApiFailure says what is refused, and what is saved yet."""
        saved: list[Json] = []
        for start in range(0, len(items), _BULK):
            answer = self.call("PATCH", path, json=items[start : start + _BULK])
            saved += answer["succeeded"]
            if answer["failed"]:
                reasons = "; ".join(item["message"] for item in answer["failed"])
                kept = ", ".join(item.get("key") or item["fides_key"] for item in saved)
                raise ApiFailure(f"PATCH {path} refused an item: {reasons}{f' (saved: {kept})' if kept else ''}")
        return saved

    def submit(
        self, policy: str, identity: Mapping[str, str | Sequence[str]], *, by_staff: bool = False, **details: Json
    ) -> str:
        """Submit a privacy request for one person, a value or several per kind; its id.

        `by_staff`: the person need not prove who they are. `details` are further fields of the item.
        """
        item = {"policy_key": policy, "identity": identity, **details}
        path = f"/privacy-request{'/authenticated' if by_staff else ''}"
        answer = self.call("POST", path, json=[item])
        for failed in answer["failed"]:
            raise ApiFailure(f"the privacy request was refused: {failed['message']}")
        return str(answer["succeeded"][0]["id"])

    def follow(self, request: str, patience: float, show: Callable[[Json], None]) -> None:
        """Wait at most `patience` seconds for the request to complete; `show` gets the whole log at each look."""
        deadline = time.monotonic() + patience
        path = path_of("privacy-request", request)
        while True:
            status = self.call("GET", path)["status"]
            entries = self.list_all(f"{path}/log")
            show(entries)
            if status == RequestStatus.COMPLETE:
                return
            if status in TERMINAL | {RequestStatus.ERROR}:
                causes = dict.fromkeys(entry["message"] for entry in entries if entry["status"] == "error")
                raise ApiFailure(f"the request ended as {status}: {'; '.join(causes) or 'its log names no cause'}")
            if time.monotonic() > deadline:
                raise ApiFailure(f"the request was still {status} after {patience:.0f} seconds")
            time.sleep(_POLL_SECONDS)


def _explain(response: "httpx.Response") -> str:
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
    import httpx

    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ApiFailure("the server's URL is not an HTTP address", hint="write it as http://host:port")


@contextmanager
def log_in(
    base_url: str, client_id: str, client_secret: str, transport: "httpx.BaseTransport | None" = None
) -> Iterator[Client]:
    """A client with a token. `transport` replaces the network in tests."""
    import httpx

    _check_address(base_url)
    with httpx.Client(base_url=base_url, timeout=30, transport=transport) as http:
        client = Client(http)
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        token = client.call("POST", "/oauth/token", data=form)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield client
