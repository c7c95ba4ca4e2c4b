"""The planner's door: what it receives and `make_plan`."""

from dataclasses import dataclass
from enum import StrEnum

from habeas.domain.dataset import Dataset
from habeas.domain.policy import Policy
from habeas.domain.ports import Sketch


class AccessLevel(StrEnum):
    """What a connection allows: `write` includes reading; erasing needs it."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What the planner knows of a connection. `erases`: its connector type can erase."""

    key: str
    type: str
    access: AccessLevel = AccessLevel.WRITE
    disabled: bool = False
    erases: bool = True
    sketch: Sketch | None = None


@dataclass(frozen=True, slots=True)
class PlacedDataset:
    """A dataset and the connection that owns it."""

    dataset: Dataset
    connection: ConnectionState


@dataclass(frozen=True, slots=True)
class PlanInput:
    """All that decides a plan. `dataset_keys` limits a request to some datasets; None means all."""

    policy: Policy
    datasets: tuple[PlacedDataset, ...]
    identity_kinds: frozenset[str]
    dataset_keys: frozenset[str] | None = None
