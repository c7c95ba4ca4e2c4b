"""The typed client: a method for each of the calls that users make most, a dataclass for each answer.

What there is no method for, `call` and its like of `Calls` do.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeVar

from habeas.client.answers import (
    Connection,
    ConnectionTest,
    LogEntry,
    Policy,
    PrivacyRequest,
    Report,
    Rule,
    Storage,
    Subscription,
)
from habeas.client.calls import BULK, ApiFailure, Calls, Json, path_of, reach
from habeas.domain.request import TERMINAL, WAITING, ActionType, RequestStatus

if TYPE_CHECKING:
    import httpx

_POLL_SECONDS = 0.1
_LONGEST_POLL = 2.0
_STOPPED = TERMINAL | WAITING | {RequestStatus.ERROR}

Answer = TypeVar("Answer")


class Client(Calls):
    """Calls the API with a token. Every refusal is an ApiFailure that says who said what."""

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

    def find_request(self, request_id: str) -> PrivacyRequest:
        """How a request stands."""
        return _read(self.call("GET", path_of("privacy-request", request_id)), PrivacyRequest)

    def list_requests(self, **conditions: Json) -> Iterator[PrivacyRequest]:
        """Every request that meets the conditions of the listing (`status`, `policy_key`, …), page by page.

        Pages are read as they are asked for: what is moved out of the listing meanwhile moves the others up, past the
        next page. Make a list of them before you decide upon them.
        """
        return (_read(item, PrivacyRequest) for item in self.each("/privacy-request", **conditions))

    def approve(self, request_ids: Sequence[str]) -> list[PrivacyRequest]:
        """Let requests that await review be carried out.

        ApiFailure, once all have been tried, says of which that was not possible (`failed`) and of which it was
        (`succeeded`).
        """
        return self._decide("approve", request_ids)

    def deny(self, request_ids: Sequence[str], reason: str = "") -> list[PrivacyRequest]:
        """End requests that await review."""
        return self._decide("deny", request_ids, reason=reason)

    def cancel(self, request_ids: Sequence[str], reason: str = "") -> list[PrivacyRequest]:
        """End requests that are not over yet."""
        return self._decide("cancel", request_ids, reason=reason)

    def _decide(self, act: str, request_ids: Sequence[str], **more: Json) -> list[PrivacyRequest]:
        decided: list[PrivacyRequest] = []
        failed: list[Json] = []
        for start in range(0, len(request_ids), BULK):
            chosen = {"request_ids": list(request_ids[start : start + BULK]), **more}
            answer = self.call("PATCH", f"/privacy-request/administrate/{act}", json=chosen)
            decided += (_read(item, PrivacyRequest) for item in answer["succeeded"])
            failed += answer["failed"]
        if failed:
            reasons = "; ".join(dict.fromkeys(item["message"] for item in failed))
            said = f"{len(failed)} requests were not decided upon ({act}): {reasons}"
            raise ApiFailure(said, succeeded=decided, failed=failed)
        return decided

    def retry(self, request_id: str) -> PrivacyRequest:
        """Send a request in `error` on from where it stopped."""
        return _read(self.call("POST", path_of("privacy-request", request_id, "retry")), PrivacyRequest)

    def wait_for(self, request_id: str, patience: float = 60.0) -> PrivacyRequest:
        """The request once it has ended, failed, or waits for somebody's answer; ApiFailure after `patience` seconds.

        One that waits for a reviewer or a code is waited for.

        A status webhook tells the same without polling.
        """
        deadline, pause = time.monotonic() + patience, _POLL_SECONDS
        while True:
            request = self.find_request(request_id)
            if request.status in _STOPPED:
                return request
            if time.monotonic() > deadline:
                raise ApiFailure(f"the request was still {request.status} after {patience:g} seconds")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)

    def read_log(self, request_id: str) -> Iterator[LogEntry]:
        """A request's execution log, oldest first."""
        return (_read(item, LogEntry) for item in self.each(path_of("privacy-request", request_id, "log")))

    def read_report(self, request_id: str) -> Report:
        """What a request did everywhere."""
        return _read(self.call("GET", path_of("privacy-request", request_id, "report")), Report)

    def download_package(self, request_id: str, rule_key: str) -> bytes:
        """The package of an access rule, as it is: encrypted if the request has a key."""
        return self.download(path_of("privacy-request", request_id, "package", rule_key))

    def download_packages(self, request_id: str) -> dict[str, bytes]:
        """Every package that there is of a request, by access rule."""
        found = self.call("GET", path_of("privacy-request", request_id, "access-results"))["packages"]
        return {item["rule_key"]: self.download_package(request_id, item["rule_key"]) for item in found}

    def save_connection(
        self, key: str, connection_type: str, access: Literal["read", "write"], *, name: str | None = None, **more: Json
    ) -> Connection:
        """Create or change a connection; its secrets are saved apart."""
        item = {"key": key, "name": name or key, "connection_type": connection_type, "access": access, **more}
        return self._save("/connection", item, Connection)

    def save_secrets(self, key: str, secrets: Mapping[str, str | int], *, verify: bool = True) -> ConnectionTest:
        """Put these in the place of a connection's secrets and, with `verify`, test it."""
        path = path_of("connection", key, "secret")
        return _read(self.call("PUT", path, json=secrets, params={"verify": verify}), ConnectionTest)

    def save_dataset(self, connection_key: str, dataset: Mapping[str, Json]) -> str:
        """Create or change a dataset of a connection; its key."""
        return str(self.patch_all(path_of("connection", connection_key, "dataset"), [dataset])[0]["fides_key"])

    def save_storage(self, key: str, storage_type: str, *, name: str | None = None, **more: Json) -> Storage:
        """Create or change a storage."""
        return self._save("/storage/config", {"key": key, "name": name or key, "type": storage_type, **more}, Storage)

    def save_policy(self, key: str, *, name: str | None = None, **more: Json) -> Policy:
        """Create or change a policy; its rules stay."""
        return self._save("/policy", {"key": key, "name": name or key, **more}, Policy)

    def save_rule(
        self,
        policy_key: str,
        key: str,
        action_type: ActionType | Literal["access", "erasure"],
        categories: Sequence[str],
        *,
        name: str | None = None,
        **more: Json,
    ) -> Rule:
        """Create or change a rule, and add these categories to its targets.

        `more`: `storage_destination_key` for access, `masking_strategy` for erasure.
        """
        rules = path_of("policy", policy_key, "rule")
        item = {"key": key, "name": name or key, "action_type": action_type, **more}
        self._save(rules, item, Rule)
        path = rules + path_of(key)
        known = {target.data_category for target in _read(self.call("GET", path), Rule).targets}
        self.patch_all(f"{path}/target", [{"data_category": one} for one in categories if one not in known])
        return _read(self.call("GET", path), Rule)

    def subscribe(
        self, url: str, *, statuses: Sequence[RequestStatus | str] = (), policy_keys: Sequence[str] = ()
    ) -> Subscription:
        """Be told at this URL of moves of requests; `verify_webhook_signature` checks what comes."""
        wanted = {"url": url, "statuses": list(statuses), "policy_keys": list(policy_keys)}
        return _read(self.call("POST", "/status-webhook", json=wanted), Subscription)

    def unsubscribe(self, webhook_id: str) -> None:
        """End a subscription."""
        self.call("DELETE", path_of("status-webhook", webhook_id))

    def _save(self, path: str, item: Mapping[str, Json], answer: type[Answer]) -> Answer:
        return _read(self.patch_all(path, [item])[0], answer)

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


@contextmanager
def log_in(
    base_url: str, client_id: str, client_secret: str, transport: "httpx.BaseTransport | None" = None
) -> Iterator[Client]:
    """A client with a token. `transport` replaces the network in tests."""
    with reach(base_url, transport) as http:
        client = Client(http)
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        token = client.call("POST", "/oauth/token", data=form)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield client


def _read(answer: Json, kind: type[Answer]) -> Answer:
    """Raises ApiFailure for an answer of another shape: the server is of another version."""
    import msgspec  # only once something is read: the command line is as quick without it

    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise ApiFailure(
            f"the server's answer is no {kind.__name__}: {error}", hint="use its version's client"
        ) from None
