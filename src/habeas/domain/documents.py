"""Values inside of values: places in nested rows, what of them is whose, and how they are rewritten.

Pure functions over what drivers give for objects and arrays: mappings and lists; lists have no names and are gone
through at any depth. Source: data-plane §2.4, 7.2, 10.4–10.6, 10.9. Knows no store and no plan.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""Names that lead to values; arrays on the way have none."""

Position: TypeAlias = tuple[str | int, ...]
"""One concrete place: a path with the index of every array element on the way."""

_Tree: TypeAlias = dict[str | int, "_Tree"]
"""Paths or positions that begin alike, as one."""

_NOTHING = object()


def names_of(position: Position) -> Path:
    """The path that a position is a place of."""
    return tuple(step for step in position if isinstance(step, str))


def places(value: object, path: Path) -> Iterator[tuple[Position, object]]:
    """Every place of `path` in a value with what stands there, null included; nothing where a name is missing."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            for place, found in places(item, path):
                yield (index, *place), found
    elif not path:
        yield (), value
    elif isinstance(value, Mapping) and path[0] in value:
        for place, found in places(value[path[0]], path[1:]):
            yield (path[0], *place), found


def collect(value: object, path: Path) -> list[object]:
    """The values at `path` that can lead on, in order: no nulls, no objects."""
    return [found for _, found in places(value, path) if found is not None and not isinstance(found, Mapping)]


def may_be_cut(position: Position, matched: Iterable[Position], paths: Iterable[Path]) -> bool:
    """Whether a place lies in an array that matches at these paths could cut, and none of `matched` has cut."""
    arrays = [position[:depth] for depth, step in enumerate(position) if isinstance(step, int)]
    whole = [names_of(array) for array in arrays if not any(one[: len(array)] == array for one in matched)]
    return any(path[: len(names)] == names for names in whole for path in paths)


def map_places(value: object, path: Path, change: Callable[[object], object], *, arrays: int = 0) -> object:
    """The value with everything at `path` changed; what is not on the way is the same object.

    `arrays`: so many of them lead to an element there, and null in place of one is nothing to change.
    """
    if isinstance(value, list):
        return [map_places(item, path, change, arrays=arrays if path else arrays - 1) for item in value]
    if not path:
        return value if value is None and arrays > 0 else change(value)
    if isinstance(value, Mapping) and path[0] in value:
        return {**value, path[0]: map_places(value[path[0]], path[1:], change, arrays=arrays)}
    return value


def narrow(value: object, matched: Iterable[Position]) -> tuple[object, tuple[Position, ...]]:
    """The value with arrays cut to the elements that lie on a position, and the positions as they are then.

    An element that is an object stays whole but for arrays cut inside it; an array without a position stays whole.
    Raises LookupError when a position leads to nothing.
    """
    matched = tuple(matched)
    tree = _tree(matched)
    ranks: dict[int, dict[int, int]] = {}
    return _narrow(value, tree), tuple(dict.fromkeys(_renumber(position, tree, ranks) for position in matched))


def select(row: Mapping[str, object], paths: Iterable[Path]) -> dict[str, object]:
    """The values at these paths, nesting kept; objects and lists that are empty then go, null, 0, False and "" stay."""
    chosen = _choose(row, _tree(paths))
    return chosen if isinstance(chosen, dict) else {}


@dataclass(frozen=True, slots=True)
class Version:
    """One person's part of a nested value: what it held at access and what it must hold after, in one shape.

    `matched`: positions in both by which elements of arrays are the person's; other arrays are the person's whole.
    """

    original: object
    after: object
    matched: tuple[Position, ...] = ()


@dataclass(slots=True)
class Rewritten:
    """A nested value after a rewrite, and how many values inside of it were replaced.

    `changed` held what they did at access, `drifted` something else; `missing` counts elements that are gone, those
    rewritten before not among them.
    """

    value: object = None
    changed: int = 0
    drifted: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What becomes of the values at `paths` inside a column, whatever else the column holds by then.

    Elements of arrays are found by what they held, never by their place (design §3); values that stand at a path
    without having been there at access are replaced too. Applying it twice is the same as once.
    """

    paths: tuple[Path, ...]
    versions: tuple[Version, ...]

    def joined(self, other: "Rewrite") -> "Rewrite":
        """Both in one: the parts of several persons in one row."""
        return Rewrite(tuple(dict.fromkeys(self.paths + other.paths)), self.versions + other.versions)

    def apply(self, held: object) -> Rewritten:
        """The value that the column must hold now."""
        done = Rewritten()
        kept = [_Kept(one.original, one.after, _tree(one.matched), n) for n, one in enumerate(self.versions)]
        done.value = _rewrite(held, kept, _tree(self.paths), done)
        return done


def mark(value: object) -> object:
    """What tells nested values apart: equal marks, equal content and types; the order of members does not count."""
    if isinstance(value, Mapping):
        return "{", frozenset((name, mark(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return "[", tuple(mark(item) for item in value)
    return type(value), repr(value)


def _tree(paths: Iterable[Position]) -> _Tree:
    root: _Tree = {}
    for path in paths:
        here = root
        for step in path:
            here = here.setdefault(step, {})
    return root


def _shape(position: Position) -> tuple[str | None, ...]:
    """A position whatever the indices."""
    return tuple(step if isinstance(step, str) else None for step in position)


def _cuts(tree: _Tree) -> bool:
    return any(isinstance(step, int) or _cuts(below) for step, below in tree.items())


def _narrow(value: object, tree: _Tree) -> object:
    if not tree:
        return value
    indices = sorted(step for step in tree if isinstance(step, int))
    if isinstance(value, list) and len(indices) == len(tree):
        return [_narrow(value[index], tree[index]) for index in indices]
    if isinstance(value, Mapping) and tree.keys() <= value.keys():
        return {name: _narrow(item, tree[name]) if name in tree else item for name, item in value.items()}
    raise LookupError("a position leads to nothing")


def _renumber(position: Position, tree: _Tree, ranks: dict[int, dict[int, int]]) -> Position:
    steps: list[str | int] = []
    for step in position:
        if isinstance(step, int):
            if id(tree) not in ranks:
                indices = sorted(other for other in tree if isinstance(other, int))
                ranks[id(tree)] = {index: rank for rank, index in enumerate(indices)}
            steps.append(ranks[id(tree)][step])
        else:
            steps.append(step)
        tree = tree[step]
    return tuple(steps)


def _choose(value: object, tree: _Tree) -> object:
    if isinstance(value, list):
        return [chosen for item in value if (chosen := _choose(item, tree)) is not _NOTHING] or _NOTHING
    if isinstance(value, Mapping):
        wanted: Mapping[Any, _Tree] = tree or {name: {} for name in value}
        members = ((name, _choose(value[name], below)) for name, below in wanted.items() if name in value)
        return {name: chosen for name, chosen in members if chosen is not _NOTHING} or _NOTHING
    return _NOTHING if tree else value


@dataclass(frozen=True, slots=True)
class _Kept:
    """A part of a version that may be what stands here now; `original` is `_NOTHING` where there was nothing.

    `version`: the number of the one it is a part of.
    """

    original: object
    after: object
    matched: _Tree = field(default_factory=dict)
    version: int = -1

    @property
    def is_part(self) -> bool:
        """Whether only some elements of this array are the person's."""
        return any(isinstance(step, int) for step in self.matched)

    def below(self, name: str) -> "_Kept":
        original = self.original.get(name, _NOTHING) if isinstance(self.original, Mapping) else _NOTHING
        after = self.after.get(name) if isinstance(self.after, Mapping) else None
        return _Kept(original, after, self.matched.get(name, {}), self.version)

    def elements(self) -> list["_Kept"]:
        if not isinstance(self.original, list) or not isinstance(self.after, list):
            return []
        pairs = zip(self.original, self.after, strict=True)
        return [
            _Kept(original, after, self.matched.get(index, {}), self.version)
            for index, (original, after) in enumerate(pairs)
        ]

    def is_found_in(self, element: object) -> bool:
        """Whether an element holds every value by which this one was the person's."""
        return all(
            (_shape(position), mark(wanted))
            in {(_shape(place), mark(found)) for place, found in places(element, names_of(position))}
            for position, wanted in self.wanted(self.original)
        )

    def is_cut_from(self, held: object) -> bool:
        """Whether this is what was left of the value when arrays inside of it were cut to the person's elements."""
        return _cuts(self.matched) and self.is_found_in(held)

    def wanted(self, version: object) -> Iterator[tuple[Position, object]]:
        """The values of a version by which this is the person's, and where they stand."""
        return _leaves(version, self.matched)


def _leaves(value: object, tree: _Tree) -> Iterator[tuple[Position, object]]:
    if not tree:
        yield (), value
    for step, below in tree.items():
        inner: Any = value if isinstance(value, Mapping | list) else {step: None}
        for position, wanted in _leaves(inner[step], below):
            yield (step, *position), wanted


def _rewrite(held: object, kept: list[_Kept], tree: _Tree, done: Rewritten) -> object:
    if isinstance(held, list):
        return _rewrite_elements(held, kept, tree, done)
    if not tree:
        return _replace(held, kept, done)
    if isinstance(held, Mapping):
        return {
            name: _rewrite(item, [one.below(name) for one in kept], tree[name], done) if name in tree else item
            for name, item in held.items()
        }
    return held


def _rewrite_elements(held: list[object], kept: list[_Kept], tree: _Tree, done: Rewritten) -> list[object]:
    """Elements that are nobody's of those kept stay as they are.

    An element may be several of one person's: if one of these holds a part of the array, a part is all that is theirs.
    """
    cut = {one.version for one in kept if one.is_part}
    whole = [one for one in kept if not one.is_part and one.version not in cut]
    free = [element for one in whole for element in one.elements()] or [_Kept(_NOTHING, None)] * bool(whole)
    bound = [element for one in kept if one.is_part for element in one.elements()]
    originals = {mark(one.original): one for one in reversed((*free, *bound))}
    afters = {mark(one.after): one for one in reversed((*free, *bound))}
    by_value = _ByValue(bound)
    found: set[object] = set()
    rewritten = []
    for element in held:
        here = mark(element)
        exact = originals.get(here) or afters.get(here)
        same = [*by_value.find(element), *free] if exact is None else [exact]
        found.add(here)
        found.update(map(id, same))
        rewritten.append(_rewrite(element, same, tree, done) if same else element)
    # What is not here itself may be in an element that is another person's whole.
    lost = [one for one in bound if found.isdisjoint((id(one), mark(one.original), mark(one.after)))]
    done.missing += _count_missing(held, lost)
    return rewritten


class _ByValue:
    """Kept elements by a value by which each is the person's, so that an array is gone through once."""

    def __init__(self, kept: Iterable[_Kept]) -> None:
        self._kept: dict[Path, dict[object, list[_Kept]]] = {}
        for one in kept:
            position, wanted = next(one.wanted(one.original))
            by_value = self._kept.setdefault(names_of(position), {})
            by_value.setdefault((_shape(position), mark(wanted)), []).append(one)

    def find(self, element: object) -> list[_Kept]:
        """Those that an element holds all values of."""
        found: dict[int, _Kept] = {}
        for names, by_value in self._kept.items():
            for place, value in places(element, names):
                candidates = by_value.get((_shape(place), mark(value)), ())
                found.update((id(one), one) for one in candidates if id(one) not in found and one.is_found_in(element))
        return list(found.values())


def _count_missing(held: Sequence[object], lost: Sequence[_Kept]) -> int:
    """How many of these are in no element, neither as they were nor as they were to become."""
    holders: dict[Path, dict[object, set[int]]] = {}

    def holders_of(position: Position, wanted: object) -> set[int]:
        names = names_of(position)
        if names not in holders:
            holders[names] = {}
            for number, element in enumerate(held):
                for place, value in places(element, names):
                    holders[names].setdefault((_shape(place), mark(value)), set()).add(number)
        return holders[names].get((_shape(position), mark(wanted)), set())

    def is_held(one: _Kept, version: object) -> bool:
        return bool(set.intersection(*(holders_of(*wanted) for wanted in one.wanted(version))))

    return sum(not is_held(one, one.original) and not is_held(one, one.after) for one in lost)


def _replace(held: object, kept: list[_Kept], done: Rewritten) -> object:
    here = mark(held)
    same = next((one for one in kept if mark(one.original) == here or one.is_cut_from(held)), None)
    if same is not None:
        done.changed += mark(same.after) != here
        return same.after
    if held is None or any(mark(one.after) == here for one in kept):
        return held
    done.drifted += 1
    return next((after for one in kept for _, after in places(one.after, ()) if one.original is not _NOTHING), None)
