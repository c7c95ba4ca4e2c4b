"""For receivers of status webhooks: whether a call comes from Habeas, and is no old one played again."""

import time
from collections.abc import Callable, Mapping

from habeas.domain.errors import InputError
from habeas.domain.signature import is_signed

TOLERANCE = 300.0
"""Seconds that a call's time may differ from ours."""


class InvalidSignature(InputError):
    """The call is not to be trusted."""

    code = "invalid_signature"


def verify_webhook_signature(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    tolerance: float = TOLERANCE,
    now: Callable[[], float] = time.time,
) -> None:
    """Raises InvalidSignature unless this secret (`whsec_…`) signed these bytes within `tolerance` seconds.

    `body` is what was received, before it is parsed; names of headers may be in any case. One event may come twice,
    with the same `webhook-id`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, signatures = given["webhook-id"], given["webhook-signature"]
        timestamp = int(given["webhook-timestamp"])
        age = now() - timestamp
    except (KeyError, ValueError, OverflowError):  # the last: a number beyond all bounds
        raise InvalidSignature("a header of the webhook is missing or malformed") from None
    if abs(age) > tolerance:
        raise InvalidSignature("the webhook was signed too long ago, or in the future", hint="check both clocks")
    if not is_signed(secret, message_id, timestamp, body, signatures):
        raise InvalidSignature("the webhook was not signed with this secret", hint="verify the bytes as they came")
