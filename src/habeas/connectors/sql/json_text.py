"""JSON between stores and Python without loss: numbers never pass through floats, members keep their order.

Pure. What JSON can hold and no text of ours can (lone surrogates) is refused when read and when written.
"""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from habeas.connectors.sql.values import numeric_form, text_form
from habeas.domain.ports import Value


class UnreadableJson(UnicodeError):
    """A text that is no JSON of ours: a lone surrogate in it, or nested too deeply. Never quotes the text."""


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text: whole numbers as int, others as Decimal. Raises UnreadableJson."""
    try:
        value = _DECODER.decode(text if isinstance(text, str) else text.decode())
        if _may_hold_surrogates(text):
            _refuse_surrogates(value)
    except (ValueError, RecursionError):
        raise UnreadableJson("unreadable JSON") from None
    return value


def write_json(value: Value) -> str | None:
    """A JSON text of the value by its Python type; None when JSON or the store's text cannot hold it.

    Types that JSON lacks become their text, as `text_form` spells them.
    """
    try:
        return _write(value)
    except (ValueError, TypeError, RecursionError):
        return None


def scalar_form(value: Value) -> str | None:
    """The bound form of one value looked for inside documents; None when no document can hold it."""
    if value is None or isinstance(value, Mapping | list | tuple) or (isinstance(value, str) and "\x00" in value):
        return None
    return write_json(value)


def content(value: Value) -> object:
    """What tells nested values of a store apart: as `mark`, but numbers are one when they are equal."""
    if isinstance(value, Mapping):
        return "{", frozenset((name, content(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return "[", tuple(map(content, value))
    if isinstance(value, float) and math.isfinite(value):
        value = Decimal(repr(value))
    return (
        ("number", value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else (type(value), value)
    )


def _whole(digits: str) -> int | Decimal:
    """Python refuses to read whole numbers beyond some thousands of digits."""
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=_whole)


def _may_hold_surrogates(text: str | bytes) -> bool:
    return ("\\u" if isinstance(text, str) else b"\\u") in text  # type: ignore[operator]  # both of one kind


def _refuse_surrogates(value: Value) -> None:
    """Raise UnicodeEncodeError when any text in the value is no text of a store."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            name.encode()
            _refuse_surrogates(item)


def _write(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(name)}: {_write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_write, value)) + "]"
    return _number(value) if isinstance(value, int | float | Decimal) else _text(value)


def _number(value: int | float | Decimal) -> str:
    form = numeric_form(value)
    if form is None or form == "NaN":
        raise ValueError("no number of JSON")
    return str(value) if isinstance(value, Decimal) else form


def _text(value: Value) -> str:
    text = value if isinstance(value, str) else text_form(value)
    if text is None:
        raise ValueError("no text of a store")
    text.encode()
    return json.dumps(text, ensure_ascii=False)
