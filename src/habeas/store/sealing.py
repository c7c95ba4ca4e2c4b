"""Encryption at rest: what is sealed here can be read only with the key ring.

A ring of named 32-byte keys (`ENCRYPTION_KEYS=id:base64,…`, the first one seals) wraps data keys that
live in the ledger; data keys seal values with AES-256-GCM, bound to the place they stand in (`where`).
A ledger may get a new data key while processes run: they learn of it when they meet what it has sealed, and before
they seal. The index key, for keyed hashes, is wrapped alike and never changes with the others (design §5 *Keys*).
"""

import base64
import hashlib
import hmac
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from habeas.domain.errors import Fault, InputError, SystemUnavailable

_NONCE = 12
_LONGEST_NAME = 64  # as the ledger keeps it

FRESH = 5.0
"""Seconds after which a process looks again which data key seals, before it seals."""


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


@dataclass(frozen=True, slots=True)
class DataKeys:
    """The ledger's keys, unwrapped: the data keys by number, of which the highest seals, and the index key."""

    data: Mapping[int, bytes]
    index: bytes


class Sealer:
    """Seals and opens values with the ledger's data keys; thread-safe.

    `read` reads them from the ledger, apart from any transaction under way. What has been read stays: values that a
    thread holds still open after their data key is gone from the ledger.
    """

    def __init__(self, read: Callable[[], DataKeys]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._ciphers: dict[int, AESGCM] = {}
        self._refresh()

    def refresh(self) -> None:
        """Read the data keys anew. Raises SystemUnavailable when this process's ring does not open them all."""
        with self._lock:
            try:
                self._refresh()
            except InputError as error:
                raise SystemUnavailable(error.message, hint=f"{error.hint}, and restart this process") from None

    def _refresh(self) -> None:
        began = time.monotonic()
        keys = self._read()
        fresh = {number: AESGCM(key) for number, key in keys.data.items() if number not in self._ciphers}
        self._ciphers = {**self._ciphers, **fresh}
        self._current = max(keys.data)
        self._index_key = keys.index
        self._fresh_until = began + FRESH

    def current(self) -> int:
        """Number of the data key that seals, as it was in the ledger `FRESH` seconds ago or later."""
        if time.monotonic() > self._fresh_until:
            self.refresh()
        return self._current

    def seal(self, plaintext: bytes, where: str) -> bytes:
        """Ciphertext that opens only under the same `where` (e.g. `identity.sealed_value:pri_…`).

        To be written in the transaction under way: what has been kept for longer is to be renewed before.
        """
        number, nonce = self.current(), os.urandom(_NONCE)
        return number.to_bytes(4, "big") + nonce + self._ciphers[number].encrypt(nonce, plaintext, where.encode())

    def renew(self, sealed: bytes, where: str) -> bytes:
        """The same value sealed by the data key that seals now. Raises Fault as `open` does."""
        return sealed if number_of(sealed) == self.current() else self.seal(self.open(sealed, where), where)

    def open(self, sealed: bytes, where: str) -> bytes:
        """Raises Fault when the bytes were altered, moved to another place, or their data key is gone."""
        if number_of(sealed) not in self._ciphers:
            self.refresh()
        cipher = self._ciphers.get(number_of(sealed))
        try:
            if cipher is None:
                raise InvalidTag
            return cipher.decrypt(sealed[4 : 4 + _NONCE], sealed[4 + _NONCE :], where.encode())
        except InvalidTag:
            raise Fault("a sealed value of the ledger cannot be opened") from None

    def index(self, kind: str, value: str) -> bytes:
        """Keyed hash of an identity in normal form, for searching; equal for equal (kind, value).

        Anybody may choose an identity's kind and value, and whoever reads the ledger sees the hash: a purpose whose
        hashes open something holds a blank or a colon, which no kind has.
        """
        return self.mac(kind, value.encode())

    def mac(self, purpose: str, content: bytes) -> bytes:
        """Keyed hash of something, under the key that never changes; another one for each purpose."""
        return hmac.new(self._index_key, purpose.encode() + b"\x00" + content, hashlib.sha256).digest()


def number_of(sealed: bytes) -> int:
    """Number of the data key that sealed a value."""
    return int.from_bytes(sealed[:4], "big")
