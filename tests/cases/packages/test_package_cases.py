"""Runs `cases.yaml`: rows found → packages in each format (data-plane §10.7)."""

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

from habeas.delivery.csv_package import Title
from habeas.delivery.package import write_package
from habeas.delivery.section import Section
from habeas.domain.dataset import Address

FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
INDEX: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("policy_and_storage.yaml").read_text())


def write(case: dict[str, Any], package_format: str) -> bytes:
    file = io.BytesIO()
    package = write_package(package_format, file, Title("pri_1", "give"))
    for found in case["found"]:
        columns = list(dict.fromkeys(name for row in found["rows"] for name in row))
        for row in found["rows"]:
            section = Section(Address.parse(found["address"]), found["fields"], columns)
            if picked := section.pick([row[name] for name in columns]):
                package.add(section, picked)
    package.close()
    return file.getvalue()


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['id']} {case['title']}")
def test_a_json_package_holds_what_its_case_says(case: dict[str, Any]) -> None:
    assert write(case, "json").decode() == json.dumps(case["package"], indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    "case", [case for case in FILE["cases"] if "csv" in case], ids=lambda case: f"{case['id']} {case['title']}"
)
def test_a_csv_package_holds_what_its_case_says(case: dict[str, Any]) -> None:
    with ZipFile(io.BytesIO(write(case, "csv"))) as package:
        members = {name: package.read(name).decode() for name in package.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    assert {name: text.replace("\r\n", "\n") for name, text in members.items()} == case["csv"]
    assert {member["collection"]: member["rows"] for member in manifest["members"]} == {
        address: len(rows) for address, rows in case["package"].items()
    }


def test_every_id_of_the_section_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in FILE["cases"]} - {"own"}
    assert covered | set(FILE["not_yet"]) == set(FILE["ids"])
    assert not covered & set(FILE["not_yet"])


def test_every_id_of_policy_and_storage_is_named_by_a_test_or_has_a_reason() -> None:
    assert set(INDEX["elsewhere"]) | set(INDEX["not_yet"]) == set(INDEX["ids"])
    assert not set(INDEX["elsewhere"]) & set(INDEX["not_yet"])
    for case_id, place in INDEX["elsewhere"].items():
        assert f"# {case_id}\n" in (Path(__file__).parents[3] / place).read_text(), case_id
