"""Runs `cases.yaml`: values offered to declared types (data-plane §10.2)."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.dataset import DataType, coerce, truncate

FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())


class ObjectId:
    """An id as document stores' drivers give it: a type of its own that spells itself in hexadecimal digits."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


PYTHON: dict[str | None, Callable[[Any], Any]] = {None: lambda value: value, "decimal": Decimal, "object_id": ObjectId}


@pytest.mark.parametrize("case", FILE["coerce"], ids=lambda case: f"{case['id']} {case['type']}({case['value']!r})")
def test_a_value_becomes_what_its_type_says_or_null(case: dict[str, Any]) -> None:
    value = PYTHON[case.get("python")](case["value"])
    result = coerce(value, DataType(case["type"]) if case["type"] else None)
    assert result == case["gives"]
    assert type(result) is type(case["gives"])


@pytest.mark.parametrize("case", FILE["truncate"], ids=lambda case: f"{case['id']} {case['value']!r}")
def test_only_text_is_cut(case: dict[str, Any]) -> None:
    assert truncate(case["value"], case["length"]) == case["gives"]


def test_every_id_of_the_section_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in FILE["coerce"] + FILE["truncate"]} - {"own", "1.5"}
    assert covered | set(FILE["not_yet"]) == set(FILE["ids"])
    assert not covered & set(FILE["not_yet"])
