"""Identities: what a data subject is known by, as given and in normal form.

Source: control-plane §3.1, gap list G3–G5, design §9 (phones).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.errors import InputError

EMAIL = "email"
PHONE = "phone_number"

_PHONE_NOISE = str.maketrans("", "", " -().")
_E164 = re.compile(r"\+[1-9]\d{1,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_KIND = re.compile(r"[A-Za-z0-9_.\-]{1,128}")

LONGEST = 1000
"""Characters of a value, and of a label."""

MOST = 100
"""Values of one person, of all kinds together."""

_TOO_LONG = 10**LONGEST
"""A number with a digit too many; Python refuses to write much longer ones."""

Scalar = str | int


@dataclass(frozen=True, slots=True)
class Identity:
    """One kind of identity of one data subject, e.g. `email` with its spellings.

    `values` are as given, in order, without repeats; several mean alternatives.
    """

    kind: str
    values: tuple[Scalar, ...]
    label: str | None = None

    def lookup_values(self) -> tuple[Scalar, ...]:
        """Every value as given and normalised, without repeats: what the stores are asked for."""
        return tuple(dict.fromkeys(form for value in self.values for form in (value, normalise(self.kind, value))))


def normalise(kind: str, value: Scalar) -> Scalar:
    """The normal form of an identity value: e-mail trimmed and lower-cased, phone in E.164.

    Raises InputError when the value cannot be one of its kind; the message never repeats the value.
    """
    if kind == EMAIL:
        text = str(value).strip().lower()
        if not _EMAIL.fullmatch(text):
            raise InputError("identity.email is not an e-mail address", hint="write it as name@domain")
        return text
    if kind == PHONE:
        text = str(value).strip().translate(_PHONE_NOISE)
        if not _E164.fullmatch(text):
            raise InputError(
                "identity.phone_number is not in E.164 form",
                hint="write a plus, the country code and the number, e.g. +1 (123) 456 7891",
            )
        return text
    return value


def parse_identities(given: Mapping[str, object]) -> tuple[Identity, ...]:
    """Read one `identity` object: `{kind: value | [values] | {label, value}}`.

    Nulls and empty strings are ignored. Raises InputError when nothing is left, a value is malformed, or there is more
    than `LONGEST` and `MOST` allow.
    """
    found = []
    for kind, raw in given.items():
        if not _KIND.fullmatch(kind):
            raise InputError("an identity kind has characters that are not allowed", hint="use letters, digits, _ . -")
        label: str | None = None
        if isinstance(raw, Mapping):
            unknown = set(raw) - {"label", "value"}
            if unknown or "value" not in raw:
                raise InputError(f"identity.{kind} must be a value or {{label, value}}")
            label = str(raw["label"]) if raw.get("label") is not None else None
            if label is not None and "\x00" in label:
                raise InputError(f"the label of identity.{kind} holds a NUL character")
            if label is not None and len(label) > LONGEST:
                raise InputError(f"the label of identity.{kind} has more than {LONGEST} characters", hint="shorten it")
            raw = raw["value"]
        values = tuple(dict.fromkeys(_scalars(kind, raw)))
        if values:
            identity = Identity(kind, values, label)
            identity.lookup_values()  # refuses malformed values now, not at run time
            found.append(identity)
    if sum(len(identity.values) for identity in found) > MOST:
        raise InputError(f"one person has more than {MOST} values", hint="give the others in a further request")
    if not found:
        raise InputError("at least one identity is needed", hint='e.g. "identity": {"email": "ann@example.com"}')
    return tuple(sorted(found, key=lambda identity: identity.kind))


def _scalars(kind: str, raw: object) -> list[Scalar]:
    items: Sequence[object] = raw if isinstance(raw, list | tuple) else [raw]
    values: list[Scalar] = []
    for item in items:
        if item is None or item == "":
            continue
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise InputError(f"identity.{kind} must be text, a whole number, or a list of these")
        if isinstance(item, str) and "\x00" in item:
            raise InputError(f"identity.{kind} holds a NUL character")
        if len(item) > LONGEST if isinstance(item, str) else abs(item) >= _TOO_LONG:
            raise InputError(
                f"identity.{kind} has a value of more than {LONGEST} characters",
                hint="give what identifies the person alone; several values make a list",
            )
        values.append(item)
    return values
