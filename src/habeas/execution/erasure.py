"""The erasure step: masks the rows that access kept, collection by collection, in the plan's order.

Never looks anything up again. A row that several members own is masked once, with the secrets of the
smallest request id among them, so that a repeat writes the same thing (design §3).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from habeas.domain.errors import DataFault, Fault, HabeasError, LeaseLost, TryAgain
from habeas.domain.ports import Change, Connector, Effect, Erasure, Key, Outcome, Row
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.masks import Masks
from habeas.execution.run import Done, Failed, Run, skip_outcome
from habeas.execution.spooled import find_spools, read_rows
from habeas.planning.plan import Node, NodeErasure
from habeas.store import requests, runs


def perform(run: Run) -> Done | Failed:
    """Mask what is not yet masked for each member; stops at the first collection that cannot be served."""
    if not run.plan.erases:
        return Done()
    with run.context.ledger.read() as connection:
        ids = [member.request_id for member in run.members.values()]
        secrets = requests.secrets_of(connection, run.context.ledger.sealer, ids)
    for erasure in run.plan.erasure:
        node = run.plan.node(erasure.address)
        try:
            _Collection(run, node, erasure, secrets).erase()
        except LeaseLost:
            raise
        except Exception as problem:
            error = name_fault(problem, f"erasing in {node.address}")
            with run.commit() as connection:
                place = (node.connection, node.address.dataset, node.address.collection)
                run.log(connection, place, ActionType.ERASURE, LogStatus.ERROR, str(error), run.living(connection))
            return Failed(error, str(node.address))
    return Done()


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

    def __init__(
        self, run: Run, node: Node, erasure: NodeErasure, secrets: dict[str, dict[str, dict[str, str]]]
    ) -> None:
        self._run = run
        self._node = node
        self._address = str(node.address)
        self._masks = Masks(node, erasure, run.context.strategies)
        self._secrets = secrets
        self._statement: str | None = None
        reasons = sorted({str(omitted.reason) for omitted in erasure.omitted})
        self._message = "success" if erasure.maskings else f"nothing was masked: {'; '.join(reasons)}"
        self._place = (node.connection, node.address.dataset, node.address.collection)
        with run.context.ledger.read() as connection:
            self._living = run.living(connection)
            known = runs.outcomes_of(connection, run.request_ids(self._living), ActionType.ERASURE)
            own = {row.request_id: row.complete for row in known if row.collection == self._address}
            self._spools = find_spools(connection, run, self._living).get(self._address, {})
            started = self._address in runs.started_collections(connection, run.id, ActionType.ERASURE)
        self._pending = {o for o in self._living if not own.get(run.members[o].request_id)}
        self._begun_before = {o for o in self._pending if run.members[o].request_id in own}
        self._announced = started
        self._tallies = {ordinal: _Tally() for ordinal in self._pending}

    def erase(self) -> None:
        if not self._pending:
            return
        if self._pending - set(self._spools):
            raise Fault(f"{self._address} was not visited for a member that is to be erased")
        hindrance = self._run.context.connectors.hindrance(self._node.connection)
        if hindrance:
            self._skip(hindrance)
            return
        self._begin()
        if self._masks.columns:
            connector = self._run.context.connectors.get(self._node.connection)
            owners = self._owners()
            while batch := list(islice(owners, self._run.context.settings.execution.batch_rows)):
                living = self._run.read_living()
                self._erase_batch(connector, [(row, who) for row, who in batch if living & set(who)])
        self._complete()

    def _skip(self, hindrance: str) -> None:
        with self._run.commit() as connection:
            living = sorted(self._pending & self._run.living(connection))
            ids = self._run.request_ids(living)
            skipped = [skip_outcome(request_id, ActionType.ERASURE, self._address, hindrance) for request_id in ids]
            runs.write_outcomes(connection, skipped)
            self._run.log(connection, self._place, ActionType.ERASURE, LogStatus.SKIPPED, hindrance, living)

    def _begin(self) -> None:
        """From here on rows may change: remembered, so that a repeat knows which `already` was our own doing."""
        with self._run.commit() as connection:
            runs.open_task(connection, self._run.id, ActionType.ERASURE, self._address)
            if not self._announced:
                self._run.log(
                    connection, self._place, ActionType.ERASURE, LogStatus.IN_PROCESSING, "starting", self._pending
                )
            fresh = sorted(self._pending - self._begun_before)
            runs.write_outcomes(connection, [self._outcome(ordinal, complete=False) for ordinal in fresh])

    def _owners(self) -> Iterator[tuple[Row, tuple[int, ...]]]:
        """Every row to mask once, with all the living members who own it, in a fixed order."""
        owners: dict[Key, set[int]] = {}
        for rows in read_rows(self._run.context.ledger, self._spools):
            for row in rows:
                owners.setdefault(row.key, set()).update(row.ordinals)
        for rows in read_rows(self._run.context.ledger, self._spools):
            for row in rows:
                who = owners.pop(row.key, None)
                if who and who & self._pending:
                    yield row, tuple(sorted(who))

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
            if ours and ordinal in self._begun_before:
                effect = Effect(effect.key, Outcome.CHANGED)  # written by an attempt that could not say so
            self._tallies[ordinal].found += 1
            self._tallies[ordinal].add(effect)

    def _complete(self) -> None:
        refused = sorted(o for o, tally in self._tallies.items() if Outcome.REFUSED in tally.outcomes)
        with self._run.commit() as connection:
            living = self._run.living(connection)
            done = sorted((self._pending & living) - set(refused))
            runs.write_outcomes(connection, [self._outcome(ordinal, complete=True) for ordinal in done])
            self._run.log(connection, self._place, ActionType.ERASURE, LogStatus.COMPLETE, self._message, done)
            for ordinal in living.intersection(refused):
                runs.write_outcomes(connection, [self._outcome(ordinal, complete=False)])
                tally = self._tallies[ordinal]
                error: HabeasError = Fault(
                    f"{tally.outcomes[Outcome.REFUSED]} rows of {self._address} could not be erased: {tally.reason}",
                    hint="mend the cause in the connected system, then retry the request",
                )
                self._run.log(connection, self._place, ActionType.ERASURE, LogStatus.ERROR, str(error), [ordinal])
                self._run.fail(connection, [ordinal], error, self._address)

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
        with self._run.commit() as connection:
            message = f"try {number} again: {error}"
            self._run.log(connection, self._place, ActionType.ERASURE, LogStatus.RETRYING, message, ordinals)
