"""Runs the case files beside this one against real SQLite files; README.md says how to read them."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import Engine, opened
from habeas.services import requests

HERE = Path(__file__).parent
Case = dict[str, Any]
CASES = [case for file in sorted(HERE.glob("*.yaml")) for case in yaml.safe_load(file.read_text())]
EXPECTED = {"packages", "after", "counts", "exceptions"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened(tmp_path / "data", f"sqlite:///{tmp_path}/ledger.db") as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['title']}")
def test_case(case: Case, engine: Engine, tmp_path: Path) -> None:
    assert set(case) <= {"id", "title", "tables", "people", "erase"} | EXPECTED and set(case) & EXPECTED
    path = tmp_path / "shop.db"
    build(path, case["tables"])
    engine.connect("shop", "sqlite", {"path": str(path)})
    engine.describe(
        "shop", {"fides_key": "shop", "collections": [describe(*table) for table in case["tables"].items()]}
    )
    engine.policy("give", access=["user"])
    ids = engine.submit("give", *case["people"])
    engine.run()
    if "packages" in case:
        packages = [json.loads(engine.package(request_id, "give-give")) for request_id in ids]
        assert [read_package(case, package) for package in packages] == [
            {name: sorted(rows, key=repr) for name, rows in package.items()} for package in case["packages"]
        ]
    if "erase" in case:
        for category, (strategy, configuration) in case["erase"].items():
            engine.policy("forget", erasure={strategy: [category]}, configuration=configuration)
        ids = engine.submit("forget", *case["people"])
        engine.run()
    for name, rows in case.get("after", {}).items():
        assert sorted(read_table(path, name), key=repr) == sorted(
            (tuple(Digest.read(value) for value in row) for row in rows), key=repr
        )
    report = requests.report(engine.context, ids[0])
    for name, counts in case.get("counts", {}).items():
        told = engine.counts(ids[0])[f"shop:{name}"]
        told = {**told, "skipped": [skipped["reason"] for skipped in told["skipped"]]}
        assert {key: told[key] for key in counts} == counts
    if "exceptions" in case:
        assert report["exceptions"] == case["exceptions"]


class Digest:
    """Equals any text of so many hexadecimal digits."""

    def __init__(self, digits: str) -> None:
        self._form = re.compile(rf"[0-9a-f]{{{digits}}}")

    @classmethod
    def read(cls, value: Any) -> Any:
        return cls(value[5:]) if isinstance(value, str) and value.startswith("hash:") else value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(self._form.fullmatch(other))

    __hash__ = None  # type: ignore[assignment]


def build(path: Path, tables: Case) -> None:
    connection = sqlite3.connect(path)
    for name, table in tables.items():
        columns = [f'"{column}" {spec.split()[0]}' for column, spec in table["columns"].items()]
        key = [f'"{column}"' for column, spec in table["columns"].items() if "key" in spec.split()]
        constraint = [f"PRIMARY KEY ({', '.join(key)})"] if key else []
        connection.execute(f'CREATE TABLE "{name}" ({", ".join(columns + constraint)})')
        marks = ", ".join("?" * len(columns))
        connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', table["rows"])
    connection.commit()
    connection.close()


def describe(name: str, table: Case) -> Case:
    return {"name": name, "fields": [describe_field(column, spec) for column, spec in table["columns"].items()]}


def describe_field(name: str, spec: str) -> Case:
    words = iter(spec.split()[1:])
    meta: Case = {}
    category = "user.content"
    for word in words:
        match word:
            case "key":
                meta["primary_key"] = True
            case "read-only":
                meta["read_only"] = True
            case "identity":
                meta["identity"] = next(words)
            case "length":
                meta["length"] = int(next(words))
            case "category":
                category = next(words)
            case "to" | "from" | "with":
                link = {"dataset": "shop", "field": next(words)}
                meta.setdefault("references", []).append(link if word == "with" else {**link, "direction": word})
            case _:
                raise AssertionError(f"{word} means nothing in a column")
    return {"name": name, "data_categories": [category], "fides_meta": meta}


def read_package(case: Case, package: dict[str, list[Case]]) -> dict[str, list[list[Any]]]:
    """The rows of a package in the order of the case's columns, sorted."""
    names = {f"shop:{name}": name for name in case["tables"]}
    return {
        names[address]: sorted(
            ([row[column] for column in case["tables"][names[address]]["columns"]] for row in rows), key=repr
        )
        for address, rows in package.items()
    }


def read_table(path: Path, name: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
    connection.close()
    return rows
