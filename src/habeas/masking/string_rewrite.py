"""`string_rewrite`: every value, null included, becomes one fixed text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from habeas.domain.errors import InputError
from habeas.domain.ports import ConfigurationKey, MaskingStrategy, Secrets, StrategyType, Value
from habeas.masking.text import FORMAT_PRESERVATION, end_with, read_suffix, refuse_unstorable


@dataclass(frozen=True, slots=True)
class StringRewrite:
    """Writes `text` + `suffix`."""

    text: str
    suffix: str = ""

    name: ClassVar[str] = "string_rewrite"
    secret_kinds: ClassVar[tuple[str, ...]] = ()
    text_only: ClassVar[bool] = True

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        return None if values is None else [end_with(self.text, self.suffix, length)] * len(values)


def make_string_rewrite(configuration: Mapping[str, object]) -> MaskingStrategy:
    """Raises InputError when `rewrite_value` is no text, or a text that a store cannot hold."""
    text = configuration.get("rewrite_value")
    if not isinstance(text, str):
        raise InputError("rewrite_value must be text", hint="put numbers in quotes")
    refuse_unstorable("rewrite_value", text)
    return StringRewrite(text, read_suffix(configuration))


STRING_REWRITE = StrategyType(
    name=StringRewrite.name,
    description="Replaces every value by a fixed text.",
    make=make_string_rewrite,
    constant=True,
    fills_null=True,
    configuration=(
        ConfigurationKey("rewrite_value", "the text to write", required=True),
        FORMAT_PRESERVATION,
    ),
)
