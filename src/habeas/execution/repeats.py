"""Finds what comes more than once among millions, in eight bytes for each."""

from array import array

_PARTS = 64


class Repeats:
    """Remembers a hash of everything added; that two different things share one is next to impossible."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]

    def add(self, thing: object) -> None:
        """Add something that its `repr` tells apart from others."""
        digest = hash_of(thing)
        self._parts[digest % _PARTS].append(digest)

    def found(self) -> set[int]:
        """The hashes of what came more than once."""
        return {digest for part in self._parts if len(set(part)) < len(part) for digest in _repeated(part)}


def hash_of(thing: object) -> int:
    """Of the text: Python's own hash of whole numbers is no hash (-1 and -2 share one)."""
    return hash(repr(thing))


def _repeated(part: "array[int]") -> set[int]:
    seen: set[int] = set()
    return {digest for digest in part if digest in seen or seen.add(digest)}  # type: ignore[func-returns-value]
