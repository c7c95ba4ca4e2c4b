"""From the ledger's configuration to a plan: reads what the planner needs, keeps plans until it changes."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from habeas.domain.dataset import Dataset
from habeas.domain.errors import HabeasError, NotFound
from habeas.domain.policy import Masking, OnUnreachable, Policy, Rule, SharedRows
from habeas.domain.ports import ConnectionType, StrategyType
from habeas.domain.request import ActionType
from habeas.planning.plan import Plan
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, PlanInput, StrategyFacts, make_plan
from habeas.store.configurations import (
    datasets_with_connections,
    decode_sketch,
    find,
    open_json,
    read_version,
    rule_place,
    rules_of,
    targets_of,
)
from habeas.store.ledger import Ledger
from habeas.store.requests import find_plan
from habeas.store.sealing import Sealer
from habeas.store.tables import policies


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What of a request decides its plan: requests that agree here can share a run."""

    policy_key: str
    identity_kinds: tuple[str, ...]
    dataset_keys: tuple[str, ...] | None = None


class Planner:
    """Makes plans from the present configuration; each is made once per version of it. Thread-safe."""

    def __init__(
        self, ledger: Ledger, strategies: Mapping[str, StrategyType], types: Mapping[str, ConnectionType]
    ) -> None:
        self._ledger = ledger
        self._types = types
        self._facts = {
            name: StrategyFacts(text_only=kind.text_only, constant=kind.constant, null=kind.null, keeps=kind.keeps)
            for name, kind in strategies.items()
        }
        self._lock = threading.Lock()
        self._version = -1
        self._plans: dict[PlanRequest, Plan | HabeasError] = {}

    def plan(self, wanted: PlanRequest) -> Plan:
        """Raises what `make_plan` raises, and NotFound when the policy is gone."""
        with self._ledger.read() as connection:
            version = read_version(connection)
            with self._lock:
                if version != self._version:
                    self._version, self._plans = version, {}
                known = self._plans.get(wanted)
            if known is None:
                known = self._make(connection, wanted)
                with self._lock:
                    if version == self._version:
                        self._plans[wanted] = known
        if isinstance(known, HabeasError):
            raise known
        return known

    def load(self, digest: str) -> Plan:
        """A plan that was stored with a run. Raises NotFound when it is gone."""
        with self._ledger.read() as connection:
            body = find_plan(connection, digest)
        if body is None:
            raise NotFound("the run's plan is gone")
        return msgspec.json.decode(body, type=Plan)

    def _make(self, connection: sa.Connection, wanted: PlanRequest) -> Plan | HabeasError:
        try:
            return make_plan(
                PlanInput(
                    policy=load_policy(connection, self._ledger.sealer, wanted.policy_key),
                    datasets=load_datasets(connection, self._types),
                    identity_kinds=frozenset(wanted.identity_kinds),
                    dataset_keys=None if wanted.dataset_keys is None else frozenset(wanted.dataset_keys),
                    strategies=self._facts,
                )
            )
        except HabeasError as error:
            return error


def encode_plan(plan: Plan) -> bytes:
    """A plan as the ledger keeps it."""
    return msgspec.json.encode(plan)


def load_policy(connection: sa.Connection, sealer: Sealer, key: str) -> Policy:
    """The policy with its rules in stored order. Raises NotFound."""
    record = find(connection, policies, key)
    if record is None:
        raise NotFound(f"there is no policy {key!r}")
    rules = rules_of(connection, key)
    categories: dict[str, list[str]] = {rule.key: [] for rule in rules}
    for target in targets_of(connection, list(categories)):
        categories[target.rule_key].append(target.data_category)
    return Policy(
        key=record.key,
        name=record.name,
        execution_timeframe=record.execution_timeframe,
        regulation=record.regulation,
        on_unreachable=OnUnreachable(record.on_unreachable),
        shared_rows=SharedRows(record.shared_rows),
        rules=tuple(
            Rule(
                key=rule.key,
                name=rule.name,
                action=ActionType(rule.action_type),
                categories=tuple(sorted(categories[rule.key])),
                storage_key=rule.storage_key,
                masking=_open_masking(sealer, rule.key, rule.sealed_masking),
            )
            for rule in rules
        ),
    )


def _open_masking(sealer: Sealer, rule_key: str, sealed: bytes | None) -> Masking | None:
    stored = open_json(sealer, sealed, rule_place(rule_key))
    return Masking(stored["strategy"], stored.get("configuration") or {}) if stored else None


def load_datasets(connection: sa.Connection, types: Mapping[str, ConnectionType]) -> tuple[PlacedDataset, ...]:
    """Every dataset beside the state of its connection."""
    return tuple(
        PlacedDataset(
            msgspec.json.decode(row.definition, type=Dataset),
            ConnectionState(
                key=row.connection_key,
                type=row.type,
                access=AccessLevel(row.access),
                disabled=row.disabled,
                erases=types[row.type].erases,
                sketch=decode_sketch(row.sketch),
                system=types[row.type].system,
            ),
        )
        for row in datasets_with_connections(connection)
    )
