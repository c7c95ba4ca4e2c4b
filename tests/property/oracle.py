"""The brute-force oracle: what a run must find, give and write, worked out row by row and person by person.

It shares no code with planner, engine or connectors; masks and places inside of nested values are its own too.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from equality import cast_to, is_equal, spell_identity
from expected_masks import Masking, covered, is_targeted, list_maskings
from nesting import Position, arrays, change, holds, is_own, names, narrow, places, select, spell
from routes import Arrow, Route
from worlds import Address, Collection, Person, PolicyFacts, Row, Secrets, World

Found = dict[Address, dict[int, frozenset[Position]]]
"""Places of rows by collection, each with where inside of it values stand by which arrays are cut."""


@dataclass(frozen=True)
class Erasure:
    """What is erased for whom: each request's rows and secrets."""

    policy: PolicyFacts
    route: Route
    found: Mapping[str, Found]
    secrets: Mapping[str, Secrets]


@dataclass
class Effect:
    """How many rows of one collection were changed, were masked already, are others' too."""

    changed: int = 0
    already: int = 0
    shared: int = 0

    def add(self, other: "Effect") -> None:
        self.changed += other.changed
        self.already += other.already
        self.shared += other.shared


class State:
    """All rows of a world as they are now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[Address, dict[int, Row]] = {
            item.address: {
                number: dict(zip((column.name for column in item.columns), row, strict=True))
                for number, row in enumerate(item.rows)
            }
            for item in world.collections
        }

    # -- what is found -----------------------------------------------------------------------------------------

    def find(self, person: Person, route: Route) -> Found:
        """A person's rows: by identity, then along every arrow until nothing is added.

        Where values go round, what elements that are surely the person's lead to comes first; an array that nothing
        has cut by then leads on whole.
        """
        found: Found = {address: {} for address in route.visited}
        brought: dict[Arrow, dict[str, Any]] = {arrow: {} for arrow in route.arrows}
        for group in route.groups:
            whole = not any({arrow.source[0], arrow.target[0]} <= group for arrow in route.arrows)
            while True:
                before = [sum(map(len, brought.values())), [found[address] for address in group]]
                for arrow in route.arrows:
                    if arrow.target[0] in group:
                        sure = not whole and arrow.source[0] in group
                        values = self._values(arrow.source, found[arrow.source[0]], route if sure else None)
                        brought[arrow].update((repr(value), value) for value in values)
                for address in group:
                    found[address] = self._find_in(address, person, brought)
                if before == [sum(map(len, brought.values())), [found[address] for address in group]]:
                    if whole:
                        break
                    whole = True
                else:
                    whole = False
        return found

    def follow(self, arrow: Arrow, row: int) -> set[int]:
        """The rows that a row of the arrow's source leads to."""
        values = list(self._values(arrow.source, {row: frozenset()}))
        return set(self._seek(*arrow.target, values, None))

    def _find_in(
        self, address: Address, person: Person, brought: Mapping[Arrow, Mapping[str, Any]]
    ) -> dict[int, frozenset[Position]]:
        found: dict[int, set[Position]] = {}
        item = self.world.collection(address)
        ways = [
            (path, list(spell_identity(column.identity, person[column.identity])), column.match)
            for path, column in item.paths().items()
            if column.identity is not None and column.identity in person
        ]
        ways += [(a.target[1], list(values.values()), None) for a, values in brought.items() if a.target[0] == address]
        for path, values, match in ways:
            for row, positions in self._seek(address, path, values, match).items():
                found.setdefault(row, set()).update(positions if item.narrows(path) else ())
        return {row: frozenset(positions) for row, positions in found.items()}

    def _seek(
        self, address: Address, path: str, values: Iterable[Any], match: str | None, *, cast: bool = True
    ) -> dict[int, set[Position]]:
        """The rows that hold one of the values at a path, and where."""
        kind, column = self.world.database(address).kind, self.world.collection(address).column(path)
        sought = [cast_to(column.data_type, value) if cast else value for value in values]
        found: dict[int, set[Position]] = {}
        for number, row in self.rows[address].items() if sought else ():
            for position, cell in places(row, path.split(".")):
                if _is_value(cell) and any(
                    value is not None and is_equal(cell, value, column, kind, match) for value in sought
                ):
                    found.setdefault(number, set()).add(position)
        return found

    def _values(
        self, end: tuple[Address, str], rows: Mapping[int, frozenset[Position]], sure: Route | None = None
    ) -> Iterator[Any]:
        """What is a person's of the rows at a path; with a route, not what stands in arrays that could yet be cut."""
        cutting = self._cutting(end[0], sure) if sure else ()
        for row, matches in rows.items():
            for position, value in places(self.rows[end[0]][row], end[1].split(".")):
                open_arrays = [a for a in arrays(position) if not holds(a, matches)]
                if any(path[: len(names(a))] == names(a) for a in open_arrays for path in cutting):
                    continue
                if _is_value(value) and is_own(position, matches):
                    yield value

    def _cutting(self, address: Address, route: Route) -> list[tuple[str, ...]]:
        """The paths by which arrays of a collection are cut."""
        item = self.world.collection(address)
        paths = [path for path, column in item.paths().items() if column.identity in route.kinds]
        paths += [arrow.target[1] for arrow in route.arrows if arrow.target[0] == address]
        return [tuple(path.split(".")) for path in paths if item.narrows(path)]

    # -- what is given -----------------------------------------------------------------------------------------

    def package(self, policy: PolicyFacts, found: Found) -> dict[str, list[Row]]:
        """Collection → rows with what is covered; empty rows and collections without rows are left out."""
        given = {}
        for address, rows in found.items():
            paths = [tuple(path.split(".")) for path in self.covered_paths(address, policy)]
            chosen = (
                [select(narrow(self.rows[address][row], rows[row]), paths) for row in sorted(rows)] if paths else []
            )
            if shown := [_shown(row) for row in chosen if row is not ...]:
                given[":".join(address)] = shown
        return given

    def covered_paths(self, address: Address, policy: PolicyFacts) -> list[str]:
        """What the access rule gives of a collection, sorted: all of it, or the outermost fields that are covered."""
        item = self.world.collection(address)
        if covered(item.category, policy.access):
            return sorted(column.name for column in item.columns if column.declared)
        hits = [path for path, column in item.paths().items() if covered(column.category, policy.access)]
        return sorted(path for path in hits if not any(path.startswith(f"{other}.") for other in hits))

    # -- what is masked ----------------------------------------------------------------------------------------

    def erase(self, erasure: Erasure) -> dict[str, dict[str, Effect]]:
        """Mask every row once, with the secrets of its smallest request; request → collection → what became of it."""
        effects: dict[str, dict[str, Effect]] = {request: {} for request in erasure.found}
        for address in erasure.route.visited:
            item, policy = self.world.collection(address), erasure.policy
            maskings = list_maskings(item, policy)
            acts = is_targeted(item, policy) if item.delete else bool(maskings)
            if not acts or self.world.database(address).read_only or not self.can_find(item, erasure.route, maskings):
                continue
            for number in list(self.rows[address]):
                owners = sorted(request for request, rows in erasure.found.items() if number in rows[address])
                if owners:
                    effect = self._erase_row(number, owners, item, maskings, erasure)
                    for request in owners:
                        effects[request].setdefault(":".join(address), Effect()).add(effect)
        return effects

    def can_find(self, item: Collection, route: Route, maskings: Sequence[Masking]) -> bool:
        """Rows without key are found again by all that was read of them, and only if that was all of them."""
        if item.key:
            return True
        nested = any(masking.inside or masking.column.is_nested for masking in maskings)
        return not self._cutting(item.address, route) and (item.delete or not nested)

    def _erase_row(
        self, number: int, owners: Sequence[str], item: Collection, maskings: Sequence[Masking], erasure: Erasure
    ) -> Effect:
        rows = self.rows[item.address]
        own = [erasure.found[request][item.address][number] for request in owners]
        counts = erasure.policy.shared != "mask"
        shared = counts and bool(list(self._list_others(item.address, number, own, erasure)))
        if shared and erasure.policy.shared == "skip":
            return Effect(shared=1)
        if item.delete:
            del rows[number]
            return Effect(changed=1, shared=shared)
        before, rows[number] = rows[number], mask_row(item, rows[number], maskings, own, erasure.secrets[owners[0]])
        same = spell(rows[number]) == spell(before)
        return Effect(not same, same, shared)

    def _list_others(
        self, address: Address, number: int, own: Sequence[frozenset[Position]], erasure: Erasure
    ) -> Iterator[int]:
        """Rows that are nobody's of the run and lead to what is the run's of this one."""
        for arrow in erasure.route.arrows:
            if arrow.target[0] == address:
                values = [value for matches in own for value in self._values(arrow.target, {number: matches})]
                for other in self._seek(*arrow.source, values, None, cast=False):
                    if not any(other in rows[arrow.source[0]] for rows in erasure.found.values()):
                        yield other


def mask_row(
    item: Collection, row: Row, maskings: Sequence[Masking], own: Sequence[frozenset[Position]], secrets: Secrets
) -> Row:
    """The row afterwards; inside of nested values what is some owner's own."""
    told_by = item.key or [column.name for column in item.columns if column.declared]
    key = [row[name] for name in sorted(told_by)]
    masked: Any = row
    for masking in maskings:

        def mask(position: Position, value: Any, masking: Masking = masking) -> Any:
            mine = any(is_own(position, matches) for matches in own)
            nothing = value is None and masking.column.array and isinstance(position[-1], str)  # no array, no elements
            return masking.apply(value, key, secrets) if mine and not nothing else value

        masked = change(masked, mask, masking.path)
    return dict(masked)


def _is_value(value: Any) -> bool:
    return value is not None and not isinstance(value, dict)


def _shown(value: Any) -> Any:
    """As packages spell it (design §9)."""
    if isinstance(value, dict):
        return {name: _shown(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shown(element) for element in value]
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    return str(value) if isinstance(value, Decimal) else value
