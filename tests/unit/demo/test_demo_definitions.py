"""The shipped datasets and policies lead the planner to exactly what the hand-written SQL expects."""

from importlib.resources import files

import pytest
import yaml

from habeas.demo import facts
from habeas.demo.checks import KEPT_BY_LAW
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.request import ActionType
from habeas.masking.registry import strategies
from habeas.planning.plan import OmitReason, Plan
from habeas.planning.plan_input import ConnectionState, PlacedDataset, PlanInput, StrategyFacts
from habeas.planning.planner import make_plan
from habeas.services.dataset_format import parse_datasets


def _read(name: str) -> str:
    return files("habeas.demo").joinpath(name).read_text(encoding="utf-8")


def _place(name: str) -> tuple[PlacedDataset, ...]:
    connection = ConnectionState(f"{name}_db", "sqlite" if name == "shop" else "duckdb")
    return tuple(PlacedDataset(item, connection) for item in parse_datasets(_read(f"datasets/{name}.yml"), source=name))


def _policy(key: str) -> Policy:
    item = next(item for item in yaml.safe_load(_read("policies.yml"))["policies"] if item["key"] == key)
    rules = tuple(
        Rule(
            key=rule["key"],
            name=rule["name"],
            action=ActionType(rule["action_type"]),
            categories=tuple(rule["targets"]),
            masking=Masking(**rule["masking_strategy"]) if "masking_strategy" in rule else None,
        )
        for rule in item["rules"]
    )
    return Policy(key, item["name"], rules)


def _plan(policy: str, *kinds: str) -> Plan:
    known = {name: StrategyFacts(text_only=kind.text_only) for name, kind in strategies().items()}
    return make_plan(PlanInput(_policy(policy), _place("shop") + _place("support"), frozenset(kinds), strategies=known))


@pytest.mark.parametrize("kind", ["email", "phone_number"])
def test_one_identity_leads_to_every_collection(kind: str) -> None:
    plan = _plan("shop_access", kind)
    assert {str(node.address) for node in plan.nodes} == {table.address for table in facts.TABLES}
    assert not plan.skipped


def test_the_access_policy_gives_what_plain_sql_expects() -> None:
    given, history = (
        {str(item.address): item.fields for item in rule.selections} for rule in _plan("shop_access", "email").access
    )
    assert given == {table.address: table.given for table in facts.TABLES if table.given}
    assert history == {table.address: table.history for table in facts.TABLES if table.history}


def test_the_erasure_policy_masks_what_plain_sql_expects() -> None:
    plan = _plan("shop_erasure", "email")
    masked = {
        str(item.address): {masking.field: masking.strategy for masking in item.maskings}
        for item in plan.erasure
        if item.maskings
    }
    assert masked == {
        table.address: dict.fromkeys(table.blanked, "null_rewrite")
        | dict.fromkeys(table.overwritten, "string_rewrite")
        | dict.fromkeys(table.pseudonymised, "hmac")
        for table in facts.TABLES
        if table.erased
    }


def test_one_field_is_kept_because_the_law_says_so() -> None:
    omitted = [
        (str(item.address), omission.field, omission.reason)
        for item in _plan("shop_erasure", "email").erasure
        for omission in item.omitted
    ]
    assert omitted == [(*KEPT_BY_LAW, OmitReason.READ_ONLY)]


def test_addresses_have_several_ways_in_and_the_support_desk_only_one() -> None:
    nodes = {str(node.address): node for node in _plan("shop_access", "email").nodes}
    assert {str(link.source) for link in nodes["shop:addresses"].links} == {
        "shop:customers",
        "shop:orders",
        "shop:payment_cards",
    }
    assert [(str(link.source), link.source_field) for link in nodes["support:tickets"].links] == [
        ("shop:customers", "support_id")
    ]
    assert [(str(link.source), link.source_field, link.field) for link in nodes["support:threads"].links] == [
        ("shop:customers", "support_id", "posts.writer")
    ]
    assert not any(
        link.identity for name in ("tickets", "threads", "agents") for link in nodes[f"support:{name}"].links
    )
