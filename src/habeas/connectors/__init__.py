"""Connected systems: every connector fulfils `habeas.domain.ports.Connector` and passes `conformance`."""

from habeas.connectors import sql
from habeas.domain.ports import ConnectionType


def connection_types() -> tuple[ConnectionType, ...]:
    """All connection types that this version can connect."""
    return sql.connection_types()
