"""How a strategy is fitted to its column: what is preserved, and what a unique column takes instead of a short text."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from cases.planning.test_planning_cases import describe, read_dataset, read_sketch
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.request import ActionType
from habeas.masking.registry import strategies
from habeas.planning.plan import Plan
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, PlanInput, StrategyFacts, make_plan
from habeas.planning.preview import preview_plan, render_plan

FACTS = {
    name: StrategyFacts(text_only=kind.text_only, constant=kind.constant, null=kind.null, keeps=kind.keeps)
    for name, kind in strategies().items()
}
SUFFIX = {"format_preservation": {"suffix": "@masked.example"}}  # 15 characters


@dataclass(frozen=True, slots=True)
class Column:
    """The one column that is masked: words of the dataset and of the sketch (tests/cases/planning/README.md)."""

    sketch: str
    words: str = ""


def make(
    column: Column,
    strategy: str,
    configuration: Mapping[str, object] | None = None,
    access: AccessLevel = AccessLevel.WRITE,
) -> Plan:
    dataset = read_dataset("shop", {"a": {"id": "key", "mail": "identity email", "x": f"user.name, {column.words}"}})
    sketch = read_sketch({"a": {"id": "integer primary", "mail": "text", "x": column.sketch}})
    rule = Rule("wipe", "Wipe", ActionType.ERASURE, ("user",), masking=Masking(strategy, configuration or {}))
    connection = ConnectionState("shop", "sqlite", access, sketch=sketch)
    placed = (PlacedDataset(dataset, connection),)
    return make_plan(PlanInput(Policy("policy", "Policy", (rule,)), placed, frozenset({"email"}), strategies=FACTS))


def fit(column: Column, strategy: str, configuration: Mapping[str, object] | None = None) -> str:
    [found] = describe(make(column, strategy, configuration))["erasure"]["shop:a"]
    return str(found)


@pytest.mark.parametrize(
    ("column", "strategy"),
    [
        (Column("text"), "preserve"),
        (Column("integer notnull"), "preserve"),
        (Column("text 5 unique", "length 3"), "preserve"),
        (Column("text", "read-only"), "preserve"),
        (Column("text", "mask preserve"), "hash"),
    ],
)
def test_what_is_preserved_is_kept_and_not_masked_whatever_its_column_is(column: Column, strategy: str) -> None:
    assert fit(column, strategy) == "x kept PRESERVED"


def test_what_is_preserved_on_a_read_only_connection_is_kept_by_the_policy_first() -> None:
    plan = make(Column("text"), "preserve", access=AccessLevel.READ)
    assert describe(plan)["erasure"] == {"shop:a": ["x kept PRESERVED"]}


def test_the_plan_says_what_is_preserved() -> None:
    plan = make(Column("text"), "preserve")
    [shown] = preview_plan(plan, {})["erasure"]  # type: ignore[misc]
    assert shown["omits"] == [{"field": "x", "reason": "the masking strategy keeps it"}]
    assert "x: kept (the masking strategy keeps it)" in render_plan(plan, {})


@pytest.mark.parametrize("strategy", ["random_string_rewrite", "aes_encrypt", "hash", "hmac", "string_rewrite"])
def test_text_strategies_fall_back_to_null_where_no_text_fits(strategy: str) -> None:
    assert fit(Column("integer"), strategy) == f"x {strategy} as NULL"
    assert fit(Column("text", "integer"), strategy) == f"x {strategy} as NULL"
    assert fit(Column("integer notnull"), strategy) == "x kept NOT_NULL"


@pytest.mark.parametrize("strategy", ["random_string_rewrite", "aes_encrypt", "hash", "hmac"])
@pytest.mark.parametrize(
    ("sketch", "configuration", "fitted"),
    [
        ("text unique", {}, ""),
        ("text unique", SUFFIX, ""),
        ("text 12 unique", {}, " length 12"),
        ("text 27 unique", SUFFIX, " length 27"),
        ("text 26 unique", SUFFIX, " as DERIVED length 26"),  # 11 characters beside the suffix
        ("text 11 unique", {}, " as NULL length 11"),
        ("text 11 unique notnull", {}, " as DERIVED length 11"),
        ("text 5", SUFFIX, " length 5"),
    ],
)
def test_a_derived_text_that_is_cut_short_is_replaced_where_it_must_be_unique(
    strategy: str, sketch: str, configuration: Mapping[str, object], fitted: str
) -> None:
    assert fit(Column(sketch), strategy, configuration) == f"x {strategy}{fitted}"


@pytest.mark.parametrize(
    ("sketch", "length", "fitted"),
    [("unique", 11, " as DERIVED"), ("unique", 12, ""), ("unique", None, ""), ("", 5, "")],
)
def test_few_random_characters_are_replaced_where_they_must_be_unique(
    sketch: str, length: int | None, fitted: str
) -> None:
    found = fit(Column(f"text {sketch}"), "random_string_rewrite", {"length": length})
    assert found == f"x random_string_rewrite{fitted}"


@pytest.mark.parametrize(
    ("sketch", "fitted"),
    [
        ("text unique", " as DERIVED"),
        ("text 12 unique", " as DERIVED length 12"),
        ("text 11 unique", " as NULL length 11"),
        ("text 11 unique notnull", " as DERIVED length 11"),
        ("text 11", " length 11"),
    ],
)
def test_a_constant_is_replaced_where_it_must_be_unique(sketch: str, fitted: str) -> None:
    assert fit(Column(sketch), "string_rewrite", {"rewrite_value": "GONE"}) == f"x string_rewrite{fitted}"
