"""Runs `cases.yaml`: what is found, kept and replaced inside of nested rows; README.md says how to read a case."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.dataset import DataType, coerce
from habeas.domain.documents import Position, Rewrite, Version, collect, map_places, mark, narrow, places

CASES_ROOT = Path(__file__).parents[1]
FILE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
Case = Mapping[str, Any]


def split(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


def find(row: object, path: str, wanted: list[object] | None) -> list[Position]:
    """Where the wanted values stand; all places of the path when nothing is said."""
    marks = None if wanted is None else {mark(value) for value in wanted}
    return [place for place, value in places(row, split(path)) if marks is None or mark(value) in marks]


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['id']} {case.get('title', case['row'])}")
def test_case(case: Case) -> None:
    row = case["row"]
    if "collected" in case:
        assert collect(row, split(case["path"])) == case["collected"]
    if "positions" in case:
        expected = [tuple(position) for position in case["positions"]]
        assert find(row, case["path"], case.get("wanted")) == expected
    if "narrowed" in case or "erased" in case:
        matched = [place for path, wanted in case.get("found", {}).items() for place in find(row, path, wanted)]
        own, positions = narrow(row, matched)
        if "narrowed" in case:
            assert own == case["narrowed"]
        if "erased" in case:
            paths = tuple(split(path) for path in case.get("mask", case.get("found", {})))
            after = own
            for path in paths:
                after = map_places(after, path, lambda _: None)
            done = Rewrite(paths, (Version(own, after, positions),)).apply(row)
            assert done.value == case["erased"]
            assert (done.drifted, done.missing) == (0, 0)
            assert (done.changed == 0) == (case.get("unchanged", row == case["erased"]))


def test_several_entries_narrow_together() -> None:
    """P13: positions by several paths are a union, whatever their order and depth."""
    row = {"a": [{"b": 1, "c": [{"d": 2}, {"d": 3}]}, {"b": 4, "c": [{"d": 2}]}, {"b": 5, "c": []}]}
    found = [*find(row, "a.c.d", [2]), *find(row, "a.b", [1])]
    both = {"a": [{"b": 1, "c": [{"d": 2}]}, {"b": 4, "c": [{"d": 2}]}]}
    assert narrow(row, found)[0] == narrow(row, reversed(found))[0] == both


def test_in_an_element_that_others_edited_the_elements_of_others_stay() -> None:
    """N06: edited, it may be either of Ann's two; of its array only what was hers by a value is."""
    row = {"a": [{"who": "ann", "text": "t1", "likes": ["u1", "u2"]}, {"who": "ann", "text": "t2", "likes": ["u3"]}]}
    own, positions = narrow(row, [*find(row, "a.who", ["ann"]), *find(row, "a.likes", ["u1"])])
    after = map_places(own, ("a", "likes"), lambda _: None)
    held = {"a": [{"who": "ann", "text": "edited", "likes": ["u1", "u2"]}, row["a"][1]]}
    done = Rewrite((("a", "likes"),), (Version(own, after, positions),)).apply(held)
    assert done.value == {
        "a": [{"who": "ann", "text": "edited", "likes": [None, "u2"]}, {"who": "ann", "text": "t2", "likes": [None]}]
    }


def test_wanted_values_have_the_type_of_the_field() -> None:
    """N16: numbers that arrive at an array of texts are cast before they are looked for."""
    row = {"codes": ["123", "9"]}
    wanted = [coerce(123, DataType.STRING)]
    assert narrow(row, find(row, "codes", wanted))[0] == {"codes": ["123"]}


def test_every_id_of_the_sections_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in FILE["cases"]} | {"P13", "N16"}
    elsewhere, not_yet = FILE["elsewhere"], FILE["not_yet"]
    ids = {case_id for section in FILE["sections"].values() for case_id in section}
    assert covered | set(elsewhere) | set(not_yet) == ids
    assert not (covered | set(elsewhere)) & set(not_yet)
    for case_id, place in elsewhere.items():
        assert case_id in {case["id"] for case in yaml.safe_load((CASES_ROOT / place).read_text())}
