"""Storage type `onetrust`: a package becomes the results of a request of OneTrust's queue (control-plane §1.21).

Packages go there and are not kept: Habeas can neither read nor delete them afterwards. Which request of the queue a
package belongs to is told by a function that is handed in.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, NoReturn

import msgspec

from habeas.delivery.naming import check_details, request_of
from habeas.delivery.onetrust_api import Account, Client, OneTrustApi
from habeas.domain.errors import DataFault, InputError, NeedsHuman, NotFound
from habeas.domain.ports import StorageType

NAME = "onetrust"
FindQueue = Callable[[str], str | None]
"""From a privacy request's id to the reference of the request in OneTrust's queue that it was made for."""

_DETAILS = {
    "service_name": True,
    "onetrust_polling_hr": True,
    "onetrust_polling_day_of_week": True,
    "onetrust_base_url": False,
    "onetrust_policy_key": False,
    "onetrust_subtask_name": False,
    "onetrust_look_back_days": False,
}
_SECRETS = {"onetrust_hostname": False, "client_id": True, "client_secret": True}
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Polling:
    """When and how open requests are fetched: on which day of the week (0 is Sunday) from which full hour on (UTC), of
    how many days back, which of their subtasks is ours, and under which policy they are carried out.
    """

    day_of_week: int
    hour: int
    look_back_days: int
    subtask_name: str
    policy_key: str


class OneTrust:
    """A Destination, and the account it belongs to. It contacts OneTrust when it is first used."""

    def __init__(
        self,
        details: Mapping[str, object],
        secrets: Mapping[str, str],
        client: Client,
        find_queue: FindQueue,
    ) -> None:
        """Raises InputError for details that are wrong."""
        check_details(NAME, details, _DETAILS)
        self.polling = Polling(
            day_of_week=_number(details, "onetrust_polling_day_of_week", range(7)),
            hour=_number(details, "onetrust_polling_hr", range(24)),
            look_back_days=_number(details, "onetrust_look_back_days", range(1, 366), 90),
            subtask_name=_text(details, "onetrust_subtask_name", "fides task"),
            policy_key=_text(details, "onetrust_policy_key", "onetrust"),
        )
        self._service = _text(details, "service_name")
        self._base_url = _base_url(details)
        self._secrets = secrets
        self._client = client
        self._find_queue = find_queue
        self._api: OneTrustApi | None = None

    @property
    def api(self) -> OneTrustApi:
        """Raises NeedsHuman when secrets lack."""
        if self._api is None:
            self._api = OneTrustApi(self._account(), self._client)
        return self._api

    def check(self) -> None:
        """Fetches a token. Raises what `OneTrustApi` does."""
        self.api.log_in()

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Destination`: the package is in memory until it is whole, and handed over then.

        DataFault for a request that did not come from OneTrust, or whose results it refuses.
        """
        return self._written(name)

    def read(self, name: str) -> NoReturn:
        """Raises NotFound."""
        raise NotFound(f"package {name} is not kept: it went to OneTrust", hint="see the request there")

    def discard_unfinished(self, before: datetime, is_abandoned: Callable[[str], bool]) -> int:
        """Nothing is ever left."""
        return 0

    def delete(self, name: str) -> None:
        """Nothing happens: how long OneTrust keeps results is its own matter."""

    def location(self, name: str) -> str:
        """`onetrust`."""
        return NAME

    def link(self, name: str, seconds: int) -> None:
        """There is none."""

    @contextlib.contextmanager
    def _written(self, name: str) -> Iterator[BinaryIO]:
        request_id = request_of(name)
        queue_ref = self._find_queue(request_id) if request_id else None
        if queue_ref is None:
            raise DataFault(
                "the request did not come from OneTrust, so that its package cannot go there",
                hint="submit it under another policy",
            )
        package = BytesIO()
        yield package
        told = {"language": "en-us", "system": self._service, "results": msgspec.Raw(package.getbuffer())}
        self.api.put_results(queue_ref, msgspec.json.encode(told))

    def _account(self) -> Account:
        host = self._secrets.get("onetrust_hostname")
        base_url = self._base_url or (f"https://{host}" if host else "")
        lacking = [name for name, required in _SECRETS.items() if required and not self._secrets.get(name)]
        if lacking or not base_url:
            needed = ", ".join(lacking or ["onetrust_hostname"])
            hint = "PUT /api/v1/storage/config/{key}/secret sets client_id, client_secret and onetrust_hostname"
            raise NeedsHuman(f"the storage for OneTrust lacks secrets: {needed}", hint=hint)
        return Account(base_url, self._secrets["client_id"], self._secrets["client_secret"])


def onetrust_storage(client: Client, find_queue: FindQueue) -> StorageType:
    """Storage type `onetrust`; `onetrust_base_url` stands for `https://{onetrust_hostname}`."""

    def connect(details: Mapping[str, object], secrets: Mapping[str, str]) -> OneTrust:
        return OneTrust(details, secrets, client, find_queue)

    return StorageType(NAME, ("json",), _DETAILS, connect, _SECRETS)


def _number(details: Mapping[str, object], name: str, among: range, default: int | None = None) -> int:
    value = details.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value not in among:
        raise InputError(f"details.{name} must be a whole number from {among[0]} to {among[-1]}")
    return value


def _text(details: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = details.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise InputError(f"details.{name} must be text of 1 to {_LONGEST} signs")
    return value


def _base_url(details: Mapping[str, object]) -> str | None:
    value = details.get("onetrust_base_url")
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or " " in value:
        raise InputError("details.onetrust_base_url is no HTTP address", hint="e.g. https://app.onetrust.com")
    return value.rstrip("/")
