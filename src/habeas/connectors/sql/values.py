"""What a value is for a PostgreSQL or SQLite column: its bound form, or None when it cannot be one.

Pure. A bound form is what travels to the store; two values are the same for a column when their forms are.
PostgreSQL takes every value as text and casts it; SQLite takes what its driver binds.
"""

import datetime as dt
import ipaddress
import math
import re
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal

from habeas.domain.dataset import Match
from habeas.domain.ports import ColumnSketch, Value

PHONE_NOISE = " -()."
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(
    r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE
)
"""What PostgreSQL reads as a number; Python would also take 1_0 and digits of other scripts."""
_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 19
_TEXTUAL: tuple[type, ...] = (str, int, float, Decimal, uuid.UUID, dt.date, dt.time, dt.timedelta)
_TEXTUAL += (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface, ipaddress.IPv6Interface)
_BOOLEANS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}


def text_form(value: Value) -> str | None:
    """Any scalar as text; None for bytes, containers, NUL and lone surrogates, which no text column holds."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if not isinstance(value, _TEXTUAL):
        return None
    text = str(value)
    return text if "\x00" not in text and _encodes(text) else None


def strip_phone(text: str) -> str:
    """A phone number without the characters that a phone match ignores."""
    return text.translate(str.maketrans("", "", PHONE_NOISE))


def matched_form(value: Value, match: Match) -> str | None:
    """The form of a value for a widened match, which compares text."""
    text = text_form(value)
    return strip_phone(text) if text is not None and match is Match.PHONE else text


def sqlite_form(value: Value) -> Value | None:
    """What the SQLite driver binds as `= ?`; None for what SQLite cannot hold (NaN, lone surrogates)."""
    match value:
        case bool():
            return int(value)
        case int():
            return value if value in _INT64 else str(value)
        case float():
            return None if math.isnan(value) else value
        case str():
            return value if _encodes(value) else None
        case bytes() | bytearray() | memoryview():
            return bytes(value)
    return text_form(value)


def postgres_form(value: Value, column: ColumnSketch) -> str | None:
    """The value as PostgreSQL text input for the column's type."""
    if value is None:
        return None
    if column.text:
        text = text_form(value)
        return text.rstrip(" ") if text is not None and column.type == "bpchar" else text
    reader = _POSTGRES.get(column.type, text_form)
    try:
        return reader(value)
    except (ValueError, TypeError, ArithmeticError, struct.error):
        return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: Value) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        number = int(value) if _WHOLE.fullmatch(value) else None
    elif isinstance(value, Decimal) and value.adjusted() >= _INT64_DIGITS:
        number = None  # to write 1e999999999 out would hold up the whole process
    else:
        number = int(value) if isinstance(value, int | float | Decimal) and value == int(value) else None
    return str(number) if number is not None and number in _INT64 else None


def numeric_form(value: Value) -> str | None:
    """A number in plain digits, or NaN; None when PostgreSQL's exact numbers cannot hold it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    number = Decimal(str(value))
    if number.is_nan():
        return "NaN"
    if number.is_infinite() or number.adjusted() > 100_000 or number.adjusted() < -15_000:
        return None
    plain = format(number, "f") if number else "0"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _double(value: Value) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    return repr(float(value))


def _real(value: Value) -> str | None:
    double = _double(value)
    if double is None:
        return None
    number = float(double)
    (narrow,) = struct.unpack("<f", struct.pack("<f", number))
    return None if number != 0 and narrow == 0 else double


def _boolean(value: Value) -> str | None:
    return _BOOLEANS.get(str(value).lower()) if isinstance(value, bool | int | str) else None


def _uuid(value: Value) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))


def _date(value: Value) -> str | None:
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() and value.tzinfo is None else None
    return (value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))).isoformat()


def _moment(value: Value) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    return dt.datetime.fromisoformat(str(value))


def _timestamp(value: Value) -> str | None:
    moment = _moment(value)
    return moment.isoformat(sep=" ") if moment.tzinfo is None else None


def _timestamptz(value: Value) -> str:
    moment = _moment(value)
    return (moment.astimezone(dt.UTC) if moment.tzinfo else moment).isoformat(sep=" ")


def _bytes(value: Value) -> str | None:
    return "\\x" + bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else None


def _inet(value: Value) -> str:
    return str(ipaddress.ip_interface(str(value)))


_POSTGRES: dict[str, Callable[[Value], str | None]] = {
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "numeric": numeric_form,
    "real": _real,
    "double precision": _double,
    "boolean": _boolean,
    "uuid": _uuid,
    "date": _date,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamptz,
    "bytea": _bytes,
    "inet": _inet,
}

POSTGRES_OWN_TYPES = frozenset(_POSTGRES)
"""Types compared as themselves; others that hold no free text are compared as text."""
