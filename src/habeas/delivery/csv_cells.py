"""Lines of CSV (RFC 4180): which text a value is, what is guarded against spreadsheets, what is quoted.

Null is an empty cell, empty text is `""`: readers that look at quotes (PostgreSQL's COPY, DuckDB) tell them apart.
Source: design §9, control-plane §7 (formula cells).
"""

import re
from collections.abc import Iterable

from habeas.delivery.encoding import encode_value, to_json

_SPECIAL = re.compile(r'\A[=@＝＠＋－\t\r+-]|[",\r\n]')
_FORMULA = ("=", "@", "＝", "＠", "＋", "－", "\t", "\r")  # some spreadsheets take full-width signs for the others
_SIGNS = ("+", "-")
_NUMBER = re.compile(r"[+-](?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PHONE = re.compile(r"\+[0-9(][0-9 ().\-]*")
_QUOTED = re.compile(r'[",\r\n]')


def write_line(values: Iterable[object]) -> bytes:
    """A line with its end. In a line of one cell null is written as empty text: readers pass over empty lines."""
    line = ",".join(map(_cell, values)) or '""'
    return f"{line}\r\n".encode("utf-8", "backslashreplace")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    text = value if type(value) is str else _text(value)
    if not _SPECIAL.search(text):
        return text or '""'
    if text.startswith(_FORMULA) or (text.startswith(_SIGNS) and not _is_number(text)):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _text(value: object) -> str:
    """Text as it is, everything else as JSON."""
    encoded = encode_value(value)
    return encoded if isinstance(encoded, str) else to_json(encoded, indent=0).decode()


def _is_number(text: str) -> bool:
    """Whether a text with a sign is a number, or a phone number as people write it."""
    return bool(_NUMBER.fullmatch(text) or _PHONE.fullmatch(text))
