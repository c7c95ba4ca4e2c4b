"""The package of one access rule for one person, in the format that is asked for.

Source: data-plane §7.8, §8, control-plane §5.2. Knows neither where rows come from nor where the file goes.
"""

from collections.abc import Mapping
from typing import Protocol

from habeas.delivery.csv_package import CsvPackage, Title
from habeas.delivery.encryption import ByteSink
from habeas.delivery.json_package import JsonPackage
from habeas.delivery.section import Section


class Package(Protocol):
    """A package that is being written, row by row."""

    def add(self, section: Section, row: Mapping[str, object]) -> None:
        """Append a row picked by the section. Rows of a collection come one after the other: Fault when it was left.

        A collection without rows does not appear.
        """
        ...

    def close(self) -> None:
        """Write the end; without it the file is none that opens. The file below stays open."""
        ...

    def discard(self) -> None:
        """Let go of what was not closed; nothing more is written. Does nothing after `close`."""
        ...


def write_package(package_format: str, file: ByteSink, title: Title, key: bytes | None = None) -> Package:
    """A package that writes to `file`, encrypted when there is a `key` (16, 24 or 32 bytes)."""
    return CsvPackage(file, title, key) if package_format == "csv" else JsonPackage(file, key)
