"""The JSON package: one object `dataset:collection` → list of rows (data-plane §7.4, §7.8).

Encrypted as a whole when there is a key. Knows neither where rows come from nor where the file goes.
"""

from collections.abc import Mapping

from habeas.delivery.encoding import PLAIN, encode_value, to_json
from habeas.delivery.encryption import ByteSink, EncryptingWriter
from habeas.delivery.section import Section
from habeas.domain.dataset import Address
from habeas.domain.errors import Fault


class JsonPackage:
    """A Package, indented by two spaces, one row in memory at a time."""

    def __init__(self, file: ByteSink, key: bytes | None = None) -> None:
        self._sealed = None if key is None else EncryptingWriter(file, key)
        self._file = file if self._sealed is None else self._sealed
        self._current: Address | None = None
        self._written: set[Address] = set()

    def add(self, section: Section, row: Mapping[str, object]) -> None:
        """See `Package`."""
        before = b",\n    " if section.address == self._current else self._open(section.address)
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

    def _open(self, address: Address) -> bytes:
        if address in self._written:
            raise Fault(f"rows of {address} reached the package in two parts")
        before = b"{\n" if self._current is None else b"\n  ],\n"
        self._written.add(address)
        self._current = address
        return before + b"  " + to_json(str(address)) + b": [\n    "
