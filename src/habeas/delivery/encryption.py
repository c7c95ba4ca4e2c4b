"""Encryption of packages with the requester's key: AES-GCM with the nonce as associated data.

Format: base64(nonce of 12 bytes ‖ ciphertext ‖ tag of 16 bytes); source: control-plane §5.1. A key of 16 bytes
gives AES-128, one of 32 bytes AES-256, whatever the sources call it.
"""

import base64
import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from habeas.domain.errors import InputError

NONCE_BYTES = 12


class ByteSink(Protocol):
    """What packages are written to."""

    def write(self, data: bytes, /) -> int: ...


def check_package_key(text: str) -> bytes:
    """The key's UTF-8 bytes; raises InputError unless there are 16, 24 or 32 of them."""
    key = text.encode("utf-8", "surrogatepass")
    if len(key) not in (16, 24, 32):
        raise InputError(
            "the encryption key has a length that AES does not know", hint="use 16, 24 or 32 bytes; 32 gives AES-256"
        )
    return key


def encrypt(plaintext: bytes, key: bytes) -> str:
    """The encrypted package as text, with a fresh nonce each time."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plaintext, nonce)).decode()


def decrypt(data: str | bytes, key: str | bytes, nonce: bytes | None = None) -> bytes:
    """Open a package, or one member of a CSV package, in the format of today or that of seed 000.

    Today's is base64(nonce ‖ ciphertext ‖ tag); the old one is 12 characters, which are the nonce as they stand, before
    base64(ciphertext ‖ tag). With `nonce` `data` is base64(ciphertext ‖ tag) alone. Characters outside the base64
    alphabet are ignored: the seeds print a stray quote. Raises InputError when the key is wrong or the data damaged.
    """
    text = (data.encode("utf-8", "replace") if isinstance(data, str) else data).strip(b" \t\r\n'\"")
    cipher_key = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    for used, sealed in _read(text, nonce):
        with contextlib.suppress(InvalidTag, ValueError):
            return AESGCM(cipher_key).decrypt(used, sealed, used)
    raise InputError("the package does not open", hint="check the key, and that the file is whole and encrypted")


def _read(text: bytes, nonce: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Nonce and what it sealed, in each format that the text may have: only the right one opens."""
    with contextlib.suppress(ValueError):
        sealed = base64.b64decode(text)
        yield (sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]) if nonce is None else (nonce, sealed)
    if nonce is None:
        with contextlib.suppress(ValueError):
            yield text[:NONCE_BYTES], base64.b64decode(text[NONCE_BYTES:])


class EncryptingWriter:
    """Encrypts what is written to it and passes it on to `file`, in one pass and constant memory.

    Nothing is valid before `close()`, which adds the tag; `file` stays open. May be closed twice.
    """

    def __init__(self, file: ByteSink, key: bytes) -> None:
        nonce = os.urandom(NONCE_BYTES)
        self._file = file
        self._encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
        self._encryptor.authenticate_additional_data(nonce)
        self._pending = nonce  # fewer than three bytes between writes, so that base64 pieces join without padding
        self._closed = False

    def write(self, data: bytes, /) -> int:
        self._pass_on(self._encryptor.update(data))
        return len(data)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._pass_on(self._encryptor.finalize() + self._encryptor.tag)
        self._file.write(base64.b64encode(self._pending))

    def _pass_on(self, sealed: bytes) -> None:
        ready = self._pending + sealed
        whole = len(ready) - len(ready) % 3
        self._file.write(base64.b64encode(ready[:whole]))
        self._pending = ready[whole:]
