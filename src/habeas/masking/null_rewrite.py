"""`null_rewrite`: every value becomes null."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from habeas.domain.ports import Secrets, StrategyType, Value


@dataclass(frozen=True, slots=True)
class NullRewrite:
    """Works on columns of any type; `length` means nothing to it."""

    name: ClassVar[str] = "null_rewrite"
    secret_kinds: ClassVar[tuple[str, ...]] = ()
    text_only: ClassVar[bool] = False

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        return None if values is None else [None] * len(values)


NULL_REWRITE = StrategyType(
    name=NullRewrite.name,
    description="Replaces every value by null.",
    make=lambda configuration: NullRewrite(),
    text_only=NullRewrite.text_only,
    constant=True,
    null=True,
)
