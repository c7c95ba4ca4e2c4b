"""What a value is for a column of MariaDB or MySQL: its bound form, or None when it cannot be one.

Pure. Whole numbers stay numbers, everything else travels as text: the store would find 6 by '6abc', and a number
among texts by no index. Two values are the same for a column when their forms are.
"""

import datetime as dt
import ipaddress
import math
import re
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal

from habeas.connectors.sql.mariadb_types import BINARY, INTEGERS, ColumnType, read_type
from habeas.connectors.sql.values import text_form
from habeas.domain.ports import ColumnSketch, Value

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*", re.ASCII | re.IGNORECASE)
_ZERO_DATE = re.compile(r"[0-9]{4}-(00-[0-9]{2}|[0-9]{2}-00)")
_ZERO_MOMENT = re.compile(rf"({_ZERO_DATE.pattern})[ T]([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(\.[0-9]{{1,6}})?")
_TIME = re.compile(r"(-?)([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9])(\.[0-9]{1,6})?)?")
_LONGEST_INTEGER = 20
_LONGEST_TIME = dt.timedelta(hours=839)


def mariadb_form(value: Value, column: ColumnSketch) -> int | str | None:
    """The value as it is bound for the column; bytes, and what is compared by them, as hexadecimal digits."""
    if value is None:
        return None
    kind = read_type(column.type)
    if kind.textual:
        text = spell(value)
        return text.rstrip(" ") if text is not None and kind.name == "char" else text
    try:
        return _number(value, kind) if kind.name in INTEGERS else _READERS.get(kind.name, _bytes)(value, kind)
    except (ValueError, TypeError, ArithmeticError, struct.error):
        return None


def spell(value: Value) -> str | None:
    """Any scalar as text in the store's own spelling; it may hold NUL, as columns here may."""
    if isinstance(value, dt.timedelta):
        return _spell_duration(value)
    if isinstance(value, str):
        return value if text_form(value.replace("\x00", "")) is not None else None
    return text_form(value)


def _number(value: Value, kind: ColumnType) -> int | None:
    """A whole number that the column's range holds."""
    number = _integer(value, kind)
    bits = INTEGERS[kind.name]
    held = range(2**bits) if kind.unsigned else range(-(2 ** (bits - 1)), 2 ** (bits - 1))
    return number if number is not None and number in held else None


def _bit(value: Value, kind: ColumnType) -> int | None:
    number = _integer(value, kind)
    return number if number is not None and number in range(2 ** (kind.size or (1,))[0]) else None


def _year(value: Value, kind: ColumnType) -> int | None:
    """Four digits only: the store would take 24 for 2024."""
    number = _integer(value, kind)
    return number if number == 0 or number in range(1901, 2156) else None


def _integer(value: Value, kind: ColumnType) -> int | None:
    if isinstance(value, bool):
        return int(value) if kind.boolean else None
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    if isinstance(value, Decimal) and value.adjusted() >= _LONGEST_INTEGER:
        return None  # to write 1e999999999 out would hold up the whole process
    return int(value) if isinstance(value, int | float | Decimal) and value == int(value) else None


def _decimal(value: Value, kind: ColumnType) -> str | None:
    """With as many digits after the point as the column has; None when it has too few."""
    number = _rational(value)
    digits, scale = (*kind.size, 10, 0)[:2] if kind.size else (10, 0)
    if number is None or not number.is_finite() or (kind.unsigned and number < 0):
        return None
    if number and number.adjusted() >= digits - scale:
        return None
    held = format(number if number else Decimal(0), f".{scale}f")
    return held if Decimal(held) == number else None


def _double(value: Value, _: ColumnType) -> str | None:
    number = _rational(value)
    return _spell_float(float(number)) if number is not None else None


def _float(value: Value, _: ColumnType) -> str | None:
    """The nearest number of single precision, spelled in double precision."""
    number = _rational(value)
    return _spell_float(struct.unpack("<f", struct.pack("<f", float(number)))[0]) if number is not None else None


def _spell_float(number: float) -> str | None:
    return repr(number + 0.0) if math.isfinite(number) else None


def _rational(value: Value) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    return Decimal(repr(value) if isinstance(value, float) else value)


def _date(value: Value, _: ColumnType) -> str | None:
    if isinstance(value, str) and _ZERO_DATE.fullmatch(value):
        return value
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() and value.tzinfo is None else None
    return (value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))).isoformat()


def _datetime(value: Value, _: ColumnType) -> str | None:
    moment = _moment(value)
    if isinstance(moment, dt.datetime):
        return _spell_moment(moment) if moment.tzinfo is None else None
    return moment


def _timestamp(value: Value, _: ColumnType) -> str:
    """In UTC, as the sessions are; a time without offset counts as UTC."""
    moment = _moment(value)
    if isinstance(moment, str):
        return moment
    return _spell_moment(moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment)


def _moment(value: Value) -> dt.datetime | str:
    """A time, or the spelling of one that only the store knows: in it the month or the day is zero."""
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    said = str(value)
    if _ZERO_DATE.fullmatch(said):
        return f"{said} 00:00:00.000000"
    if zero := _ZERO_MOMENT.fullmatch(said):
        date, _, time, fraction = zero.groups()
        return f"{date} {time}.{(fraction or '.')[1:]:0<6}"
    return dt.datetime.fromisoformat(said)


def _spell_moment(moment: dt.datetime) -> str:
    return moment.isoformat(sep=" ", timespec="microseconds")


def _time(value: Value, _: ColumnType) -> str | None:
    """From -838:59:59 to 838:59:59: a duration as well as a time of the day."""
    if isinstance(value, dt.time):
        value = value.isoformat() if value.tzinfo is None else ""
    if isinstance(value, str):
        found = _TIME.fullmatch(value)
        if found is None:
            return None
        sign, hours, minutes, seconds, fraction = found.groups()
        length = dt.timedelta(hours=int(hours), minutes=int(minutes), seconds=float(f"{seconds or 0}{fraction or ''}"))
        value = -length if sign else length
    return _spell_duration(value) if isinstance(value, dt.timedelta) and abs(value) < _LONGEST_TIME else None


def _spell_duration(value: dt.timedelta) -> str:
    seconds, micros = divmod(abs(value) // dt.timedelta(microseconds=1), 1_000_000)
    sign = "-" if value < dt.timedelta() else ""
    spelled = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{spelled}.{micros:06d}" if micros else spelled


def _bytes(value: Value, _: ColumnType) -> str | None:
    """Text counts as its UTF-8 bytes: many applications keep text in such columns."""
    if isinstance(value, str):
        return value.encode().hex().upper()
    return bytes(value).hex().upper() if isinstance(value, bytes | bytearray | memoryview) else None


def _uuid(value: Value, _: ColumnType) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))


def _inet(value: Value, kind: ColumnType) -> str:
    return str(ipaddress.IPv4Address(str(value)) if kind.name == "inet4" else ipaddress.IPv6Address(str(value)))


_READERS: dict[str, Callable[[Value, ColumnType], int | str | None]] = {
    "bit": _bit,
    "year": _year,
    "decimal": _decimal,
    "double": _double,
    "float": _float,
    "date": _date,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "time": _time,
    "uuid": _uuid,
    "inet4": _inet,
    "inet6": _inet,
    **dict.fromkeys(BINARY, _bytes),
}
