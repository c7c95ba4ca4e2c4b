"""Encryption for callers, in the format of packages: trying keys out, and opening what was encrypted elsewhere.

Nothing is kept, and no error repeats a value or a key.
"""

import base64
import secrets
import string
from dataclasses import dataclass

from habeas.delivery.encryption import NONCE_BYTES, check_package_key, decrypt, encrypt
from habeas.domain.errors import InputError

_KEY_SIGNS = string.ascii_letters + string.digits
_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Encrypted:
    """base64 of ciphertext and tag, and base64 of the nonce, which is the associated data too."""

    encrypted_value: str
    nonce: str


def make_package_key() -> str:
    """16 random letters and digits: a key as a request's `encryption_key` takes it, and AES-128 uses it."""
    return "".join(secrets.choice(_KEY_SIGNS) for _ in range(_KEY_LENGTH))


def encrypt_value(value: str, key: str) -> Encrypted:
    """Encrypt a text under a key of 16, 24 or 32 bytes with a fresh nonce. Raises InputError for another key."""
    sealed = base64.b64decode(encrypt(value.encode(), check_package_key(key)))
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    return Encrypted(base64.b64encode(ciphertext).decode(), base64.b64encode(nonce).decode())


def decrypt_value(value: str, key: str, nonce: str | None = None) -> str:
    """The text that was encrypted; without `nonce` it is part of the value, as in packages.

    Raises InputError when the key or the nonce is another, the value is damaged, or what was encrypted is no text.
    """
    cipher_key = check_package_key(key)
    try:
        return decrypt(value, cipher_key, None if nonce is None else _read_nonce(nonce)).decode()
    except UnicodeDecodeError:
        raise InputError("what was encrypted is no text", hint="open it with `habeas decrypt`") from None


def _read_nonce(text: str) -> bytes:
    try:
        nonce = base64.b64decode(text, validate=True)
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_BYTES:
        raise InputError("the nonce is malformed", hint=f"give base64 of {NONCE_BYTES} bytes, as encrypting gave it")
    return nonce
