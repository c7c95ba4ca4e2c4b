"""Values that lead from one collection to the next, per person: the only row values kept in memory."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

from habeas.domain.dataset import Address, Match, coerce
from habeas.domain.documents import Path, Position, collect, may_be_cut, places
from habeas.domain.ports import Row, Value
from habeas.execution.run import Run
from habeas.planning.plan import Link, Node

Way: TypeAlias = tuple[str, Match]
"""A field's path by which a collection is entered, and how its values are compared."""

Mark: TypeAlias = Hashable
"""What tells values apart."""

Asked: TypeAlias = set[tuple[Way, int, Mark]]
"""What was sent in earlier rounds of a cycle."""

Question: TypeAlias = Mapping[Way, Sequence[tuple[int, Value]]]
"""(ordinal, value) pairs by the way into a collection, sent in one look-up."""

_PAIRS_AT_ONCE = 10_000
"""Pairs sent in one look-up, unless a single member has more: bounds what is in memory on both sides."""

_Values: TypeAlias = dict[int, dict[Mark, Value]]
"""Member → distinct values in the order they were met."""


def mark(value: Value) -> Mark:
    """1, 1.0 and true are equal to Python, but not to every store: where a column holds text, each finds others."""
    return value if type(value) in (int, str) else (type(value), repr(value))


class LinkValues:
    """What the people of a run are known by so far: their identities, and values of fields that others need."""

    def __init__(self, run: Run) -> None:
        self._identities: dict[str, _Values] = defaultdict(lambda: defaultdict(dict))
        self._values: dict[tuple[Address, str], _Values] = defaultdict(lambda: defaultdict(dict))
        for member in run.members.values():
            for identity in member.identities:
                known = self._identities[identity.kind][member.ordinal]
                known.update((mark(value), value) for value in identity.lookup_values())

    def learn(self, node: Node, rows: Sequence[Row], *, sure: bool = False) -> None:
        """Remember the values of the fields that later visits need; null and objects lead nowhere.

        `sure`: only what no further match could cut away from the rows.
        """
        cutting = [tuple(link.field.split(".")) for link in node.links if sure and link.cuts]
        for field in node.feeds:
            column, *inside = field.split(".")
            place = node.table.columns.index(column)
            known = self._values[node.address, field]
            for row in rows:
                for found in _lead_on(column, row.values[place], tuple(inside), row.matched, cutting):
                    for ordinal in row.ordinals:
                        known[ordinal][mark(found)] = found

    def forget(self, node: Node, ordinals: Collection[int]) -> None:
        """Unlearn what an attempt that came to nothing brought."""
        for field in node.feeds:
            known = self._values[node.address, field]
            for ordinal in ordinals:
                known.pop(ordinal, None)

    def locators(self, node: Node, ordinal: int) -> dict[str, list[Value]]:
        """What one member's rows in a collection are found by: field → values."""
        found: dict[str, list[Value]] = defaultdict(list)
        for (field, _), value in self._known_of(node, ordinal):
            found[field].append(value)
        return dict(found)

    def questions(
        self, node: Node, ordinals: Collection[int], asked: Asked | None = None, *, again: bool = False
    ) -> Iterator[Question]:
        """What these members can ask a collection and was not `asked` before.

        With `again` those who have something new ask all they know once more. Comes in portions, never a member in
        two of them: a row that matches twice comes back in one.
        """
        portion: dict[Way, list[tuple[int, Value]]] = defaultdict(list)
        size = 0
        for ordinal in sorted(ordinals):
            own = self._known_of(node, ordinal)
            if asked is not None:
                news = [(way, value) for way, value in own if (way, ordinal, mark(value)) not in asked]
                asked.update((way, ordinal, mark(value)) for way, value in news)
                own = own if again and news else news
            if portion and size + len(own) > _PAIRS_AT_ONCE:
                yield portion
                portion, size = defaultdict(list), 0
            for way, value in own:
                portion[way].append((ordinal, value))
            size += len(own)
        if portion:
            yield portion

    def _known_of(self, node: Node, ordinal: int) -> Collection[tuple[Way, Value]]:
        """The ways into the node for one member. Values of a wrong type are left out."""
        own: dict[tuple[Way, Mark], tuple[Way, Value]] = {}
        for link in node.links:
            way = (link.field, link.match)
            for value in self._source(link).get(ordinal, {}).values():
                cast = coerce(value, link.data_type)
                if cast is not None:
                    own[way, mark(cast)] = way, cast
        return own.values()

    def _source(self, link: Link) -> _Values:
        if link.source is None:
            return self._identities.get(link.identity or "", {})
        return self._values.get((link.source, link.source_field or ""), {})


def _lead_on(
    column: str, value: Value, inside: Path, matched: Sequence[Position], cutting: Sequence[Path]
) -> Sequence[Value]:
    """The values of a column that lead on, without those that matches at `cutting` paths could yet cut away."""
    if value is None:
        return []
    if not isinstance(value, list | dict):
        return [] if inside else [value]
    if not cutting:
        return collect(value, inside)
    found = places(value, inside)
    kept = (one for position, one in found if not may_be_cut((column, *position), matched, cutting))
    return collect(list(kept), ())
