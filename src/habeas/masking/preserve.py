"""`preserve`: every value stays as it is. Planning leaves such fields out of the erasure and the report names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from habeas.domain.ports import Secrets, StrategyType, Value


@dataclass(frozen=True, slots=True)
class Preserve:
    """Works on columns of any type; `length` cuts nothing here."""

    name: ClassVar[str] = "preserve"
    secret_kinds: ClassVar[tuple[str, ...]] = ()
    text_only: ClassVar[bool] = False

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        return None if values is None else list(values)


PRESERVE = StrategyType(
    name=Preserve.name,
    description="Keeps every value, of any type, as it is.",
    make=lambda configuration: Preserve(),
    text_only=Preserve.text_only,
    keeps=True,
)
