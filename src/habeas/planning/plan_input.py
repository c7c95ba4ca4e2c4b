"""What the planner receives: policy, datasets with their connections, identity kinds, facts on strategies.

Names and shapes only. Must not know of stores, requests or values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from habeas.domain.dataset import Dataset
from habeas.domain.policy import Policy
from habeas.domain.ports import Sketch, SystemType


class AccessLevel(StrEnum):
    """What a connection allows: `write` includes reading; erasing needs it."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What the planner knows of a connection. `erases`: its connector type can erase. `system`: people may be asked."""

    key: str
    type: str
    access: AccessLevel = AccessLevel.WRITE
    disabled: bool = False
    erases: bool = True
    sketch: Sketch | None = None
    system: SystemType = SystemType.DATABASE


@dataclass(frozen=True, slots=True)
class PlacedDataset:
    """A dataset and the connection that owns it."""

    dataset: Dataset
    connection: ConnectionState


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """What planning must know of a masking strategy.

    `text_only`: its result is text. `constant`: it is the same for all rows. `null`: it is null. `keeps`: it is the
    value itself.
    """

    text_only: bool = True
    constant: bool = False
    null: bool = False
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class PlanInput:
    """All that decides a plan. `dataset_keys` limits a request to some datasets; None means all.

    `strategies` are the known masking strategies by name; an erasure rule may use no other.
    """

    policy: Policy
    datasets: tuple[PlacedDataset, ...]
    identity_kinds: frozenset[str]
    dataset_keys: frozenset[str] | None = None
    strategies: Mapping[str, StrategyFacts] = field(default_factory=dict)
