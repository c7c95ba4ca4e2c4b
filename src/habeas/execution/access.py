"""The access step: visits every collection of the plan, set-based, and keeps what it finds.

Groups whose upstream is complete are visited in parallel; a cycle runs to a fix-point. Rows go to sealed
chunks; only keys and link values stay in memory (design §3). One ledger transaction ends the visits that
are over and begins those that have become possible.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import sqlalchemy as sa

from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, HabeasError, LeaseLost
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.connector_pool import hindrance_of, is_paused
from habeas.execution.links import LinkValues
from habeas.execution.run import ASKED, Done, Failed, Paused, Run, Wait, place_of
from habeas.execution.spooled import read_rows
from habeas.execution.visit import Attempts, GroupVisit
from habeas.log_fields import adopt, current
from habeas.planning.plan import Group, Node
from habeas.store import manual_collections, progress, runs, spool
from habeas.store.configurations import Record, find_connections
from habeas.store.journal import Entry
from habeas.store.manual_collections import Question

_MOMENT = 0.05
"""Seconds in which visits may end together."""


def perform(run: Run) -> Done | Failed | Wait:
    """Visit what is not yet visited for each member. Branches that do not depend on a failure still go on, and so do
    those that need no paused connection and no answer of a person; members who need one are parked at the end.
    """
    return _Access(run).perform()


@dataclass(slots=True)
class _Underway:
    """A group that is being visited: for whom, under which attempts, and the parts that have been read."""

    index: int
    nodes: Sequence[Node]
    cyclic: bool
    pending: set[int]
    attempts: Attempts | None
    records: Mapping[str, Record]
    visits: list[GroupVisit] = field(default_factory=list)
    error: HabeasError | None = None
    paused: str | None = None
    """The connection that was paused meanwhile."""

    def unread(self) -> set[int]:
        return self.pending.difference(*(visit.ordinals for visit in self.visits))


class _Access:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes: Mapping[Address, Node] = {node.address: node for node in run.plan.nodes}
        self._links = LinkValues(run)
        ledger = run.context.ledger
        with ledger.read() as connection:
            self._living = run.living(connection)
            spools = progress.spools_of(connection, run.id)
            self._announced = runs.started_collections(connection, run.id, ActionType.ACCESS)
            answers = manual_collections.answers_of(connection, ledger.sealer, run.id) if run.plan.asks else {}
        self._answers = {address: answers.get(str(address), {}) for address in self._nodes}
        self._visited = {address: spools.get(str(address), {}) for address in self._nodes}
        feeding = {a: found for a, found in self._visited.items() if found and self._nodes[a].feeds}
        for address, rows in read_rows(ledger, feeding):
            self._links.learn(self._nodes[address], rows)
        self._waiting = {index: group for index, group in enumerate(run.plan.groups) if self._pending(group)}
        self._finished = set(range(len(run.plan.groups))) - set(self._waiting)
        self._failures: dict[int, HabeasError] = {}
        self._paused: dict[int, str] = {}
        """Groups that wait for a paused connection."""
        self._behind: dict[int, set[int]] = defaultdict(set)
        """Group → members who wait for a person's answer, in it or in one that must be complete before."""
        self._asked: dict[Address, set[int]] = defaultdict(set)
        """Collection → members about whom people have to be asked."""

    def perform(self) -> Done | Failed | Wait:
        ended: list[_Underway] = []
        running: set[Future[_Underway]] = set()
        places = self._run.context.settings.execution.visits
        with ThreadPoolExecutor(places, "visit", adopt, (current(),)) as pool:
            while True:
                ready = self._ready(places - len(running))
                if running and not ready:
                    # What ends within a moment is recorded together: nobody waits for it.
                    done, running = wait(running, _MOMENT if ended else None, FIRST_COMPLETED)
                    ended += [self._settle(future.result()) for future in done]
                    if done:
                        continue
                elif not ready:
                    break  # all is visited, or what is left stands behind a failure or a paused connection
                begun = self._commit(ended, ready)
                ended = []
                if len(begun) == 1 and not running:
                    ended = [self._settle(self._visit(begun[0]))]
                else:
                    running.update(pool.submit(self._visit, group) for group in begun)
        if not (self._failures or self._paused):
            return Done(lambda connection: self._conclude(connection, ended))
        if not self._failures:
            with self._run.commit(progress=True) as connection:
                self._conclude(connection, ended)
            return Wait(self._paused[min(self._paused)])
        self._commit(ended, [])
        first = min(self._failures)
        return Failed(self._failures[first], str(self._run.plan.groups[first].nodes[0]))

    def _conclude(self, connection: sa.Connection, ended: Sequence[_Underway]) -> None:
        """Record what has ended, and let those wait for whom people have to be asked.

        Where that is a connection that was disabled meanwhile nobody is: another run passes over what it leads to.
        """
        living = self._run.living(connection)
        self._record(connection, ended, living)
        first: dict[int, Address] = {}
        questions = []
        records = find_connections(connection, {self._nodes[address].connection for address in self._asked})
        gone = {a for a in self._asked if hindrance_of(records.get(self._nodes[a].connection))}
        for address in sorted(self._asked.keys() - gone):
            node, who = self._nodes[address], self._asked[address] & living
            self._run.log(connection, who, Entry(place_of(node), ActionType.ACCESS, LogStatus.PAUSED, ASKED))
            for ordinal in sorted(who):
                locators = self._links.locators(node, ordinal)
                question = Question(locators, get=node.table.columns, key=node.table.key)
                questions.append((self._run.members[ordinal].request_id, str(address), question))
                first.setdefault(ordinal, address)
        sealer, now = self._run.context.ledger.sealer, self._run.context.clock.now()
        manual_collections.ask(connection, sealer, ActionType.ACCESS, questions, now)
        for address in sorted(set(first.values())):
            own = [ordinal for ordinal, place in first.items() if place == address]
            self._run.park(connection, own, RequestStatus.PAUSED, str(address))
        self._run.set_free(connection, {o for a in gone for o in self._asked[a] & living if o not in first})

    def _pending(self, group: Group) -> set[int]:
        """Living members that some collection of the group has not been visited for."""
        return {ordinal for ordinal in self._living if any(ordinal not in self._visited[a] for a in group.nodes)}

    def _ready(self, limit: int) -> list[int]:
        """Groups that can be visited now."""
        free = ((index, group) for index, group in self._waiting.items() if index not in self._paused)
        ready = (index for index, group in free if self._finished.issuperset(group.upstream))
        return [index for index, _ in zip(ready, range(limit), strict=False)]

    def _settle(self, group: _Underway) -> _Underway:
        if group.paused is not None:
            self._paused[group.index] = group.paused
        elif group.error is None:
            self._finished.add(group.index)
            for visit in group.visits:
                for address, ordinals in visit.waiting.items():
                    self._asked[address] |= ordinals
                    self._behind[group.index] |= ordinals
        else:
            self._failures[group.index] = group.error
        return group

    def _commit(self, ended: Sequence[_Underway], ready: Sequence[int]) -> list[_Underway]:
        """End what is over and begin what is ready, unless its connection must not be used or is paused."""
        with self._run.commit(progress=any(group.visits for group in ended)) as connection:
            self._living = self._run.living(connection)
            self._record(connection, ended, self._living)
            groups = {index: self._waiting.pop(index) for index in ready}
            nodes = {index: [self._nodes[address] for address in group.nodes] for index, group in groups.items()}
            records = find_connections(connection, {node.connection for own in nodes.values() for node in own})
            for index, group in groups.items():
                self._behind[index].update(*(self._behind[before] for before in group.upstream))
            pending = {index: self._pending(group) - self._behind[index] for index, group in groups.items()}
            free = []
            for index, own in nodes.items():
                if reason := _hindrance(own, records):
                    self._finished.add(index)
                    self._pass_over(connection, own, reason, pending[index])
                elif paused := next((n.connection for n in own if is_paused(records[n.connection])), None):
                    self._paused[index] = paused
                    entries = (
                        Entry(place_of(n), ActionType.ACCESS, LogStatus.PAUSED, str(Paused(paused))) for n in own
                    )
                    self._run.log(connection, pending[index], *entries)
                else:
                    free.append(index)
            attempts = self._open(connection, [node for index in free for node in nodes[index]])
            for index in free:
                self._announce(connection, nodes[index], pending[index])
        return [_Underway(i, nodes[i], groups[i].cyclic, pending[i], attempts, records) for i in free]

    def _pass_over(self, connection: sa.Connection, nodes: Sequence[Node], reason: str, ordinals: set[int]) -> None:
        for node in nodes:
            self._run.pass_over(connection, node, ActionType.ACCESS, reason, ordinals)

    def _record(self, connection: sa.Connection, ended: Sequence[_Underway], living: set[int]) -> None:
        """Write what visits that are over have found: from here on it counts."""
        visits = [visit for group in ended for visit in group.visits]
        sealer = self._run.context.ledger.sealer
        spool.write_chunks(connection, sealer, [chunk for visit in visits for chunk in visit.chunks])
        progress.write_outcomes(connection, [outcome for visit in visits for outcome in visit.outcomes(living)])
        for group in ended:
            entries = [Entry(place_of(n), ActionType.ACCESS, LogStatus.COMPLETE, "success") for n in group.nodes]
            for visit in group.visits:
                self._run.log(connection, visit.ordinals & living, *entries)
                for address, spools in visit.where(living).items():
                    self._visited[address].update(spools)

    def _open(self, connection: sa.Connection, nodes: Sequence[Node]) -> Attempts:
        addresses = {str(node.address): node.address for node in nodes}
        opened = runs.open_tasks(connection, self._run.id, ActionType.ACCESS, addresses)
        return {addresses[name]: attempt for name, attempt in opened.items()}

    def _announce(self, connection: sa.Connection, nodes: Sequence[Node], pending: set[int]) -> None:
        """Log the start of visits that no worker has begun in this run."""
        fresh = [node for node in nodes if str(node.address) not in self._announced]
        entries = (Entry(place_of(n), ActionType.ACCESS, LogStatus.IN_PROCESSING, "starting") for n in fresh)
        self._run.log(connection, pending, *entries)

    def _visit(self, group: _Underway) -> _Underway:
        """Visit a group for its pending members; what was read, and the error that stopped it."""
        try:
            try_again(
                self._run,
                {node.connection for node in group.nodes},
                lambda: self._read(group, group.unread()),
                lambda number, error: self._report(group, LogStatus.RETRYING, f"try {number} again: {error}"),
            )
        except LeaseLost:
            raise
        except Paused as pause:
            group.paused = pause.connection
            self._report(group, LogStatus.PAUSED, str(pause))
        except Exception as problem:
            group.error = name_fault(problem, f"reading {group.nodes[0].address}")
            self._report(group, LogStatus.ERROR, str(group.error))
        return group

    def _read(self, group: _Underway, ordinals: set[int]) -> None:
        """One attempt; members whose values break the statement leave in `error`, the others are served."""
        attempts, group.attempts = group.attempts, None
        if attempts is None:
            with self._run.commit() as connection:
                ordinals = ordinals & self._run.living(connection)
                group.records = find_connections(connection, {node.connection for node in group.nodes})
                if reason := _hindrance(group.nodes, group.records):
                    self._pass_over(connection, group.nodes, reason, ordinals)
                    return
                attempts = self._open(connection, group.nodes)
        if not ordinals:
            return
        pool = self._run.context.connectors
        connectors = {node.connection: pool.open(group.records[node.connection]) for node in group.nodes}
        visit = GroupVisit(self._run, group.nodes, ordinals, self._links, connectors, attempts, self._answers)
        try:
            visit.read(cyclic=group.cyclic)
        except DataFault as fault:
            self._halve(group, ordinals, fault)
        else:
            group.visits.append(visit)

    def _halve(self, group: _Underway, ordinals: set[int], fault: DataFault) -> None:
        if len(ordinals) > 1:
            ordered = sorted(ordinals)
            middle = len(ordered) // 2
            self._read(group, set(ordered[:middle]))
            self._read(group, set(ordered[middle:]))
            return
        node = group.nodes[0]
        with self._run.commit() as connection:
            self._run.log(connection, ordinals, Entry(place_of(node), ActionType.ACCESS, LogStatus.ERROR, str(fault)))
            self._run.fail(connection, ordinals, fault, str(node.address))

    def _report(self, group: _Underway, status: LogStatus, message: str) -> None:
        entries = (Entry(place_of(node), ActionType.ACCESS, status, message) for node in group.nodes)
        with self._run.commit() as connection:
            self._run.log(connection, group.unread(), *entries)


def _hindrance(nodes: Sequence[Node], records: Mapping[str, Record]) -> str:
    return next(filter(None, (hindrance_of(records.get(node.connection)) for node in nodes)), "")
