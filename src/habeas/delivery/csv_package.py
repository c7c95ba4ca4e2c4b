"""The CSV package: a zip with a member `dataset__collection.csv` per collection, and `manifest.json` (design §9).

A member's header is the paths that the rule selects; what stands there is one cell: values of arrays on the way as
a list, lists and objects as JSON. With a key each member is encrypted on its own; the zip and its manifest are plain,
and the manifest holds names and counts alone. Knows neither where rows come from nor where the file goes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from habeas.delivery.csv_cells import write_line
from habeas.delivery.encoding import to_json
from habeas.delivery.encryption import ByteSink, EncryptingWriter
from habeas.delivery.section import Section
from habeas.domain.documents import Path
from habeas.domain.errors import Fault

MANIFEST = "manifest.json"
_VERSION = 1
_MADE = (1980, 1, 1, 0, 0, 0)
"""Of every member: the earliest time a zip can say, so that equal packages are equal files."""

_LINES = 65_536
"""Bytes of lines that are gathered before they are encrypted and compressed."""

_UNSAFE = re.compile(r"[^\w.\- ]")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Title:
    """What a package says of itself."""

    request: str
    rule: str


@dataclass(slots=True)
class _Member:
    """A member as the manifest lists it."""

    name: str
    collection: str
    columns: tuple[str, ...]
    rows: int
    encrypted: bool


class CsvPackage:
    """A Package, written in one pass, also to files that cannot seek; one row in memory at a time."""

    def __init__(self, file: ByteSink, title: Title, key: bytes | None = None) -> None:
        self._file = _Forward(file)
        self._zip = ZipFile(self._file, "w", ZIP_DEFLATED)
        self._title = title
        self._key = key
        self._current: str | None = None
        self._members: dict[str, _Member] = {}
        self._names = {MANIFEST.casefold()}
        self._entry: IO[bytes] | None = None
        self._sink: ByteSink = self._file
        self._lines = bytearray()
        self._cells: Callable[[Mapping[str, object]], list[object]] = lambda row: []

    def add(self, section: Section, row: Mapping[str, object]) -> None:
        """See `Package`."""
        if section.name != self._current:
            self._open(section)
        self._members[section.name].rows += 1
        self._lines += write_line(self._cells(row))
        if len(self._lines) > _LINES:
            self._pass_on()

    def close(self) -> None:
        """See `Package`."""
        self._end_member()
        about = {"version": _VERSION, "request": self._title.request, "rule": self._title.rule}
        members = [asdict(member) for member in self._members.values()]
        self._zip.writestr(_entry(MANIFEST), to_json({**about, "members": members}))
        self._zip.close()

    def discard(self) -> None:
        """See `Package`."""
        self._file.is_open = False
        if self._entry is not None:
            self._entry.close()
        self._zip.close()

    def _open(self, section: Section) -> None:
        if section.name in self._members:
            raise Fault(f"rows of {section.name} reached the package in two parts")
        self._end_member()
        name = self._name(section.name)
        self._current = section.name
        self._members[section.name] = _Member(
            name, section.name, section.fields, rows=0, encrypted=self._key is not None
        )
        # How long it becomes is not known, and a zip that cannot be gone back in must say at once that it may be long.
        self._entry = self._zip.open(_entry(name), "w", force_zip64=True)
        self._sink = self._entry if self._key is None else EncryptingWriter(self._entry, self._key)
        self._cells = _cells_of(section)
        self._lines += write_line(section.fields)

    def _pass_on(self) -> None:
        self._sink.write(bytes(self._lines))
        self._lines.clear()

    def _end_member(self) -> None:
        if self._entry is None:
            return
        self._pass_on()
        if isinstance(self._sink, EncryptingWriter):
            self._sink.close()
        self._entry.close()
        self._entry = None

    def _name(self, section: str) -> str:
        """A file name without path parts, told apart from the others also where case does not count."""
        stem = _UNSAFE.sub("_", section.replace(":", "__", 1)).lstrip(".")
        name, number = f"{stem}.csv", 1
        while name.casefold() in self._names:
            number += 1
            name = f"{stem}-{number}.csv"
        self._names.add(name.casefold())
        return name


class _Forward:
    """A file that can only be written to, whatever the one below can, so that packages are the same everywhere."""

    def __init__(self, file: ByteSink) -> None:
        self._file = file
        self.is_open = True

    def write(self, data: bytes, /) -> int:
        return self._file.write(data) if self.is_open else len(data)

    def flush(self) -> None:
        """What is below is flushed by whoever owns it."""

    def close(self) -> None:
        """What is below is closed by whoever owns it."""


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, _MADE)
    entry.compress_type = ZIP_DEFLATED
    entry.create_system = 3  # Unix, wherever it was made
    entry.external_attr = 0o600 << 16
    return entry


def _cells_of(section: Section) -> Callable[[Mapping[str, object]], list[object]]:
    if section.is_flat:
        fields = section.fields
        return lambda row: [row.get(field) for field in fields]
    return lambda row: [None if (cell := _project(row, path)) is _NOTHING else cell for path in section.paths]


def _project(value: object, path: Path) -> object:
    """What stands at a path; of an array on the way a list as long as it, so that the cells of its elements line up."""
    if not path:
        return value
    if isinstance(value, list):
        found = [_project(item, path) for item in value]
        if all(item is _NOTHING for item in found):
            return _NOTHING
        return [None if item is _NOTHING else item for item in found]
    if isinstance(value, Mapping) and path[0] in value:
        return _project(value[path[0]], path[1:])
    return _NOTHING
