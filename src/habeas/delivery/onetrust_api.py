"""The calls of OneTrust that Habeas makes (control-plane §1.21). Knows neither requests of ours nor packages.

What goes wrong is named by status alone: an answer may hold a person's name.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from habeas.domain.errors import DataFault, NeedsHuman, RateLimited, SystemUnavailable

if TYPE_CHECKING:
    import httpx

_PAGE = 500
_MOST_PAGES = 1_000
_LONGEST_PAGE = 20_000_000
"""Bytes."""
_LONGEST_TEXT = 256
_DIGITS = 8


class Client(Protocol):
    """Calls URLs; refuses addresses that nothing outside may be asked at."""

    def check(self, url: str) -> None: ...

    def send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        parts: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        longest: int = ...,
    ) -> "httpx.Response": ...


@dataclass(frozen=True, slots=True)
class Account:
    """Where OneTrust is, without a slash at the end, and who asks."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request of OneTrust's queue; what is not there or of another form is None."""

    queue_ref: str
    email: str | None = field(repr=False)
    created_on: date | None


class OneTrustApi:
    """An account's calls; a token is fetched for the first, and anew when it has run out.

    Every call raises SystemUnavailable or RateLimited when it is worth another try, NeedsHuman when the account or
    the address is wrong, InputError when the address may not be asked, DataFault when what it is about is refused.
    """

    def __init__(self, account: Account, client: Client) -> None:
        self._account = account
        self._client = client
        self._token: str | None = None

    def log_in(self) -> None:
        """Fetch a token."""
        account = self._account
        parts = {"grant_type": "client_credentials", "client_id": account.client_id}
        parts["client_secret"] = account.client_secret
        answer = self._client.send("POST", f"{account.base_url}/api/access/v1/oauth/token", parts=parts)
        if answer.status_code in (400, 401, 403):
            raise _wrong_account(answer.status_code)
        self._token = _decode(_judge(answer, "asking for a token"), _Token).access_token

    def list_open(self, since: date) -> Iterator[OpenRequest]:
        """Requests in progress that were made on that day or later, oldest first."""
        query = {"status": "In Progress", "createddate": f"{since:%Y%m%d}", "sort": "createdDate,asc"}
        for item in self._list("/api/datasubject/v2/requestqueues/en-us", query, "listing requests"):
            if queue_ref := _text(item.get("requestQueueRefId")):
                yield OpenRequest(queue_ref, _text(item.get("email")), _day(item.get("dateCreated")))

    def find_subtask(self, queue_ref: str, name: str) -> str | None:
        """The id of the first subtask of this name that a request has."""
        for item in self._list(f"/v2/subtasks/{_quote(queue_ref)}/subtasks", {}, "listing subtasks"):
            if item.get("subTaskName") == name and (subtask := _text(item.get("subTaskId"))):
                return subtask
        return None

    def put_results(self, queue_ref: str, body: bytes) -> None:
        """Hand a person's data over; `body` is JSON. Done twice, OneTrust is told twice."""
        path = f"/api/datasubject/v3/datadiscovery/requestqueues/{_quote(queue_ref)}"
        headers = {"Content-Type": "application/json"}
        _judge(self._call("POST", path, content=body, headers=headers), "handing results over")

    def set_status(self, subtask_id: str, status: str) -> None:
        """Say how far a subtask is. Done twice, it stays as it is."""
        path = f"/v2/subtasks/{_quote(subtask_id)}/status"
        _judge(self._call("PUT", path, form={"status": status}), "telling a subtask's status")

    def _list(self, path: str, query: Mapping[str, str], doing: str) -> Iterator[Mapping[str, object]]:
        for number in range(_MOST_PAGES):
            asked = {**query, "page": str(number), "size": str(_PAGE)}
            answer = self._call("GET", path, query=asked, longest=_LONGEST_PAGE)
            page = _decode(_judge(answer, doing), _Page)
            yield from page.content
            if page.last or not page.content:
                return
        raise NeedsHuman(f"OneTrust's pages do not end ({doing})", hint="check details.onetrust_base_url")

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        longest: int = 1_000_000,
    ) -> "httpx.Response":
        had_token = self._token is not None
        while True:
            if self._token is None:
                self.log_in()
            allowed = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
            answer = self._client.send(
                method,
                f"{self._account.base_url}{path}",
                query=query,
                form=form,
                content=content,
                headers=allowed,
                longest=longest,
            )
            if answer.status_code != 401 or not had_token:
                return answer
            self._token, had_token = None, False


class _Token(msgspec.Struct):
    access_token: str


class _Page(msgspec.Struct):
    content: Sequence[dict[str, object]]
    last: bool


_Shape = TypeVar("_Shape", _Token, _Page)


def _decode(answer: "httpx.Response", shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NeedsHuman("an answer is not what OneTrust says", hint="check details.onetrust_base_url") from None


def _judge(answer: "httpx.Response", doing: str) -> "httpx.Response":
    """The answer itself if it is a success."""
    status = answer.status_code
    if answer.is_success:
        return answer
    if status in (401, 403):
        raise _wrong_account(status)
    if status == 429:
        raise RateLimited(f"OneTrust asks for patience ({doing})", seconds=_read_pause(answer))
    if status == 408 or status >= 500:
        raise SystemUnavailable(f"OneTrust failed with status {status} ({doing})", seconds=_read_pause(answer))
    if status >= 400:
        raise DataFault(f"OneTrust refused with status {status} ({doing})", hint="see the request in OneTrust")
    raise NeedsHuman(f"OneTrust answered with status {status} ({doing})", hint="check details.onetrust_base_url")


def _wrong_account(status: int) -> NeedsHuman:
    hint = "check client_id, client_secret and what they are allowed in OneTrust"
    return NeedsHuman(f"OneTrust refused the account (status {status})", hint=hint)


def _read_pause(answer: "httpx.Response") -> float:
    """Seconds to wait; 0 when they are not told, or as a date."""
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdecimal() and len(told) < _DIGITS else 0.0


def _text(value: object) -> str | None:
    """An id or an address that the ledger can keep."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= _LONGEST_TEXT and text.isprintable() else None


def _day(value: object) -> date | None:
    """The date of an ISO time."""
    with suppress(ValueError):
        return date.fromisoformat(str(value).partition("T")[0])
    return None


def _quote(part: str) -> str:
    return quote(part, safe="")
