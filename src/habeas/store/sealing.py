"""Encryption at rest: what is sealed here can be read only with the key ring.

A ring of named 32-byte keys (`ENCRYPTION_KEYS=id:base64,…`, the first one seals) wraps data keys that
live in the ledger; data keys seal values with AES-256-GCM, bound to the place they stand in (`where`).
The index key, for keyed hashes, is wrapped alike and never changes with the others (design §5 *Keys*).
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from habeas.domain.errors import Fault, InputError

_NONCE = 12
_LONGEST_NAME = 64  # as the ledger keeps it


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Named keys from the settings; `primary` wraps the data keys of a new ledger, the others only open old ones."""

    keys: Mapping[str, bytes]
    primary: str

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `id:base64,id:base64…`; raises InputError without repeating a key."""
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:
                key = b""
            if not 0 < len(name) <= _LONGEST_NAME or len(key) != 32:
                raise InputError(
                    "security.encryption_keys is malformed", hint="write id:base64-of-32-bytes, separated by commas"
                )
            if name in keys:
                raise InputError("security.encryption_keys names a key twice", hint="give each key an id of its own")
            keys[name] = key
        if not keys:
            raise InputError("security.encryption_keys is empty", hint="write id:base64-of-32-bytes")
        return cls(keys, next(iter(keys)))

    def fingerprints(self) -> dict[str, str]:
        """Name → a digest that tells whether two processes hold the same key under it, and nothing of the key."""
        return {name: hashlib.sha256(b"habeas key ring:" + key).hexdigest()[:16] for name, key in self.keys.items()}

    def wrap(self, data_key: bytes, by: str) -> bytes:
        """The data key under the ring's key of this name."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.keys[by]).encrypt(nonce, data_key, b"data-key")

    def unwrap(self, wrapped_by: str, wrapped: bytes) -> bytes:
        """Raises InputError when the ring lacks the key or holds another one under its name."""
        key = self.keys.get(wrapped_by)
        try:
            if key is None:
                raise InvalidTag
            return AESGCM(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], b"data-key")
        except InvalidTag:
            raise InputError(
                f"the ledger was sealed with encryption key {wrapped_by!r}, which security.encryption_keys lacks",
                hint="give that key too",
            ) from None


def make_ring_entry(name: str) -> str:
    """A fresh random key as an entry of a ring. Raises InputError for a name that no ring can hold."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise InputError("a key's id is made of letters, digits, dots, dashes and underscores, 64 at most")
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


class Sealer:
    """Seals and opens values with the ledger's data keys; thread-safe."""

    def __init__(self, data_keys: Mapping[int, bytes], index_key: bytes) -> None:
        self._current = max(data_keys)
        self._ciphers = {number: AESGCM(key) for number, key in data_keys.items()}
        self._index_key = index_key

    def seal(self, plaintext: bytes, where: str) -> bytes:
        """Ciphertext that opens only under the same `where` (e.g. `identity.sealed_value:pri_…`)."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._current].encrypt(nonce, plaintext, where.encode())
        return self._current.to_bytes(4, "big") + nonce + sealed

    def open(self, sealed: bytes, where: str) -> bytes:
        """Raises Fault when the bytes were altered, moved to another place, or their data key is gone."""
        cipher = self._ciphers.get(int.from_bytes(sealed[:4], "big"))
        try:
            if cipher is None:
                raise InvalidTag
            return cipher.decrypt(sealed[4 : 4 + _NONCE], sealed[4 + _NONCE :], where.encode())
        except InvalidTag:
            raise Fault("a sealed value of the ledger cannot be opened") from None

    def index(self, kind: str, value: str) -> bytes:
        """Keyed hash of an identity in normal form, for searching; equal for equal (kind, value)."""
        return self.mac(kind, value.encode())

    def mac(self, purpose: str, content: bytes) -> bytes:
        """Keyed hash of something, under the key that never changes; another one for each purpose."""
        return hmac.new(self._index_key, purpose.encode() + b"\x00" + content, hashlib.sha256).digest()
