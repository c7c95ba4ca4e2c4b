"""Parts of a document of datasets or policies: a value and its place, read as text, name, flag, choice, …

Every error names file, line and path. Knows nothing of what they mean.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from habeas.domain.dataset import Address
from habeas.domain.errors import DatasetError
from habeas.services.yaml_text import Steps

LONGEST_NAME = 256
_KEY = re.compile(r"[A-Za-z0-9_.\-<>]+")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Part:
    """A value of the document and the place it stands at; an absent one holds None."""

    value: object
    source: str
    path: str = ""
    steps: Steps = ()
    lines: Mapping[Steps, int] = field(default_factory=dict)

    def error(self, message: str, hint: str = "") -> DatasetError:
        """To be raised; the line is that of the nearest thing that stands in the text."""
        nearest = (self.steps[:end] for end in range(len(self.steps), -1, -1))
        line = next((self.lines[steps] for steps in nearest if steps in self.lines), None)
        return DatasetError(message, path=self.path, source=self.source, line=line, hint=hint)

    def get(self, key: str) -> "Part":
        if self.value is not None and not isinstance(self.value, Mapping):
            raise self.error("this must be a mapping", "write key: value pairs")
        value = None if self.value is None else self.value.get(key)
        path = f"{self.path}.{key}" if self.path else key
        return replace(self, value=value, path=path, steps=(*self.steps, key))

    def items(self) -> Iterator["Part"]:
        """The elements of a list; none when it is absent."""
        if self.value is not None and not isinstance(self.value, list | tuple):
            raise self.error("this must be a list")
        for index, item in enumerate(self.value or ()):
            yield replace(self, value=item, path=f"{self.path}[{index}]", steps=(*self.steps, index))

    def called(self, path: str) -> "Part":
        """The same place under the name that people know it by."""
        return replace(self, path=path)

    def meta(self) -> "Part":
        """`fides_meta`, or its older spelling when that is absent."""
        newer = self.get("fides_meta")
        return newer if newer.value is not None else self.get("fidesops_meta")

    def required(self) -> "Part":
        if self.value is None:
            raise self.error("this is required")
        return self

    def text(self, longest: int | None = None) -> str | None:
        """Text of at most so many characters, or None; numbers become text."""
        text = self.value
        if isinstance(text, int | float) and not isinstance(text, bool):
            text = str(text)
        if text is not None and not isinstance(text, str):
            raise self.error("this must be text", "put it in quotes")
        if text and longest is not None and len(text) > longest:
            raise self.error("this is too long", f"{longest} characters are the most")
        return text

    def name(self, longest: int = LONGEST_NAME) -> str:
        """Text that is required, not empty, not longer than this and free of control characters."""
        text = self.required().text(longest) or ""
        if not text or any(ord(character) < 32 for character in text):
            raise self.error("this must be a name: text without control characters, not empty")
        return text

    def optional_name(self) -> str | None:
        return None if self.value is None else self.name()

    def key(self) -> str:
        """A dataset's key."""
        key = self.name()
        if not _KEY.fullmatch(key):
            raise self.error("this is no dataset key", "use letters, digits and _ . - < > only")
        return key

    def address(self) -> Address:
        """A collection elsewhere, written `dataset.collection`."""
        parts = self.name(2 * LONGEST_NAME + 1).split(".")
        if len(parts) != 2 or not all(parts):
            raise self.error("this is no collection", "write dataset.collection: two parts with one dot")
        return Address(*parts)

    def flag(self) -> bool:
        """True or false, false when absent; YAML's older words for them count too."""
        if self.value is None or isinstance(self.value, bool):
            return bool(self.value)
        word = self.value.lower() if isinstance(self.value, str) else ""
        if word not in _FLAGS:
            raise self.error("this must be true or false")
        return _FLAGS[word]

    def positive(self) -> int | None:
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 1:
            raise self.error("this must be a whole number above zero")
        return self.value

    def choice(self, choices: type[_Choice]) -> _Choice | None:
        text = self.text()
        if text is None:
            return None
        if text not in list(choices):
            raise self.error(f"{text!r} is not known here", f"use one of {', '.join(choices)}")
        return choices(text)

    def refuse(self, message: str, hint: str) -> None:
        """Raises when anything but an empty value stands here: what is not carried out must not be ignored."""
        if self.value not in (None, False, "", [], {}):
            raise self.error(message, hint)
