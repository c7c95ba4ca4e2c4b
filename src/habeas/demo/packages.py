"""What a person is given: packages as they arrive, sealed or open, against what plain SQL says of them.

A check returns its sentence or raises DemoFailure. No sentence holds a value of a person.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias
from zipfile import BadZipFile, ZipFile

from habeas.demo.databases import Cells
from habeas.demo.facts import Holding, Snapshot, column_of, count_elements, flatten
from habeas.demo.failure import DemoFailure

Package: TypeAlias = Mapping[str, Sequence[Cells]]
"""Rows by collection, flattened."""

_MANIFEST = "manifest.json"
_TELLING = 6
"""Shorter texts may stand in any file by chance."""


def read_json(content: bytes) -> Package:
    """A package of format `json`."""
    package: Mapping[str, Sequence[Cells]] = json.loads(content)
    return {address: [flatten(row) for row in rows] for address, rows in package.items()}


def read_csv(content: bytes) -> Package:
    """A package of format `csv`; cells are text."""
    with _open_zip(content) as members:
        manifest = json.loads(members.read(_MANIFEST))
        return {item["collection"]: _read_member(members.read(item["name"])) for item in manifest["members"]}


def check_sealed(contents: Sequence[bytes], holdings: Sequence[Holding]) -> str:
    """No text of the person's can be read in any of these files, neither as they are nor decoded."""
    texts = {
        str(value) for held in holdings for row in held.given() for value in row.values() if isinstance(value, str)
    }
    telling = [text.encode() for text in texts if len(text) >= _TELLING]
    for part in (part for content in contents for part in _parts(content)):
        if readable := sum(text in part for text in telling):
            raise DemoFailure(f"{readable} values of the person can be read in an encrypted package")
    return f"none of {len(telling)} texts of hers can be read in them"


def check_package(package: Package, holdings: Sequence[Holding]) -> str:
    """The package holds exactly the person's rows and the columns that access gives, whatever their order."""
    expected = {holding.table.address: holding.given() for holding in holdings if holding.table.given and holding.rows}
    _compare(package, expected)
    count = sum(map(len, expected.values()))
    return f"the package holds the same {count} rows of {len(expected)} collections as plain SQL finds"


def check_narrowed(package: Package, holdings: Sequence[Holding], snapshot: Snapshot) -> str:
    """Of arrays that hold things of many people the package has the person's alone."""
    mine, posts, threads = count_elements(holdings, snapshot)
    own = [(held.table.address, held.table.own) for held in holdings if held.table.own]
    given = sum(column_of(cell) == column for address, column in own for row in package[address] for cell in row)
    if not 0 < given == mine < posts:
        raise DemoFailure(f"the package holds {given} posts, and {mine} of {posts} are the person's")
    return f"of the {posts} posts in her {threads} forum threads it holds the {mine} that she wrote"


def check_history(package: Package, holdings: Sequence[Holding]) -> str:
    """The package for spreadsheets holds exactly the person's rows and the columns that it gives."""
    held = [holding for holding in holdings if holding.table.history and holding.rows]
    expected: Package = {
        holding.table.address: [{name: str(value) for name, value in row.items()} for row in holding.history()]
        for holding in held
    }
    _compare(package, expected)
    count = sum(map(len, expected.values()))
    return f"the CSV package holds the same {count} lines in {len(expected)} files as plain SQL finds"


def _compare(package: Package, expected: Package) -> None:
    if package.keys() != expected.keys():
        odd = ", ".join(sorted(package.keys() ^ expected.keys()))
        raise DemoFailure(f"the package and plain SQL disagree on the collections {odd}")
    for address, rows in expected.items():
        if sorted(map(_text, rows)) != sorted(map(_text, package[address])):
            raise DemoFailure(f"the package and plain SQL disagree on the rows of {address}")


def _parts(content: bytes) -> Iterator[bytes]:
    """Everything in which something could be read: the file, the members of a zip, and what base64 says."""
    yield content
    if content.startswith(b"PK"):
        with _open_zip(content) as members:
            sealed = [members.read(name) for name in members.namelist() if name != _MANIFEST]
            yield members.read(_MANIFEST)
    else:
        sealed = [content]
    for text in sealed:
        yield text
        try:
            yield base64.b64decode(text, validate=True)
        except binascii.Error:
            raise DemoFailure("a package that should be encrypted is not") from None


def _open_zip(content: bytes) -> ZipFile:
    try:
        return ZipFile(io.BytesIO(content))
    except BadZipFile:
        raise DemoFailure("a CSV package is no zip") from None


def _read_member(content: bytes) -> list[Cells]:
    lines = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    return [dict(line) for line in lines]


def _text(row: Cells) -> str:
    return json.dumps(row, sort_keys=True)
