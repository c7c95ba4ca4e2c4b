"""Composite foreign keys cannot be followed column by column: that would find other people's rows."""

import pytest

from habeas.domain.dataset import Address, Collection, Dataset, Direction, Field, Reference
from habeas.domain.errors import DatasetError
from habeas.domain.policy import Policy, Rule
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch
from habeas.domain.request import ActionType
from habeas.planning.planner import ConnectionState, PlacedDataset, PlanInput, check_against_sketch, make_plan


def describe(*followed: str) -> Dataset:
    orders = Collection("orders", (Field("mail", identity="email"), Field("number"), Field("tenant")))
    links = {name: (Reference(Address("shop", "orders"), name, Direction.FROM),) for name in followed}
    lines = Collection("lines", tuple(Field(name, references=links.get(name, ())) for name in ("number", "tenant")))
    return Dataset("shop", "Shop", (lines, orders))


def sketch(*columns: str) -> Sketch:
    def table(name: str, fields: tuple[str, ...], keys: tuple[ForeignKeySketch, ...] = ()) -> TableSketch:
        return TableSketch(name, None, tuple(ColumnSketch(field, "text", True) for field in fields), foreign_keys=keys)

    key = ForeignKeySketch(columns, None, "orders", columns)
    return Sketch((table("lines", ("number", "tenant"), (key,)), table("orders", ("mail", "number", "tenant"))))


def plan_input(dataset: Dataset, known: Sketch | None) -> PlanInput:
    policy = Policy("p", "P", (Rule("r", "R", ActionType.ACCESS, ("user",), "s"),))
    return PlanInput(
        policy, (PlacedDataset(dataset, ConnectionState("c", "sqlite", sketch=known)),), frozenset({"email"})
    )


def test_both_columns_of_one_key_are_refused_at_save_and_when_planning() -> None:
    dataset, known = describe("number", "tenant"), sketch("tenant", "number")
    with pytest.raises(DatasetError, match="one composite foreign key"):
        check_against_sketch(dataset, known)
    with pytest.raises(DatasetError, match="one composite foreign key"):
        make_plan(plan_input(dataset, known))


def test_one_column_that_identifies_the_row_may_be_followed() -> None:
    check_against_sketch(describe("number"), sketch("tenant", "number"))


def test_without_a_constraint_the_plan_warns() -> None:
    (warning,) = make_plan(plan_input(describe("number", "tenant"), None)).warnings
    assert "by any of number = number or tenant = tenant, not by all together" in warning
