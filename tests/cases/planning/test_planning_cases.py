"""Runs the planning case files (README.md beside this file says how to read them)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from habeas.domain.dataset import (
    Address,
    Collection,
    Dataset,
    DataType,
    Direction,
    Field,
    MaskingOverride,
    Match,
    Reference,
)
from habeas.domain.errors import HabeasError, InputError, Unreachable
from habeas.domain.policy import Masking, OnUnreachable, Policy, Rule, SharedRows
from habeas.domain.ports import ColumnSketch, ForeignKeySketch, Sketch, TableSketch
from habeas.domain.request import ActionType
from habeas.planning.plan import FieldMasking, Group, Link, Plan
from habeas.planning.planner import (
    AccessLevel,
    ConnectionState,
    PlacedDataset,
    PlanInput,
    StrategyFacts,
    make_plan,
)
from habeas.planning.preview import preview_plan, render_plan

HERE = Path(__file__).parent
Case = Mapping[str, Any]

STRATEGIES = {
    "null_rewrite": StrategyFacts(text_only=False, null=True),
    "string_rewrite": StrategyFacts(constant=True),
    "hash": StrategyFacts(),
    "hmac": StrategyFacts(),
    "preserve": StrategyFacts(text_only=False, keeps=True),
}

ROWS_10_3 = {f"G{number:02}" for number in (2, 4, 9, *range(12, 16), *range(18, 33), 34, 35)}
ROWS_10_4 = {f"V{number:02}" for number in (3, 4, 6, 7, 9, 10, 11, 15, 17, 18, 20)}

GIVEN = {
    "id", "title", "datasets", "chain", "identities", "on_unreachable", "dataset_keys", "disabled", "read_only",
    "cannot_erase", "rules", "sketch", "sharing",
}  # fmt: skip
EXPECTED = {
    "order", "reached", "groups", "links", "feeds", "tables", "skipped", "warnings", "access", "affected", "erasure",
    "erasure_order", "unreachable", "hint", "refused", "not_named", "addresses_refused", "shared_rows",
    "quiet",
}  # fmt: skip


def load_cases() -> list[Case]:
    return [
        case
        for file in sorted(HERE.glob("*.yaml"))
        if file.name != "not-yet.yaml"
        for case in yaml.safe_load(file.read_text())
    ]


CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['title']}")
def test_case(case: Case) -> None:
    assert set(case) <= GIVEN | EXPECTED, "the case has a key that nobody reads"
    assert set(case) & EXPECTED, "the case expects nothing"
    if "addresses_refused" in case:
        for text in case["addresses_refused"]:
            with pytest.raises(InputError, match="dataset:collection"):
                Address.parse(text)
    elif "unreachable" in case:
        with pytest.raises(Unreachable) as caught:
            make_plan(read_input(case))
        assert list(caught.value.addresses) == case["unreachable"]
        assert case.get("hint", "") in caught.value.hint
        assert all(name in caught.value.message for name in case["unreachable"])
    elif "refused" in case:
        with pytest.raises(HabeasError) as error:
            make_plan(read_input(case))
        assert [part for part in case["refused"] if part not in str(error.value)] == []
        assert [part for part in case.get("not_named", ()) if part in str(error.value)] == []
    else:
        compare(case, make_plan(read_input(case)))


def test_every_row_of_the_specification_is_a_case_or_has_a_reason() -> None:
    runs = [case for file in HERE.parent.glob("runs/*.yaml") for case in yaml.safe_load(file.read_text())]
    nested = yaml.safe_load((HERE.parent / "documents" / "cases.yaml").read_text())["cases"]
    cases = {case["id"] for case in [*CASES, *runs, *nested]}
    not_yet = yaml.safe_load((HERE / "not-yet.yaml").read_text())
    assert all(not_yet.values())
    assert not cases & set(not_yet)
    assert cases | set(not_yet) >= ROWS_10_3 | ROWS_10_4


# What a case gives


def read_input(case: Case) -> PlanInput:
    datasets = read_chain(**case["chain"]) if "chain" in case else case["datasets"]
    sketches = case.get("sketch", {})

    def connection(name: str) -> ConnectionState:
        return ConnectionState(
            name,
            "sqlite",
            AccessLevel.READ if name in case.get("read_only", ()) else AccessLevel.WRITE,
            disabled=name in case.get("disabled", ()),
            erases=name not in case.get("cannot_erase", ()),
            sketch=read_sketch(sketches[name]) if name in sketches else None,
        )

    keys = case.get("dataset_keys")
    return PlanInput(
        policy=read_policy(case),
        datasets=tuple(PlacedDataset(read_dataset(name, body), connection(name)) for name, body in datasets.items()),
        identity_kinds=frozenset(case.get("identities", ["email"])),
        dataset_keys=None if keys is None else frozenset(keys),
        strategies=STRATEGIES,
    )


def read_chain(collections: int, identity_at: int) -> dict[str, Any]:
    chain = {f"c{number:02}": {"id": f"with c{number + 1:02}.id"} for number in range(collections - 1)}
    chain[f"c{collections - 1:02}"] = {"id": ""}
    chain[f"c{identity_at:02}"]["mail"] = "identity email"
    return {"shop": chain}


def read_policy(case: Case) -> Policy:
    rules = tuple(read_rule(key, text) for key, text in case.get("rules", {"give": "access user"}).items())
    return Policy(
        "policy",
        "Policy",
        rules,
        on_unreachable=OnUnreachable(case.get("on_unreachable", "fail")),
        shared_rows=SharedRows(case.get("sharing", "mask")),
    )


def read_rule(key: str, text: str) -> Rule:
    action, *words = text.split()
    if action == "access":
        return Rule(key, key, ActionType.ACCESS, tuple(words))
    return Rule(key, key, ActionType.ERASURE, tuple(words[:-1]), masking=Masking(words[-1]))


def read_dataset(key: str, body: Mapping[str, Any]) -> Dataset:
    names = sorted(name for name in body if not name.startswith("_"))
    collections = tuple(read_collection(key, name, body[name]) for name in names)
    return Dataset(key, key, collections, after=tuple(body.get("_after", ())))


def read_collection(dataset: str, name: str, body: Mapping[str, Any]) -> Collection:
    return Collection(
        name,
        read_fields(dataset, body),
        after=tuple(Address(*_parts(dataset, text, 2)) for text in body.get("_after", ())),
        skip_processing=body.get("_skip", False),
        categories=tuple(body.get("_categories", ())),
        erase_after=tuple(Address(*_parts(dataset, text, 2)) for text in body.get("_erase_after", ())),
        delete=body.get("_delete", False),
    )


def read_fields(dataset: str, body: Mapping[str, Any]) -> tuple[Field, ...]:
    names = {yaml_name(name): words for name, words in body.items() if not str(name).startswith("_")}
    return tuple(read_field(dataset, name, words) for name, words in sorted(names.items()))


def read_field(dataset: str, name: str, words: str | Mapping[str, Any]) -> Field:
    if not isinstance(words, str):
        field = read_field(dataset, name, words.get("_is", ""))
        return replace(field, fields=read_fields(dataset, words))
    text = words
    settings: dict[str, Any] = {}
    categories, references = [], []
    for phrase in filter(None, (part.strip() for part in text.split(","))):
        word, _, rest = phrase.partition(" ")
        if word in ("from", "to", "with"):
            direction = None if word == "with" else Direction(word)
            references.append(Reference(*read_target(dataset, rest), direction))
        elif word == "all":
            settings["all_elements"] = True
        elif word.endswith("[]"):
            settings["data_type"], settings["array"] = DataType(word.removesuffix("[]")), True
        elif word == "key":
            settings["primary_key"] = True
        elif word == "read-only":
            settings["read_only"] = True
        elif word == "identity":
            settings["identity"] = rest
        elif word == "match":
            settings["match"] = Match(rest)
        elif word == "length":
            settings["length"] = int(rest)
        elif word == "mask":
            settings["masking"] = MaskingOverride(rest)
        elif word in set(DataType):
            settings["data_type"] = DataType(word)
        else:
            assert word.split(".")[0] in ("user", "system"), f"{word!r} is no word of a case"
            categories.append(word)
    return Field(name, tuple(categories), references=tuple(references), **settings)


def read_target(dataset: str, text: str) -> tuple[Address, str]:
    if ":" in text:
        dataset, _, path = text.partition(":")
        collection, _, field = path.partition(".")
    else:
        dataset, collection, field = _parts(dataset, text, 3)
    return Address(dataset, collection), field


def yaml_name(name: object) -> str:
    """YAML reads the bare word `no` as false."""
    return "no" if name is False else str(name)


def _parts(dataset: str, text: str, count: int) -> list[str]:
    parts = text.split(".")
    return parts if len(parts) == count else [dataset, *parts]


def read_sketch(body: Mapping[str, Any]) -> Sketch:
    return Sketch(tuple(read_table(name, columns) for name, columns in body.items()))


def read_table(name: str, body: Mapping[str, Any]) -> TableSketch:
    described = {yaml_name(key): value for key, value in body.items() if key not in ("_unique", "_view")}
    columns = {
        key: (value if isinstance(value, str) else value.get("_is", "object")).split()
        for key, value in described.items()
    }
    singles = tuple((column,) for column, words in columns.items() if "unique" in words)
    return TableSketch(
        name,
        None,
        tuple(read_column(column, value) for column, value in described.items()),
        primary_key=tuple(column for column, words in columns.items() if "primary" in words),
        unique=singles + tuple(tuple(yaml_name(item) for item in group) for group in body.get("_unique", ())),
        foreign_keys=tuple(
            read_foreign_key(column, words) for column, words in columns.items() if "references" in words
        ),
        locatable=not body.get("_view", False),
    )


def read_column(name: str, value: str | Mapping[str, Any]) -> ColumnSketch:
    if not isinstance(value, str):
        members = tuple(
            read_column(yaml_name(key), inner) for key, inner in value.items() if not str(key).startswith("_")
        )
        return replace(read_column(name, value.get("_is", "object")), fields=members)
    words = value.split()
    return ColumnSketch(
        name,
        words[0],
        text=words[0] in ("text", "text[]"),
        document=words[0] == "document",
        array=words[0].endswith("[]"),
        nullable=not {"notnull", "primary"} & set(words),
        length=next((int(word) for word in words if word.isdigit()), None),
    )


def read_foreign_key(column: str, words: list[str]) -> ForeignKeySketch:
    table, target = words[words.index("references") + 1].split(".")
    return ForeignKeySketch((column,), None, table, (target,), cascades="cascades" in words)


# What a case expects


def compare(case: Case, plan: Plan) -> None:
    found = describe(plan)
    for name in set(case) & EXPECTED - {"links", "feeds", "tables", "warnings"}:
        assert found[name] == case[name], name
    for name in ("links", "feeds", "tables"):
        for address, expected in case.get(name, {}).items():
            assert found[name][address] == expected, f"{name} of {address}"
    for part in case.get("warnings", ()):
        assert any(part in warning for warning in plan.warnings), plan.warnings
    text = render_plan(plan, {})
    assert all(str(node.address) in text for node in plan.nodes)
    assert preview_plan(plan, {})["digest"] == plan.digest


def describe(plan: Plan) -> dict[str, Any]:
    return {
        "order": [str(node.address) for node in plan.nodes],
        "reached": len(plan.nodes),
        "groups": [describe_group(group) for group in plan.groups],
        "links": {str(node.address): [describe_link(link) for link in node.links] for node in plan.nodes},
        "feeds": {str(node.address): list(node.feeds) for node in plan.nodes},
        "tables": {
            str(node.address): {"columns": list(node.table.columns), "key": list(node.table.key)} for node in plan.nodes
        },
        "skipped": {
            str(item.address): item.reason.name + (f": {item.detail}" if item.detail else "") for item in plan.skipped
        },
        "access": {
            rule.rule: {str(item.address): list(item.fields) for item in rule.selections} for rule in plan.access
        },
        "affected": {
            "access": [field.path for item in plan.affected for field in item.access],
            "erasure": [field.path for item in plan.affected for field in item.erasure],
        },
        "erasure": {
            str(item.address): sorted(
                [
                    *map(describe_masking, item.maskings),
                    *(f"{kept.field} kept {kept.reason.name}" for kept in item.omitted),
                    *["rows deleted"] * item.delete,
                ]
            )
            for item in plan.erasure
        },
        "erasure_order": [str(item.address) for item in plan.erasure],
        "shared_rows": plan.shared_rows.value,
        "quiet": not plan.warnings,
    }


def describe_group(group: Group) -> str:
    nodes = " ".join(map(str, group.nodes))
    after = "".join(f" {number + 1}" for number in group.upstream)
    return (f"({nodes})" if group.cyclic else nodes) + (f" after{after}" if after else "")


def describe_link(link: Link) -> str:
    origin = link.identity if link.source is None else f"{link.source}.{link.source_field}"
    match = "" if link.match is Match.EXACT else f" ({link.match.value})"
    return f"{link.field} = {origin}{match}" + (" all" if link.all_elements else "")


def describe_masking(item: FieldMasking) -> str:
    def words() -> Iterator[str]:
        yield f"{item.field} {item.strategy}"
        if item.substitute:
            yield f"as {item.substitute.name}"
        if item.length is not None:
            yield f"length {item.length}"
        if item.nested:
            yield "nested"

    return " ".join(words())
