"""How values leave DuckDB: lists for arrays, JSON as what it says, times as Python's where Python has such a value.

Pure. Nothing is lost on the way: what Python has no exact value for stays the store's own text, so that a key is
found again and a rewritten value is put back as it was.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

from habeas.connectors.sql.duckdb_types import Type
from habeas.connectors.sql.json_text import read_json
from habeas.domain.ports import Value

Reader: TypeAlias = Callable[[Any], Value]


@lru_cache(maxsize=4096)
def reader(kind: Type) -> Reader | None:
    """What makes a value, as the driver gives it for `kind.readable()`, one of ours; None when it is one already."""
    if kind.element is not None:
        inside = reader(kind.element)
        if inside is not None:
            return partial(_read_list, inside)
        return list if kind.size is not None else None
    if kind.members:
        readers = {name: found for name, inner in kind.members if (found := reader(inner)) is not None}
        return partial(_read_object, readers) if readers else None
    return _READERS.get(kind.name)


def _read_list(inside: Reader, value: Sequence[Any]) -> Value:
    return [None if item is None else inside(item) for item in value]


def _read_object(readers: Mapping[str, Reader], value: Mapping[str, Any]) -> Value:
    return {name: readers[name](item) if item is not None and name in readers else item for name, item in value.items()}


def _read_time(parse: Callable[[str], Value], text: str) -> Value:
    """Python has no infinity, no years before 1 and after 9999, and no hour 24."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return text


def _read_fine_time(parse: Callable[[str], Value], text: str) -> Value:
    """Python has no nanoseconds."""
    return text if len(text.partition(".")[2]) > 6 else _read_time(parse, text)


def _to_utc(text: str) -> Value:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


_READERS: dict[str, Reader] = {
    "DATE": partial(_read_time, dt.date.fromisoformat),
    "TIME": partial(_read_time, dt.time.fromisoformat),
    "TIME_NS": partial(_read_fine_time, dt.time.fromisoformat),
    "TIME WITH TIME ZONE": partial(_read_time, dt.time.fromisoformat),
    "TIMESTAMP": partial(_read_time, dt.datetime.fromisoformat),
    "TIMESTAMP_S": partial(_read_time, dt.datetime.fromisoformat),
    "TIMESTAMP_MS": partial(_read_time, dt.datetime.fromisoformat),
    "TIMESTAMP_NS": partial(_read_fine_time, dt.datetime.fromisoformat),
    "TIMESTAMP WITH TIME ZONE": partial(_read_time, _to_utc),
    "JSON": read_json,
}
