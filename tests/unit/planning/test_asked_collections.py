"""Collections that people look into, and companies that are asked by e-mail, in the plan."""

import pytest

from cases.planning.test_planning_cases import describe, read_dataset
from habeas.domain.dataset import Address
from habeas.domain.errors import DatasetError
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.ports import SystemType
from habeas.domain.request import ActionType
from habeas.execution.erasure_emails import MailedDataset, instruct
from habeas.planning.plan import Plan
from habeas.planning.planner import (
    ConnectionState,
    PlacedDataset,
    PlanInput,
    StrategyFacts,
    make_plan,
    traversability,
)

SHOP = read_dataset("shop", {"people": {"id": "key", "mail": "identity email", "card": "from desk.cards.card"}})
CARDS = {"card": "key", "person": "from shop.people.id", "remark": "user.content"}


def place(system: SystemType, fields: dict[str, str]) -> PlacedDataset:
    return PlacedDataset(read_dataset("desk", {"cards": fields}), ConnectionState("desk", system, system=system))


def plan(system: SystemType, fields: dict[str, str]) -> Plan:
    rule = Rule("wipe", "Wipe", ActionType.ERASURE, ("user",), masking=Masking("null_rewrite", {}))
    strategies = {"null_rewrite": StrategyFacts(null=True, text_only=False)}
    given = (place(system, fields),)
    return make_plan(PlanInput(Policy("policy", "Policy", (rule,)), given, frozenset({"email"}), strategies=strategies))


KEYED = {"card": "key", "mail": "identity email", "remark": "user.content"}
KEYLESS = {"mail": "identity email", "remark": "user.content"}


def test_the_plan_says_whether_people_are_asked_or_written_to() -> None:
    manual, mailed = plan(SystemType.MANUAL, KEYED), plan(SystemType.EMAIL, KEYED)
    store = plan(SystemType.DATABASE, KEYED)
    assert [(made.asks, made.mails) for made in (manual, mailed, store)] == [(True, False), (False, True), (False,) * 2]
    assert len({made.digest for made in (manual, mailed, store)}) == 3


def test_people_need_no_key_and_companies_do() -> None:
    assert describe(plan(SystemType.MANUAL, KEYLESS))["erasure"]["desk:cards"] == ["remark null_rewrite"]
    mailed = plan(SystemType.EMAIL, KEYLESS)
    assert describe(mailed)["erasure"]["desk:cards"] == ["remark kept NO_KEY"]
    assert not mailed.mails


def test_people_are_never_asked_in_circles() -> None:
    around = [PlacedDataset(SHOP, ConnectionState("shop", "memory")), place(SystemType.MANUAL, CARDS)]
    fits, reason = traversability(around)
    assert not fits
    assert reason.startswith("desk:cards: people look into this collection")
    with pytest.raises(DatasetError, match="leads back to it"):
        make_plan(
            PlanInput(Policy("p", "P", (Rule("r", "R", ActionType.ACCESS),)), tuple(around), frozenset({"email"}))
        )
    stored = [around[0], place(SystemType.DATABASE, CARDS)]
    assert traversability(stored) == (True, "")


def test_a_letter_needs_somebody_to_find_and_something_to_erase() -> None:
    made = plan(SystemType.EMAIL, KEYED)
    own = {"desk:cards": {"remark": "null_rewrite"}}
    dataset = MailedDataset("desk", "desk", [made.node(Address("desk", "cards"))], own)
    (one,) = instruct(dataset, lambda node: {"mail": ["ann@example.com", 7]})
    assert (one.collection, one.locators, one.update) == (
        "desk:cards",
        {"mail": ["ann@example.com", "7"]},
        {"remark": "null_rewrite"},
    )
    assert instruct(dataset, lambda node: {}) == []
    idle = MailedDataset("desk", "desk", dataset.nodes, {})
    assert instruct(idle, lambda node: {"mail": ["ann@example.com"]}) == []
