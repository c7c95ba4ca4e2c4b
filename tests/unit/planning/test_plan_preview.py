"""The plan as people and API clients see it, and the digest under odd configurations."""

import json
from time import perf_counter

import pytest

from habeas.domain.dataset import Address, Collection, Dataset, DataType, Direction, Field, Match, Reference
from habeas.domain.errors import InputError
from habeas.domain.policy import Masking, OnUnreachable, Policy, Rule, SharedRows
from habeas.domain.ports import ColumnSketch, Sketch, TableSketch
from habeas.domain.request import ActionType
from habeas.planning.planner import ConnectionState, PlacedDataset, PlanInput, StrategyFacts, make_plan
from habeas.planning.preview import preview_plan, render_plan

MEMBERS, ORDERS, LOST = (Address("shop", name) for name in ("members", "orders", "lost"))


def shop_input(configuration: dict[str, object] | None = None) -> PlanInput:
    members = (
        Field("age", ("user.demographic",)),
        Field("mail", ("user.contact.email",), identity="email", match=Match.CASEFOLD),
        Field("no", ("user.unique_id",), primary_key=True),
    )
    orders = (
        Field("buyer", references=(Reference(MEMBERS, "no", Direction.FROM),)),
        Field("no", primary_key=True),
        Field("parent", references=(Reference(ORDERS, "no", Direction.FROM),)),
    )
    columns = (
        ColumnSketch("age", "integer", text=False),
        ColumnSketch("mail", "text", text=True),
        ColumnSketch("no", "integer", text=False, nullable=False),
    )
    sketch = Sketch((TableSketch("members", None, columns, ("no",)),))
    shop = Dataset("shop", "Shop", (Collection("lost"), Collection("members", members), Collection("orders", orders)))
    rules = (
        Rule("give", "Give", ActionType.ACCESS, ("user",)),
        Rule("none", "None", ActionType.ACCESS, ("system",)),
        Rule("wipe", "Wipe", ActionType.ERASURE, ("user",), masking=Masking("hash", configuration or {})),
    )
    return PlanInput(
        Policy("p", "P", rules, on_unreachable=OnUnreachable.SKIP),
        (PlacedDataset(shop, ConnectionState("shop_db", "sqlite", sketch=sketch)),),
        frozenset({"email"}),
        strategies={"hash": StrategyFacts()},
    )


EXPECTED_TEXT = """\
Plan for policy p, identities: email
digest {digest}

Visits, in this order
  1. shop:members on shop_db
       mail = identity email (casefold)
       | SELECT age, mail, no
       | FROM members WHERE lower(mail) = ?
  2. shop:orders on shop_db, again and again with group 2
       buyer = shop:members.no
       parent = shop:orders.no

Access rule give returns
  shop:members: age, mail, no

Access rule none returns
  nothing: no visited field has a category it covers

Erasure, in this order
  1. shop:members
       age: hash by rule wipe (null instead: the column cannot hold the text)
       mail: hash by rule wipe
       no: kept (primary keys are never masked)
       | UPDATE members SET …

Not visited
  shop:lost: not reachable with the identities given (no identity leads to it)

Warnings
  shop:members.mail is matched by casefold: without an index on that expression the whole table is read"""


def test_the_text_says_order_statements_rules_and_what_is_left_out() -> None:
    plan = make_plan(shop_input())
    reads = {MEMBERS: "SELECT age, mail, no\nFROM members WHERE lower(mail) = ?"}
    text = render_plan(plan, reads, {MEMBERS: "UPDATE members SET …"})
    assert text == EXPECTED_TEXT.format(digest=plan.digest)


def test_the_preview_is_json_and_says_the_same() -> None:
    preview = preview_plan(make_plan(shop_input()), {MEMBERS: "SELECT 1"})
    read = json.loads(json.dumps(preview))
    assert read == preview
    assert read["visits"][0]["statement"] == "SELECT 1"
    assert read["visits"][1]["cyclic"] is True
    assert read["visits"][1]["after_groups"] == [0]
    assert read["access"] == {"give": {"shop:members": ["age", "mail", "no"]}, "none": {}}
    assert read["erasure"][0]["omits"] == [{"field": "no", "reason": "primary keys are never masked"}]
    assert read["skipped"][0]["collection"] == "shop:lost"


def documents_input() -> PlanInput:
    members = (
        Field("home", fields=(Field("town", ("user.contact.address.city",)),)),
        Field("mails", ("user.contact.email",), DataType.STRING, identity="email", array=True, all_elements=True),
    )
    docs = Dataset(
        "docs",
        "Docs",
        (
            Collection("members", (*members, Field("no", primary_key=True))),
            Collection("visits", (Field("mail", ("user.contact.email",), identity="email"),)),
            Collection("notes", (Field("mail", ("user.contact",), identity="email"),), delete=True),
        ),
    )
    rules = (
        Rule("give", "Give", ActionType.ACCESS, ("user",)),
        Rule("wipe", "Wipe", ActionType.ERASURE, ("user",), masking=Masking("hash")),
    )
    return PlanInput(
        Policy("p", "P", rules, shared_rows=SharedRows.SKIP),
        (PlacedDataset(docs, ConnectionState("docs", "duckdb")),),
        frozenset({"email"}),
        strategies={"hash": StrategyFacts()},
    )


def test_the_text_shows_paths_deletes_and_rows_without_a_key() -> None:
    text = render_plan(make_plan(documents_input()), {})
    assert "       mails = identity email (whole arrays)\n" in text
    assert "  docs:members: home.town, mails\n" in text
    assert text.endswith("""
Erasure, in this order
  rows that other people own too are left, and listed
  1. docs:visits
       without a key: rows are found by all that was read of them
       mail: hash by rule wipe
  2. docs:notes: rows are deleted
       without a key: rows are found by all that was read of them
  3. docs:members
       home.town: hash by rule wipe
       mails: hash by rule wipe""")


def test_the_preview_says_the_same_of_documents() -> None:
    preview = preview_plan(make_plan(documents_input()), {})
    assert preview == json.loads(json.dumps(preview))
    assert preview["shared_rows"] == "skip"
    assert [(item["collection"], item["deletes"], item["key"]) for item in preview["erasure"]] == [
        ("docs:visits", False, []),
        ("docs:notes", True, []),
        ("docs:members", False, ["no"]),
    ]


def test_an_empty_plan_says_so() -> None:
    plan = make_plan(PlanInput(shop_input().policy, (), frozenset({"email"}), strategies={"hash": StrategyFacts()}))
    text = render_plan(plan, {})
    assert "Visits, in this order\n  none" in text
    assert "nothing: no visited field has a category that an erasure rule covers" in text


def test_a_configuration_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="type object"):
        make_plan(shop_input({"rewrite_value": object()}))


def wide_input(count: int) -> PlanInput:
    """A tree of `count` collections of ten fields each, with a sketch."""
    collections, tables = [], []
    for number in range(count):
        link = (Reference(Address("wide", f"c{(number - 1) // 3:04}"), "f0"),) if number else ()
        identity = None if number else "email"
        fields = (
            Field("f0", ("user.unique_id",), primary_key=True),
            Field("f1", ("user.contact.email",), identity=identity, references=link),
            *(Field(f"f{item}", ("user.name",)) for item in range(2, 10)),
        )
        columns = tuple(ColumnSketch(item.name, "text", text=True) for item in fields)
        collections.append(Collection(f"c{number:04}", fields))
        tables.append(TableSketch(f"c{number:04}", None, columns, ("f0",)))
    dataset = Dataset("wide", "Wide", tuple(collections))
    connection = ConnectionState("wide", "sqlite", sketch=Sketch(tuple(tables)))
    return PlanInput(
        shop_input().policy,
        (PlacedDataset(dataset, connection),),
        frozenset({"email"}),
        strategies={"hash": StrategyFacts()},
    )


def test_planning_a_thousand_collections_is_near_linear() -> None:
    """Compared with a tenth of them in the same run, so that a slow machine does not matter."""

    def seconds(given: PlanInput) -> float:
        best = float("inf")
        for _ in range(3):
            start = perf_counter()
            make_plan(given)
            best = min(best, perf_counter() - start)
        return best

    assert seconds(wide_input(1000)) < 30 * seconds(wide_input(100))
