"""Tells rows apart where the store cannot: by all they hold, and those that hold the same by a running number.

What a row matches follows from what it holds. So rows that hold the same come equally often for each value they
match: those that come for the first value of a person are all of them, what comes for another is the same again.
Pure; of the rows it keeps a digest of what they hold.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from habeas.connectors.sql.statements import Seek
from habeas.domain.ports import Key, Value

_SHIFT = 64
_COUNT = (1 << _SHIFT) - 1


class Copies:
    """The rows of one look-up. `seeks` are to be sent in place of the look-up's: each of their values has a number."""

    def __init__(self, seeks: Sequence[Seek]) -> None:
        self._owners: list[int] = []
        self._found: dict[int, int] = {}
        """Digest and owner → the value that found it first, and how many copies it has found."""
        self.seeks = [self._number(seek) for seek in seeks]

    def identify(self, number: int, content: Sequence[Value]) -> tuple[int, Key] | None:
        """Whose row this is, and its identity, the same in every look-up; None when it came before by another value."""
        owner = self._owners[number]
        digest = hashlib.blake2b(repr(content).encode(), digest_size=16).digest()
        place = int.from_bytes(digest, "big") ^ owner
        first = self._found.get(place, number << _SHIFT)
        if first >> _SHIFT != number:
            return None
        self._found[place] = first + 1
        return owner, (digest.hex(), first & _COUNT)

    def _number(self, seek: Seek) -> Seek:
        rows = []
        for owner, values in seek.rows:
            rows.append((len(self._owners), values))
            self._owners.append(owner)
        return replace(seek, rows=rows)
