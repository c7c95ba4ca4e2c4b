"""Repository of the settings that were changed through the API."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from habeas.store.tables import setting_overrides

Override = tuple[str, str]
"""Section and name of a setting."""

_ALL = sa.select(setting_overrides.c.section, setting_overrides.c.name, setting_overrides.c.value).order_by(
    setting_overrides.c.section, setting_overrides.c.name
)


def read_overrides(connection: sa.Connection) -> dict[Override, object]:
    """Every stored value, as JSON has it, by section and name."""
    return {(section, name): value for section, name, value in connection.execute(_ALL)}


def put_overrides(connection: sa.Connection, values: Mapping[Override, object], now: datetime) -> None:
    """Store values; those that are there are replaced. The caller has taken its turn."""
    drop_overrides(connection, values)
    rows = [
        {"section": section, "name": name, "value": value, "updated_at": now}
        for (section, name), value in values.items()
    ]
    if rows:
        connection.execute(setting_overrides.insert(), rows)


def drop_overrides(connection: sa.Connection, names: Iterable[Override]) -> None:
    """Forget values; nothing happens for those that are not there."""
    for section, name in names:
        connection.execute(
            setting_overrides.delete().where(setting_overrides.c.section == section, setting_overrides.c.name == name)
        )
