"""The search for values that must not be where they are looked for."""

import base64
import re
from collections.abc import Iterable, Iterator
from functools import cache


@cache
def forms(secret: str) -> tuple[bytes, ...]:
    """Spellings under which a value could be written by accident."""
    return tuple(_forms(secret))


def _forms(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield plain.upper()
    yield plain.hex().encode()
    yield secret.encode("utf-16-le")
    for shift in range(3):  # base64 of it at any place within a longer text
        inner = base64.b64encode(b"\0" * shift + plain)[4:-4]
        if len(inner) >= 8:
            yield inner


def search(where: str, content: bytes, secrets: Iterable[str]) -> None:
    """Fail when one of these is in the content; a number counts where it is no part of a longer one, as of a time."""
    for secret in secrets:
        if secret.isdigit():
            assert not re.search(rb"(?<![\d.])%s(?!\d)" % secret.encode(), content), f"{secret!r} is in {where}"
            continue
        for form in forms(secret):
            assert form not in content, f"{secret!r} is in {where}"
