"""Policies: what is done for a request. Rules name an action, targets name data categories.

Source: data-plane §6, control-plane §1.9; settings of design §9 (`on_unreachable`, `shared_rows`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from habeas.domain.category import DEFAULT_CATEGORIES, is_ancestor
from habeas.domain.errors import InputError
from habeas.domain.request import ActionType


class OnUnreachable(StrEnum):
    """What happens when the identities given do not reach an enabled collection."""

    FAIL = "fail"
    SKIP = "skip"


class SharedRows(StrEnum):
    """What erasure does with a row that belongs to other people too: mask it, mask and list it, or leave and list it.

    Owners are counted one hop back along each reference, the run's own rows excluded; `mask` does not count.
    """

    MASK = "mask"
    REPORT = "report"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Masking:
    """A strategy's name and its configuration, e.g. `string_rewrite` with `{"rewrite_value": "MASKED"}`."""

    strategy: str
    configuration: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One action of a policy. An access rule has a storage, an erasure rule a masking."""

    key: str
    name: str
    action: ActionType
    categories: tuple[str, ...] = ()
    storage_key: str | None = None
    masking: Masking | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A named bundle of rules, in stored order; `regulation` is the key of the one whose deadlines count."""

    key: str
    name: str
    rules: tuple[Rule, ...] = ()
    execution_timeframe: int | None = None
    regulation: str | None = None
    on_unreachable: OnUnreachable = OnUnreachable.FAIL
    shared_rows: SharedRows = SharedRows.MASK

    def rules_for(self, action: ActionType) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.action is action)


def check_rule(action: str, *, has_storage: bool, has_masking: bool) -> ActionType:
    """The checks of one rule; raises InputError that names the mend."""
    if action not in set(ActionType):
        raise InputError(f"action_type {action!r} is not supported", hint="use access or erasure")
    kind = ActionType(action)
    if kind is ActionType.ERASURE and not has_masking:
        raise InputError("an erasure rule needs a masking_strategy")
    if kind is ActionType.ERASURE and has_storage:
        raise InputError(
            "an erasure rule must not have a storage destination", hint="leave out storage_destination_key"
        )
    if kind is ActionType.ACCESS and has_masking:
        raise InputError("an access rule must not have a masking strategy", hint="leave out masking_strategy")
    return kind


def check_category(category: str) -> None:
    """Raises InputError unless the taxonomy knows the category."""
    if category not in DEFAULT_CATEGORIES:
        raise InputError(
            f"unknown data category {category!r}", hint="see the list of data categories in docs/reference.md"
        )


def check_erasure_targets(rules: Sequence[Rule]) -> None:
    """Across the erasure rules of one policy no category may repeat or lie above another.

    Otherwise the masking of a field would depend on the order of rules. Raises InputError.
    """
    seen = [(category, rule.key) for rule in rules if rule.action is ActionType.ERASURE for category in rule.categories]
    for index, (category, key) in enumerate(seen):
        for other, other_key in seen[index + 1 :]:
            if category == other:
                raise InputError(f"data category {category!r} is targeted twice (rules {key!r} and {other_key!r})")
            if is_ancestor(category, other) or is_ancestor(other, category):
                raise InputError(
                    f"erasure targets {category!r} and {other!r} overlap (rules {key!r} and {other_key!r})",
                    hint="keep only one of them, so that each field has one masking",
                )
