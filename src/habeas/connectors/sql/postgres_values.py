"""How values leave PostgreSQL that Python has no exact type for: as the store spells them.

Infinity and years before Christ, intervals with months, and ranges stay text, so that no row is unreadable
and a key is found again under the same spelling.
"""

from typing import Any

from psycopg import Connection, DataError
from psycopg.abc import Buffer, Loader
from psycopg.types import datetime as times
from psycopg.types.string import TextLoader

_SPELLED = (
    *("interval", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    *("int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange"),
)


def keep_spellings(connection: Connection) -> None:
    """Set up a session's readers."""
    for name in _SPELLED:
        connection.adapters.register_loader(name, TextLoader)
    for name, reader in _TIMES.items():
        connection.adapters.register_loader(name, reader)


def _or_spelling(reader: Any) -> type[Loader]:
    """A reader that gives the store's text where Python has no such value."""

    class Reader(reader):  # type: ignore[misc]  # the base comes as a value
        def load(self, data: Buffer) -> object:
            try:
                return super().load(data)
            except (DataError, ValueError):
                return bytes(data).decode()

    return Reader


_TIMES = {
    "date": _or_spelling(times.DateLoader),
    "time": _or_spelling(times.TimeLoader),
    "timetz": _or_spelling(times.TimetzLoader),
    "timestamp": _or_spelling(times.TimestampLoader),
    "timestamptz": _or_spelling(times.TimestamptzLoader),
}
