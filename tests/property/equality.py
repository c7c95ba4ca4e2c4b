"""When stores find values equal (design §3, §9; data-plane §1.5, 2.4): the oracle's own reading."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from worlds import ANY, INTEGER, TEXT, Column

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
PHONE_NOISE = str.maketrans("", "", " -().")


def spell_identity(kind: str, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield value
        if kind == "email":
            yield value.strip().lower()
        if kind == "phone_number":
            yield value.translate(PHONE_NOISE)


def cast_to(data_type: str | None, value: Any) -> Any:
    """The value as the declared type; None when it cannot be."""
    if value is None or data_type is None:
        return value
    if data_type == "string":
        return str(value)
    if isinstance(value, str):
        pattern, read = (WHOLE, int) if data_type == "integer" else (NUMBER, float)
        return read(value) if pattern.fullmatch(value.strip()) else None
    if data_type == "float":
        return float(value)
    return int(value) if int(value) == value else None


def is_equal(cell: Any, value: Any, column: Column, store: str, match: str | None) -> bool:
    """Whether the store finds the cell equal to a value it is given."""
    if match == "casefold":
        return _fold(str(cell), store) == _fold(str(value), store)
    if match == "phone":
        return str(cell).translate(PHONE_NOISE) == str(value).translate(PHONE_NOISE)
    if column.type == ANY or column.is_document:
        return isinstance(cell, str) == isinstance(value, str) and bool(cell == value)
    if column.type == TEXT:
        return bool(cell == str(value))
    if not isinstance(value, str):
        return bool(cell == value)
    if column.type == INTEGER and store != "sqlite":
        return WHOLE.fullmatch(value) is not None and cell == int(value)
    return NUMBER.fullmatch(value) is not None and cell == float(value)


def _fold(text: str, store: str) -> str:
    """SQLite lowers ASCII only."""
    return text.lower() if store != "sqlite" else "".join(c.lower() if c.isascii() else c for c in text)
