"""One visit of a group of collections for some members: a single node, or a cycle until nothing new comes.

Every row must have an owner among the members asked for: anything else is a fault, never a foreign row.
Contacts stores, and the ledger only when its rows take too much memory.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from habeas.domain.dataset import Address
from habeas.domain.documents import names_of, narrow
from habeas.domain.errors import Fault
from habeas.domain.ports import Answer, Connector, Entry, Key, Lookup, Row, Value, Waiting
from habeas.domain.request import ActionType
from habeas.execution.links import Asked, LinkValues, Question, Way
from habeas.execution.repeats import Repeats
from habeas.execution.run import Run
from habeas.planning.plan import Node
from habeas.store import spool
from habeas.store.progress import Spool

ROUNDS = 50
"""Rounds of a cycle before it is called a fault (design §3)."""

_ROWS_IN_MEMORY = 4_000
_CHUNKS_IN_MEMORY = 8 * 1024 * 1024

Attempts: TypeAlias = Mapping[Address, tuple[int, int]]
"""Collection → (task, attempt) that its rows are kept under."""

Connectors: TypeAlias = Mapping[str, Connector]
"""By connection key."""

Answers: TypeAlias = Mapping[Address, Mapping[int, Answer]]
"""What people have answered, by collection and member."""


class GroupVisit:
    """One attempt at a group for some members. Its rows count only once outcomes name it.

    `ordinals` are those it is made for, without those who turn out to wait for a person: they are in `waiting`, by the
    collection where they do. `chunks` are those that are not yet in the ledger.
    """

    def __init__(
        self,
        run: Run,
        nodes: Sequence[Node],
        ordinals: set[int],
        links: LinkValues,
        connectors: Connectors,
        attempts: Attempts,
        answers: Answers,
    ) -> None:
        self.ordinals = set(ordinals)
        self.waiting: dict[Address, set[int]] = defaultdict(set)
        self._answers = answers
        self._run = run
        self._nodes = nodes
        self._links = links
        self._connectors = connectors
        self._attempts = attempts
        self._repeats: dict[Address, Repeats] = defaultdict(Repeats)
        self._found: dict[Address, Counter[int]] = defaultdict(Counter)
        self._digests: dict[Address, str] = {}
        self._rows: dict[tuple[Address, int], list[Row]] = defaultdict(list)
        self._rows_held = 0
        self.chunks: list[dict[str, Any]] = []
        self._bytes_held = 0

    def read(self, *, cyclic: bool) -> None:
        """Visit the group. Raises what connectors raise, and Fault."""
        for node in self._nodes:
            self._links.forget(node, self.ordinals)
        if cyclic:
            self._read_cycle()
        else:
            for node in self._nodes:
                self._send(node)
        for node in self._nodes:
            if self._repeats[node.address].found():
                raise _two_rows(node)
            self._links.forget(node, set().union(*self.waiting.values()))
        self._seal()

    def where(self, living: set[int]) -> dict[Address, dict[int, Spool]]:
        """Where the rows of the members still in the run are, once they are recorded."""
        who = sorted(self.ordinals & living)
        return {
            node.address: {ordinal: Spool(*self._attempts[node.address], ordinal) for ordinal in who}
            for node in self._nodes
        }

    def outcomes(self, living: set[int]) -> list[dict[str, object]]:
        """Outcomes that name this attempt, of the members still in the run."""
        who = sorted(self.ordinals & living)
        return [self._outcome(node, ordinal) for node in self._nodes for ordinal in who]

    def _read_cycle(self) -> None:
        """Round after round, with what the last one brought, until nothing is new.

        Rows that a later round may show otherwise, cut to other elements, or that cannot be recognised, only lead on;
        they are kept when all is known. What could yet be cut away leads on only when nothing else does.
        """
        asked: dict[Address, Asked] = defaultdict(set)
        seen: dict[Address, dict[tuple[Key, int], int]] = defaultdict(dict)
        cut = [node for node in self._nodes if any(link.cuts for link in node.links)]
        unsettled = [node for node in self._nodes if not node.table.key or _is_nested(node)]
        whole = not cut
        for _ in range(ROUNDS):
            # Every node has its turn: what one brings may be news to those after it.
            sent = [self._send_round(node, node in unsettled, asked[node.address], seen) for node in self._nodes]
            if any(sent):
                whole = not cut
            elif whole:
                self._settle(unsettled)
                return
            else:
                for node, questions in self._all_known(cut):
                    for batch in self._ask(node, questions):
                        self._links.learn(node, batch)
                whole = True
        raise Fault(
            f"the cycle through {self._nodes[0].address} still found new rows after {ROUNDS} rounds",
            hint="look for a reference that links each row to the next without end",
        )

    def _send_round(
        self,
        node: Node,
        unsettled: bool,
        asked: Asked,
        seen: dict[Address, dict[tuple[Key, int], int]],
    ) -> bool:
        """Ask what was not `asked` before; False when there was nothing to ask.

        `seen`: matches of earlier rounds, which may come again. Only by all matches together arrays are cut rightly.
        """
        known = seen[node.address]
        before, sent = dict(known), False
        for batch in self._ask(node, self._links.questions(node, self.ordinals, asked, again=_is_nested(node))):
            sent = True
            if unsettled:
                self._links.learn(node, batch, sure=True)
            else:
                self._keep(node, _news(node, batch, known, before))
        return sent

    def _settle(self, nodes: Sequence[Node]) -> None:
        """Keep the rows of nodes for which all is known; values that they turn out not to hold lead no further."""
        known = self._all_known(nodes)
        for node in nodes:
            self._links.forget(node, self.ordinals)
        for node, questions in known:
            for batch in self._ask(node, questions):
                self._keep(node, batch)

    def _all_known(self, nodes: Sequence[Node]) -> list[tuple[Node, list[Question]]]:
        """What can be asked now, whatever one answer will bring for the next question."""
        return [(node, list(self._links.questions(node, self.ordinals))) for node in nodes]

    def _send(self, node: Node) -> None:
        """Ask all there is to ask and keep what comes."""
        for batch in self._ask(node, self._links.questions(node, self.ordinals)):
            self._keep(node, batch)

    def _ask(self, node: Node, questions: Iterable[Question]) -> Iterator[list[Row]]:
        """Rows as they come, cut to what is the owners'; one empty batch for each question that finds nothing."""
        connector = self._connectors[node.connection]
        whole = {link.field for link in node.links if link.all_elements}
        nested = _is_nested(node)
        for question in questions:
            entries = tuple(_entry(way, pairs) for way, pairs in question.items())
            lookup = Lookup(node.table, entries, self._answers.get(node.address, {}))
            if node.address not in self._digests:
                self._digests[node.address] = hashlib.sha256(connector.explain(lookup).encode()).hexdigest()
            yield []
            with self._run.context.connectors.slot(node.connection):
                try:
                    for batch in connector.read(lookup):
                        self._run.check()
                        self._check_owners(node, batch)
                        yield [_narrow(node, row, whole) for row in batch] if nested else batch
                except Waiting as pause:
                    self._set_aside(node, pause.ordinals)

    def _set_aside(self, node: Node, ordinals: frozenset[int]) -> None:
        """Go on without those who wait for a person."""
        if not ordinals or not self.ordinals.issuperset(ordinals):
            raise Fault(f"{node.address} waits for an answer about nobody who was asked for")
        self.waiting[node.address] |= ordinals
        self.ordinals -= ordinals

    def _check_owners(self, node: Node, batch: Sequence[Row]) -> None:
        for row in batch:
            if not row.ordinals or not self.ordinals.issuperset(row.ordinals):
                raise Fault(f"{node.address} returned a row that belongs to nobody who was asked for")
            if row.matched and len(row.ordinals) > 1:
                raise Fault(f"{node.address} returned elements without saying whose of several people they are")

    def _keep(self, node: Node, rows: Sequence[Row]) -> None:
        """Count and hold rows by bucket; too many are sealed, too many sealed ones are written."""
        address = node.address
        self._links.learn(node, rows)
        found, repeats = self._found[address], self._repeats[address]
        for row in rows:
            for ordinal in row.ordinals:
                found[ordinal] += 1
                repeats.add((row.key, ordinal))
            for bucket, own in _by_bucket(row):
                self._rows[address, bucket].append(own)
        self._rows_held += len(rows)
        if self._rows_held > _ROWS_IN_MEMORY:
            self._seal()
        if self._bytes_held > _CHUNKS_IN_MEMORY:
            with self._run.context.ledger.write() as connection:
                spool.write_chunks(connection, self._run.context.ledger.sealer, self.chunks)
            self.chunks.clear()
            self._bytes_held = 0

    def _seal(self) -> None:
        for (address, bucket), rows in self._rows.items():
            chunk = spool.seal_chunk(
                self._run.context.ledger.sealer, spool.Source(*self._attempts[address], bucket), rows
            )
            self.chunks.append(chunk)
            self._bytes_held += len(chunk["sealed_rows"])
        self._rows.clear()
        self._rows_held = 0

    def _outcome(self, node: Node, ordinal: int) -> dict[str, object]:
        task, attempt = self._attempts[node.address]
        return {
            "request_id": self._run.members[ordinal].request_id,
            "action": ActionType.ACCESS,
            "collection": str(node.address),
            "complete": True,
            "task_id": task,
            "attempt": attempt,
            "ordinal": ordinal,
            "found": self._found[node.address][ordinal],
            "statement_digest": self._digests.get(node.address),
        }


def _news(
    node: Node, batch: Sequence[Row], seen: dict[tuple[Key, int], int], before: Mapping[tuple[Key, int], int]
) -> list[Row]:
    """What no earlier round brought; the same match with other content is another row under one key."""
    kept = []
    for row in batch:
        content = hash(repr(row.values))
        fresh = []
        for ordinal in row.ordinals:
            match = (row.key, ordinal)
            if match not in seen:
                seen[match] = content
                fresh.append(ordinal)
            elif before.get(match) != content:
                raise _two_rows(node)
        if fresh:
            kept.append(Row(row.key, row.values, tuple(fresh)))
    return kept


def _is_nested(node: Node) -> bool:
    return any(link.nested for link in node.links)


def _entry(way: Way, pairs: Sequence[tuple[int, Value]]) -> Entry:
    path, match = way
    column, *inside = path.split(".")
    return Entry(column, pairs, match, tuple(inside))


def _narrow(node: Node, row: Row, whole: Container[str]) -> Row:
    """The row with arrays cut to the elements by which it was found; `whole`: fields whose matches do not cut."""
    if not row.matched:
        return row
    positions = [position for position in row.matched if ".".join(names_of(position)) not in whole]
    try:
        values, matched = narrow(dict(zip(node.table.columns, row.values, strict=True)), positions)
    except LookupError:
        raise Fault(f"{node.address} found a person by an element that is not in the row") from None
    assert isinstance(values, dict)
    return Row(row.key, tuple(values.values()), row.ordinals, matched)


def _two_rows(node: Node) -> Fault:
    return Fault(
        f"{node.address} returned two rows with one key",
        hint="declare the fields that tell its rows apart as primary_key",
    )


def _by_bucket(row: Row) -> Iterator[tuple[int, Row]]:
    """The row once for each bucket of members, with those of its owners who are in it."""
    if len(row.ordinals) == 1:
        yield row.ordinals[0] // spool.BUCKET, row
        return
    owners: dict[int, list[int]] = defaultdict(list)
    for ordinal in row.ordinals:
        owners[ordinal // spool.BUCKET].append(ordinal)
    for bucket, ordinals in owners.items():
        yield bucket, Row(row.key, row.values, tuple(ordinals))
