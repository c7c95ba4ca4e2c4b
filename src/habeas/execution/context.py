"""What every service and step is handed: settings, ledger, clock and the registries of plug-ins.

Made by `bootstrap` alone; nothing here knows a concrete connector, strategy or destination.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from habeas.domain.actor import SYSTEM, Actor
from habeas.domain.clock import Clock
from habeas.domain.message import ProviderType
from habeas.domain.ports import ConnectionType, StorageType, StrategyType
from habeas.domain.regulation import Regulation, shipped_regulations
from habeas.execution.connector_pool import ConnectorPool
from habeas.execution.planning_input import Planner
from habeas.execution.tally import Tally
from habeas.execution.waiting_room import WaitingRoom
from habeas.outgoing import OutgoingClient
from habeas.settings import Settings
from habeas.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Context:
    """The wired application. `wake` tells the dispatcher of this process that there may be work.

    `actor` is for whom it acts: a call of the API gets a copy that names the caller. `jobs` come due by the clock
    beside those of `housekeeping`: services do them, which execution cannot know.
    """

    settings: Settings
    ledger: Ledger
    clock: Clock
    connection_types: Mapping[str, ConnectionType]
    storage_types: Mapping[str, StorageType]
    strategies: Mapping[str, StrategyType]
    connectors: ConnectorPool
    planner: Planner
    wake: Callable[[], None] = field(default=lambda: None)
    tally: Tally = field(default_factory=Tally)
    waiting_room: WaitingRoom = field(default_factory=WaitingRoom)
    outgoing: OutgoingClient = field(default_factory=lambda: OutgoingClient(()))
    regulations: Mapping[str, Regulation] = field(default_factory=shipped_regulations)
    provider_types: Mapping[str, ProviderType] = field(default_factory=dict)
    actor: Actor = SYSTEM
    jobs: Mapping[str, Callable[["Context"], int]] = field(default_factory=dict)
