"""A column that its store refuses to change while other rows refer to its row stays, and the plan says why."""

from dataclasses import replace

from cases.planning.test_planning_cases import describe, read_dataset, read_sketch
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.request import ActionType
from habeas.masking.registry import strategies
from habeas.planning.planner import AccessLevel, ConnectionState, PlacedDataset, PlanInput, StrategyFacts, make_plan

FACTS = {
    name: StrategyFacts(text_only=kind.text_only, constant=kind.constant, null=kind.null, keeps=kind.keeps)
    for name, kind in strategies().items()
}


def plan(*pinned: str) -> object:
    fields = {"id": "key", "mail": "identity email, user.contact.email", "nick": "user.name"}
    dataset = read_dataset("shop", {"a": fields})
    sketch = read_sketch({"a": {"id": "integer primary", "mail": "text unique", "nick": "text"}})
    (table,) = sketch.tables
    columns = tuple(replace(column, pinned=column.name in pinned) for column in table.columns)
    sketch = replace(sketch, tables=(replace(table, columns=columns),))
    rule = Rule("wipe", "Wipe", ActionType.ERASURE, ("user",), masking=Masking("null_rewrite", {}))
    placed = (PlacedDataset(dataset, ConnectionState("shop", "duckdb", AccessLevel.WRITE, sketch=sketch)),)
    made = make_plan(PlanInput(Policy("policy", "Policy", (rule,)), placed, frozenset({"email"}), strategies=FACTS))
    return describe(made)["erasure"]["shop:a"]


def test_pinned_columns_are_preserved_with_the_reason_and_others_are_masked() -> None:
    assert plan() == ["mail null_rewrite", "nick null_rewrite"]
    assert plan("mail") == ["mail kept FOREIGN_KEY", "nick null_rewrite"]
