"""People who work with Habeas: how their names and passwords are written (control-plane §1.16).

Must not know where they are kept, nor how a password is hashed.
"""

import base64
import re
import unicodedata
from collections.abc import Callable

ROOT_USER = "fid_root"
"""The id of the user whom the settings define; it is never stored."""

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
"""In characters. A longer one would make whoever checks it work for nothing."""

_USERNAME = re.compile(r"[a-z0-9._\-]{1,64}")
_NEEDED: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("a digit", str.isdigit),
    ("an upper-case letter", str.isupper),
    ("a lower-case letter", str.islower),
    ("a symbol, e.g. ! or ?", lambda character: not character.isalnum() and not character.isspace()),
)


def normalise_username(given: str) -> str | None:
    """The name in lower case, or None when it is none: 1 to 64 letters without marks, digits, `.`, `_` and `-`."""
    name = given.strip().lower()
    return name if _USERNAME.fullmatch(name) else None


def read_password(given: str) -> str:
    """The one form of a password, however it was sent: as it is, or in base64 (of UTF-8), as older clients send it.

    Text is base64 when it decodes to what may be a password. As that is asked again of what comes out, a password and
    its base64 always have the same form: nobody is locked out by having sent the other one before.
    """
    password = unicodedata.normalize("NFC", given)
    while (decoded := _decode(password)) is not None and not _list_problems(decoded):
        password = decoded
    return password


def find_weaknesses(password: str) -> list[str]:
    """What keeps a password in its one form from being one, in words that do not repeat it; [] for a good one.

    The base64 of a weak password is as weak.
    """
    decoded = _decode(password)
    return _list_problems(password if decoded is None or not decoded.isprintable() else decoded)


def _decode(text: str) -> str | None:
    try:
        return unicodedata.normalize("NFC", base64.b64decode(text, validate=True).decode()) or None
    except ValueError:
        return None


def _list_problems(password: str) -> list[str]:
    problems = []
    if len(password) < SHORTEST_PASSWORD:
        problems.append(f"has less than {SHORTEST_PASSWORD} characters")
    if len(password) > LONGEST_PASSWORD:
        problems.append(f"has more than {LONGEST_PASSWORD} characters")
    problems += [f"lacks {what}" for what, is_one in _NEEDED if not any(map(is_one, password))]
    if not password.isprintable():
        problems.append("holds a control character")
    return problems
