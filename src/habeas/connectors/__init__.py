"""Connected systems: every connector fulfils `habeas.domain.ports.Connector` and passes `conformance`."""

from collections.abc import Callable

from habeas.connectors import asking, manual, sql
from habeas.connectors.installed import installed_types
from habeas.domain.errors import InputError
from habeas.domain.ports import ConnectionType


def connection_types(check_path: Callable[[str], None] = lambda path: None) -> tuple[ConnectionType, ...]:
    """All connection types there are: of this version, and of packages installed beside it.

    `check_path` raises InputError for a file that none may open, and is asked before one is opened.
    Raises InputError when two have one name, or an installed one is unusable.
    """
    types = (
        *sql.connection_types(check_path),
        *asking.connection_types(),
        *manual.connection_types(),
        *installed_types(),
    )
    names = [kind.name for kind in types]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"connection type {twice[0]!r} exists twice", hint="uninstall a package that brings it")
    return types
