"""Properties of nested values over random documents: cutting, selecting, and rewriting for several people at once.

Places are told apart by tagging every scalar of a copy, so that equal values at different places do not hide a mistake.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from habeas.domain.documents import (
    Path,
    Position,
    Rewrite,
    Version,
    map_places,
    mark,
    names_of,
    narrow,
    places,
    select,
)

NAMES = ("a", "b", "c")
SCALARS = some.sampled_from([None, 0, 1, 2, "x", "", False])
VALUES = some.recursive(
    SCALARS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=3),
    max_leaves=25,
)
ROWS = some.dictionaries(some.sampled_from(NAMES), VALUES, min_size=1, max_size=3)
PATHS = some.lists(some.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
FINDS = some.dictionaries(PATHS, some.sets(SCALARS.filter(lambda value: value is not None), min_size=1), max_size=2)
"""By which values at which paths a row is somebody's."""
TARGETS = some.lists(PATHS, min_size=1, max_size=2, unique=True).filter(
    lambda paths: not any(one != other and other[: len(one)] == one for one in paths for other in paths)
)
"""Paths to select or to mask: none inside of another, as in every plan."""


def find(row: object, wanted: Mapping[Path, set[Any]]) -> list[Position]:
    return [
        place
        for path, values in wanted.items()
        for place, value in places(row, path)
        if mark(value) in {mark(one) for one in values}
    ]


def value_at(value: Any, position: Position) -> Any:
    for step in position:
        value = value[step]
    return value


def leaves(value: object, above: Position = ()) -> Iterator[tuple[Position, object]]:
    """Every scalar and where it stands."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*above, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*above, name))
    else:
        yield above, value


def tag(value: Any) -> Any:
    """The same form with a different number for every scalar."""
    numbers = count()

    def copy(value: Any) -> Any:
        if isinstance(value, list):
            return [copy(item) for item in value]
        return {name: copy(item) for name, item in value.items()} if isinstance(value, dict) else next(numbers)

    return copy(value)


def is_part(few: Any, many: Any) -> bool:
    """Whether one came from the other by dropping elements of arrays."""
    if isinstance(few, list) and isinstance(many, list):
        rest = iter(many)
        return all(any(is_part(one, other) for other in rest) for one in few)
    if isinstance(few, dict) and isinstance(many, dict):
        return few.keys() == many.keys() and all(is_part(few[name], many[name]) for name in few)
    return mark(few) == mark(many)


@given(ROWS, FINDS)
def test_what_is_cut_keeps_the_places_that_matched_under_new_numbers(
    row: dict[str, Any], wanted: Mapping[Path, set[Any]]
) -> None:
    matched, tagged = find(row, wanted), tag(row)
    own, renumbered = narrow(tagged, matched)
    assert is_part(own, tagged)
    assert [value_at(own, place) for place in renumbered] == [
        value_at(tagged, place) for place in dict.fromkeys(matched)
    ]
    assert narrow(own, renumbered) == (own, renumbered)
    assert narrow(row, []) == (row, ())


@given(ROWS, FINDS)
def test_arrays_keep_exactly_the_elements_on_a_position(row: dict[str, Any], wanted: Mapping[Path, set[Any]]) -> None:
    matched, tagged = find(row, wanted), tag(row)
    kept = {number for _, number in leaves(narrow(tagged, matched)[0])}
    for place, number in leaves(tagged):
        assert (number in kept) == belongs(place, matched), place


def belongs(place: Position, matched: Sequence[Position]) -> bool:
    """Whether no array on the way is cut without this element."""
    for length, step in enumerate(place):
        if isinstance(step, int):
            through = [one[length] for one in matched if len(one) > length and one[:length] == place[:length]]
            if through and step not in through:
                return False
    return True


@given(ROWS, TARGETS)
def test_a_selection_holds_everything_at_its_paths_and_nothing_else(row: dict[str, Any], paths: list[Path]) -> None:
    wanted = Counter(
        (names_of(place), mark(value))
        for place, value in leaves(row)
        if any(names_of(place)[: len(path)] == path for path in paths)
    )
    assert Counter((names_of(place), mark(value)) for place, value in leaves(select(row, paths))) == wanted


@given(ROWS, TARGETS)
def test_a_selection_has_nothing_empty(row: dict[str, Any], paths: list[Path]) -> None:
    def is_full(value: object) -> bool:
        if isinstance(value, dict):
            return bool(value) and all(map(is_full, value.values()))
        return not isinstance(value, list) or (bool(value) and all(map(is_full, value)))

    chosen = select(row, paths)
    assert chosen == {} or is_full(chosen)


def wipe(value: object) -> object:
    return None


def hash_of(value: object) -> object:
    """Like a digest: the same for the same value, and never an original; an object becomes null."""
    return None if value is None or isinstance(value, dict) else f"masked {mark(value)!r}"


MASKS = some.sampled_from([wipe, hash_of])
PEOPLE = some.lists(FINDS, min_size=1, max_size=3)


def versions(row: Any, people: Sequence[Mapping[Path, set[Any]]], paths: Sequence[Path], mask: Any) -> list[Version]:
    made = []
    for wanted in people:
        own, positions = narrow(row, find(row, wanted))
        after = own
        for path in paths:
            after = map_places(after, path, mask)
        made.append(Version(own, after, positions))
    return made


def expect(row: Any, people: Sequence[Mapping[Path, set[Any]]], paths: Sequence[Path], mask: Any) -> Any:
    """The row with every place of the paths masked that belongs to one of the people."""
    found = [find(row, wanted) for wanted in people]
    owned = {
        place for path in paths for place, _ in places(row, path) if any(belongs(place, matched) for matched in found)
    }

    def copy(value: Any, above: Position) -> Any:
        if above in owned:
            return mask(value)
        if isinstance(value, list):
            return [copy(item, (*above, index)) for index, item in enumerate(value)]
        return {name: copy(item, (*above, name)) for name, item in value.items()} if isinstance(value, dict) else value

    return copy(row, ())


@given(ROWS, PEOPLE, TARGETS, MASKS)
def test_a_rewrite_masks_what_is_somebodys_and_nothing_else(
    row: dict[str, Any], people: list[Mapping[Path, set[Any]]], paths: list[Path], mask: Any
) -> None:
    rewrite = Rewrite(tuple(paths), tuple(versions(row, people, paths, mask)))
    done = rewrite.apply(row)
    assert mark(done.value) == mark(expect(row, people, paths, mask))
    assert (done.drifted, done.missing) == (0, 0)


@given(ROWS, PEOPLE, TARGETS, MASKS)
def test_a_second_rewrite_changes_nothing(
    row: dict[str, Any], people: list[Mapping[Path, set[Any]]], paths: list[Path], mask: Any
) -> None:
    rewrite = Rewrite(tuple(paths), tuple(versions(row, people, paths, mask)))
    once = rewrite.apply(row).value
    again = rewrite.apply(once)
    assert mark(again.value) == mark(once)
    assert (again.changed, again.drifted) == (0, 0)


@given(ROWS, PEOPLE, TARGETS, MASKS)
def test_the_order_of_people_does_not_matter(
    row: dict[str, Any], people: list[Mapping[Path, set[Any]]], paths: list[Path], mask: Any
) -> None:
    made = versions(row, people, paths, mask)
    first = Rewrite(tuple(paths), tuple(made)).apply(row)
    one, *others = reversed([Rewrite(tuple(paths), (version,)) for version in made])
    for other in others:
        one = one.joined(other)
    assert mark(one.apply(row).value) == mark(first.value)


def rearrange(value: Any, shuffler: random.Random, added: Sequence[Any] = ()) -> Any:
    """The same row after somebody changed the order of its arrays, and put in new elements."""
    if isinstance(value, list):
        return shuffler.sample([*value, *added], len(value) + len(added))
    if isinstance(value, dict):
        return {name: rearrange(item, shuffler, added) for name, item in value.items()}
    return value


@given(ROWS, PEOPLE, TARGETS, MASKS, some.randoms(use_true_random=False))
def test_elements_are_found_again_after_arrays_were_reordered(
    row: dict[str, Any], people: list[Mapping[Path, set[Any]]], paths: list[Path], mask: Any, shuffler: random.Random
) -> None:
    moved = rearrange(row, shuffler)
    done = Rewrite(tuple(paths), tuple(versions(row, people, paths, mask))).apply(moved)
    assert mark(done.value) == mark(expect(moved, people, paths, mask))
    assert done.missing == 0


NEW = some.sampled_from(["new", {"a": "new"}, {"a": [{"b": "new"}], "c": "new"}, ["new"]])


@given(ROWS, PEOPLE, TARGETS, some.lists(NEW, min_size=1, max_size=2), some.randoms(use_true_random=False))
def test_new_elements_are_masked_only_where_the_array_is_somebodys_whole(
    row: dict[str, Any],
    people: list[Mapping[Path, set[Any]]],
    paths: list[Path],
    added: list[Any],
    shuffler: random.Random,
) -> None:
    moved = rearrange(row, shuffler, added)
    done = Rewrite(tuple(paths), tuple(versions(row, people, paths, wipe))).apply(moved)
    assert mark(done.value) == mark(expect(moved, people, paths, wipe))
    assert done.missing == 0
