"""YAML text (and with it JSON) to plain values with the line of each, without what makes YAML dangerous.

Built on parser events, because they cannot nest deeper than we allow. Knows nothing of datasets but their error.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from habeas.domain.errors import DatasetError

MAX_CHARACTERS = 5_000_000
MAX_DEPTH = 40

Steps: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead from the root to a part."""


def read_yaml(text: str, source: str) -> tuple[object, dict[Steps, int]]:
    """The value of the only document, None for an empty text, and the line of each of its parts.

    Only null, true, false and plain whole numbers are read as such (YAML 1.2); all else is text, so that a
    column may be called `no`. Raises DatasetError, also for aliases, tags and repeated keys.
    """
    if len(text) > MAX_CHARACTERS:
        raise DatasetError(f"the text is longer than {MAX_CHARACTERS:,} characters", source=source, hint="split it")
    reader = _Reader(text, source)
    try:
        return reader.read(), reader.lines
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise DatasetError(f"this is no YAML: {error.problem}", source=source, line=line) from None
    except (yaml.YAMLError, UnicodeError):
        raise DatasetError("the text holds characters that YAML does not allow", source=source) from None


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)  # the stubs do not tell the kinds of events apart
        self._source = source
        self.lines: dict[Steps, int] = {}

    def read(self) -> object:
        value: object = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self.lines:
                    raise self._error(event, "there is a second document", "keep one document in the file")
                value = self._value(next(self._events), ())
        return value

    def _value(self, event: Any, steps: Steps) -> object:
        self.lines[steps] = event.start_mark.line + 1
        if len(steps) > MAX_DEPTH:
            raise self._error(event, "this is nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, "aliases are not supported", "write the text out")
        if getattr(event, "tag", None) is not None:
            raise self._error(event, "tags are not supported", "leave out the word that begins with !")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(steps)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(steps)
        return _scalar(event.value) if event.implicit[0] else event.value

    def _mapping(self, steps: Steps) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "a key must be plain text")
            if event.value in found:
                raise self._error(event, f"key {event.value!r} stands here twice", "keep one of them")
            found[event.value] = self._value(next(self._events), (*steps, event.value))
        return found

    def _sequence(self, steps: Steps) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*steps, len(found))))
        return found

    def _error(self, event: Any, message: str, hint: str = "") -> DatasetError:
        return DatasetError(message, source=self._source, line=event.start_mark.line + 1, hint=hint)


def _scalar(text: str) -> object:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text) else text
