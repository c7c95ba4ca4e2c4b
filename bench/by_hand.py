"""The same work written by hand with each store's driver, as well as a good script would do it: one statement a table.

Rows come back with the person they belong to, packages are one JSON file each, an erasure is one transaction.
It keeps nothing, verifies nothing and cannot go on after a crash: that is what the engine's ratio pays for.
"""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shop import TABLES
from stores import Execute, Store
from tables import IDENTITY, INT, TEXT, Table

Rows = dict[str, list[tuple[int, dict[str, Any]]]]
"""Table → (place of the person, row)."""


def give(store: Store, emails: Sequence[str], folder: Path) -> list[Path]:
    """One package for each person."""
    with store.session() as execute:
        found = _read(store, execute, emails)
    packages: list[dict[str, list[dict[str, Any]]]] = [defaultdict(list) for _ in emails]
    for table in TABLES:
        if table.given:
            for person, row in found[table.name]:
                packages[person][f"shop:{table.name}"].append({column: row[column] for column in table.given})
    return write(packages, folder)


def write(packages: Sequence[Any], folder: Path) -> list[Path]:
    """One file for each package."""
    files = []
    for number, package in enumerate(packages):
        files.append(folder / f"{number}.json")
        with files[-1].open("w", encoding="utf-8") as file:
            json.dump(package, file, indent=2, ensure_ascii=False, default=datetime.isoformat)
    return files


def forget(store: Store, emails: Sequence[str]) -> None:
    """Mask what is known of these people."""
    with store.session(write=True) as execute:
        found = _read(store, execute, emails)
        for table in reversed(TABLES):
            rows = {row["id"]: row for _, row in found[table.name]} if table.masked else {}
            if rows:
                _mask(store, execute, table, rows, b"a secret of the script")


def _read(store: Store, execute: Execute, emails: Sequence[str]) -> Rows:
    known: dict[str, dict[tuple[int, Any], None]] = defaultdict(dict)
    known[IDENTITY] = dict.fromkeys(enumerate(emails))
    found: Rows = {}
    for table in TABLES:
        found[table.name] = rows = _look_up(store, execute, table, known)
        for column in table.columns:
            into = known[f"{table.name}.{column}"]
            into.update({(person, row[column]): None for person, row in rows if row[column] is not None})
    return found


def _look_up(
    store: Store, execute: Execute, table: Table, known: dict[str, dict[tuple[int, Any], None]]
) -> list[tuple[int, dict[str, Any]]]:
    columns = ", ".join(f"t.{column}" for column in table.columns)
    parts, values = [], []
    for column, sources in table.ways.items():
        pairs = list({pair: None for source in sources.split() for pair in known[source]})
        if len(pairs) == 1:
            parts.append(f"SELECT {pairs[0][0]}, {columns} FROM {table.name} t WHERE t.{column} = {store.mark}")
            values.append(pairs[0][1])
        elif pairs:
            source, bound = store.relation({"person": INT, "v": table.columns[column]}, pairs)
            parts.append(f"SELECT k.person, {columns} FROM {source} {store.join} {table.name} t ON t.{column} = k.v")
            values += bound
    if not parts:
        return []
    rows = execute(" UNION ALL ".join(parts), values)
    if len(parts) > 1 and table.key:
        place = 1 + list(table.columns).index(table.key)
        rows = list({(row[0], row[place]): row for row in rows}.values())
    return [(row[0], dict(zip(table.columns, row[1:], strict=True))) for row in rows]


def _mask(store: Store, execute: Execute, table: Table, rows: dict[int, dict[str, Any]], secret: bytes) -> None:
    computed = [column for column, by_hash in table.masked.items() if by_hash]
    masks = ([_hash(secret, row[column]) for column in computed] for row in rows.values())
    keyed = [(key, *hashes) for key, hashes in zip(rows, masks, strict=True)]
    source, values = store.relation({"id": INT, **dict.fromkeys(computed, TEXT)}, keyed)
    sets = {column: f"k.{column}" if by_hash else "NULL" for column, by_hash in table.masked.items()}
    execute(store.update(table.name, sets, source), values)


def _hash(secret: bytes, value: str | None) -> str | None:
    return None if value is None else hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()
