"""Runs `habeas serve` as a process of its own: own data folder, free port, settings by environment.

Crash and acceptance tests act on it as operators do, by signals, and call it as its users do, over HTTP.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from habeas.client import Client
from habeas.domain.request import TERMINAL, RequestStatus
from servers.process import Process, wait_for
from servers.process import expecting as expecting

COMMAND = Path(sys.executable).with_name("habeas")
STORAGE = "packages"


class HabeasServer(Process):
    """A running server. `stop` is orderly, `kill` a crash; `start` starts it again on a port of its own.

    Two servers share a ledger when they share the data folder, also beside a PostgreSQL ledger: keys and
    packages are there.
    """

    def __init__(self, data_dir: Path, *, environment: Mapping[str, str] | None = None, executor: bool = True) -> None:
        self.data_dir = data_dir
        self.url = ""
        options = [] if executor else ["--no-executor"]
        super().__init__(
            [COMMAND, "serve", "--port", "0", "--data-dir", data_dir, *options], data_dir, environment or {}
        )

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Calls with a token of the root client; paths begin with `/api/v1`, `/health` …"""
        client_id, _, secret = (self.data_dir / "root-client").read_text().strip().partition(":")
        with httpx.Client(base_url=self.url, timeout=30) as http:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
            token = Client(http).call("POST", "/oauth/token", data=form)["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield http

    def is_ready(self) -> bool:
        """Whether it has said where it listens and `/health` says that all is well."""
        found = re.search(r"\bserving on (http://[^\s\"]+)[\n\"]", self.log_text())
        if found is None:
            return False
        self.url = found[1]
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def register_storage(http: httpx.Client, key: str = STORAGE, *, package_format: str = "json") -> None:
    """Packages go to the server's data folder."""
    Client(http).patch_all("/storage/config", [{"key": key, "name": key, "type": "local", "format": package_format}])


def register_connection(
    http: httpx.Client, key: str, kind: str, secrets: Mapping[str, str], *, access: str = "write"
) -> None:
    """Connect a system and test it; AssertionError when it cannot be reached."""
    client = Client(http)
    client.patch_all("/connection", [{"key": key, "name": key, "connection_type": kind, "access": access}])
    test = client.call("PUT", f"/connection/{key}/secret", json=dict(secrets))
    assert test["test_status"] == "succeeded", test


def register_dataset(http: httpx.Client, connection: str, *bodies: Mapping[str, Any]) -> None:
    """Save datasets below a connection."""
    Client(http).patch_all(f"/connection/{connection}/dataset", bodies)


def register_policy(
    http: httpx.Client,
    key: str,
    *,
    access: Sequence[str] = (),
    erasure: Sequence[str] = (),
    masking: Mapping[str, Any] | None = None,
    storage: str = STORAGE,
) -> None:
    """A policy that returns and masks these categories, by the rules `{key}_access` and `{key}_erasure`.

    `masking` is a strategy with its configuration; default `null_rewrite`.
    """
    client = Client(http)
    client.patch_all("/policy", [{"key": key, "name": key}])
    strategy = masking or {"strategy": "null_rewrite", "configuration": {}}
    rules = (
        (access, {"action_type": "access", "storage_destination_key": storage}),
        (erasure, {"action_type": "erasure", "masking_strategy": strategy}),
    )
    for categories, details in rules:
        if categories:
            rule = f"{key}_{details['action_type']}"
            client.patch_all(f"/policy/{key}/rule", [{"key": rule, "name": rule, **details}])
            targets = [{"data_category": category} for category in categories]
            client.patch_all(f"/policy/{key}/rule/{rule}/target", targets)


def submit(http: httpx.Client, policy: str, *people: Mapping[str, str], **details: Any) -> list[str]:
    """Submit one request per person in one call (they become one run); their ids in the order given."""
    items = [{"policy_key": policy, "identity": dict(person), **details} for person in people]
    answer = Client(http).call("POST", "/privacy-request", json=items)
    assert not answer["failed"], answer["failed"]
    return [item["id"] for item in answer["succeeded"]]


def wait_until_over(http: httpx.Client, request_id: str, deadline: float = 30.0) -> str:
    """The status in which the request ends; AssertionError after `deadline` seconds."""

    def ended() -> str | None:
        status = Client(http).call("GET", f"/privacy-request/{request_id}")["status"]
        return str(status) if status in TERMINAL | {RequestStatus.ERROR} else None

    return wait_for(f"{request_id} to end", ended, deadline, lambda: str(read_log(http, request_id)))


def read_log(http: httpx.Client, request_id: str) -> list[tuple[str, str, str]]:
    """(collection, action, status) of the execution log, oldest first."""
    items = Client(http).call("GET", f"/privacy-request/{request_id}/log", params={"size": 100})["items"]
    return [(item["collection_name"], item["action_type"], item["status"]) for item in items]


def read_package(http: httpx.Client, request_id: str, rule: str) -> bytes:
    """The package of an access rule as it is downloaded."""
    return http.get(f"/api/v1/privacy-request/{request_id}/package/{rule}").raise_for_status().content


def read_report(http: httpx.Client, request_id: str) -> dict[str, Any]:
    """The report of the request."""
    report: dict[str, Any] = Client(http).call("GET", f"/privacy-request/{request_id}/report")
    return report
