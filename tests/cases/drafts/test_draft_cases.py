"""Runs the case files of drafts (README.md beside this file says how to read them)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.category import DEFAULT_CATEGORIES
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch
from habeas.services.drafting.draft import Draft
from habeas.services.drafting.drafter import draft_dataset
from habeas.services.drafting.vocabulary import CATEGORIES

HERE = Path(__file__).parent
COLUMNS: Mapping[str, Mapping[str, str]] = yaml.safe_load((HERE / "columns.yaml").read_text(encoding="utf-8"))
CASES: list[Mapping[str, Any]] = yaml.safe_load((HERE / "keys.yaml").read_text(encoding="utf-8"))

LEAST_COLUMNS, LEAST_PROPOSED = 200, 0.97
"""How many names are tried, and the share of those with a category whose category must be proposed."""


# columns


def read_column(name: str, words: str) -> tuple[ColumnSketch, bool, str | None]:
    """A column, whether it is the key, and the category expected of it."""
    parts = words.split()
    category = parts.pop() if parts[-1].startswith(("user", "system")) else None
    key = parts[-1] == "key" and bool(parts.pop())
    kind = " ".join(parts)
    return ColumnSketch(name, kind, text="char" in kind or "text" in kind), key, category


def draft_columns() -> dict[str, tuple[str | None, str | None]]:
    """Path of each column → category expected, category proposed."""
    tables, expected = [], {}
    for table, columns in COLUMNS.items():
        read = [read_column(name, words) for name, words in columns.items()]
        key = tuple(column.name for column, is_key, _ in read if is_key)
        tables.append(TableSketch(table, None, tuple(column for column, _, _ in read), key))
        expected.update({f"{table}.{column.name}": category for column, _, category in read})
    found = {
        f"{collection.name}.{field.field.name}": field.proposal and field.proposal.category
        for collection in draft_dataset(Sketch(tuple(tables)), "cases", "Cases").collections
        for field in collection.fields
    }
    return {path: (category, found[path]) for path, category in expected.items()}


def test_no_category_is_proposed_that_a_careful_person_would_not_give() -> None:
    outcome = draft_columns()
    assert len(outcome) >= LEAST_COLUMNS
    wrong = {path: pair for path, pair in outcome.items() if pair[1] is not None and pair[0] != pair[1]}
    assert wrong == {}


def test_nearly_all_that_a_careful_person_would_see_is_proposed() -> None:
    expected = {path: pair for path, pair in draft_columns().items() if pair[0] is not None}
    missed = [path for path, (_, proposed) in expected.items() if proposed is None]
    assert 1 - len(missed) / len(expected) >= LEAST_PROPOSED, missed


def test_every_category_that_can_be_proposed_exists() -> None:
    assert CATEGORIES <= DEFAULT_CATEGORIES
    assert len(CATEGORIES) > 50


# keys


def read_table(name: str, columns: list[str]) -> TableSketch:
    sketches, key, unique, foreign = [], [], [], []
    for column in columns:
        words, _, target = column.partition(" -> ")
        own, *marks = words.split()
        text = "text" in marks or own == "email"
        sketches.append(ColumnSketch(own, "text" if text else "integer", text))
        key += [own] if "key" in marks else []
        unique += [(own,)] if "unique" in marks else []
        if target:
            parent, _, field = target.partition(".")
            foreign.append(ForeignKeySketch((own,), None, parent, (field,)))
    return TableSketch(name, None, tuple(sketches), tuple(key), tuple(unique), tuple(foreign))


def describe_keys(draft: Draft) -> dict[str, str]:
    return {
        f"{ruling.key.child}.{ruling.key.column}": (ruling.direction or "open") if ruling.followed else "no"
        for collection in draft.collections
        for field in collection.fields
        for ruling in field.rulings
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_keys(case: Mapping[str, Any]) -> None:
    assert set(case) <= {"title", "tables", "keys", "shared", "unreached"}
    tables = tuple(read_table(name, columns) for name, columns in case["tables"].items())
    draft = draft_dataset(Sketch(tables), "cases", "Cases")
    assert describe_keys(draft) == case["keys"]
    assert [table.name for table in draft.collections if table.shared] == case.get("shared", [])
    assert [table.name for table in draft.collections if not table.reached] == case.get("unreached", [])
