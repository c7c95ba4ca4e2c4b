"""`aes_encrypt`: the value's text encrypted with AES-256-GCM, in base64; null stays null (data-plane §4.2).

The nonce comes from an HMAC of the text, so that equal values give equal results within one request. It is not
part of the result, and the keys go with the request: what is written can never be decrypted (§11, weakness 29).
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from habeas.domain.errors import InputError
from habeas.domain.ports import ConfigurationKey, MaskingStrategy, Secrets, StrategyType, Value
from habeas.masking.text import FORMAT_PRESERVATION, end_with, find_key, find_secret, read_suffix, text_bytes

_NONCE = 12


@dataclass(frozen=True, slots=True)
class AesEncrypt:
    """The result grows with the value's text: 4 characters for every 3 bytes of it and of the 16 of the tag."""

    suffix: str = ""

    name: ClassVar[str] = "aes_encrypt"
    secret_kinds: ClassVar[tuple[str, ...]] = ("key", "key_hmac", "salt_hmac")
    text_only: ClassVar[bool] = True

    def mask(self, values: Sequence[Value] | None, secrets: Secrets, length: int | None = None) -> list[Value] | None:
        """Raises NeedsHuman when the key or a secret of the nonce is gone."""
        if values is None:
            return None
        cipher = AESGCM(find_key(secrets, "key", self.name))
        key, salt = (find_secret(secrets, kind, self.name) for kind in ("key_hmac", "salt_hmac"))

        def encrypt(value: Value) -> str:
            text = text_bytes(value)
            nonce = hmac.digest(key, text + salt, "sha256")[:_NONCE]
            return base64.b64encode(cipher.encrypt(nonce, text, nonce)).decode()

        return [None if value is None else end_with(encrypt(value), self.suffix, length) for value in values]


def make_aes_encrypt(configuration: Mapping[str, object]) -> MaskingStrategy:
    """Raises InputError when the configuration is malformed."""
    if configuration.get("mode") not in (None, "GCM"):
        raise InputError("this mode is not supported", hint="use GCM, or leave mode out")
    return AesEncrypt(read_suffix(configuration))


AES_ENCRYPT = StrategyType(
    name=AesEncrypt.name,
    description="Replaces a value by its encrypted text. Nobody can decrypt it, but how long the value was shows.",
    make=make_aes_encrypt,
    secret_kinds=AesEncrypt.secret_kinds,
    configuration=(ConfigurationKey("mode", "GCM (default and only one)"), FORMAT_PRESERVATION),
)
