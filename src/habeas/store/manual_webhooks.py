"""Repository of manual webhooks: what people are asked for, and their answers."""

import sqlalchemy as sa

from habeas.store.tables import connections, manual_webhooks


def are_asked(connection: sa.Connection) -> bool:
    """Whether some connection that is not disabled has a form to be filled."""
    enabled = sa.select(manual_webhooks.c.connection_key).join(connections).where(~connections.c.disabled)
    return connection.execute(enabled.limit(1)).first() is not None
