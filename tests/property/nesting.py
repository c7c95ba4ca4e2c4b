"""Places inside of nested values, as data-plane §2.4 and §7.2 speak of them: the oracle's own reading."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Position = tuple[str | int, ...]
"""Names that lead to one place in a row, and the number of every element on the way."""

Matches = Collection[Position]
"""Where values that a person was found by stand in a row."""


def places(value: Any, path: Sequence[str], here: Position = ()) -> Iterator[tuple[Position, Any]]:
    """What stands at a path; arrays have no name and are gone through at any depth."""
    if isinstance(value, list):
        for number, element in enumerate(value):
            yield from places(element, path, (*here, number))
    elif not path:
        yield here, value
    elif isinstance(value, dict) and path[0] in value:
        yield from places(value[path[0]], path[1:], (*here, path[0]))


def names(position: Position) -> tuple[str, ...]:
    return tuple(step for step in position if isinstance(step, str))


def arrays(position: Position) -> Iterator[Position]:
    """Where the arrays stand that lie on the way to a place."""
    return (position[:depth] for depth, step in enumerate(position) if isinstance(step, int))


def holds(place: Position, matches: Matches) -> bool:
    """Whether a match stands here or below."""
    return any(match[: len(place)] == place for match in matches)


def is_own(position: Position, matches: Matches) -> bool:
    """Whether a place is left when arrays are cut to the elements that hold a match; one without any is left whole."""
    return all(holds(position[: len(array) + 1], matches) or not holds(array, matches) for array in arrays(position))


def narrow(value: Any, matches: Matches, here: Position = ()) -> Any:
    """The value without the places that are not the person's own."""
    if isinstance(value, list):
        own = [((*here, number), element) for number, element in enumerate(value)]
        return [narrow(element, matches, place) for place, element in own if is_own(place, matches)]
    if isinstance(value, dict):
        return {name: narrow(member, matches, (*here, name)) for name, member in value.items()}
    return value


def select(value: Any, paths: Collection[Sequence[str]]) -> Any:
    """What stands at the paths, nesting kept, without objects and arrays that are empty; `...` where nothing is."""
    if isinstance(value, list):
        return [one for one in (select(element, paths) for element in value) if one is not ...] or ...
    if isinstance(value, dict):
        below = {name: [path[1:] for path in paths if path[:1] == (name,)] or [()][all(paths) :] for name in value}
        chosen = {name: select(value[name], rest) for name, rest in below.items() if rest}
        return {name: one for name, one in chosen.items() if one is not ...} or ...
    return ... if all(paths) else value


def change(value: Any, at: Callable[[Position, Any], Any], path: Sequence[str], here: Position = ()) -> Any:
    """The value with what stands at a path replaced by what `at` says."""
    if isinstance(value, list):
        return [change(element, at, path, (*here, number)) for number, element in enumerate(value)]
    if not path:
        return at(here, value)
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: change(value[path[0]], at, path[1:], (*here, path[0]))}
    return value


def spell(value: Any, *, ordered: bool = False) -> str:
    """A nested value as text: numbers keep their digits, members their order only if `ordered`."""
    return json.dumps(value, default=lambda number: {"number": str(number)}, sort_keys=not ordered)


def write_json(value: Any) -> str:
    """JSON as no program writes it, so that what was never touched can be told from what was written anew."""
    return " " + _json(value)


def read_json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + " ,".join(f"{json.dumps(name)}:{_json(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ,".join(map(_json, value)) + "]"
    return json.dumps(value) if value is None or isinstance(value, bool | int | str) else str(value)
