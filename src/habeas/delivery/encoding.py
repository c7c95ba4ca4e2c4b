"""How values look in packages, in every format the same (the table of design §9, data-plane §7.8)."""

import base64
import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

import msgspec

PLAIN = frozenset({type(None), bool, int, str})
"""Types whose values are as they are."""


def encode_value(value: object) -> object:
    """A value as JSON can hold it; what is not in the table becomes text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(Decimal(value))
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return {"$base64": base64.b64encode(value).decode()}
        case Mapping():
            return {str(key): encode_value(item) for key, item in value.items()}
        case list() | tuple():
            return [encode_value(item) for item in value]
        case _:
            return str(value)


def to_json(encoded: object, indent: int = 2) -> bytes:
    """An encoded value as JSON text; with an `indent` of 0 on one line."""
    try:
        return msgspec.json.format(msgspec.json.encode(encoded), indent=indent)
    except UnicodeEncodeError:  # a lone surrogate turns into its JSON escape
        text = json.dumps(encoded, indent=indent or None, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "backslashreplace")
