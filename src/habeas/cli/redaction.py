"""The last line of defence of logs: what looks like a value of a person or a secret becomes `[redacted]`.

Lines of ours hold ids, names and counts alone; this is for a mistake of ours and for libraries that repeat what they
were given. Ids (`pri_…`, `run_…`), addresses of servers, paths and times stay readable.
"""

import logging
import re
import traceback
from itertools import pairwise
from types import TracebackType

from habeas.domain.errors import HabeasError

REDACTED = "[redacted]"

_FRAMES = 12

_SIGN = r"""[^\s@<>()\[\]{}"',;:=/]"""
"""Of an e-mail address."""
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"(?<![\w+.-])([\w+.-]+://[^\s:/@]*):[^\s]{0,1000}@", rf"\1:{REDACTED}@"),  # the password of a URL
        (r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", rf"\1 {REDACTED}"),
        (
            r"""\b(\w*(?:password|passwd|pwd|secret|token|api_?key|access_?key|encryption_?key))"""
            r"""(["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&)}\]]+)""",
            rf"\1\2{REDACTED}",
        ),
        (rf"(?<!{_SIGN}){_SIGN}+@{_SIGN}+\.{_SIGN}+", REDACTED),  # e-mail
        (r"(?<![\w+])\+\d(?:[ ().\-/]{0,2}\d){6,14}(?!\d)", REDACTED),  # international phone numbers
        (r"(?<![\w.:-])\(?\d{3,5}\)?[ \-]\d{3}[ \-]\d{3,5}(?![\w-])", REDACTED),  # national ones
        (r"(?<![\w.:+-])\d{10,16}(?![\w.:-])", REDACTED),
        (r"(?<![\w-])[0-9a-f]{32,}(?![\w-])", REDACTED),  # a secret in hex
    )
)
"""Each begins at the start of a word or is bounded: a line of a megabyte takes no more than its length."""
_WORD = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_DENSE, _DENSE_LETTERS = 0.25, 0.38
"""Changes between capitals, small letters, digits and signs per sign: random base64 has 0.65, without digits 0.5."""


def redact(text: str) -> str:
    """The text without e-mail addresses, phone numbers, bearer tokens, passwords and long secrets."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _WORD.sub(lambda found: REDACTED if _is_secret(found[0]) else found[0], text)


def _is_secret(word: str) -> bool:
    """Whether a part of it, at the slashes that paths have too, is as random as base64."""
    return any(len(part) >= 20 and _is_random(part.rstrip("=")) for part in word.split("/"))


def _is_random(word: str) -> bool:
    kinds = ["A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else "-" for c in word]
    if not {"A", "a"} <= set(kinds):  # ids of ours have no capitals
        return False
    changes = sum(one != other for one, other in pairwise(kinds))
    return changes > len(kinds) * (_DENSE if "0" in kinds else _DENSE_LETTERS)


def name_trace(error: BaseException, trace: TracebackType | None) -> str:
    """The kind of an error and where it came from, newest call first; not its words, which may quote values."""
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places or '?'}"


class Redaction(logging.Filter):
    """A filter of a handler. Errors among a line's arguments that are none of ours are reduced to their kind."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_reduce(argument) for argument in record.args)
        try:
            said = record.getMessage()
        except Exception:  # arguments that do not fit: never let a line of a library end what it tells of
            said = str(record.msg)
        record.msg, record.args = redact(said), None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = redact(name_trace(record.exc_info[1], record.exc_info[2]))
        record.exc_info = None
        record.stack_info = None
        return True


def _reduce(argument: object) -> object:
    if isinstance(argument, BaseException) and not isinstance(argument, HabeasError):
        return type(argument).__name__
    return argument
