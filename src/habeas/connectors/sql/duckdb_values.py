"""What a value is for a DuckDB column: its bound form, or None when it cannot be one.

Pure. A form is text that the store casts to the column's type; nested values are JSON of such texts. DuckDB rounds
what does not fit ('1.5' is the integer 2, half a second makes the next TIMESTAMP_S), so a form is given only to
values that the type holds exactly.
"""

import datetime as dt
import json
import re
import struct
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from habeas.connectors.sql.duckdb_times import TIMES, time_form
from habeas.connectors.sql.duckdb_types import Type
from habeas.connectors.sql.json_text import write_json
from habeas.connectors.sql.values import strip_phone
from habeas.domain.dataset import Match
from habeas.domain.ports import Value

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(
    r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE
)
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_RANGES = {name: range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for name, bits in _BITS.items()}
_RANGES |= {f"U{name}": range(2**bits) for name, bits in _BITS.items()}
_BOOLEANS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}
_TEXTUAL = (str, int, float, Decimal, uuid.UUID, dt.date, dt.time, dt.timedelta)


def form(value: Value, kind: Type) -> str | None:
    """The text of which a cast makes this value of the type; None when the type cannot hold it, and for null."""
    if value is None:
        return None
    try:
        return time_form(value, kind.name) if kind.name in TIMES else _FORMS.get(kind.name, _text)(value, kind)
    except (ValueError, TypeError, ArithmeticError, struct.error):
        return None


def member_form(value: Value, kind: Type) -> str | None:
    """The form of one value looked for inside nested ones; None when none of this type can be it."""
    if kind.name != "JSON":
        return form(value, kind)
    if isinstance(value, Mapping | list | tuple):
        return None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and not _is_json_number(value):
        return None
    return form(value, kind)


def matched_form(value: Value, match: Match) -> str | None:
    """The form of a value for a widened match, which compares text."""
    text = form(value, Type("VARCHAR"))
    return strip_phone(text) if text is not None and match is Match.PHONE else text


def _text(value: Value, _: Type) -> str | None:
    """Any scalar as text; None for bytes and containers. Unlike other stores' text, DuckDB's may hold NUL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if not isinstance(value, _TEXTUAL):
        return None
    text = str(value)
    text.encode()  # lone surrogates are no text
    return text


def _integer(value: Value, kind: Type) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        number = int(value) if _WHOLE.fullmatch(value) else None
    elif isinstance(value, Decimal):
        number = int(value) if value.adjusted() < 40 and value == int(value) else None
    else:
        number = int(value) if isinstance(value, int | float) and value == int(value) else None
    return str(number) if number is not None and number in _RANGES[kind.name] else None


def _number(value: Value) -> str | int | float | Decimal | None:
    """What can be read as a number; Python would also take 1_0 and digits of other scripts."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    return None if isinstance(value, str) and not _NUMBER.fullmatch(value) else value


def _decimal(value: Value, kind: Type) -> str | None:
    found = _number(value)
    number = Decimal("NaN") if found is None else Decimal(str(found))
    precision, scale = (int(part) for part in kind.details)
    if not number.is_finite() or number.adjusted() >= precision - scale or number.adjusted() < -scale:
        return None if number else "0"
    plain = format(number, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain if len(plain.partition(".")[2]) <= scale else None


def _double(value: Value, _: Type) -> str | None:
    found = _number(value)
    return None if found is None else repr(float(found))


def _float(value: Value, kind: Type) -> str | None:
    double = _double(value, kind)
    if double is None:
        return None
    (narrow,) = struct.unpack("<f", struct.pack("<f", float(double)))
    return None if float(double) != 0 and narrow == 0 else double


def _boolean(value: Value, _: Type) -> str | None:
    return _BOOLEANS.get(str(value).lower()) if isinstance(value, bool | int | str) else None


def _uuid(value: Value, _: Type) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))


def _blob(value: Value, _: Type) -> str | None:
    if not isinstance(value, bytes | bytearray | memoryview):
        return None
    return "".join(f"\\x{byte:02X}" for byte in bytes(value))


def _enum(value: Value, kind: Type) -> str | None:
    text = _text(value, kind)
    return text if text is not None and "'" + text.replace("'", "''") + "'" in kind.details else None


def _nested(value: Value, kind: Type) -> str:
    return json.dumps(_nest(value, kind), ensure_ascii=False)


def _nest(value: Value, kind: Type) -> Any:
    """Lists and objects of forms; raises ValueError when the type cannot hold them."""
    if value is None:
        return None
    if kind.element is not None and isinstance(value, list | tuple) and kind.size in (None, len(value)):
        return [_nest(item, kind.element) for item in value]
    if kind.members and isinstance(value, Mapping) and value.keys() <= {name for name, _ in kind.members}:
        return {name: _nest(value.get(name), inner) for name, inner in kind.members}
    text = None if kind.nested else form(value, kind)
    if text is None:
        raise ValueError("not of this type")
    return text


def _is_json_number(number: int | float | Decimal) -> bool:
    """Whether DuckDB compares it exactly: whole numbers of 64 bits, and those that a double holds."""
    if isinstance(number, int) and -(2**63) <= number < 2**64:
        return True
    exact = Decimal(str(number))
    return exact.is_finite() and Decimal(repr(float(exact))) == exact


def _document(value: Value, _: Type) -> str | None:
    return write_json(value)


_FORMS: dict[str, Callable[[Value, Type], str | None]] = {
    **dict.fromkeys(_RANGES, _integer),
    "DECIMAL": _decimal,
    "FLOAT": _float,
    "DOUBLE": _double,
    "BOOLEAN": _boolean,
    "UUID": _uuid,
    "BLOB": _blob,
    "ENUM": _enum,
    "LIST": _nested,
    "ARRAY": _nested,
    "STRUCT": _nested,
    "JSON": _document,
}
