"""What a person reads in a package, encrypted or not, and how the oracle's rows are spelled in it (design §9)."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import ZipFile

from worlds import Row

from habeas import decrypt

Table = Counter[str]
"""Rows without their order, as text in which 1, 1.0, "1" and true differ."""

PHONE_OR_NUMBER = re.compile(r"[+-]([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|\+[0-9(][0-9 ().\-]*")


def read_json_package(package: bytes, key: str | None) -> dict[str, Table]:
    """The rows of each collection."""
    text = package if key is None else decrypt(package, key)
    return {name: spell_rows(rows) for name, rows in json.loads(text).items()}


def spell_rows(rows: Sequence[Any]) -> Table:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def read_csv_package(package: bytes, key: str | None) -> dict[str, Table]:
    """The lines of each collection with its header as one of them. The manifest must tell of every member."""
    with ZipFile(io.BytesIO(package)) as opened:
        held = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(held.pop("manifest.json"))
    assert sorted(member["name"] for member in manifest["members"]) == sorted(held)
    found = {}
    for member in manifest["members"]:
        assert member["encrypted"] is (key is not None)
        text = held[member["name"]] if key is None else decrypt(held[member["name"]], key)
        header, *lines = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
        assert member["rows"] == len(lines)
        assert list(map(spell_cell, member["columns"])) == header
        found[member["collection"]] = spell_rows([header, *lines])
    return found


def spell_lines(paths: Sequence[str], rows: Sequence[Row]) -> Table:
    """The table of these rows: a column for every path."""
    cells = [[spell_cell(_project(row, path.split("."))) for path in paths] for row in rows]
    return spell_rows([list(map(spell_cell, paths)), *cells])


def spell_cell(value: Any) -> str:
    """A cell as the csv module reads it: null is empty, a formula begins with an apostrophe."""
    if value is None or value is ...:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    formula = text[:1] in ("=", "@", "\t", "\r") or (text[:1] in ("+", "-") and not PHONE_OR_NUMBER.fullmatch(text))
    return f"'{text}" if formula else text


def _project(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path; of an array on the way as many as it has elements. `...` where there is nothing."""
    if path and isinstance(value, list):
        found = [_project(element, path) for element in value]
        return ... if all(one is ... for one in found) else [None if one is ... else one for one in found]
    if path:
        return _project(value[path[0]], path[1:]) if isinstance(value, Mapping) and path[0] in value else ...
    return value
