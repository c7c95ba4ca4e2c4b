"""The files of the sample company: the shop in SQLite, the support desk in DuckDB. Must not know what they hold.

DuckDB lets one process write a file or several read it, so whoever finds it taken waits for a while.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from habeas.demo.failure import DemoFailure

Cells: TypeAlias = dict[str, object]
"""One row by column name."""

Ask: TypeAlias = Callable[..., list[dict[str, Any]]]
"""Asks one database: a statement, and the values of its `$name`s if it has such."""

FILES = {"shop": "shop.db", "support": "support.duckdb"}
"""The file of each dataset."""

_PAUSE = 0.02
"""Seconds between two tries at a file that is taken."""

_TAKEN = ("Could not set lock on file", "with a different configuration than existing connections")


def have_files(folder: Path) -> bool:
    """Whether all files of the company are in the folder."""
    return all((folder / name).is_file() for name in FILES.values())


@contextmanager
def open_databases(folder: Path, patience: float = 10.0) -> Iterator[Mapping[str, Ask]]:
    """Both databases by dataset, for reading alone. Raises DemoFailure when one stays taken for `patience` seconds."""
    shop = f"{(folder / FILES['shop']).resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(shop, uri=True)) as first,
        closing(_open_duckdb(folder / FILES["support"], patience)) as second,
    ):
        yield {"shop": partial(_ask, first.cursor()), "support": partial(_ask, second)}


def write_databases(folder: Path, tables: Mapping[str, Mapping[str, Sequence[Sequence[object]]]]) -> None:
    """New files with these rows by dataset and table, in place of older ones."""
    for name in FILES.values():
        for suffix in ("", "-journal", "-wal", "-shm", ".wal"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / FILES["shop"])) as shop, shop:
        shop.executescript(_schema("shop"))
        for name, rows in tables["shop"].items():
            shop.executemany(f"INSERT INTO {name} VALUES ({_places(rows[0], '?')})", rows)  # noqa: S608 (ours)
    with closing(duckdb.connect(folder / FILES["support"])) as support:
        support.execute(_schema("support"))
        for name, rows in tables["support"].items():
            columns = [list(column) for column in zip(*rows, strict=True)]
            support.execute(f"INSERT INTO {name} SELECT {_places(columns, 'unnest(?)')}", columns)


def _ask(database: Any, statement: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    database.execute(statement, values or {})
    names = [name for name, *_ in database.description]
    return [dict(zip(names, row, strict=True)) for row in database.fetchall()]


def _open_duckdb(file: Path, patience: float) -> duckdb.DuckDBPyConnection:
    until = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(file, read_only=True)
        except duckdb.Error as error:
            if not any(words in str(error) for words in _TAKEN):
                raise
            if time.monotonic() > until:
                hint = "end whatever else has it open"
                raise DemoFailure(f"{file.name} was in use for {patience:.0f} seconds", hint=hint) from None
        time.sleep(_PAUSE)


def _schema(dataset: str) -> str:
    return files("habeas.demo").joinpath("schema", f"{dataset}.sql").read_text(encoding="utf-8")


def _places(columns: Sequence[object], place: str) -> str:
    return ", ".join([place] * len(columns))
