"""Runs `cases.yaml`: documents of datasets → what is read, or where and why it is refused (data-plane §10.1)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.errors import DatasetError
from habeas.services.dataset_format import dataset_to_json, parse_dataset, parse_datasets

FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['id']} {case['title']}")
def test_a_document_reads_or_is_refused_as_its_case_says(case: dict[str, Any]) -> None:
    if "reads" in case:
        (dataset,) = parse_datasets(case["text"])
        assert dataset_to_json(dataset) == case["reads"]
        assert parse_dataset(case["reads"]) == dataset
        return
    with pytest.raises(DatasetError) as caught:
        parse_datasets(case["text"], source="shop.yml")
    error = caught.value
    assert case["refused"] in str(error)
    assert str(error).startswith("shop.yml:")
    assert error.path == case.get("path", error.path)
    assert error.line == case.get("line", error.line)


def test_every_id_of_the_section_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in FILE["cases"] if case["id"].startswith("D")} | set(FILE["elsewhere"])
    assert covered | set(FILE["not_yet"]) == set(FILE["ids"])
    assert not covered & set(FILE["not_yet"])
    for case_id, place in FILE["elsewhere"].items():
        assert f"# {case_id}\n" in (Path(__file__).parents[3] / place).read_text(), case_id
