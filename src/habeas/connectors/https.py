"""Receivers of webhooks: connections that are called, and hold no data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from habeas.domain.errors import Fault
from habeas.domain.ports import (
    Capabilities,
    ConnectionType,
    Connector,
    Effect,
    Erasure,
    Limits,
    Lookup,
    Row,
    Sketch,
    SystemType,
)


@dataclass(slots=True)
class HttpsReceiver:
    """Tests that its URL may be called, without calling it: a call would be taken for a request's."""

    url: str
    check_url: Callable[[str], None]
    capabilities: Capabilities = field(default_factory=Capabilities)

    def check(self) -> None:
        self.check_url(self.url)

    def describe(self) -> Sketch | None:
        return None

    def explain(self, what: Lookup | Erasure) -> str:
        raise Fault("a receiver of webhooks holds no data")

    def count(self, lookup: Lookup) -> int:
        raise Fault("a receiver of webhooks holds no data")

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        raise Fault("a receiver of webhooks holds no data")

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        raise Fault("a receiver of webhooks holds no data")

    def close(self) -> None:
        pass


def https_type(check_url: Callable[[str], None]) -> ConnectionType:
    """The type of connections that webhooks call; `check_url` raises a HabeasError for a URL that must not be."""

    def connect(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
        return HttpsReceiver(secrets["url"], check_url)

    secrets = {"url": True, "authorization": False}
    return ConnectionType(
        "https",
        secrets,
        connect,
        erases=False,
        title="HTTPS",
        system=SystemType.WEBHOOK,
        holds_data=False,
        places=frozenset({"url"}),
        gives=False,
    )
