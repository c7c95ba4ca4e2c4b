"""Policies as people write them: a file of policies with their rules and targets, to the drafts that the API takes.

Owns the shape of the file and errors that name file, line, path and mend; what rules and targets may say is checked by
the functions of the domain, as on every other way in. Knows no server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from habeas.domain.errors import InputError
from habeas.domain.policy import OnUnreachable, Rule, SharedRows, check_category, check_erasure_targets, check_rule
from habeas.domain.request import ActionType
from habeas.masking.registry import make_strategy
from habeas.services.dataset_parts import Part
from habeas.services.policies import MaskingDraft, PolicyDraft, RuleDraft
from habeas.services.yaml_text import read_yaml

_FILE = ("policies",)
_POLICY = ("key", "name", "drp_action", "execution_timeframe", "regulation", "on_unreachable", "shared_rows", "rules")
_RULE = ("key", "name", "action_type", "storage_destination_key", "masking_strategy", "targets")
_MASKING = ("strategy", "configuration")


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule of a file, and the data categories that are its targets, in order."""

    key: str
    draft: RuleDraft
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenPolicy:
    """A policy of a file with its rules, in order."""

    key: str
    draft: PolicyDraft
    rules: tuple[WrittenRule, ...]


def parse_policies(text: str, *, source: str = "") -> tuple[WrittenPolicy, ...]:
    """The policies of one YAML or JSON document `policies: [...]`; `source` is the file's name, for errors.

    A key that is not known, a key given twice and what the API would refuse for its words alone is a DatasetError.
    """
    value, lines = read_yaml(text, source)
    root = Part(value, source, lines=lines)
    if not isinstance(value, Mapping) or not value.get("policies"):
        raise root.error("this is no file of policies", 'it must be a mapping with the key "policies" and a list')
    _refuse_unknown(root, _FILE)
    policies = [_parse_policy(part) for part in root.get("policies").items()]
    _refuse_repeated(root.get("policies"), "policy", [policy.key for policy in policies])
    _refuse_repeated(root.get("policies"), "rule", [rule.key for policy in policies for rule in policy.rules])
    return tuple(policies)


def _parse_policy(part: Part) -> WrittenPolicy:
    _refuse_unknown(part, _POLICY)
    key = part.get("key").name()
    part = part.called(key)
    rules = tuple(_parse_rule(item, key) for item in part.get("rules").required().items())
    if not rules:
        raise part.get("rules").error("a policy without rules does nothing", "add an access or an erasure rule")
    try:
        check_erasure_targets([_as_domain(rule) for rule in rules])
    except InputError as error:
        raise part.get("rules").error(error.message, error.hint) from None
    draft = PolicyDraft(
        key=key,
        name=part.get("name").optional_name() or key,
        drp_action=part.get("drp_action").optional_name(),
        execution_timeframe=part.get("execution_timeframe").positive(),
        regulation=part.get("regulation").optional_name(),
        on_unreachable=part.get("on_unreachable").choice(OnUnreachable) or OnUnreachable.FAIL,
        shared_rows=part.get("shared_rows").choice(SharedRows) or SharedRows.MASK,
    )
    return WrittenPolicy(key, draft, rules)


def _parse_rule(part: Part, policy: str) -> WrittenRule:
    _refuse_unknown(part, _RULE)
    key = part.get("key").name()
    part = part.called(f"{policy}.{key}")
    draft = RuleDraft(
        key=key,
        name=part.get("name").optional_name() or key,
        action_type=part.get("action_type").name(),
        storage_destination_key=part.get("storage_destination_key").optional_name(),
        masking_strategy=_parse_masking(part.get("masking_strategy")),
    )
    try:
        check_rule(
            draft.action_type,
            has_storage=draft.storage_destination_key is not None,
            has_masking=draft.masking_strategy is not None,
        )
    except InputError as error:
        raise part.error(error.message, error.hint) from None
    categories = tuple(_parse_category(item) for item in part.get("targets").required().items())
    if not categories:
        raise part.get("targets").error("a rule without targets does nothing", "name data categories, e.g. [user]")
    _refuse_repeated(part.get("targets"), "data category", categories)
    return WrittenRule(key, draft, categories)


def _parse_masking(part: Part) -> MaskingDraft | None:
    """A mapping, or a strategy's name alone when it is not to be configured."""
    if part.value is None:
        return None
    if isinstance(part.value, str):
        part = replace(part, value={"strategy": part.value})
    _refuse_unknown(part, _MASKING)
    strategy = part.get("strategy").name()
    configuration = part.get("configuration")
    if not isinstance(configuration.value, Mapping | None):
        raise configuration.error("this must be a mapping", "write key: value pairs")
    try:
        make_strategy(strategy, configuration.value or {})
    except InputError as error:
        raise part.error(error.message, error.hint) from None
    return MaskingDraft(strategy=strategy, configuration=configuration.value or {})


def _parse_category(part: Part) -> str:
    category = part.name()
    try:
        check_category(category)
    except InputError as error:
        raise part.error(error.message, error.hint) from None
    return category


def _as_domain(rule: WrittenRule) -> Rule:
    return Rule(rule.key, rule.draft.name, ActionType(rule.draft.action_type), rule.categories)


def _refuse_unknown(part: Part, known: Sequence[str]) -> None:
    if not isinstance(part.value, Mapping):
        raise part.error("this must be a mapping", f"its keys are {', '.join(known)}")
    for key in part.value:
        if key not in known:
            raise part.get(key).error("this key is not known here", f"known are {', '.join(known)}")


def _refuse_repeated(part: Part, noun: str, keys: Sequence[str]) -> None:
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise part.error(f"{noun} {key!r} stands here twice", "keep one of them, or give it another key")
