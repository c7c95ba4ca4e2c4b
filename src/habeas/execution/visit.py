"""One visit of a group of collections for some members: a single node, or a cycle until nothing new comes.

Every row must have an owner among the members asked for: anything else is a fault, never a foreign row.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import sqlalchemy as sa

from habeas.domain.dataset import Address, Match
from habeas.domain.errors import Fault
from habeas.domain.ports import Entry, Key, Lookup, Row
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.links import LinkValues, Pairs
from habeas.execution.run import Run
from habeas.planning.plan import Node
from habeas.store import runs, spool
from habeas.store.runs import Spool

ROUNDS = 50
"""Rounds of a cycle before it is called a fault (design §3)."""

_CHUNKS_IN_MEMORY = 8 * 1024 * 1024


Attempts: TypeAlias = dict[Address, tuple[int, int]]
"""Collection → (task, attempt) that its rows are kept under."""


def open_attempt(run: Run, connection: sa.Connection, address: Address) -> tuple[int, int]:
    """A new attempt at visiting a collection."""
    return runs.open_attempt(connection, run.id, ActionType.ACCESS, str(address))


class GroupVisit:
    """One attempt. Its rows count only when `read` has returned: then outcomes name them.

    `attempts` are those opened for it, if they were opened already.
    """

    def __init__(
        self,
        run: Run,
        nodes: Sequence[Node],
        cyclic: bool,
        ordinals: set[int],
        links: LinkValues,
        attempts: Attempts | None = None,
    ) -> None:
        self._run = run
        self._nodes = nodes
        self._cyclic = cyclic
        self._ordinals = ordinals
        self._links = links
        self._attempts: Attempts = attempts or {}
        self._asked: dict[Address, dict[tuple[str, Match], Pairs]] = defaultdict(lambda: defaultdict(dict))
        self._seen: dict[Address, dict[tuple[Key, int], int]] = defaultdict(dict)
        self._digests: dict[Address, str] = {}
        self._chunks: list[tuple[Address, int, bytes, int]] = []

    def read(self) -> dict[Address, dict[int, Spool]]:
        """Visit the group; where the rows of each member are. Raises what connectors raise, and Fault."""
        if not self._ordinals:
            return {}
        if not self._attempts:
            with self._run.commit() as connection:
                self._attempts = {n.address: open_attempt(self._run, connection, n.address) for n in self._nodes}
        for _ in range(ROUNDS if self._cyclic else 1):
            news = [self._ask(node) for node in self._nodes]
            if not any(news):
                break
        else:
            if self._cyclic:
                raise Fault(
                    f"the cycle through {self._nodes[0].address} still found new rows after {ROUNDS} rounds",
                    hint="look for a reference that links each row to the next without end",
                )
        return self._complete()

    def _ask(self, node: Node) -> bool:
        """Send what was not asked before; True when anything was sent."""
        asked = self._asked[node.address]
        entries = []
        for way, pairs in self._links.pairs_into(node, self._ordinals).items():
            fresh = [pair for pair in pairs if pair not in asked[way]]
            if fresh:
                asked[way].update(dict.fromkeys(fresh))
                entries.append(Entry(way[0], fresh, way[1]))
        if not entries:
            return False
        lookup = Lookup(node.table, tuple(entries))
        connector = self._run.context.connectors.get(node.connection)
        statement = connector.explain(lookup)
        self._digests.setdefault(node.address, hashlib.sha256(statement.encode()).hexdigest())
        before = dict(self._seen[node.address]) if self._cyclic else {}
        with self._run.context.connectors.slot(node.connection):
            for batch in connector.read(lookup):
                self._run.check()
                self._take(node, batch, before)
        return True

    def _take(self, node: Node, batch: Sequence[Row], before: Mapping[tuple[Key, int], int]) -> None:
        """Keep what is new; `before` are the matches of earlier rounds, which may come again."""
        seen = self._seen[node.address]
        kept = []
        for row in batch:
            if not row.ordinals or not self._ordinals.issuperset(row.ordinals):
                raise Fault(f"{node.address} returned a row that belongs to nobody who was asked for")
            content = hash(repr(row.values)) if self._cyclic else 0
            fresh = []
            for ordinal in row.ordinals:
                match = (row.key, ordinal)
                if match not in seen:
                    seen[match] = content
                    fresh.append(ordinal)
                elif before.get(match) != content:
                    raise Fault(
                        f"{node.address} returned two rows with one key",
                        hint="declare the fields that tell its rows apart as primary_key",
                    )
            if fresh:
                kept.append(Row(row.key, row.values, tuple(fresh)))
        self._links.learn(node, kept)
        self._keep(node.address, kept)

    def _keep(self, address: Address, rows: Sequence[Row]) -> None:
        """Encode rows by bucket; chunks are committed when they fill the memory they may take."""
        buckets: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            owners: dict[int, list[int]] = defaultdict(list)
            for ordinal in row.ordinals:
                owners[ordinal // spool.BUCKET].append(ordinal)
            for bucket, ordinals in owners.items():
                buckets[bucket].append(Row(row.key, row.values, tuple(ordinals)))
        self._chunks += [(address, bucket, spool.encode_rows(own), len(own)) for bucket, own in buckets.items()]
        if sum(len(body) for _, _, body, _ in self._chunks) > _CHUNKS_IN_MEMORY:
            with self._run.context.ledger.write() as connection:
                self._write_chunks(connection)

    def _write_chunks(self, connection: sa.Connection) -> None:
        for address, bucket, body, size in self._chunks:
            task, attempt = self._attempts[address]
            spool.write_chunk(connection, self._run.context.ledger, (task, attempt, bucket), body, size)
        self._chunks.clear()

    def _complete(self) -> dict[Address, dict[int, Spool]]:
        """One small fenced transaction: outcomes name this attempt, and the log says so."""
        spools: dict[Address, dict[int, Spool]] = {}
        with self._run.commit() as connection:
            self._write_chunks(connection)
            living = sorted(self._ordinals & self._run.living(connection))
            for node in self._nodes:
                task, attempt = self._attempts[node.address]
                found = Counter(ordinal for _, ordinal in self._seen[node.address])
                spools[node.address] = {ordinal: Spool(task, attempt, ordinal) for ordinal in living}
                runs.write_outcomes(
                    connection,
                    [
                        {
                            "request_id": self._run.members[ordinal].request_id,
                            "action": ActionType.ACCESS,
                            "collection": str(node.address),
                            "complete": True,
                            "task_id": task,
                            "attempt": attempt,
                            "ordinal": ordinal,
                            "found": found[ordinal],
                            "statement_digest": self._digests.get(node.address),
                        }
                        for ordinal in living
                    ],
                )
                place = (node.connection, node.address.dataset, node.address.collection)
                self._run.log(connection, place, ActionType.ACCESS, LogStatus.COMPLETE, "success", living)
        return spools
