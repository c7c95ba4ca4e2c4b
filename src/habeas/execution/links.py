"""Values that lead from one collection to the next, per person: the only row values kept in memory."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias

from habeas.domain.dataset import Address, Match, coerce
from habeas.domain.documents import collect
from habeas.domain.ports import Row, Value
from habeas.execution.run import Run
from habeas.planning.plan import Link, Node

Way: TypeAlias = tuple[str, Match]
"""A field's path by which a collection is entered, and how its values are compared."""

Mark: TypeAlias = Hashable
"""What tells values apart."""

Asked: TypeAlias = set[tuple[Way, int, Mark]]
"""What was sent in earlier rounds of a cycle."""

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

    def learn(self, node: Node, rows: Sequence[Row]) -> None:
        """Remember the values of the fields that later visits need; null and objects lead nowhere."""
        for field in node.feeds:
            column, *inside = field.split(".")
            place = node.table.columns.index(column)
            known = self._values[node.address, field]
            for row in rows:
                value = row.values[place]
                if value is None:
                    continue
                nested = isinstance(value, list | dict)
                for found in collect(value, tuple(inside)) if nested else [] if inside else [value]:
                    for ordinal in row.ordinals:
                        known[ordinal][mark(found)] = found

    def forget(self, node: Node, ordinals: Collection[int]) -> None:
        """Unlearn what an attempt that came to nothing brought."""
        for field in node.feeds:
            known = self._values[node.address, field]
            for ordinal in ordinals:
                known.pop(ordinal, None)

    def questions(
        self, node: Node, ordinals: Collection[int], asked: Asked | None = None
    ) -> Iterator[Mapping[Way, Sequence[tuple[int, Value]]]]:
        """What these members can ask a collection, as (ordinal, value) pairs, and was not `asked` before.

        Comes in portions, never a member in two of them: a row that matches twice comes back in one.
        """
        portion: dict[Way, list[tuple[int, Value]]] = defaultdict(list)
        size = 0
        for ordinal in sorted(ordinals):
            own = self._known_of(node, ordinal)
            if asked is not None:
                own = [(way, value) for way, value in own if (way, ordinal, mark(value)) not in asked]
                asked.update((way, ordinal, mark(value)) for way, value in own)
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
