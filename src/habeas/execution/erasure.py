"""The erasure step: masks the rows that access kept, collection by collection, in the plan's order.

Never looks a person up again. A row that several members own is masked once, with the secrets of the
smallest request id among them, so that a repeat writes the same thing (design §3).
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import sqlalchemy as sa

from habeas.domain.documents import mark
from habeas.domain.errors import DataFault, Fault, LeaseLost, TryAgain
from habeas.domain.policy import SharedRows
from habeas.domain.ports import Change, Connector, Effect, Erasure, Key, Outcome, Row, SystemType, Value, Waiting
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.connector_pool import hindrance_of, is_paused
from habeas.execution.masks import Masks, RequestSecrets, alters
from habeas.execution.owned import Owned, owned_rows
from habeas.execution.run import ASKED, Done, Failed, Paused, Run, Wait, place_of
from habeas.execution.sharing import Sharing
from habeas.execution.spooled import Spools, read_rows
from habeas.planning.plan import Node, NodeErasure
from habeas.store import manual_collections, progress, requests, runs
from habeas.store.configurations import Record, find_connections
from habeas.store.journal import Entry
from habeas.store.manual_collections import Question
from habeas.store.progress import Begun


def perform(run: Run) -> Done | Failed | Wait:
    """Mask what is not yet masked for each member; stops at the first collection that cannot be served now.

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
        except Paused as pause:
            _break_off(run, node, over, collection, LogStatus.PAUSED, str(pause))
            return Wait(pause.connection)
        except Exception as problem:
            error = name_fault(problem, f"erasing in {node.address}")
            _break_off(run, node, over, collection, LogStatus.ERROR, str(error))
            return Failed(error, str(node.address))
    return Done() if over is None else Done(over.complete)


def _break_off(
    run: Run, node: Node, over: "_Collection | None", now: "_Collection | None", status: LogStatus, message: str
) -> None:
    """Record the collection that is over, what was done in the one after it, and why the step stops there."""
    with run.commit() as connection:
        if over is not None:
            over.complete(connection)
        if now is not None:
            now.record_so_far(connection)
        entry = Entry(place_of(node), ActionType.ERASURE, status, message)
        run.log(connection, run.living(connection), entry)


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
            progress.spools_of(connection, run.id),
            progress.erasures_of(connection, run.id),
            runs.started_collections(connection, run.id, ActionType.ERASURE),
        )


@dataclass(slots=True)
class _Tally:
    """Counts of one member in one collection."""

    found: int = 0
    shared: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    reason: str = ""

    def add(self, outcome: Outcome, rows: int, reason: str) -> None:
        self.found += rows
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + rows
        self.reason = self.reason or reason


class _Collection:
    """The erasure of one collection for the members it is not complete for."""

    def __init__(self, run: Run, node: Node, erasure: NodeErasure, known: _Known) -> None:
        self._run = run
        self._node = node
        self._request = erasure.request
        self._address = str(node.address)
        self._announced = self._address in known.announced
        self._spools = known.spools.get(self._address, {})
        self._before: Mapping[int, Begun] = known.erasures.get(self._address, {})
        self._secrets = known.secrets
        self._masks = Masks(node, erasure, run.context.strategies)
        self._delete = erasure.delete
        self._acts = erasure.delete or bool(erasure.maskings)
        counts = run.plan.shared_rows is not SharedRows.MASK
        self._sharing = Sharing(run, node, known.spools, known.secrets) if counts else None
        reasons = sorted({str(omitted.reason) for omitted in erasure.omitted})
        done = "left to an e-mail" if node.system is SystemType.EMAIL else "success"
        self._message = done if self._acts else f"nothing was masked: {'; '.join(reasons)}"
        self._statement: str | None = None
        self._record: Record | None = None
        self._retried: set[Hashable] = set()
        self._tallies: dict[int, _Tally] = {}
        self._waiting: dict[int, list[Key]] = defaultdict(list)

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
        if is_paused(self._record):
            raise Paused(self._node.connection)
        if not self._announced:
            runs.open_tasks(connection, run.id, ActionType.ERASURE, [self._address])
            started = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.IN_PROCESSING, "starting")
            run.log(connection, self._tallies, started)
        progress.begin_erasure(connection, run.id, self._address)
        return True

    def erase(self) -> None:
        """Mask batch after batch; members who leave meanwhile are left alone from the next one on."""
        if self._record is None or not self._acts:
            return
        connector = self._run.context.connectors.open(self._record)
        rows = owned_rows(self._node.table, self._rows, self._tallies)
        while batch := list(islice(rows, self._run.context.settings.execution.batch_rows)):
            living = self._run.read_living()
            self._run.heed_pause([self._node.connection])
            batch = [owned for owned in batch if not living.isdisjoint(owned.ordinals)]
            self._erase_batch(connector, self._settle_shared(batch))

    def complete(self, connection: sa.Connection) -> None:
        """Write the outcomes; members with refused rows leave in `error`, and those wait who need a person."""
        living = self._run.living(connection).intersection(self._tallies)
        self._write_so_far(connection, self._tallies.keys() - living)  # cancelled meanwhile
        self._ask(connection, living & self._waiting.keys())
        living -= self._waiting.keys()
        refused = {ordinal for ordinal in living if Outcome.REFUSED in self._tallies[ordinal].outcomes}
        outcomes = [self._outcome(ordinal, complete=ordinal not in refused) for ordinal in sorted(living)]
        progress.write_outcomes(connection, outcomes)
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

    def _ask(self, connection: sa.Connection, ordinals: set[int]) -> None:
        """Let members wait until a person has erased their rows."""
        if not ordinals:
            return
        sealer, ids = self._run.context.ledger.sealer, self._run.request_ids(ordinals)
        known = manual_collections.questions_of(connection, sealer, ActionType.ACCESS, ids, answered=True)
        questions = []
        for ordinal in sorted(ordinals):
            request_id = self._run.members[ordinal].request_id
            before = known.get(request_id, {}).get(self._address)
            question = Question(self._locators(ordinal, before), update=self._request)
            questions.append((request_id, self._address, question))
        manual_collections.ask(connection, sealer, ActionType.ERASURE, questions, self._run.context.clock.now())
        self._run.log(connection, ordinals, Entry(place_of(self._node), ActionType.ERASURE, LogStatus.PAUSED, ASKED))
        self._run.park(connection, ordinals, RequestStatus.PAUSED, self._address)

    def _locators(self, ordinal: int, before: Question | None) -> dict[str, Sequence[Value]]:
        """What a person finds the rows by: what was looked for at access, and the keys of what was found."""
        keys, names = self._waiting[ordinal], self._node.table.key
        found = {name: [key[place] for key in keys] for place, name in enumerate(names)}
        return {**(before.locators if before else {}), **found}

    def record_so_far(self, connection: sa.Connection) -> None:
        """Count what was masked before the erasure had to stop, also for those cancelled meanwhile."""
        self._write_so_far(connection, self._tallies)

    def _write_so_far(self, connection: sa.Connection, ordinals: Iterable[int]) -> None:
        """Outcomes that are not complete; a retry counts anew, and may stop sooner than the one before."""
        counted = {ordinal: before.found for ordinal, before in self._before.items()}
        further = sorted(o for o in ordinals if self._tallies[o].found > counted.get(o, 0))
        progress.write_outcomes(connection, [self._outcome(ordinal, complete=False) for ordinal in further])

    def _settle_shared(self, batch: Sequence[Owned]) -> Sequence[Owned]:
        """Count the rows that others own too; with `skip` they are left out of the batch."""
        if self._sharing is None or not batch:
            return batch
        others = try_again(
            self._run,
            self._sharing.connections,
            partial(self._sharing.count, batch),
            partial(self._report_retry, batch),
        )
        skip = self._run.plan.shared_rows is SharedRows.SKIP
        for owned in (batch[place] for place in others):
            for tally in (self._tallies[ordinal] for ordinal in owned.ordinals if ordinal in self._tallies):
                tally.shared += owned.copies
                tally.found += owned.copies * skip
        return [owned for place, owned in enumerate(batch) if place not in others] if skip else batch

    def _rows(self) -> Iterator[Row]:
        for _, rows in read_rows(self._run.context.ledger, {self._address: self._spools}):
            yield from rows

    def _erase_batch(self, connector: Connector, batch: Sequence[Owned]) -> None:
        if not batch:
            return
        changes = [self._change(owned) for owned in batch]
        erasure = Erasure(self._node.table, self._masks.columns, changes, self._delete)
        if self._statement is None:
            self._statement = hashlib.sha256(connector.explain(erasure).encode()).hexdigest()
        try:
            with self._run.context.connectors.slot(self._node.connection):
                erase = partial(connector.erase, erasure, self._run.guard)
                used, report = [self._node.connection], partial(self._report_retry, batch)
                effects = self._check(try_again(self._run, used, erase, report), changes)
        except Waiting:
            for owned in batch:
                for ordinal in owned.ordinals:
                    self._waiting[ordinal].append(owned.versions[0].key)
            return
        except DataFault as fault:
            effects = [[Effect(one.key, Outcome.REFUSED, str(fault), one.copies)] for one in changes]
        if len(batch) > 1 and any(effect.outcome is Outcome.REFUSED for own in effects for effect in own):
            middle = len(batch) // 2
            self._erase_batch(connector, batch[:middle])
            self._erase_batch(connector, batch[middle:])
            return
        for owned, own, change in zip(batch, effects, changes, strict=True):
            self._count(owned.ordinals, own, change)

    def _change(self, owned: Owned) -> Change:
        smallest = self._run.members[owned.ordinals[0]].request_id
        return self._masks.change(owned, self._secrets.get(smallest, {}))

    def _check(self, effects: Sequence[Effect], changes: Sequence[Change]) -> list[list[Effect]]:
        """The effects of each change; every row must be accounted for."""
        left, found = deque(effects), []
        for change in changes:
            own: list[Effect] = []
            while left and left[0].key == change.key and sum(effect.rows for effect in own) < change.copies:
                own.append(left.popleft())
            found.append(own)
        if left or not all(sum(e.rows for e in own) >= c.copies for own, c in zip(found, changes, strict=True)):
            raise Fault(f"{self._address} did not account for every row it was to erase")
        return found

    def _count(self, who: tuple[int, ...], effects: Sequence[Effect], change: Change) -> None:
        for effect in effects:
            ours = effect.outcome is Outcome.ALREADY and alters(change)
            for ordinal in who:
                if ordinal not in self._tallies:
                    continue
                # What an attempt wrote that could not say so any more is its own change, for whom it had begun.
                unsaid = ours and (ordinal in self._before or mark(change.key) in self._retried)
                outcome = Outcome.CHANGED if unsaid else effect.outcome
                self._tallies[ordinal].add(outcome, effect.rows, effect.reason)

    def _outcome(self, ordinal: int, *, complete: bool) -> dict[str, object]:
        tally = self._tallies[ordinal]
        return {
            "request_id": self._run.members[ordinal].request_id,
            "action": ActionType.ERASURE,
            "collection": self._address,
            "complete": complete,
            "found": tally.found,
            "shared": tally.shared,
            "statement_digest": self._statement,
            **{str(outcome): tally.outcomes.get(outcome, 0) for outcome in Outcome},
        }

    def _report_retry(self, batch: Sequence[Owned], number: int, error: TryAgain) -> None:
        ordinals = {ordinal for owned in batch for ordinal in owned.ordinals}
        entry = Entry(place_of(self._node), ActionType.ERASURE, LogStatus.RETRYING, f"try {number} again: {error}")
        self._retried |= {mark(self._change(owned).key) for owned in batch}  # a key may be all values, documents too
        with self._run.commit() as connection:
            self._run.log(connection, ordinals, entry)
