"""The substitute for a constant or null where a column is unique or must not be null (design §3).

Text that repeats for the same value and request and differs for different values.
"""

import base64
import hmac
from collections.abc import Sequence

from habeas.masking.text import end_with


def material_of(value: object, row_key: Sequence[object]) -> bytes:
    """What a substitute is derived from: the original value, or the row's key when that is null."""
    origin = ("row", *row_key) if value is None else ("value", value)
    return repr(origin).encode()


def derive(material: str | bytes, secret: str, length: int | None = None, suffix: str = "") -> str:
    """At most 52 characters of a-z and 2-7, an HMAC-SHA-256 in base32, and `suffix`; cut like all texts to `length`.

    One case only, so that results stay distinct under case-insensitive collations. Each character
    carries five bits: below a length of about twelve, collisions become likely and the store refuses them.
    """
    data = material.encode() if isinstance(material, str) else material
    digest = hmac.digest(secret.encode(), data, "sha256")
    return end_with(base64.b32encode(digest).decode().rstrip("=").lower(), suffix, length)
