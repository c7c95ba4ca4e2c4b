"""Policy files: what is read, and what is refused with the line and the mend."""

from importlib.resources import files

import pytest

from habeas.domain.errors import DatasetError
from habeas.domain.policy import OnUnreachable, SharedRows
from habeas.services.policy_format import parse_policies

GOOD = """\
policies:
  - key: gdpr
    name: Articles 15 and 17
    execution_timeframe: 30
    on_unreachable: skip
    shared_rows: report
    rules:
      - key: give
        action_type: access
        storage_destination_key: packages
        targets: [user]
      - key: hide
        name: Hide addresses
        action_type: erasure
        masking_strategy: {strategy: string_rewrite, configuration: {rewrite_value: MASKED}}
        targets: [user.contact]
      - key: clear
        action_type: erasure
        masking_strategy: null_rewrite
        targets: [user.name, user.content]
"""


def test_a_file_becomes_policies_with_rules_and_targets_in_order() -> None:
    [policy] = parse_policies(GOOD)
    assert (policy.key, policy.draft.name, policy.draft.execution_timeframe) == ("gdpr", "Articles 15 and 17", 30)
    assert (policy.draft.on_unreachable, policy.draft.shared_rows) == (OnUnreachable.SKIP, SharedRows.REPORT)
    give, hide, clear = policy.rules
    assert (give.draft.name, give.draft.action_type, give.draft.storage_destination_key) == (
        "give",
        "access",
        "packages",
    )
    assert hide.draft.masking_strategy is not None
    assert (hide.draft.name, hide.draft.masking_strategy.strategy) == ("Hide addresses", "string_rewrite")
    assert hide.draft.masking_strategy.configuration == {"rewrite_value": "MASKED"}
    assert clear.draft.masking_strategy is not None
    assert (clear.draft.masking_strategy.strategy, clear.categories) == ("null_rewrite", ("user.name", "user.content"))


def test_what_a_policy_does_not_say_is_as_the_api_has_it() -> None:
    text = "policies: [{key: a, rules: [{key: b, action_type: access, targets: [user]}]}]"
    [policy] = parse_policies(text)
    assert (policy.draft.name, policy.draft.on_unreachable) == ("a", OnUnreachable.FAIL)
    assert (policy.draft.execution_timeframe, policy.draft.shared_rows) == (None, SharedRows.MASK)
    assert policy.rules[0].draft.storage_destination_key is None


def test_the_policies_of_the_demo_are_such_a_file() -> None:
    text = files("habeas.demo").joinpath("policies.yml").read_text(encoding="utf-8")
    assert [policy.key for policy in parse_policies(text)] == ["shop_access", "shop_erasure"]


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        ("policies:", "policy:", ["gdpr.yml:1:", 'key "policies"']),
        ("    name: Articles", "    nmae: Articles", ["gdpr.yml:3:", "gdpr", "nmae", "known are key, name"]),
        ("        targets: [user]", "        target: [user]", ["gdpr.yml:11:", "target", "known are"]),
        ("strategy: string_rewrite, ", "strategie: x, ", ["gdpr.yml:15:", "strategie"]),
        ("  - key: gdpr", "  - kind: gdpr", ["gdpr.yml:2:", "kind"]),
        ("  - key: gdpr\n    name", "  - name", ["gdpr.yml:2:", "policies[0].key", "required"]),
        ("30", "soon", ["gdpr.yml:4:", "whole number"]),
        ("skip", "stop", ["gdpr.yml:5:", "'stop'", "fail, skip"]),
        ("action_type: access", "action_type: acces", ["gdpr.give", "'acces'", "access or erasure"]),
        ("        masking_strategy: null_rewrite\n", "", ["gdpr.clear", "needs a masking_strategy"]),
        ("null_rewrite", "shredder", ["gdpr.yml:19:", "shredder"]),
        ("rewrite_value", "value", ["gdpr.yml:15:", "rewrite_value"]),
        ("configuration: {rewrite_value: MASKED}", "configuration: MASKED", ["gdpr.yml:15:", "mapping"]),
        ("user.content]", "user.contents]", ["gdpr.yml:20:", "user.contents", "reference"]),
        ("user.content]", "user.name]", ["gdpr.yml:20:", "user.name", "twice"]),
        ("user.content]", "user.contact.email]", ["gdpr.rules", "overlap", "keep only one"]),
        ("targets: [user]", "targets: []", ["gdpr.give.targets", "does nothing"]),
        ("targets: [user]", "targets: user", ["gdpr.yml:11:", "list"]),
        ("- key: clear", "- key: hide", ["'hide'", "twice"]),
        ("  - key: gdpr", "  - gdpr\n  - key: gdpr", ["gdpr.yml:2:", "mapping"]),
        ("policies:", "policies: [", ["gdpr.yml", "YAML"]),
    ],
)
def test_a_file_that_is_wrong_says_where_and_how_to_mend_it(now: str, then: str, words: list[str]) -> None:
    assert now in GOOD
    with pytest.raises(DatasetError) as refusal:
        parse_policies(GOOD.replace(now, then, 1), source="gdpr.yml")
    for word in words:
        assert word in str(refusal.value)


def test_two_policies_of_one_key_are_refused() -> None:
    rule = "rules: [{key: %s, action_type: access, targets: [user]}]"
    with pytest.raises(DatasetError, match="policy 'a' stands here twice"):
        parse_policies(f"policies: [{{key: a, {rule % 'b'}}}, {{key: a, {rule % 'c'}}}]")
    with pytest.raises(DatasetError, match="rule 'b' stands here twice"):
        parse_policies(f"policies: [{{key: a, {rule % 'b'}}}, {{key: c, {rule % 'b'}}}]")
