"""Connection types behind which there are people: nothing is asked of a system."""

from collections.abc import Mapping

from habeas.domain.errors import InputError
from habeas.domain.manual_webhook import MANUAL_WEBHOOK
from habeas.domain.ports import ConnectionType, Connector, Limits, Sketch, SystemType


def connection_types() -> tuple[ConnectionType, ...]:
    """The types that need no secrets."""
    title, system = "Manual webhook", SystemType.MANUAL
    return (ConnectionType(MANUAL_WEBHOOK, {}, _connect, title=title, system=system, holds_data=False),)


def _connect(secrets: Mapping[str, str], limits: Limits, sketch: Sketch | None = None) -> Connector:
    raise InputError("a manual webhook is a form for people: there is no system to connect to")
