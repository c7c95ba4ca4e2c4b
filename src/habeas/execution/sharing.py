"""Who else owns rows that are to be erased: counted in the store, one hop back along each reference (design §3)."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from habeas.domain.dataset import Address
from habeas.domain.documents import collect, mark
from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import Entry, Lookup, Row, SystemType, Table, Value
from habeas.execution import links
from habeas.execution.connector_pool import hindrance_of, is_paused
from habeas.execution.masks import Masks, RequestSecrets
from habeas.execution.owned import Owned, identify, owned_rows
from habeas.execution.run import Paused, Run
from habeas.execution.spooled import Spools, read_rows
from habeas.planning.plan import Link, Node
from habeas.store.configurations import find_connections


class Sharing:
    """Counts the rows that lead to rows of one collection and are not the run's own."""

    def __init__(
        self, run: Run, node: Node, spools: Mapping[str, Spools], secrets: Mapping[str, RequestSecrets]
    ) -> None:
        self._run = run
        self._node = node
        self._spools = spools
        self._secrets = secrets
        self._links = [link for link in node.links if link.source is not None and self._can_count(link.source)]
        self._own: dict[Address, set[Hashable]] = {}

    def _can_count(self, source: Address) -> bool:
        """Whether there is a store to ask, and not a person."""
        return self._run.plan.node(source).system not in (SystemType.MANUAL, SystemType.EMAIL)

    @property
    def connections(self) -> set[str]:
        """Where other owners are looked for."""
        return {self._run.plan.node(link.source).connection for link in self._links if link.source is not None}

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
                    pairs[place, links.mark(value)] = value
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
        if is_paused(record):
            raise Paused(node.connection)
        column, *inside = field.split(".")
        table = Table(node.address, node.table.key or node.table.columns, node.table.key, node.table.schema)
        lookup = Lookup(table, (Entry(column, pairs, inside=tuple(inside)),))
        own, others = self._own_rows(node), Counter[int]()
        with self._run.context.connectors.slot(node.connection):
            for rows in self._run.context.connectors.open(record).read(lookup):
                for row in rows:
                    if row.key not in own and identify(table, row) not in own:
                        others.update(row.ordinals)
        return others

    def _own_rows(self, node: Node) -> set[Hashable]:
        """What tells the rows of the run's members from others, though erasure may have changed them by now."""
        if node.address not in self._own:
            own: set[Hashable]
            if node.table.key or any(link.cuts for link in node.links):
                # Of rows without key only a part may have been kept. Such are never masked: they are where they were.
                own = {row.key for row in self._kept(node)}
            else:
                own = {identify(node.table, row) for row in self._kept(node)}
                own.update(self._masked(node))
            self._own[node.address] = own
        return self._own[node.address]

    def _kept(self, node: Node) -> Iterator[Row]:
        wanted = {node.address: self._spools.get(str(node.address), {})}
        for _, rows in read_rows(self._run.context.ledger, wanted):
            yield from rows

    def _masked(self, node: Node) -> Iterator[Hashable]:
        """What the rows of a table without key hold once they are masked."""
        erasure = next((one for one in self._run.plan.erasure if one.address == node.address), None)
        if erasure is None or not erasure.maskings:
            return
        masks = Masks(node, erasure, self._run.context.strategies)
        for owned in owned_rows(node.table, lambda: self._kept(node), self._run.members):
            smallest = self._run.members[owned.ordinals[0]].request_id
            change = masks.change(owned, self._secrets.get(smallest, {}))
            after = dict(zip(masks.columns, change.after, strict=True))
            row = zip(node.table.columns, owned.versions[0].values, strict=True)
            yield mark(tuple(after.get(name, value) for name, value in row))
