"""What a value must become (data-plane §3.3, §4, design §3, §9): the oracle's own reading of strategies and their fit.

It shares no code with planner and engine (only `derive`, whose own laws are in test_masking).
"""

import base64
import hashlib
import hmac
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from worlds import ANY, TEXT, Collection, Column, PolicyFacts, Secrets

from habeas.masking.derived import derive, material_of

CHARACTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Masking:
    """What is done to all that stands at a path. `inside`: it is a place in a nested value."""

    path: tuple[str, ...]
    column: Column
    inside: bool
    strategy: str
    configuration: Mapping[str, Any]

    @property
    def is_text(self) -> bool:
        column = self.column
        whole = bool(column.fields) or column.data_type == "object" or (column.is_document and not column.array)
        free = column.type in (TEXT, ANY) or column.is_document
        return not whole and free and column.data_type in (None, "string")

    @property
    def may_be_null(self) -> bool:
        return self.inside or self.column.nullable

    def apply(self, value: Any, key: Sequence[Any], secrets: Secrets) -> Any:
        """The value after it; `key` tells the row apart: its key, or all that is declared of it."""
        column, nullable = self.column, self.may_be_null
        lengths = [length for length in (column.length, column.declared_length) if length is not None]
        length = min(lengths) if lengths else None
        if self.strategy == "null_rewrite" or not self.is_text:
            return None if nullable else _derive(value, key, secrets, {}, length)
        if value is None and self.strategy not in ("string_rewrite", "random_string_rewrite"):
            return None
        suffix = str(self.configuration.get("format_preservation", {}).get("suffix", ""))
        cramped = length is not None and length - len(suffix) < 12
        if column.unique and (self.strategy == "string_rewrite" or cramped):
            if nullable and length is not None and length < 12:
                return None
            return _derive(value, key, secrets, {} if cramped else self.configuration, length)
        return _end(self._write(value, key, secrets), self.configuration, length)

    def _write(self, value: Any, key: Sequence[Any], secrets: Secrets) -> str:
        own = secrets.get(self.strategy, {})
        if self.strategy == "string_rewrite":
            return str(self.configuration["rewrite_value"])
        if self.strategy == "random_string_rewrite":
            origin = material_of(None, key) if value is None else value
            stream = _characters(own["key"].encode(), f"value{origin}".encode())
            return "".join(islice(stream, self.configuration["length"]))
        if self.strategy == "aes_encrypt":
            return _encrypt(str(value).encode(), own)
        algorithm = self.configuration.get("algorithm", "SHA-256").replace("-", "").lower()
        data = str(value).encode() + own["salt"].encode()
        if self.strategy == "hash":
            return hashlib.new(algorithm, data).hexdigest()
        return hmac.new(own["key"].encode(), data, algorithm).hexdigest()


def is_targeted(item: Collection, policy: PolicyFacts) -> bool:
    """Whether an erasure rule covers any of a collection."""
    targets = [target for targets in policy.erasure.values() for target in targets]
    return covered(item.category, targets) or any(covered(one.category, targets) for one in item.paths().values())


Choice = tuple[str, str, Mapping[str, Any]]
"""The rule that covers something, and the strategy with its configuration: the rule's, or one of the field's own."""


def list_maskings(item: Collection, policy: PolicyFacts) -> list[Masking]:
    """What the policy does to the rows of a collection. What must not be null and holds no text stays."""
    whole = _choose(Column("", ANY, category=item.category), policy, None)
    wanted = [one for column in item.columns if column.declared for one in _settle(item, column, (), whole, policy)]
    return [one for one in wanted if one.may_be_null or one.is_text]


def _settle(
    item: Collection, column: Column, above: tuple[str, ...], chosen: Choice | None, policy: PolicyFacts
) -> Iterator[Masking]:
    """A covered object is masked as one, unless something inside must stay or it must not become null."""
    path, chosen = (*above, column.name), _choose(column, policy, chosen)
    if column.read_only or (not above and column.name in item.key):
        return
    keeps = chosen is not None and chosen[1] == "preserve"
    fixed = not above and not column.nullable and not column.array
    if column.fields and (chosen is None or keeps or _holds_kept(column) or fixed):
        for inner in column.fields:
            if inner.declared:
                yield from _settle(item, inner, path, chosen, policy)
    elif chosen is not None and not keeps:
        yield Masking(path, column, bool(above) or column.array, *chosen[1:])


def _choose(column: Column, policy: PolicyFacts, above: Choice | None) -> Choice | None:
    """By the last rule that covers it, or what it is part of."""
    hits = [rule for rule, targets in policy.erasure.items() if covered(column.category, targets)]
    rules = [rule for rule in policy.erasure if rule in hits or (above and rule == above[0])]
    if not rules:
        return None
    if column.override is None and above and rules[-1] not in hits:
        return above
    strategy, configuration = column.override or (rules[-1], policy.configuration)
    return rules[-1], strategy, configuration


def _holds_kept(column: Column) -> bool:
    """Whether something inside must stay, by what is said of it itself."""
    return any(
        inner.read_only or (inner.override or ("",))[0] == "preserve" or _holds_kept(inner)
        for inner in column.fields
        if inner.declared
    )


def covered(category: str | None, targets: Sequence[str] | None) -> bool:
    parts = (category or "").split(".")
    return any(parts[: len(target.split("."))] == target.split(".") for target in targets or ())


def _derive(
    value: Any, key: Sequence[Any], secrets: Secrets, configuration: Mapping[str, Any], length: int | None
) -> str:
    whole = derive(material_of(value, key), secrets["derived"]["key"])
    return _end(whole, configuration, length)


def _characters(key: bytes, origin: bytes) -> Iterator[str]:
    """From the bytes of one HMAC after the other, those that do not favour a character."""
    for block in range(1 << 32):
        for byte in hmac.new(key, block.to_bytes(4, "big") + origin, "sha256").digest():
            if byte < 7 * 36:
                yield CHARACTERS[byte % 36]


def _encrypt(text: bytes, secrets: Mapping[str, str]) -> str:
    key = base64.urlsafe_b64decode(secrets["key"] + "=")
    nonce = hmac.new(secrets["key_hmac"].encode(), text + secrets["salt_hmac"].encode(), "sha256").digest()[:12]
    return base64.b64encode(AESGCM(key).encrypt(nonce, text, nonce)).decode()


def _end(text: str, configuration: Mapping[str, Any], length: int | None) -> str:
    """The suffix survives the cut unless nothing else would."""
    suffix = str(configuration.get("format_preservation", {}).get("suffix", ""))
    if length is None:
        return text + suffix
    return text[: length - len(suffix)] + suffix if length > len(suffix) else (text + suffix)[:length]
