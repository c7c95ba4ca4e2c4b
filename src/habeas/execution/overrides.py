"""The settings as they are now: those that the process was started with, under those changed through the API.

Whoever relies on a setting of `settings.OVERRIDABLE` reads it here, in the transaction in which it decides: so a change
holds at once, in every process.
"""

import sqlalchemy as sa

from habeas.execution.context import Context
from habeas.settings import Settings, override
from habeas.store.overrides import read_overrides


def present_settings(context: Context, connection: sa.Connection) -> Settings:
    """The very settings of the context when none was changed. One small query."""
    return override(context.settings, read_overrides(connection))
