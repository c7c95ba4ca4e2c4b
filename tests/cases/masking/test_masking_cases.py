"""Runs `cases.yaml`: what masking strategies make of values (data-plane §4.1, §4.4, §10.10)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.errors import InputError
from habeas.masking.registry import make_strategy

FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['id']} {case['strategy']}")
def test_a_strategy_masks_or_is_refused_as_its_case_says(case: dict[str, Any]) -> None:
    configuration = case.get("configuration", {})
    if "refused" in case:
        with pytest.raises(InputError) as caught:
            make_strategy(case["strategy"], configuration)
        assert case["refused"] in str(caught.value)
        return
    strategy = make_strategy(case["strategy"], configuration)
    secrets = FILE["secrets"].get(case["strategy"], {})
    assert strategy.mask(case["values"], secrets, case.get("length")) == case["masked"]


def test_every_id_has_a_case() -> None:
    covered = {case["id"] for case in FILE["cases"] if case["id"].startswith(("K", "S"))} | set(FILE["elsewhere"])
    assert covered == set(FILE["ids"])
    for place in FILE["elsewhere"].values():
        assert (Path(__file__).parents[3] / place).is_file()
