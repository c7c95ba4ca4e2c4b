"""A clock for processes that tests start, which can be moved while they run (the Debian package `faketime`)."""

from collections.abc import Mapping
from pathlib import Path

HOUR = 3600


class MissingLibrary(Exception):
    """libfaketime is not installed; `make test` (or scripts/install-test-needs.sh) installs it."""


class MovableClock:
    """Processes with this `environment` see the machine's clock and what was added to it; durations stay true."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            raise MissingLibrary("libfaketime is not installed: run `make test`, which installs what the tests need")
        self._file = folder / "clock"
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on the clock is `seconds` ahead of the machine's; negative: behind."""
        moved = self._file.with_suffix(".new")
        moved.write_text(f"{seconds:+d}s\n")
        moved.replace(self._file)
