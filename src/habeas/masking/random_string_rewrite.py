"""`random_string_rewrite`: every value becomes random-looking characters a-z 0-9, drawn from an HMAC of its text.

The sources draw anew each time. Here a repeat must write the same, and joins between masked tables should hold
(data-plane §11, weakness 30): equal values give equal characters within one request, other requests others.
"""

import hmac
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from habeas.domain.errors import InputError
from habeas.domain.ports import ConfigurationKey, MaskingStrategy, Secrets, StrategyType, Value
from habeas.masking.text import FORMAT_PRESERVATION, end_with, find_secret, read_suffix, text_bytes

ALPHABET = string.ascii_lowercase + string.digits
LONGEST = 10_000
_DEFAULT_LENGTH = 30
_FAIR = 256 - 256 % len(ALPHABET)
"""Bytes from here on are passed over: they would make some characters likelier than others."""


@dataclass(frozen=True, slots=True)
class RandomStringRewrite:
    """Writes `characters` characters + `suffix`. Null gets a text too, one that no value gets."""

    characters: int = _DEFAULT_LENGTH
    suffix: str = ""

    name: ClassVar[str] = "random_string_rewrite"
    secret_kinds: ClassVar[tuple[str, ...]] = ("key",)
    text_only: ClassVar[bool] = True

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        """Raises NeedsHuman when the key is gone."""
        if values is None:
            return None
        key = find_secret(secrets, "key", self.name)

        def rewrite(value: Value) -> str:
            origin = b"null" if value is None else b"value" + text_bytes(value)
            return end_with(_draw(key, origin, self.characters), self.suffix, length)

        return [rewrite(value) for value in values]


def _draw(key: bytes, origin: bytes, characters: int) -> str:
    """Characters of equal likelihood; what is drawn begins with whatever fewer characters would have been."""
    drawn: list[str] = []
    for block in count():
        digest = hmac.digest(key, block.to_bytes(4, "big") + origin, "sha256")
        drawn += [ALPHABET[byte % len(ALPHABET)] for byte in digest if byte < _FAIR]
        if len(drawn) >= characters:
            break
    return "".join(drawn[:characters])


def make_random_string_rewrite(configuration: Mapping[str, object]) -> MaskingStrategy:
    """Raises InputError when the configuration is malformed."""
    return RandomStringRewrite(_read_length(configuration), read_suffix(configuration))


def _read_length(configuration: Mapping[str, object]) -> int:
    given = configuration.get("length")
    if given is None:
        return _DEFAULT_LENGTH
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= LONGEST:
        raise InputError("length is malformed", hint=f"write a whole number from 1 to {LONGEST}, without quotes")
    return given


RANDOM_STRING_REWRITE = StrategyType(
    name=RandomStringRewrite.name,
    description="Replaces every value by random-looking letters and digits, equal ones by equal ones.",
    make=make_random_string_rewrite,
    secret_kinds=RandomStringRewrite.secret_kinds,
    fills_null=True,
    configuration=(
        ConfigurationKey("length", f"how many characters, {_DEFAULT_LENGTH} by default; the suffix comes on top"),
        FORMAT_PRESERVATION,
    ),
)
