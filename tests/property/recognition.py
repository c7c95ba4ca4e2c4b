"""Whose the places of a document are after others changed it (design §3): elements are known by what they held.

An element is a person's if it holds every value by which an element of theirs was found; all of an array that nothing
had cut is theirs, whatever it holds now.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nesting import Position, holds, spell
from worlds import Row


@dataclass(frozen=True)
class Version:
    """A row as it was at access, and where in it stands what its owner was found by."""

    row: Row
    matches: Collection[Position]

    def at(self, position: Position) -> Any:
        """What stood there; `...` for nothing."""
        here: Any = self.row
        for step in position:
            if isinstance(here, Mapping):
                here = here.get(step, ...)
            elif isinstance(here, list) and isinstance(step, int) and step < len(here):
                here = here[step]
            else:
                return ...
        return here

    def origins(self, now: Row, position: Position) -> list[Position]:
        """The places at access that may be what stands at a place now; none when that is another's."""
        here: Any = now
        origins: list[Position] = [()]
        for step in position:
            here = here[step]
            if isinstance(step, str):
                origins = [(*origin, step) for origin in origins]
            else:
                lists = [origin for origin in origins if isinstance(self.at(origin), list)]
                # What came into being where nothing was is its owner's, whatever it holds.
                origins = self._elements(here, lists) if lists else [(*origin, 0) for origin in origins]
        return origins

    def _elements(self, element: Any, lists: Sequence[Position]) -> list[Position]:
        cut = [array for array in lists if holds(array, self.matches)]
        found = [(*array, number) for array in cut or lists for number in range(len(self.at(array)))]
        if cut:
            found = [one for one in found if holds(one, self.matches) and self._is_in(one, element)]
        same = [one for one in found if spell(self.at(one)) == spell(element)]
        return same or found or ([] if cut else [(*array, 0) for array in lists])

    def _is_in(self, origin: Position, element: Any) -> bool:
        """Whether an element holds all values by which another was found, in arrays as deep as then."""
        wanted = [match for match in self.matches if match[: len(origin)] == origin]
        return all(
            spell(self.at(match)) in {spell(value) for value in _at_shape(element, match[len(origin) :])}
            for match in wanted
        )


def _at_shape(value: Any, shape: Position) -> Iterator[Any]:
    """What stands at a place, whatever the numbers of elements on the way."""
    if not shape:
        yield value
    elif isinstance(shape[0], int) and isinstance(value, list):
        for element in value:
            yield from _at_shape(element, shape[1:])
    elif isinstance(shape[0], str) and isinstance(value, Mapping) and shape[0] in value:
        yield from _at_shape(value[shape[0]], shape[1:])
