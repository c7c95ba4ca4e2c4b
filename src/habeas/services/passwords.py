"""How secrets of clients and passwords of users are kept: argon2, never the words themselves."""

import hmac
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from habeas.domain.user import find_weaknesses, read_password
from habeas.services.fields import InvalidFields, Problem

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_secret(secret: str) -> str:
    """What is kept of a secret."""
    return _HASHER.hash(secret)


def hash_password(given: str, field: str) -> str:
    """What is kept of a new password of a user, however it was sent. Raises InvalidFields, one problem per weakness."""
    password = read_password(given)
    if weaknesses := find_weaknesses(password):
        raise InvalidFields([Problem((field,), weakness) for weakness in weaknesses])
    return hash_secret(password)


def matches(secret_hash: str | None, secret: str) -> bool:
    """Whether this is the secret; takes as long when there is none."""
    try:
        return _HASHER.verify(secret_hash or _hash_of_nobody(), secret) and secret_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def same(given: str, expected: str) -> bool:
    """Constant-time; an empty expectation matches nothing."""
    return hmac.compare_digest(given.encode(), expected.encode()) and bool(expected)


@cache
def _hash_of_nobody() -> str:
    return hash_secret(secrets.token_urlsafe(32))
