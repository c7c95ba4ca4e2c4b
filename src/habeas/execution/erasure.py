"""The erasure step: masks the rows that access kept, collection by collection, in the plan's order.

Never looks anything up again. A row that several members own is masked once, with the secrets of the
smallest request id among them, so that a repeat writes the same thing (design §3).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import sqlalchemy as sa

from habeas.domain.errors import DataFault, Fault, LeaseLost, TryAgain
from habeas.domain.ports import Change, Connector, Effect, Erasure, Key, Outcome, Row
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.connector_pool import hindrance_of
from habeas.execution.masks import Masks, RequestSecrets
from habeas.execution.repeats import Repeats, hash_of
from habeas.execution.run import Done, Failed, Run, place_of
from habeas.execution.spooled import Spools, read_rows
from habeas.planning.plan import Node, NodeErasure
from habeas.store import requests, runs
from habeas.store.configurations import Record, find_connections
from habeas.store.journal import Entry
from habeas.store.runs import Begun

_ROWS_IN_MEMORY = 20_000


def perform(run: Run) -> Done | Failed:
    """Mask what is not yet masked for each member; stops at the first collection that cannot be served.

    One ledger transaction ends a collection and begins the next.
    """
    over: _Collection | None = None
    known = _read_known(run)
    for erasure in run.plan.erasure:
        node, collection = run.plan.node(erasure.address), None
        try:
            collection = _Collection(run, node, erasure, known)
            with run.commit(progress=over is not None) as connection:
                if over is not None:
                    over.complete(connection)
                begun = collection.begin(connection)
            over = None
            if begun:
                collection.erase()
                over = collection
        except LeaseLost:
            raise
        except Exception as problem:
            error = name_fault(problem, f"erasing in {node.address}")
            with run.commit() as connection:
                if over is not None:
                    over.complete(connection)
                if collection is not None:
                    collection.record_so_far(connection)
                entry = Entry(place_of(node), ActionType.ERASURE, LogStatus.ERROR, str(error))
                run.log(connection, run.living(connection), entry)
            return Failed(error, str(node.address))
    return Done() if over is None else Done(over.complete)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger knew when the step began."""

    secrets: Mapping[str, RequestSecrets]
    """By request."""
    spools: Mapping[str, Spools]
    """By collection."""
    erasures: Mapping[str, Mapping[int, Begun]]
    """By collection and member."""
    announced: set[str]


def _read_known(run: Run) -> _Known:
    with run.context.ledger.read() as connection:
        ids = run.request_ids(run.living(connection))
        return _Known(
            requests.secrets_of(connection, run.context.ledger.sealer, ids),
            runs.spools_of(connection, run.id),
            runs.erasures_of(connection, run.id),
            runs.started_collections(connection, run.id, ActionType.ERASURE),
        )


@dataclass(slots=True)
class _Tally:
    """Counts of one member in one collection."""

    found: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    reason: str = ""

    def add(self, effect: Effect) -> None:
        self.outcomes[effect.outcome] = self.outcomes.get(effect.outcome, 0) + 1
        self.reason = self.reason or effect.reason


class _Collection:
    """The erasure of one collection for the members it is not complete for."""

    def __init__(self, run: Run, node: Node, erasure: NodeErasure, known: _Known) -> None:
        self._run = run
        self._node = node
        self._address = str(node.address)
        self._announced = self._address in known.announced
        self._spools = known.spools.get(self._address, {})
        self._before: Mapping[int, Begun] = known.erasures.get(self._address, {})
        self._secrets = known.secrets
        self._masks = Masks(node, erasure, run.context.strategies)
        reasons = sorted({str(omitted.reason) for omitted in erasure.omitted})
        self._message = "success" if erasure.maskings else f"nothing was masked: {'; '.join(reasons)}"
        self._statement: str | None = None
        self._record: Record | None = None
        self._retried: set[Key] = set()
        self._tallies: dict[int, _Tally] = {}

    def begin(self, connection: sa.Connection) -> bool:
        """Say that rows may change from here on; False when there is nothing to do here.

        It is remembered, so that a repeat knows which `already` was our own doing.
        """
        run = self._run
        done = {ordinal for ordinal, before in self._before.items() if before.complete}
        self._tallies = {ordinal: _Tally() for ordinal in sorted(run.living(connection) - done)}
        if not self._tallies:
            return False
        if not self._tallies.keys() <= self._spools.keys():
            raise Fault(f"{self._address} was not visited for a member that is to be erased")
        self._record = find_connections(connection, [self._node.connection]).get(self._node.connection)
        if reason := hindrance_of(self._record):
            run.pass_over(connection, self._node, ActionType.ERASURE, reason, self._tallies)
            return False
        if not self._announced:
            runs.open_tasks(connection, run.id, ActionType.ERASURE, [self._address])
            started = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.IN_PROCESSING, "starting")
            run.log(connection, self._tallies, started)
        runs.begin_erasure(connection, run.id, self._address)
        return True

    def erase(self) -> None:
        """Mask batch after batch; members who leave meanwhile are left alone from the next one on."""
        if self._record is None or not self._masks.columns:
            return
        connector = self._run.context.connectors.open(self._record)
        owners = self._owners()
        while batch := list(islice(owners, self._run.context.settings.execution.batch_rows)):
            living = self._run.read_living()
            self._erase_batch(connector, [(row, who) for row, who in batch if not living.isdisjoint(who)])

    def complete(self, connection: sa.Connection) -> None:
        """Write the outcomes; members with refused rows leave in `error`."""
        living = self._run.living(connection).intersection(self._tallies)
        refused = {ordinal for ordinal in living if Outcome.REFUSED in self._tallies[ordinal].outcomes}
        outcomes = [self._outcome(ordinal, complete=ordinal not in refused) for ordinal in sorted(living)]
        runs.write_outcomes(connection, outcomes)
        done = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.COMPLETE, self._message)
        self._run.log(connection, living - refused, done)
        for ordinal in sorted(refused):
            tally = self._tallies[ordinal]
            error = Fault(
                f"{tally.outcomes[Outcome.REFUSED]} rows of {self._address} could not be erased: {tally.reason}",
                hint="mend the cause in the connected system, then retry the request",
            )
            entry = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.ERROR, str(error))
            self._run.log(connection, [ordinal], entry)
            self._run.fail(connection, [ordinal], error, self._address)

    def record_so_far(self, connection: sa.Connection) -> None:
        """Count what was masked before the erasure had to stop; a retry counts anew, and may stop sooner than this."""
        counted = {ordinal: before.found for ordinal, before in self._before.items()}
        living = self._run.living(connection).intersection(self._tallies)
        further = sorted(o for o in living if self._tallies[o].found > counted.get(o, 0))
        runs.write_outcomes(connection, [self._outcome(ordinal, complete=False) for ordinal in further])

    def _owners(self) -> Iterator[tuple[Row, tuple[int, ...]]]:
        """Every row to mask once, with all the living members who own it, in a fixed order."""
        repeats, kept = Repeats(), list[Row]()
        for row in self._rows():
            repeats.add(row.key)
            if len(kept) <= _ROWS_IN_MEMORY:
                kept.append(row)
        few = len(kept) <= _ROWS_IN_MEMORY
        if not few:
            kept.clear()
        repeated = repeats.found()
        shared: dict[Key, set[int]] = defaultdict(set)
        if repeated:
            for row in kept if few else self._rows():
                if hash_of(row.key) in repeated:
                    shared[row.key].update(row.ordinals)
        for row in kept if few else self._rows():
            who = shared.pop(row.key, ()) if hash_of(row.key) in repeated else row.ordinals
            if not self._tallies.keys().isdisjoint(who):
                yield row, tuple(sorted(who))

    def _rows(self) -> Iterator[Row]:
        for _, rows in read_rows(self._run.context.ledger, {self._address: self._spools}):
            yield from rows

    def _erase_batch(self, connector: Connector, batch: Sequence[tuple[Row, tuple[int, ...]]]) -> None:
        if not batch:
            return
        changes = [self._change(row, who) for row, who in batch]
        erasure = Erasure(self._node.table, self._masks.columns, changes)
        if self._statement is None:
            self._statement = hashlib.sha256(connector.explain(erasure).encode()).hexdigest()
        try:
            with self._run.context.connectors.slot(self._node.connection):
                erase = partial(connector.erase, erasure, self._run.guard)
                effects = try_again(self._run, erase, partial(self._report_retry, batch))
            self._check(effects, changes)
        except DataFault as fault:
            effects = [Effect(change.key, Outcome.REFUSED, str(fault)) for change in changes]
        if len(batch) > 1 and any(effect.outcome is Outcome.REFUSED for effect in effects):
            middle = len(batch) // 2
            self._erase_batch(connector, batch[:middle])
            self._erase_batch(connector, batch[middle:])
            return
        for (_, who), effect, change in zip(batch, effects, changes, strict=True):
            self._count(who, effect, change)

    def _change(self, row: Row, who: tuple[int, ...]) -> Change:
        return self._masks.change(row, self._secrets.get(self._run.members[who[0]].request_id, {}))

    def _check(self, effects: Sequence[Effect], changes: Sequence[Change]) -> None:
        if [effect.key for effect in effects] != [change.key for change in changes]:
            raise Fault(f"{self._address} did not account for every row it was to erase")

    def _count(self, who: tuple[int, ...], effect: Effect, change: Change) -> None:
        ours = effect.outcome is Outcome.ALREADY and change.original != change.after
        for ordinal in who:
            if ordinal not in self._tallies:
                continue
            # What an attempt wrote that could not say so any more is its own change, for whom it had begun.
            unsaid = ours and (ordinal in self._before or effect.key in self._retried)
            self._tallies[ordinal].found += 1
            self._tallies[ordinal].add(Effect(effect.key, Outcome.CHANGED) if unsaid else effect)

    def _outcome(self, ordinal: int, *, complete: bool) -> dict[str, object]:
        tally = self._tallies[ordinal]
        return {
            "request_id": self._run.members[ordinal].request_id,
            "action": ActionType.ERASURE,
            "collection": self._address,
            "complete": complete,
            "found": tally.found,
            "statement_digest": self._statement,
            **{str(outcome): tally.outcomes.get(outcome, 0) for outcome in Outcome},
        }

    def _report_retry(self, batch: Sequence[tuple[Row, tuple[int, ...]]], number: int, error: TryAgain) -> None:
        ordinals = {ordinal for _, who in batch for ordinal in who}
        entry = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.RETRYING, f"try {number} again: {error}")
        self._retried |= {row.key for row, _ in batch}
        with self._run.commit() as connection:
            self._run.log(connection, ordinals, entry)
