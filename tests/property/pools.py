"""Small pools of awkward values, so that rows meet, repeat and overlap."""

from random import Random
from typing import Any

INTEGERS = (0, 0, 1, 1, 2, 7, -1, 2**40)
REALS = (0.0, 1.0, 1.5, -2.25, 10.0)
TEXTS = ("0", "1", "", "é", "7", "01", " 1", "1.0", "1.5", "1_0", "e\u0301", "𝔘", "o'b", "%_", "9" * 20)
MAILS = (*("u0@example.com", "u1@example.com") * 2, *(f"u{number}@example.com" for number in range(2, 7)))
MAILS += ("U1@Example.com", "Üwe@example.com", "üwe@example.com")
PHONES = ("+4930123", "+49 30 123", "+49-30-123", "+15550100", "+1 (555) 0100")
NOTES = (*TEXTS, "Müller", "long enough to be cut somewhere", "MASKED")
NOTES += ("=1+1", "@x", "-x", "-1", "+1.5", "a,b", 'a"b', "two\r\nlines", "\tx")
CATEGORIES = (
    *("user", "user.contact.email", "user.contact", "user.content", "user.content.private", "user.device.cookie"),
    *("user.device.cookie_id", "user.name", "system.operations", None),
)
OVERRIDES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("null_rewrite", {}),
    ("string_rewrite", {"rewrite_value": "own"}),
    ("preserve", {}),
)
ODD = ' ö"%s:x'
"""What is hung on names in some worlds."""


def one_in(random: Random, count: int) -> bool:
    return random.randrange(count) == count - 1
