"""Texts that go into and come out of masking: the text form of a value, cutting, suffixes, configuration reading.

Knows no strategy.
"""

import base64
from collections.abc import Mapping

from habeas.domain.errors import InputError, NeedsHuman
from habeas.domain.ports import ConfigurationKey, Secrets

FORMAT_PRESERVATION = ConfigurationKey(
    "format_preservation",
    'an ending that keeps the form of a value, e.g. {"suffix": "@masked.example"}; '
    "where a field has a length, the text before it is cut and the ending stays whole",
)


def text_bytes(value: object) -> bytes:
    """The text form of a value in UTF-8 (data-plane §4.1); lone surrogates pass, so that no value can fail here."""
    return str(value).encode("utf-8", "surrogatepass")


def end_with(text: str, suffix: str, length: int | None) -> str:
    """`text` + `suffix` in at most `length` characters.

    `text` is cut so that the suffix survives; when that would leave nothing of it, the whole is cut
    (data-plane §11, weakness 31: otherwise distinct digests would become one suffix).
    """
    if length is None:
        return text + suffix
    room = length - len(suffix)
    return text[:room] + suffix if room > 0 else (text + suffix)[:length]


def read_suffix(configuration: Mapping[str, object]) -> str:
    """The suffix of `format_preservation`, "" when there is none; raises InputError when it is malformed."""
    given = configuration.get("format_preservation")
    if given is None:
        return ""
    if not isinstance(given, Mapping) or set(given) != {"suffix"} or not isinstance(given["suffix"], str):
        raise InputError("format_preservation is malformed", hint='write {"suffix": "some text"}')
    refuse_unstorable("the suffix", given["suffix"])
    return given["suffix"]


def refuse_unstorable(what: str, text: str) -> None:
    """Raise InputError for a text that a store cannot hold: a NUL (PostgreSQL), half a surrogate pair (any)."""
    if "\x00" in text:
        raise InputError(f"{what} must not hold a NUL character", hint="leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} must not hold half a surrogate pair", hint="write the whole character")


def find_secret(secrets: Secrets, kind: str, strategy: str) -> bytes:
    """A secret's bytes; raises NeedsHuman when it is gone, since masking with another would differ (§4.3)."""
    if kind not in secrets:
        raise NeedsHuman(f"the masking secrets of strategy {strategy!r} are gone", hint="submit the request again")
    return secrets[kind].encode()


def find_key(secrets: Secrets, kind: str, strategy: str) -> bytes:
    """A secret's 32 random bytes, kept as URL-safe base64; raises NeedsHuman when it is gone or damaged."""
    encoded = find_secret(secrets, kind, strategy)
    try:
        key = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise NeedsHuman(f"the masking secrets of strategy {strategy!r} are damaged", hint="submit the request again")
    return key
