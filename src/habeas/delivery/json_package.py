"""The JSON package: one object `dataset:collection` (or connection) → list of rows (data-plane §7.4, §7.8).

Encrypted as a whole when there is a key. Knows neither where rows come from nor where the file goes.
"""

from collections.abc import Mapping

from habeas.delivery.encoding import PLAIN, encode_value, to_json
from habeas.delivery.encryption import ByteSink, EncryptingWriter
from habeas.delivery.section import Section
from habeas.domain.errors import Fault


class JsonPackage:
    """A Package, indented by two spaces, one row in memory at a time."""

    def __init__(self, file: ByteSink, key: bytes | None = None) -> None:
        self._sealed = None if key is None else EncryptingWriter(file, key)
        self._file = file if self._sealed is None else self._sealed
        self._current: str | None = None
        self._written: set[str] = set()

    def add(self, section: Section, row: Mapping[str, object]) -> None:
        """See `Package`."""
        before = b",\n    " if section.name == self._current else self._open(section.name)
        plain = {name: value if type(value) in PLAIN else encode_value(value) for name, value in row.items()}
        # Inside JSON text line ends are escaped: these are the layout's.
        self._file.write(before + to_json(plain).replace(b"\n", b"\n    "))

    def close(self) -> None:
        """See `Package`."""
        self._file.write(b"{}" if self._current is None else b"\n  ]\n}")
        if self._sealed is not None:
            self._sealed.close()

    def discard(self) -> None:
        """See `Package`."""

    def _open(self, name: str) -> bytes:
        if name in self._written:
            raise Fault(f"rows of {name} reached the package in two parts")
        before = b"{\n" if self._current is None else b"\n  ],\n"
        self._written.add(name)
        self._current = name
        return before + b"  " + to_json(name) + b": [\n    "
