"""Signatures of webhooks as the Standard Webhooks specification has them: how they are made and checked.

A secret reads `whsec_` and 24 to 64 bytes in base64.
"""

import base64
import hashlib
import hmac

from habeas.domain.errors import InputError

PREFIX = "whsec_"
_VERSION = "v1"


def spell_secret(key: bytes) -> str:
    """A key as it is shown."""
    return PREFIX + base64.b64encode(key).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, timestamp (epoch seconds) and body. Raises InputError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise InputError("the secret of a webhook is malformed", hint=f"it reads {PREFIX}…") from None
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"{_VERSION},{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def is_signed(secret: str, message_id: str, timestamp: int, body: bytes, signatures: str) -> bool:
    """Whether one of the signatures, which blanks part, is of this secret."""
    expected = sign(secret, message_id, timestamp, body).encode()
    return any(hmac.compare_digest(expected, given.encode()) for given in signatures.split())
