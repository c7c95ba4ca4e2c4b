"""Who else owns rows that are to be erased: counted in the store, one hop back along each reference (design §3)."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from habeas.domain.dataset import Address
from habeas.domain.documents import collect
from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import Entry, Lookup, Table, Value
from habeas.execution.connector_pool import hindrance_of
from habeas.execution.links import mark
from habeas.execution.owned import Owned, identify
from habeas.execution.run import Run
from habeas.execution.spooled import Spools, read_rows
from habeas.planning.plan import Link, Node
from habeas.store.configurations import find_connections


class Sharing:
    """Counts the rows that lead to rows of one collection and are not the run's own."""

    def __init__(self, run: Run, node: Node, spools: Mapping[str, Spools]) -> None:
        self._run = run
        self._node = node
        self._spools = spools
        self._links = [link for link in node.links if link.source is not None]
        self._own: dict[Address, set[Hashable]] = {}

    def count(self, batch: Sequence[Owned]) -> Counter[int]:
        """Other owners by the place of each row in the batch. Raises what connectors raise."""
        others: Counter[int] = Counter()
        for link in self._links:
            pairs = self._pairs(link, batch)
            if pairs and link.source is not None and link.source_field is not None:
                others += self._ask(link.source, link.source_field, pairs)
        return others

    def _pairs(self, link: Link, batch: Sequence[Owned]) -> list[tuple[int, Value]]:
        column, *inside = link.field.split(".")
        index = self._node.table.columns.index(column)
        pairs: dict[tuple[int, Hashable], Value] = {}
        for place, owned in enumerate(batch):
            for row in owned.versions:
                for value in collect(row.values[index], tuple(inside)):
                    pairs[place, mark(value)] = value
        return [(place, value) for (place, _), value in pairs.items()]

    def _ask(self, source: Address, field: str, pairs: Sequence[tuple[int, Value]]) -> Counter[int]:
        node = self._run.plan.node(source)
        with self._run.context.ledger.read() as connection:
            record = find_connections(connection, [node.connection]).get(node.connection)
        reason = hindrance_of(record)
        if record is None or reason:
            raise NeedsHuman(
                f"who else owns rows of {self._node.address} cannot be counted in {source}: {reason}",
                hint="enable the connection, or let the policy's shared_rows be mask",
            )
        column, *inside = field.split(".")
        table = Table(node.address, node.table.key or node.table.columns, node.table.key, node.table.schema)
        lookup = Lookup(table, (Entry(column, pairs, inside=tuple(inside)),))
        own, others = self._own_rows(node), Counter[int]()
        with self._run.context.connectors.slot(node.connection):
            for rows in self._run.context.connectors.open(record).read(lookup):
                for row in rows:
                    if identify(table, row) not in own:
                        others.update(row.ordinals)
        return others

    def _own_rows(self, node: Node) -> set[Hashable]:
        """Of the run's members, as access kept them."""
        if node.address not in self._own:
            wanted = {node.address: self._spools.get(str(node.address), {})}
            kept = read_rows(self._run.context.ledger, wanted)
            self._own[node.address] = {identify(node.table, row) for _, rows in kept for row in rows}
        return self._own[node.address]
