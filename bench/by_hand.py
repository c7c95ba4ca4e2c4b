"""The same work written by hand with psycopg, as well as a good script would do it: one statement for each table.

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

import psycopg
from target import IDENTITY, TABLES, Table

Rows = dict[str, list[tuple[int, dict[str, Any]]]]
"""Table → (place of the person, row)."""


def give(connection: psycopg.Connection[Any], emails: Sequence[str], folder: Path) -> list[Path]:
    """One package for each person."""
    found = _read(connection, emails)
    connection.commit()
    packages: list[dict[str, list[dict[str, Any]]]] = [defaultdict(list) for _ in emails]
    for table in TABLES:
        if table.given:
            for person, row in found[table.name]:
                packages[person][f"shop:{table.name}"].append({column: row[column] for column in table.given})
    files = []
    for number, package in enumerate(packages):
        files.append(folder / f"{number}.json")
        with files[-1].open("w", encoding="utf-8") as file:
            json.dump(package, file, indent=2, ensure_ascii=False, default=datetime.isoformat)
    return files


def forget(connection: psycopg.Connection[Any], emails: Sequence[str]) -> int:
    """Mask what is known of these people; how many rows."""
    found = _read(connection, emails)
    secret, changed = b"a secret of the script", 0
    for table in reversed(TABLES):
        rows = {row["id"]: row for _, row in found[table.name]} if table.masked else {}
        if rows:
            changed += _mask(connection, table, rows, secret)
    connection.commit()
    return changed


def _read(connection: psycopg.Connection[Any], emails: Sequence[str]) -> Rows:
    known: dict[str, dict[tuple[int, Any], None]] = defaultdict(dict)
    known[IDENTITY] = dict.fromkeys(enumerate(emails))
    found: Rows = {}
    for table in TABLES:
        found[table.name] = rows = _look_up(connection, table, known)
        for column in table.columns:
            into = known[f"{table.name}.{column}"]
            into.update({(person, row[column]): None for person, row in rows if row[column] is not None})
    return found


def _look_up(
    connection: psycopg.Connection[Any], table: Table, known: dict[str, dict[tuple[int, Any], None]]
) -> list[tuple[int, dict[str, Any]]]:
    columns = ", ".join(f't."{column}"' for column in table.columns)
    parts, values = [], []
    for column, sources in table.ways.items():
        pairs = list({pair: None for source in sources.split() for pair in known[source]})
        if not pairs:
            continue
        kind = "text" if IDENTITY in sources else "int4"
        if len(pairs) == 1:
            parts.append(f'SELECT {pairs[0][0]}, t.ctid, {columns} FROM {table.name} t WHERE t."{column}" = %s')
            values.append(pairs[0][1])
            continue
        parts.append(
            f"SELECT k.person, t.ctid, {columns} FROM unnest(%s::int4[], %s::{kind}[]) k(person, v) "
            f'JOIN {table.name} t ON t."{column}" = k.v'
        )
        values += [[person for person, _ in pairs], [value for _, value in pairs]]
    if not parts:
        return []
    rows = connection.execute(" UNION ALL ".join(parts).encode(), values).fetchall()
    distinct = {(row[0], row[1]): row for row in rows}
    return [(row[0], dict(zip(table.columns, row[2:], strict=True))) for row in distinct.values()]


def _mask(connection: psycopg.Connection[Any], table: Table, rows: dict[int, dict[str, Any]], secret: bytes) -> int:
    computed = [column for column, by_hash in table.masked.items() if by_hash]
    sets = ", ".join(f'"{column}" = ' + (f"k.{column}" if column in computed else "NULL") for column in table.masked)
    names = "".join(f", {column}" for column in computed)
    arrays = "".join(", %s::text[]" for _ in computed)
    columns = [[_hash(secret, row[column]) for row in rows.values()] for column in computed]
    statement = f"UPDATE {table.name} t SET {sets} FROM unnest(%s::int4[]{arrays}) k(id{names}) WHERE t.id = k.id"
    return connection.execute(statement.encode(), [list(rows), *columns]).rowcount


def _hash(secret: bytes, value: str | None) -> str | None:
    return None if value is None else hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()
