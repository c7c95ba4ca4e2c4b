"""Files that are databases."""

import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a file is there, as far as may be seen: no folder, pipe or device, nothing behind a closed folder."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
