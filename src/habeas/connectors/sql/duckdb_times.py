"""Days and times as DuckDB takes them: text of one spelling for each, or None where a type would round or cut.

Pure. What Python cannot hold (infinity, years before 1, nanoseconds, months in an interval) comes and goes as
DuckDB spells it.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from habeas.domain.ports import Value

_Time: TypeAlias = dt.date | dt.time

_DAY, _HOURS, _ZONE = r"\d{4,6}-\d\d-\d\d( \(BC\))?", r"\d\d:\d\d:\d\d", r"[+-]\d\d(:\d\d){0,2}"
_FINER_THAN_PYTHON = re.compile(r"\.\d{7,}")
_INTERVAL = re.compile(r"(-?\d+ (year|month|day)s?( |$))*(-?\d{2,}:\d\d:\d\d(\.\d{1,6})?)?", re.ASCII)


def _date(value: Value) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date() if value.time() == dt.time() and value.tzinfo is None else None
    return value if isinstance(value, dt.date) else None


def _moment(value: Value) -> dt.datetime | None:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value if isinstance(value, dt.datetime) else None


def _unzoned_moment(value: Value) -> dt.datetime | None:
    moment = _moment(value)
    return moment if moment is None or moment.tzinfo is None else None


def _zoned_moment(value: Value) -> dt.datetime | None:
    moment = _moment(value)
    return moment if moment is None or moment.tzinfo is None else moment.astimezone(dt.UTC)


def _time(value: Value) -> dt.time | None:
    return value if isinstance(value, dt.time) and value.tzinfo is None else None


def _zoned_time(value: Value) -> dt.time | None:
    return value if isinstance(value, dt.time) else None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of times: how text of it is read, which values it holds, how DuckDB spells others, decimal places."""

    read: Callable[[str], _Time]
    hold: Callable[[Value], _Time | None]
    spelling: str
    digits: int = 6


_KINDS = {
    "DATE": _Kind(dt.datetime.fromisoformat, _date, rf"-?infinity|{_DAY}"),
    "TIME": _Kind(dt.time.fromisoformat, _time, rf"{_HOURS}(\.\d{{1,6}})?"),
    "TIME_NS": _Kind(dt.time.fromisoformat, _time, rf"{_HOURS}(\.\d{{1,9}})?"),
    "TIME WITH TIME ZONE": _Kind(dt.time.fromisoformat, _zoned_time, rf"{_HOURS}(\.\d{{1,6}})?{_ZONE}"),
}
_KINDS |= {
    name: _Kind(dt.datetime.fromisoformat, hold, rf"-?infinity|{_DAY} {_HOURS}{rest}", digits)
    for name, hold, rest, digits in (
        ("TIMESTAMP", _unzoned_moment, r"(\.\d{1,6})?", 6),
        ("TIMESTAMP_S", _unzoned_moment, "", 0),
        ("TIMESTAMP_MS", _unzoned_moment, r"(\.\d{1,3})?", 3),
        ("TIMESTAMP_NS", _unzoned_moment, r"(\.\d{1,9})?", 6),
        ("TIMESTAMP WITH TIME ZONE", _zoned_moment, rf"(\.\d{{1,6}})?{_ZONE}", 6),
    )
}

TIMES = frozenset({*_KINDS, "INTERVAL"})
"""Names of the types this module knows."""


def time_form(value: Value, name: str) -> str | None:
    """The text of a value for the type of this name; None when it cannot hold the value exactly."""
    if name == "INTERVAL":
        return _interval_form(value)
    kind = _KINDS[name]
    if isinstance(value, str):
        return _text_form(value, kind)
    return _exact_form(kind.hold(value), kind)


def _text_form(text: str, kind: _Kind) -> str | None:
    if not _FINER_THAN_PYTHON.search(text):
        try:
            return _exact_form(kind.hold(kind.read(text)), kind)
        except ValueError:
            pass  # perhaps a spelling of DuckDB's own
    return text if re.fullmatch(kind.spelling, text, re.ASCII) else None


def _exact_form(value: _Time | None, kind: _Kind) -> str | None:
    if value is None or getattr(value, "microsecond", 0) % 10 ** (6 - kind.digits):
        return None
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()


def _interval_form(value: Value) -> str | None:
    if isinstance(value, dt.timedelta):
        clock = (dt.datetime.min + (value - dt.timedelta(days=value.days))).time()
        return f"{value.days} days {clock.isoformat()}"
    return value if isinstance(value, str) and value and _INTERVAL.fullmatch(value) else None
