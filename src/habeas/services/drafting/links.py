"""The direction of keys: along which of them a person's rows are found, and which would lead to other people's.

Pure, on tables and keys alone. The walk begins at the tables with an identity.

* Down: rows that point to a person's row are the person's too (`from`). The nearest way counts; a key called after
  the table it leads to is nearer than one with a name of its own, and staff is far from everything.
* Up: a row that a person's row points to is looked up (`to`). Others may point to it as well, so nothing is found
  through it: what came up never goes down again. Only where the key is unique is the row above the person's own.
* A key beside the nearest way is not followed: from `comments`, found by their author, `post_id` would lead to the
  posts of others, and back to the comments of everyone.
"""

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

from habeas.domain.dataset import Direction

_Thing = TypeVar("_Thing")
_Group = TypeVar("_Group", bound=Hashable)

_NAMED, _OTHERWISE, _STAFF = 1, 100, 10_000
"""How far a key leads: called after its target, called otherwise; and how far off the tables of staff begin."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A foreign key of one column: `child`.`column` holds values of `parent`.`target`.

    `named`: the column is called after the parent. `unique`: no two rows hold the same. `actor`: it says who worked
    on the row, not whom it is about. `guessed`: by its name alone; the store declares no such key.
    """

    child: str
    column: str
    parent: str
    target: str
    named: bool = False
    unique: bool = False
    actor: bool = False
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Roots:
    """Tables with an identity; which of them are of staff, and which hold one row for each person."""

    tables: Collection[str]
    staff: Collection[str] = ()
    people: Collection[str] = ()


class Verdict(StrEnum):
    """What a draft says of a key, as its comment ends."""

    DOWN = "rows of {parent} find these"
    OWN = "a row here and the one of {parent} it points to are one person's"
    UP = "these look up rows of {parent}"
    SHARED = "{parent} may be shared by many people, so its rows find nothing here"
    OPEN = "no identity leads to {child} or {parent}, so the direction is open"
    SELF = "within one table, a key may lead from one person's rows to another's"
    ACTOR = "who worked on a row is seldom the one whom it is about"
    PERSON = "this leads from one person to another"
    BESIDE = "these rows are found on a nearer way; this one may lead to other people's"
    GUESSED = "the name looks like a key to {parent}, but the store declares none"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A key with its direction; one that is not `followed` is only shown."""

    key: Key
    verdict: Verdict
    direction: Direction | None = None
    followed: bool = True


_PROPOSED = frozenset({Verdict.DOWN, Verdict.OWN, Verdict.UP})


def is_decided(ruling: Ruling) -> bool:
    """Whether the ruling is a proposal; the others wait for a person."""
    return ruling.verdict in _PROPOSED


def direct_keys(keys: Sequence[Key], roots: Roots) -> list[Ruling]:
    """A ruling for each key, in their order. Guessed keys are never followed, nor do they bend the way of others."""
    declared = _Walk([key for key in keys if not key.guessed], roots)
    supposed = _Walk(keys, roots)
    return [_suppose(supposed.rule(key)) if key.guessed else declared.rule(key) for key in keys]


def find_owned(keys: Iterable[Key], roots: Roots) -> frozenset[str]:
    """Tables whose rows are found from the roots as the same person's own, the roots among them."""
    return frozenset(_Walk([key for key in keys if not key.guessed], roots).owned)


def find_shared(rulings: Iterable[Ruling]) -> dict[str, list[Key]]:
    """Tables that are only looked up, with the keys that lead to them."""
    return group_by((ruling.key for ruling in rulings if ruling.verdict is Verdict.UP), attrgetter("parent"))


def _suppose(ruling: Ruling) -> Ruling:
    return Ruling(ruling.key, Verdict.GUESSED, ruling.direction if is_decided(ruling) else None, followed=False)


class _Walk:
    """How far each table is from an identity, and which tables are looked up from there."""

    def __init__(self, keys: Sequence[Key], roots: Roots) -> None:
        self._roots = roots
        self._below = group_by(keys, attrgetter("parent"))
        self._above = group_by(keys, attrgetter("child"))
        self.owned: dict[str, int] = {}
        """Tables of a person's own rows, with how far they are from an identity."""
        self._up: set[Key] = set()
        self._walk_owned()
        self._shared = self._walk_shared()

    def rule(self, key: Key) -> Ruling:
        if key.child == key.parent:
            return Ruling(key, Verdict.SELF, followed=False)
        if key.actor:
            return Ruling(key, Verdict.ACTOR, followed=False)
        child, parent = self.owned.get(key.child), self.owned.get(key.parent)
        if parent is None:
            return self._rule_to_unowned(key, owned=child is not None)
        assert child is not None  # rows that point to a person's are the person's
        between_roots = key.child in self._roots.tables and key.parent in self._roots.tables
        if between_roots and not key.named:
            return Ruling(key, Verdict.PERSON, followed=False)
        if key in self._up or key.unique:
            return Ruling(key, Verdict.OWN, Direction.TO if key in self._up or parent > child else Direction.FROM)
        if parent + _length(key) == child or (child == parent == 0 and key.parent in self._roots.people):
            return Ruling(key, Verdict.DOWN, Direction.FROM)
        return Ruling(key, Verdict.PERSON if between_roots else Verdict.BESIDE, followed=False)

    def _rule_to_unowned(self, key: Key, *, owned: bool) -> Ruling:
        if owned or key.child in self._shared:
            return Ruling(key, Verdict.UP, Direction.TO)
        if key.parent in self._shared:
            return Ruling(key, Verdict.SHARED, Direction.TO)
        return Ruling(key, Verdict.OPEN)

    def _walk_owned(self) -> None:
        """Nearest first, down every key and up those above which the row is the person's own."""
        staff, tables = self._roots.staff, self._roots.tables
        heap: list[tuple[int, str, tuple[Key, ...]]] = [(_STAFF if name in staff else 0, name, ()) for name in tables]
        heapq.heapify(heap)
        while heap:
            way, table, climbed = heapq.heappop(heap)
            if table in self.owned:
                continue
            self.owned[table] = way
            self._up.update(climbed)
            for key in filter(_may_lead, self._below.get(table, ())):
                heapq.heappush(heap, (way + _length(key), key.child, ()))
            for key in filter(_may_lead, self._above.get(table, ())):
                if key.unique or self._holds_identities_of(key, way):
                    heapq.heappush(heap, (way + _length(key), key.parent, (key,)))

    def _holds_identities_of(self, key: Key, way: int) -> bool:
        """Whether a table keeps the addresses or numbers by which the people of its parent are found."""
        people = self._roots.people
        return way == 0 and key.named and key.child not in people and key.parent in people

    def _walk_shared(self) -> set[str]:
        shared: set[str] = set()
        waiting = list(self.owned)
        while waiting:
            for key in self._above.get(waiting.pop(), ()):
                if key.parent not in self.owned and key.parent not in shared and not key.actor:
                    shared.add(key.parent)
                    waiting.append(key.parent)
        return shared


def _may_lead(key: Key) -> bool:
    return not key.actor and key.child != key.parent


def _length(key: Key) -> int:
    return _NAMED if key.named else _OTHERWISE


def group_by(things: Iterable[_Thing], of: Callable[[_Thing], _Group]) -> dict[_Group, list[_Thing]]:
    """The things by what `of` says of each, in their order."""
    found: dict[_Group, list[_Thing]] = {}
    for thing in things:
        found.setdefault(of(thing), []).append(thing)
    return found
