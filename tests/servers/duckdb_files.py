"""DuckDB files that a server has open for a moment after it used them."""

import time
from pathlib import Path

import duckdb


def open_duckdb(file: Path | str, *, write: bool = False, patience: float = 10.0) -> duckdb.DuckDBPyConnection:
    """Opened; a little later where another process has not closed it yet."""
    until = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(file, read_only=not write)
        except duckdb.IOException:
            if time.monotonic() > until:
                raise
        time.sleep(0.001)
