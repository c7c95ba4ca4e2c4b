"""A manual webhook: fields that people are asked for, of every request; despite the name nothing is called.

Source: data-plane §7.6, control-plane §1.11.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from habeas.domain.category import DEFAULT_CATEGORIES

MANUAL_WEBHOOK = "manual_webhook"
"""The connection type behind which there are people."""

TYPES = ("string",)
"""What an answer may be."""

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class WebhookField:
    """One thing that is asked for: people read `pii_field`, the label names their answer in forms and packages."""

    pii_field: str
    dsr_package_label: str
    types: Sequence[str]
    data_categories: Sequence[str]


def make_label(pii_field: str) -> str:
    """The label of a field that gives none: lower case, `_` for all that is neither letter nor digit."""
    return re.sub(r"\W+", "_", pii_field.lower()).strip("_") or pii_field


def problems_of(field: WebhookField) -> Iterator[tuple[str, str]]:
    """What is wrong with a field, as (part, message)."""
    for part, text in (("pii_field", field.pii_field), ("dsr_package_label", field.dsr_package_label)):
        if not 1 <= len(text) <= _LONGEST:
            yield part, f"give 1 to {_LONGEST} characters"
        elif "\x00" in text:
            yield part, "it holds a NUL character"
    if tuple(field.types) != TYPES:
        yield "types", "only string is supported"
    if not DEFAULT_CATEGORIES.issuperset(field.data_categories):
        yield "data_categories", "unknown data category"
