"""Connection types that other packages bring: entry points of the group `habeas.connectors`.

Such code runs with all rights of Habeas: whoever installs it trusts it.
"""

from importlib.metadata import EntryPoint, entry_points

from habeas.domain.errors import InputError
from habeas.domain.ports import ConnectionType

GROUP = "habeas.connectors"


def installed_types() -> tuple[ConnectionType, ...]:
    """The connection types of installed packages, by the names of their entry points.

    Raises InputError for an entry point that cannot be loaded or is no ConnectionType.
    """
    return tuple(_load(found) for found in sorted(entry_points(group=GROUP), key=lambda found: found.name))


def _load(found: EntryPoint) -> ConnectionType:
    try:
        kind = found.load()
    except Exception as error:
        raise _unusable(found, f"cannot be loaded ({type(error).__name__})") from error
    if not isinstance(kind, ConnectionType):
        raise _unusable(found, "is no ConnectionType")
    return kind


def _unusable(found: EntryPoint, what: str) -> InputError:
    brought = f"{found.dist.name} {found.dist.version}" if found.dist else "an installed package"
    return InputError(
        f"the connector {found.name!r} of {brought} {what}", hint=f"mend {found.value}, or uninstall the package"
    )
