"""A wired context on a fresh SQLite ledger, with connectors that these tests make up."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from habeas.delivery.destinations import storage_types
from habeas.domain.ports import (
    Capabilities,
    ColumnSketch,
    ConnectionType,
    Connector,
    Effect,
    Erasure,
    Limits,
    Lookup,
    Row,
    Sketch,
    TableSketch,
)
from habeas.execution.connector_pool import ConnectorPool
from habeas.execution.context import Context
from habeas.execution.planning_input import Planner
from habeas.masking.registry import strategies
from habeas.outgoing import OutgoingClient
from habeas.settings import SecuritySettings, Settings
from habeas.store.onetrust import find_queue
from habeas.store.opening import open_ledger
from habeas.store.sealing import KeyRing

ROOT_ID, ROOT_SECRET = "root", "root-secret"

MEMBERS = Sketch((TableSketch("members", None, tuple(ColumnSketch(name, "text", True) for name in ("no", "mail"))),))


class MovableClock:
    """Real time, moved on by the test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class FakeConnector:
    """Answers checks and descriptions only; `failure` is raised by both."""

    def __init__(self, secrets: Mapping[str, str], failure: Exception | None, sketch: Sketch | None) -> None:
        self.secrets = secrets
        self.capabilities = Capabilities()
        self._failure = failure
        self._sketch = sketch

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def describe(self) -> Sketch | None:
        self.check()
        return self._sketch

    def explain(self, what: Lookup | Erasure) -> str:
        return f"SELECT … FROM {what.table.name}"

    def count(self, lookup: Lookup) -> int:
        return 0

    def read(self, lookup: Lookup) -> Any:
        return iter(list[list[Row]]())

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        return []

    def close(self) -> None:
        pass


class FakeStore:
    """What the fake connection types stand for; tests change it."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.sketch: Sketch | None = MEMBERS
        self.seen: list[Mapping[str, str]] = []

    def connect(self, secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
        self.seen.append(secrets)
        return FakeConnector(secrets, self.failure, self.sketch)


def make_context(folder: Path, store: FakeStore, clock: MovableClock, **security: Any) -> Context:
    """A context whose root client is (ROOT_ID, ROOT_SECRET); close its ledger and connectors afterwards."""
    secured = SecuritySettings(oauth_root_client_id=ROOT_ID, oauth_root_client_secret=ROOT_SECRET, **security)
    ring = KeyRing.parse(f"test:{base64.b64encode(bytes(range(32))).decode()}")
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", ring, clock, create=True)
    server = {"host": False, "port": False, "dbname": False, "password": False, "url": False}
    types = {
        "file": ConnectionType("file", {"path": True}, store.connect, title="File cabinet", plain=frozenset({"path"})),
        "server": ConnectionType(
            "server",
            server,
            store.connect,
            (frozenset({"url"}), frozenset({"host", "dbname", "password"})),
            erases=False,
            plain=frozenset({"host", "port", "dbname"}),
            places=frozenset({"url", "host", "port"}),
        ),
    }
    return Context(
        settings=Settings(data_dir=folder, security=secured),
        ledger=ledger,
        clock=clock,
        connection_types=types,
        storage_types={
            kind.name: kind
            for kind in storage_types(folder / "packages", OutgoingClient(()), partial(find_queue, ledger))
        },
        strategies=strategies(),
        connectors=ConnectorPool(ledger, types, Limits()),
        planner=Planner(ledger, strategies(), types),
    )


def dataset_body(key: str = "shop_db", *fields: str, references: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """A dataset with one collection `members`: `no` (key), `mail` (identity) and further fields."""
    mail: dict[str, Any] = {"identity": "email"}
    if references:
        mail["references"] = list(references)
    return {
        "fides_key": key,
        "name": key,
        "collections": [
            {
                "name": "members",
                "fields": [
                    {"name": "no", "fides_meta": {"primary_key": True}},
                    {"name": "mail", "data_categories": ["user.contact.email"], "fides_meta": mail},
                    *({"name": name} for name in fields),
                ],
            }
        ],
    }
