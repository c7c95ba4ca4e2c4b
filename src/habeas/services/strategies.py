"""Masking strategies: which there are, and what they make of values before a policy relies on them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from habeas.execution.context import Context
from habeas.masking.registry import find_strategy, generate_secrets, make_strategy
from habeas.services.fields import InvalidFields, Problem
from habeas.services.policies import MaskingDraft

_LONGEST = 10_000

Scalar: TypeAlias = str | int | float | bool | None
"""A value as JSON has it."""


@dataclass(frozen=True, slots=True)
class ConfigurationKeyView:
    """A key of a strategy's configuration."""

    key: str
    optional: bool
    description: str


@dataclass(frozen=True, slots=True)
class StrategyView:
    """A masking strategy as shown."""

    name: str
    description: str
    configurations: list[ConfigurationKeyView]


@dataclass(frozen=True, slots=True)
class Masked:
    """Values as they were given, and masked, in their order."""

    plain: list[Scalar]
    masked_values: list[Scalar]


def list_strategies(context: Context) -> list[StrategyView]:
    """Every masking strategy with what its configuration takes."""
    return [
        StrategyView(
            kind.name,
            kind.description,
            [ConfigurationKeyView(item.name, not item.required, item.description) for item in kind.configuration],
        )
        for kind in context.strategies.values()
    ]


def _check_lengths(drafts: Sequence[MaskingDraft]) -> None:
    """What one configuration says comes back with every value."""
    problems = [
        Problem(("masking_strategy", number, "configuration"), f"longer than {_LONGEST} characters")
        for number, draft in enumerate(drafts)
        if len(json.dumps(draft.configuration)) > _LONGEST
    ]
    if problems:
        raise InvalidFields(problems)


def mask_values(values: Sequence[Scalar], drafts: Sequence[MaskingDraft]) -> Masked:
    """What the strategies, one after the other, make of the values, with fresh secrets that nobody keeps.

    Another call, and a privacy request, masks with other secrets. Raises InputError naming the strategy that is unknown
    or misconfigured, InvalidFields for a configuration that is longer than 10 000 characters.
    """
    _check_lengths(drafts)
    masked: list[object] = list(values)
    for draft in drafts:
        strategy = make_strategy(draft.strategy, draft.configuration)
        masked = strategy.mask(masked, generate_secrets(find_strategy(draft.strategy))) or []
    return Masked(list(values), cast(list[Scalar], masked))  # strategies make text or null, or keep the value
