"""What one acceptance test has at a server: connections, datasets, policies, storages of its own, over HTTP alone.

The ledger is opened beside the server only to look for what must not be there, or to break it.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from targets import Target, fill_first, fill_second, first_dataset, second_dataset

from servers.habeas import HabeasServer, wait_for

Json = Any
FINAL = ("complete", "error", "canceled")
CHAIN = ("first:members", "first:orders", "second:items", "second:parcels", "second:marks")

on_one_ledger = pytest.mark.parametrize("landscape", ["sqlite"], indirect=True)
"""For what does not depend on the kind of ledger."""

_numbers = itertools.count(1)


class Landscape:
    """Objects are named after the test's tag, so that tests share a server without meeting."""

    def __init__(
        self,
        server: HabeasServer,
        http: httpx.Client,
        ledger_url: str,
        new_target: Callable[[str], Target],
        folder: Path,
    ) -> None:
        self.server = server
        self.http = http
        self.ledger = sa.create_engine(ledger_url, poolclass=sa.NullPool)
        self.folder = folder
        self.tag = f"t{next(_numbers)}"
        self._new_target = new_target
        self._connections: list[str] = []
        self.storage = self.save_storage("packages", self.folder / "packages")

    def leave(self) -> None:
        """Take the connections away, and their datasets with them: no later plan sees them."""
        for name in reversed(self._connections):
            self.call("DELETE", f"/connection/{name}")

    # calls

    def call(self, method: str, path: str, **content: Json) -> httpx.Response:
        return self.http.request(method, f"/api/v1{path}", **content)

    def ask(self, method: str, path: str, **content: Json) -> Json:
        """The answer of a call that must succeed."""
        answer = self.call(method, path, **content)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def save(self, path: str, *items: Mapping[str, Json]) -> None:
        """PATCH items that must all be taken."""
        assert self.ask("PATCH", path, json=list(items))["failed"] == []

    # configuration

    def save_storage(self, name: str, path: Path) -> str:
        storage = f"{self.tag}-{name}"
        self.save("/storage/config", {"key": storage, "name": storage, "type": "local", "details": {"path": str(path)}})
        return storage

    def new_target(self, name: str) -> Target:
        return self._new_target(f"{self.tag}_{name}")

    def connect(self, name: str, target: Target, **details: Json) -> str:
        """A connection to a target; its key."""
        connection = f"{self.tag}-{name}"
        self._connections.append(connection)
        item = {"key": connection, "name": connection, "connection_type": target.type, "access": "write"}
        self.save("/connection", {**item, **details})
        answer = self.ask("PUT", f"/connection/{connection}/secret", json=target.secrets)
        assert answer["test_status"] == "succeeded", answer
        return connection

    def adopt(self, name: str) -> str:
        """The key of a connection that the test makes by itself, and that leaves with the others."""
        self._connections.append(f"{self.tag}-{name}")
        return self._connections[-1]

    def change(self, connection: str, **details: Json) -> None:
        """Change settings of a connection."""
        found = self.ask("GET", f"/connection/{connection}")
        kept = {name: found[name] for name in ("key", "name", "connection_type", "access", "disabled")}
        self.save("/connection", {**kept, **details})

    def describe(self, connection: str, *datasets: Json) -> None:
        self.save(f"/connection/{connection}/dataset", *datasets)

    def chain(self) -> tuple[Target, Target]:
        """Five collections, each reached from the one before: two in the first target, three in the second."""
        first, second = self.new_target("first"), self.new_target("second")
        fill_first(first)
        fill_second(second)
        self.describe(self.connect("first", first), first_dataset())
        self.describe(self.connect("second", second), second_dataset())
        return first, second

    def members(self) -> Target:
        """The first target of the chain alone."""
        target = self.new_target("first")
        fill_first(target)
        self.describe(self.connect("first", target), first_dataset())
        return target

    def policy(
        self,
        *,
        access: Mapping[str, Sequence[str]] | None = None,
        erasure: Mapping[str, Sequence[str]] | None = None,
        storage: str | None = None,
        **details: Json,
    ) -> str:
        """A policy: access rule → categories, strategy → categories; its key."""
        policy = f"{self.tag}-policy{next(_numbers)}"
        self.save("/policy", {"key": policy, "name": policy, **details})
        for name, categories in (access or {}).items():
            self._rule(policy, name, categories, action_type="access", storage_destination_key=storage or self.storage)
        for strategy, categories in (erasure or {}).items():
            configuration = {"rewrite_value": "MASKED"} if strategy == "string_rewrite" else {}
            masking = {"strategy": strategy, "configuration": configuration}
            self._rule(policy, strategy, categories, action_type="erasure", masking_strategy=masking)
        return policy

    def _rule(self, policy: str, name: str, categories: Sequence[str], **details: Json) -> None:
        rule = f"{policy}.{name}"
        self.save(f"/policy/{policy}/rule", {"key": rule, "name": rule, **details})
        self.save(f"/policy/{policy}/rule/{rule}/target", *({"data_category": category} for category in categories))

    # requests

    def submit(self, policy: str, *people: Mapping[str, Json], **details: Json) -> list[str]:
        """One request per person, submitted in one call; their ids."""
        items = [{"policy_key": policy, "identity": dict(person), **details} for person in people]
        answer = self.ask("POST", "/privacy-request", json=items)
        assert answer["failed"] == [], answer
        return [item["id"] for item in answer["succeeded"]]

    def show(self, request: str, **parameters: Json) -> Json:
        items = self.ask("GET", "/privacy-request", params={"id": request, **parameters})["items"]
        assert len(items) == 1
        return items[0]

    def wait(self, request: str, status: str = "complete", deadline: float = 30) -> Json:
        """The request once it has this status; it must not come to another end before."""

        def look() -> Json | None:
            found = self.show(request)
            ended = found["status"] in FINAL and found["status"] != status
            assert not ended, f"{found['status']}: {found['failure']} {self.visits(request)}"
            return found if found["status"] == status else None

        return wait_for(f"{request} to be {status}", look, deadline, lambda: str(self.show(request, verbose=True)))

    def finish(self, policy: str, person: Mapping[str, Json], status: str = "complete", **details: Json) -> Json:
        """Submit for one person and wait for the end."""
        return self.wait(self.submit(policy, person, **details)[0], status)

    def retry(self, request: str, status: str = "complete") -> Json:
        self.ask("POST", f"/privacy-request/{request}/retry")
        return self.wait(request, status)

    def log(self, request: str) -> list[Json]:
        items: list[Json] = []
        for page in itertools.count(1):
            found = self.ask("GET", f"/privacy-request/{request}/log", params={"size": 100, "page": page})
            items += found["items"]
            if page >= found["pages"]:
                return items
        raise AssertionError("unreachable")

    def visits(self, request: str, action: str = "access") -> dict[str, list[str]]:
        """Statuses of the log by collection, in order."""
        found: dict[str, list[str]] = {}
        for entry in self.log(request):
            if entry["action_type"] == action:
                found.setdefault(f"{entry['dataset_name']}:{entry['collection_name']}", []).append(entry["status"])
        return found

    def count_log(self, request: str) -> Counter[str]:
        return Counter(entry["status"] for entry in self.log(request))

    def report(self, request: str) -> dict[str, Json]:
        """The report's collections by address."""
        places = self.ask("GET", f"/privacy-request/{request}/report")["collections"]
        return {place["address"]: place for place in places}

    def packages(self, request: str) -> list[Path]:
        found = self.ask("GET", f"/privacy-request/{request}/access-results")["access_result_urls"]
        return [Path(location) for location in found]

    # the ledger, from beside the server

    def read_ledger(self, statement: str, **values: Json) -> list[Any]:
        with self.ledger.connect() as connection:
            return list(connection.execute(sa.text(statement), values))

    def write_ledger(self, statement: str, **values: Json) -> int:
        with self.ledger.begin() as connection:
            return int(connection.execute(sa.text(statement), values).rowcount)
