"""Runs `cases.yaml`: rows found → JSON package (data-plane §10.7, flat rows)."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.delivery.package import JsonPackage, filter_row
from habeas.domain.dataset import Address

FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
INDEX: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("policy_and_storage.yaml").read_text())


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['id']} {case['title']}")
def test_a_package_holds_what_its_case_says(case: dict[str, Any]) -> None:
    file = io.BytesIO()
    package = JsonPackage(file)
    for found in case["found"]:
        for row in found["rows"]:
            package.add(Address.parse(found["address"]), filter_row(row, found["fields"]))
    package.close()
    assert file.getvalue().decode() == json.dumps(case["package"], indent=2, ensure_ascii=False)


def test_every_id_of_the_section_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in FILE["cases"]} - {"own"}
    assert covered | set(FILE["not_yet"]) == set(FILE["ids"])
    assert not covered & set(FILE["not_yet"])


def test_every_id_of_policy_and_storage_is_named_by_a_test_or_has_a_reason() -> None:
    assert set(INDEX["elsewhere"]) | set(INDEX["not_yet"]) == set(INDEX["ids"])
    assert not set(INDEX["elsewhere"]) & set(INDEX["not_yet"])
    for case_id, place in INDEX["elsewhere"].items():
        assert f"# {case_id}\n" in (Path(__file__).parents[3] / place).read_text(), case_id
