"""The masking strategies there are, how one is made from a policy's configuration, and fresh secrets for it."""

import secrets
from collections.abc import Iterable, Mapping

from habeas.domain.errors import InputError
from habeas.domain.ports import MaskingStrategy, StrategyType
from habeas.masking.aes_encrypt import AES_ENCRYPT
from habeas.masking.hash import HASH
from habeas.masking.hmac import HMAC
from habeas.masking.null_rewrite import NULL_REWRITE
from habeas.masking.preserve import PRESERVE
from habeas.masking.random_string_rewrite import RANDOM_STRING_REWRITE
from habeas.masking.string_rewrite import STRING_REWRITE

_TYPES = (NULL_REWRITE, STRING_REWRITE, RANDOM_STRING_REWRITE, HASH, HMAC, AES_ENCRYPT, PRESERVE)
_COLLECTION_MARKER = "delete"


def strategies() -> Mapping[str, StrategyType]:
    """Every strategy type by name, in the order of data-plane §4.1."""
    return {kind.name: kind for kind in _TYPES}


def find_strategy(name: str) -> StrategyType:
    """The type called `name`; raises InputError that lists the valid names when there is none.

    `delete` is none: it marks a collection whose rows are deleted (data-plane §4.5).
    """
    known = strategies()
    if name == _COLLECTION_MARKER:
        raise InputError(
            "'delete' is for whole collections: no rule and no field can have it as its masking strategy",
            hint="give the collection fides_meta.masking_strategy_override: {strategy: delete}",
        )
    if name not in known:
        raise InputError(f"there is no masking strategy {name!r}", hint=f"use one of {', '.join(sorted(known))}")
    return known[name]


def make_strategy(name: str, configuration: Mapping[str, object]) -> MaskingStrategy:
    """A strategy ready to mask; raises InputError naming the strategy and the key that is unknown, missing or wrong."""
    kind = find_strategy(name)
    known = {key.name for key in kind.configuration}
    valid = f"valid keys: {', '.join(sorted(known))}" if known else "leave the configuration empty"
    for key in sorted(set(configuration) - known):
        raise InputError(f"masking strategy {name!r} has no configuration key {key!r}", hint=valid)
    for item in kind.configuration:
        if item.required and configuration.get(item.name) is None:
            raise InputError(
                f"masking strategy {name!r} needs {item.name!r} in its configuration", hint=item.description
            )
    try:
        return kind.make(configuration)
    except InputError as error:
        raise InputError(f"masking strategy {name!r}: {error.message}", hint=error.hint) from error


def generate_secret() -> str:
    """32 random bytes as URL-safe base64 without padding; some strategies use the text, some the bytes."""
    return secrets.token_urlsafe(32)


def generate_secrets(strategy: StrategyType) -> dict[str, str]:
    """Fresh secrets of a strategy, by kind (data-plane §4.3)."""
    return {kind: generate_secret() for kind in strategy.secret_kinds}


def generate_request_secrets(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """One set per strategy name, however many rules use it; strategies without secrets are left out."""
    kinds = (find_strategy(name) for name in sorted(set(names)))
    return {kind.name: generate_secrets(kind) for kind in kinds if kind.secret_kinds}
