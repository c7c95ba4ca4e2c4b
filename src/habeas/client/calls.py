"""Calls of the API as it is: paths and JSON; every failure is an ApiFailure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from habeas.domain.errors import HabeasError

if TYPE_CHECKING:
    import httpx  # only once something is asked: the command line is as quick without it, and a server smaller

Json = Any
"""Whatever a JSON answer holds; the server's own tests check its shape."""

_PAGE = 100
BULK = 50
"""Items that one call takes."""


class ApiFailure(HabeasError):
    """The server refused (then `status` is its answer's), did not answer, or a request did not end well.

    Of several things that were to be done, `succeeded` are those that were, as they are now, and `failed` the others,
    with a `message` and `data` each.
    """

    code = "api_failure"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        succeeded: Sequence[Json] = (),
        failed: Sequence[Json] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.succeeded = succeeded
        self.failed = failed


def path_of(*parts: str) -> str:
    """A path of keys and ids, which may hold any character: `/connection/shop`."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class Calls:
    """Calls the API with a token."""

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
        """Every way in which a call fails as an ApiFailure."""
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

    def each(self, path: str, **params: Json) -> Iterator[Json]:
        """Every item of a listing, page by page, as they are asked for."""
        page = 1
        while True:
            found = self.call("GET", path, params={**params, "size": _PAGE, "page": page})["items"]
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def list_all(self, path: str, **params: Json) -> list[Json]:
        """Every item of a listing."""
        return list(self.each(path, **params))

    def patch_all(self, path: str, items: Sequence[Mapping[str, Json]]) -> list[Json]:
        """Create or update every item; they as they are now. ApiFailure says what is refused, and what is saved yet."""
        saved: list[Json] = []
        for start in range(0, len(items), BULK):
            answer = self.call("PATCH", path, json=items[start : start + BULK])
            saved += answer["succeeded"]
            if answer["failed"]:
                reasons = "; ".join(item["message"] for item in answer["failed"])
                kept = ", ".join(item.get("key") or item["fides_key"] for item in saved)
                raise ApiFailure(f"PATCH {path} refused an item: {reasons}{f' (saved: {kept})' if kept else ''}")
        return saved


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
def reach(base_url: str, transport: "httpx.BaseTransport | None" = None) -> "Iterator[httpx.Client]":
    """Connections to the server at this address. Raises ApiFailure when it is none."""
    import httpx

    _check_address(base_url)
    with httpx.Client(base_url=base_url, timeout=30, transport=transport) as http:
        yield http
