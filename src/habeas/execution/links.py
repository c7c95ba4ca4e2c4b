"""Values that lead from one collection to the next, per person: the only row values kept in memory."""

from collections import defaultdict
from collections.abc import Sequence

from habeas.domain.dataset import Address, Match, coerce
from habeas.domain.ports import Row, Value
from habeas.execution.run import Run
from habeas.planning.plan import Link, Node

Pair = tuple[int, Value]
Pairs = dict[Pair, None]
"""Distinct (ordinal, value) pairs in the order they were met."""


class LinkValues:
    """What the people of a run are known by so far: their identities, and values of fields that others need."""

    def __init__(self, run: Run) -> None:
        self._identities: dict[str, Pairs] = defaultdict(dict)
        self._values: dict[tuple[Address, str], Pairs] = defaultdict(dict)
        for member in run.members.values():
            for identity in member.identities:
                for value in identity.lookup_values():
                    self._identities[identity.kind][member.ordinal, value] = None

    def learn(self, node: Node, rows: Sequence[Row]) -> None:
        """Remember the values of the fields that later visits need; null and composite values lead nowhere."""
        for field in node.feeds:
            place = node.table.columns.index(field)
            known = self._values[node.address, field]
            for row in rows:
                value = row.values[place]
                if value is not None and not isinstance(value, list | dict):
                    for ordinal in row.ordinals:
                        known[ordinal, value] = None

    def pairs_into(self, node: Node, ordinals: set[int]) -> dict[tuple[str, Match], Pairs]:
        """For each way into the node, what these members can ask there. Values of a wrong type are left out."""
        ways: dict[tuple[str, Match], Pairs] = defaultdict(dict)
        for link in node.links:
            into = ways[link.field, link.match]
            for ordinal, value in self._source(link):
                if ordinal in ordinals:
                    cast = coerce(value, link.data_type)
                    if cast is not None:
                        into[ordinal, cast] = None
        return ways

    def _source(self, link: Link) -> Pairs:
        if link.source is None:
            return self._identities.get(link.identity or "", {})
        return self._values.get((link.source, link.source_field or ""), {})
