"""The checks of policies (data-plane §6.1, cases Y02 and Y06)."""

import pytest

from habeas.domain.errors import InputError
from habeas.domain.policy import Policy, Rule, check_category, check_erasure_targets, check_rule
from habeas.domain.request import ActionType


@pytest.mark.parametrize(
    ("action", "has_storage", "has_masking", "message"),
    [
        ("erasure", False, False, "needs a masking_strategy"),
        ("erasure", True, True, "must not have a storage"),
        ("access", True, True, "must not have a masking"),
        ("update", False, False, "use access or erasure"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    action: str, has_storage: bool, has_masking: bool, message: str
) -> None:  # Y02
    with pytest.raises(InputError, match=message):
        check_rule(action, has_storage=has_storage, has_masking=has_masking)


def test_a_sound_rule_gives_its_action() -> None:
    assert check_rule("access", has_storage=False, has_masking=False) is ActionType.ACCESS
    assert check_rule("erasure", has_storage=False, has_masking=True) is ActionType.ERASURE


def test_an_unknown_category_is_refused() -> None:  # Y02
    check_category("user.name")
    with pytest.raises(InputError, match=r"user\.shoe_size"):
        check_category("user.shoe_size")


def erasure(key: str, *categories: str) -> Rule:
    return Rule(key, key, ActionType.ERASURE, categories)


@pytest.mark.parametrize(
    "rules",
    [
        [erasure("a", "user"), erasure("b", "user.contact.email")],  # Y06
        [erasure("a", "user.contact.email"), erasure("b", "user")],
        [erasure("a", "user.contact", "user.contact.email")],
        [erasure("a", "user.name"), erasure("b", "user.name")],
    ],
)
def test_erasure_targets_that_overlap_are_refused(rules: list[Rule]) -> None:
    with pytest.raises(InputError):
        check_erasure_targets(rules)


def test_targets_side_by_side_and_overlaps_of_access_are_allowed() -> None:
    access = Rule("c", "c", ActionType.ACCESS, ("user", "user.name"))
    check_erasure_targets([erasure("a", "user.device.cookie"), erasure("b", "user.device.cookie_id"), access])


def test_a_policy_tells_its_rules_by_action_in_their_order() -> None:
    policy = Policy("p", "P", (erasure("a"), Rule("b", "b", ActionType.ACCESS), erasure("c")))
    assert [rule.key for rule in policy.rules_for(ActionType.ERASURE)] == ["a", "c"]
