"""`hmac`: the lower-case hex HMAC of the value's text and a salt; null stays null."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from habeas.domain.ports import MaskingStrategy, Secrets, StrategyType, Value
from habeas.masking.digest import ALGORITHM, Algorithm, read_algorithm
from habeas.masking.text import FORMAT_PRESERVATION, end_with, find_secret, read_suffix, text_bytes


@dataclass(frozen=True, slots=True)
class Hmac:
    """Equal values give equal results within one request."""

    algorithm: Algorithm = Algorithm.SHA_256
    suffix: str = ""

    name: ClassVar[str] = "hmac"
    secret_kinds: ClassVar[tuple[str, ...]] = ("key", "salt")
    text_only: ClassVar[bool] = True

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        """Raises NeedsHuman when the key or salt is gone."""
        if values is None:
            return None
        key, salt = (find_secret(secrets, kind, self.name) for kind in self.secret_kinds)

        def digest(value: Value) -> str:
            return hmac.new(key, text_bytes(value) + salt, self.algorithm.digestmod).hexdigest()

        return [None if value is None else end_with(digest(value), self.suffix, length) for value in values]


def make_hmac(configuration: Mapping[str, object]) -> MaskingStrategy:
    """Raises InputError when the configuration is malformed."""
    return Hmac(read_algorithm(configuration), read_suffix(configuration))


HMAC = StrategyType(
    name=Hmac.name,
    description="Replaces a value by a keyed, salted digest of its text.",
    make=make_hmac,
    secret_kinds=Hmac.secret_kinds,
    configuration=(ALGORITHM, FORMAT_PRESERVATION),
)
