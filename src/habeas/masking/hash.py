"""`hash`: the lower-case hex digest of the value's text and a salt; null stays null."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from habeas.domain.ports import MaskingStrategy, Secrets, StrategyType, Value
from habeas.masking.digest import ALGORITHM, Algorithm, read_algorithm
from habeas.masking.text import FORMAT_PRESERVATION, end_with, find_secret, read_suffix, text_bytes


@dataclass(frozen=True, slots=True)
class Hash:
    """Equal values give equal digests within one request."""

    algorithm: Algorithm = Algorithm.SHA_256
    suffix: str = ""

    name: ClassVar[str] = "hash"
    secret_kinds: ClassVar[tuple[str, ...]] = ("salt",)
    text_only: ClassVar[bool] = True

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        """Raises NeedsHuman when the salt is gone."""
        if values is None:
            return None
        salt = find_secret(secrets, "salt", self.name)

        def digest(value: Value) -> str:
            return hashlib.new(self.algorithm.digestmod, text_bytes(value) + salt).hexdigest()

        return [None if value is None else end_with(digest(value), self.suffix, length) for value in values]


def make_hash(configuration: Mapping[str, object]) -> MaskingStrategy:
    """Raises InputError when the configuration is malformed."""
    return Hash(read_algorithm(configuration), read_suffix(configuration))


HASH = StrategyType(
    name=Hash.name,
    description="Replaces a value by a salted digest of its text.",
    make=make_hash,
    secret_kinds=Hash.secret_kinds,
    configuration=(ALGORITHM, FORMAT_PRESERVATION),
)
