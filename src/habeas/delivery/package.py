"""The JSON package of one access rule: its file name, its values' encoding, and its row-by-row writing.

Source: data-plane §7.4, §7.8, design §9. Knows neither where rows come from nor where the file goes.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

import msgspec

from habeas.delivery.encryption import ByteSink
from habeas.domain.dataset import Address
from habeas.domain.errors import Fault, InputError

_EXTENSIONS = {"json": "json"}
_PLAIN = frozenset({type(None), bool, int, str})


def package_name(request_id: str, rule_key: str | None, package_format: str) -> str:
    """The file name: `<request id>[-<rule key>].json`. Give the rule key only when a policy has several access rules.

    Raises InputError for a format that is not offered.
    """
    if package_format not in _EXTENSIONS:
        raise InputError(f"there is no package format {package_format!r}", hint=f"use {', '.join(_EXTENSIONS)}")
    stem = request_id if rule_key is None else f"{request_id}-{rule_key}"
    return f"{stem}.{_EXTENSIONS[package_format]}"


def filter_row(row: Mapping[str, object], fields: Sequence[str]) -> dict[str, object]:
    """The selected fields of a row, in their order; null, 0, False and "" stay (data-plane §7.2)."""
    return {field: row[field] for field in fields}


def encode_value(value: object) -> object:
    """A value as JSON can hold it (the table of design §9); what is not in the table becomes text."""
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


class JsonPackage:
    """Writes one object `dataset:collection` → list of rows, indented by two spaces, one row in memory at a time.

    All rows of a collection are added one after the other; a collection without rows does not appear.
    """

    def __init__(self, file: ByteSink) -> None:
        self._file = file
        self._current: Address | None = None
        self._written: set[Address] = set()

    def add(self, address: Address, row: Mapping[str, object]) -> None:
        """Append a row; raises Fault when the collection was already left for another one."""
        before = b",\n    " if address == self._current else self._open(address)
        plain = {name: value if type(value) in _PLAIN else encode_value(value) for name, value in row.items()}
        # Inside JSON text line ends are escaped: these are the layout's.
        self._file.write(before + _to_json(plain).replace(b"\n", b"\n    "))

    def close(self) -> None:
        """Write the end; without it the file is no JSON. The file stays open."""
        self._file.write(b"{}" if self._current is None else b"\n  ]\n}")

    def _open(self, address: Address) -> bytes:
        if address in self._written:
            raise Fault(f"rows of {address} reached the package in two parts")
        before = b"{\n" if self._current is None else b"\n  ],\n"
        self._written.add(address)
        self._current = address
        return before + b"  " + _to_json(str(address)) + b": [\n    "


def _to_json(value: object) -> bytes:
    """Indented by two spaces."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=2)
    except UnicodeEncodeError:  # a lone surrogate turns into its JSON escape
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
