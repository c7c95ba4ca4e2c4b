"""Fields that plug-ins declare (secrets of connections, details of storages), and the error that lists what is wrong.

Knows names only: a message never repeats a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.errors import InputError


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field. `place` is its path in what was submitted, e.g. (0, "details", "path")."""

    place: tuple[str | int, ...]
    message: str


class InvalidFields(InputError):
    """What was submitted does not have the declared form; carries one problem per field."""

    code = "invalid_fields"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, item.place))}: {item.message}" for item in problems))
        self.problems = tuple(problems)


def check_fields(
    given: Mapping[str, object],
    declared: Mapping[str, bool],
    alternatives: Sequence[frozenset[str]] = (),
    place: tuple[str | int, ...] = (),
) -> None:
    """Raise InvalidFields unless `given` has every required field, no unknown one, and one of the alternatives.

    `declared` maps field to required. Exactly one set of `alternatives` must be there, and nothing of the others.
    """
    names = frozenset(given)
    problems = [
        Problem((*place, name), f"unknown field; known are {', '.join(declared)}" if declared else "unknown field")
        for name in sorted(names - frozenset(declared))
    ]
    problems += [
        Problem((*place, name), "required") for name, required in declared.items() if required and name not in names
    ]
    problems += _check_alternatives(names, alternatives, place)
    if problems:
        raise InvalidFields(problems)


def _check_alternatives(
    names: frozenset[str], alternatives: Sequence[frozenset[str]], place: tuple[str | int, ...]
) -> list[Problem]:
    begun = [choice for choice in alternatives if choice & names]
    if len(begun) == 1:
        return [Problem((*place, name), "required") for name in sorted(begun[0] - names)]
    if not alternatives:
        return []
    choices = " or ".join(f"({', '.join(sorted(choice))})" for choice in alternatives)
    return [Problem(place, f"give either {choices}, not several of them" if begun else f"give {choices}")]
