"""The engine in one process, driven step by step: what integration tests and benches use."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from habeas import bootstrap
from habeas.domain.actor import Actor, ActorKind
from habeas.domain.errors import HabeasError
from habeas.domain.identity import parse_identities
from habeas.domain.ports import ConnectionType, Connector
from habeas.execution.context import Context
from habeas.execution.dispatcher import form_runs
from habeas.execution.runner import carry
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, datasets, packages, policies, requests, storages
from habeas.services.bulk import BulkResult
from habeas.services.request_views import RequestView
from habeas.services.requests import NewRequest
from habeas.settings import Settings
from habeas.store import runs


def acting(context: Context, name: str, *scopes: str) -> Context:
    """The application as it acts for a client of this name that holds these scopes."""
    return replace(context, actor=Actor(name, ActorKind.CLIENT, scopes=frozenset(scopes)))


class Engine:
    """A wired application without threads of its own: `run` forms and carries runs until none is left."""

    def __init__(
        self, folder: Path, ledger_url: str, sections: Mapping[str, Any] | None = None, **execution: Any
    ) -> None:
        self.connectors: dict[str, Connector] = {}
        memory = ConnectionType(
            "memory", {"name": True}, lambda secrets, limits, sketch: self.connectors[secrets["name"]]
        )
        archive = replace(memory, name="archive", erases=False)
        given = {"lease_seconds": 5, "task_retry_delay": 0, **execution}
        settings = Settings(data_dir=folder, database={"url": ledger_url}, execution=given, **(sections or {}))
        self.application = bootstrap.build(settings, extra_types={"memory": memory, "archive": archive})
        self.context = self.application.context
        self.stopping = threading.Event()
        self.store("local")

    def close(self) -> None:
        bootstrap.close(self.application)

    def plug(self, key: str, connector: Connector, *, access: str = "write") -> None:
        """Connect a connector object under `key`; plugging again replaces it."""
        self.connectors[key] = connector
        self.connect(key, "memory", {"name": key}, access=access)

    def store(self, key: str, package_format: str = "json") -> None:
        """A storage for packages in a folder of the data directory."""
        draft = storages.StorageDraft(name=key, key=key, type="local", format=package_format)
        done(storages.save_storages(self.context, [draft]))

    def connect(
        self, key: str, kind: str, secrets: Mapping[str, str], *, access: str = "write", disabled: bool = False
    ) -> None:
        draft = connections.ConnectionDraft(
            name=key, key=key, connection_type=kind, access=AccessLevel(access), disabled=disabled
        )
        done(connections.save_connections(self.context, [draft]))
        connections.save_secrets(self.context, key, secrets, verify=False)

    def describe(self, connection: str, *bodies: Mapping[str, Any]) -> None:
        """Save datasets."""
        done(datasets.save_datasets(self.context, connection, bodies))

    def policy(
        self,
        key: str,
        access: Sequence[str] | None = None,
        erasure: Mapping[str, Sequence[str]] | None = None,
        *,
        configuration: Mapping[str, Any] | None = None,
        storage: str | None = "local",
        **details: Any,
    ) -> None:
        """A policy: categories to return into a storage, and strategy → categories to mask."""
        done(policies.save_policies(self.context, [policies.PolicyDraft(name=key, key=key, **details)]))
        if access is not None:
            draft = policies.RuleDraft(
                name=key, key=f"{key}-give", action_type="access", storage_destination_key=storage
            )
            self._rule(key, draft, access)
        for strategy, categories in (erasure or {}).items():
            masking = policies.MaskingDraft(strategy=strategy, configuration=configuration or {})
            draft = policies.RuleDraft(
                name=key, key=f"{key}-{strategy}", action_type="erasure", masking_strategy=masking
            )
            self._rule(key, draft, categories)

    def _rule(self, policy: str, draft: policies.RuleDraft, categories: Sequence[str]) -> None:
        done(policies.save_rules(self.context, policy, [draft]))
        targets = [policies.TargetDraft(data_category=category) for category in categories]
        done(policies.save_targets(self.context, policy, str(draft.key), targets))

    def submit(self, policy: str, *people: Mapping[str, Any], **details: Any) -> list[str]:
        """Submit one request per person; their ids."""
        items = [NewRequest(policy, parse_identities(person), **details) for person in people]
        views = requests.submit(self.context, items)
        for view in views:
            if isinstance(view, HabeasError):
                raise view
        return [view.id for view in views if isinstance(view, RequestView)]

    def run(self, *, once: bool = False) -> None:
        """Form runs and carry them until nothing is due; `once`: those that are due now, until `stopping` is set."""
        while carry_due(self.context, self.stopping):
            if once:
                return
        self.context.connectors.close()  # for tests that open the same files

    def view(self, request_id: str) -> RequestView:
        return requests.find_request(self.context, request_id, verbose=True)

    def log(self, request_id: str) -> list[tuple[str, str, str]]:
        """(collection, action, status) of the execution log, oldest first."""
        items = requests.read_log(self.context, request_id, 1, 1000).items
        return [(str(item.collection_name), str(item.action_type), str(item.status)) for item in items]

    def counts(self, request_id: str) -> dict[str, dict[str, Any]]:
        """The report's collections by address."""
        return {place["address"]: dict(place) for place in requests.report(self.context, request_id)["collections"]}

    def package(self, request_id: str, rule: str) -> str:
        return self.package_bytes(request_id, rule).decode()

    def package_bytes(self, request_id: str, rule: str) -> bytes:
        with packages.open_package(self.context, request_id, rule).stream as file:
            return file.read()


def carry_on(context: Context) -> None:
    """Let every request get as far as it does without people."""
    while carry_due(context, threading.Event()):
        pass


def carry_due(context: Context, stopping: threading.Event) -> int:
    """Form runs and carry those that are due; how many."""
    form_runs(context)
    with context.ledger.read() as connection:
        due = runs.due_runs(connection, context.ledger, 100, [], context.settings.execution.lease_seconds)
    for run in due:
        carry(context, run.id, "test", stopping)
    return len(due)


def done(result: BulkResult[Any]) -> None:
    """Raise when an item of a bulk call failed."""
    for failure in result.failed:
        raise AssertionError(failure.message)


@contextlib.contextmanager
def opened(folder: Path, ledger_url: str, **execution: Any) -> Iterator[Engine]:
    engine = Engine(folder, ledger_url, **execution)
    try:
        yield engine
    finally:
        engine.close()
