"""The access step: visits every collection of the plan, set-based, and keeps what it finds.

Groups whose upstream is complete are visited in parallel; a cycle runs to a fix-point. Rows go to sealed
chunks; only keys and link values stay in memory (design §3).
"""

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from habeas.domain.dataset import Address
from habeas.domain.errors import DataFault, HabeasError, LeaseLost
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.links import LinkValues
from habeas.execution.run import Done, Failed, Run, skip_outcome
from habeas.execution.spooled import find_spools, read_rows
from habeas.execution.visit import Attempts, GroupVisit, open_attempt
from habeas.planning.plan import Group, Node
from habeas.store import runs


def perform(run: Run) -> Done | Failed:
    """Visit what is not yet visited for each member. Branches that do not depend on a failure still go on."""
    return _Access(run).perform()


class _Access:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes: Mapping[Address, Node] = {node.address: node for node in run.plan.nodes}
        self._links = LinkValues(run)
        ledger = run.context.ledger
        with ledger.read() as connection:
            self._living = run.living(connection)
            spools = find_spools(connection, run, self._living)
            self._begun = runs.started_collections(connection, run.id, ActionType.ACCESS)
        self._visited = {address: spools.get(str(address), {}) for address in self._nodes}
        for address, node in self._nodes.items():
            if node.feeds and self._visited[address]:
                for rows in read_rows(ledger, self._visited[address]):
                    self._links.learn(node, rows)

    def perform(self) -> Done | Failed:
        groups = self._run.plan.groups
        waiting = dict(enumerate(groups))
        finished = {index for index, group in waiting.items() if not self._pending(group)}
        failures: dict[int, HabeasError] = {}
        running: dict[Future[HabeasError | None], int] = {}
        for index in finished:
            del waiting[index]
        with ThreadPoolExecutor(self._run.context.settings.execution.visits, "visit") as pool:
            while waiting or running:
                ready = [index for index, group in waiting.items() if finished.issuperset(group.upstream)]
                if not ready and not running:
                    break  # what is left stands behind a failure
                attempts = self._begin([waiting[index] for index in ready])
                for index in ready:
                    running[pool.submit(self._visit, waiting.pop(index), attempts)] = index
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    index = running.pop(done)
                    error = done.result()
                    if error is None:
                        finished.add(index)
                    else:
                        failures[index] = error
        if not failures:
            return Done()
        first = min(failures)
        return Failed(failures[first], str(groups[first].nodes[0]))

    def _pending(self, group: Group) -> set[int]:
        """Living members that some collection of the group has not been visited for."""
        return {ordinal for ordinal in self._living if any(ordinal not in self._visited[a] for a in group.nodes)}

    def _begin(self, groups: list[Group]) -> Attempts:
        """Open the first attempts; log the start of visits that no worker has begun in this run."""
        attempts: Attempts = {}
        if not groups:
            return attempts
        with self._run.commit() as connection:
            for group in groups:
                for address in group.nodes:
                    attempts[address] = open_attempt(self._run, connection, address)
                    if str(address) not in self._begun:
                        place, who = self._place(address), self._pending(group)
                        action, status = ActionType.ACCESS, LogStatus.IN_PROCESSING
                        self._run.log(connection, place, action, status, "starting", who)
        return attempts

    def _visit(self, group: Group, attempts: Attempts) -> HabeasError | None:
        """Visit a group for its pending members; the error that stopped it, or None."""
        first = iter([attempts])
        nodes = [self._nodes[address] for address in group.nodes]
        pending = self._pending(group)
        try:
            hindrance = next(filter(None, (self._run.context.connectors.hindrance(n.connection) for n in nodes)), "")
            if hindrance:
                self._skip(nodes, hindrance, pending)
                return None
            try_again(
                self._run,
                lambda: self._read(nodes, group.cyclic, self._still(pending), next(first, None)),
                lambda number, error: self._report(group, pending, LogStatus.RETRYING, f"try {number} again: {error}"),
            )
        except LeaseLost:
            raise
        except Exception as problem:
            error = name_fault(problem, f"reading {group.nodes[0]}")
            self._report(group, pending, LogStatus.ERROR, str(error))
            return error
        return None

    def _skip(self, nodes: list[Node], hindrance: str, pending: set[int]) -> None:
        """Pass over collections whose connection was disabled or deleted after the plan was made."""
        with self._run.commit() as connection:
            living = sorted(pending & self._run.living(connection))
            for node in nodes:
                address = str(node.address)
                ids = self._run.request_ids(living)
                skipped = [skip_outcome(request_id, ActionType.ACCESS, address, hindrance) for request_id in ids]
                runs.write_outcomes(connection, skipped)
                place = self._place(node.address)
                self._run.log(connection, place, ActionType.ACCESS, LogStatus.SKIPPED, hindrance, living)

    def _still(self, pending: set[int]) -> set[int]:
        """Those of `pending` who are in the run at this moment and not yet visited (a half may be done)."""
        return pending & self._run.read_living()

    def _read(self, nodes: list[Node], cyclic: bool, ordinals: set[int], attempts: Attempts | None = None) -> None:
        ordinals = {o for o in ordinals if any(o not in self._visited[node.address] for node in nodes)}
        try:
            visit = GroupVisit(self._run, nodes, cyclic, ordinals, self._links, attempts)
            spools = visit.read()
        except DataFault as fault:
            self._halve(nodes, cyclic, ordinals, fault)
            return
        for address, found in spools.items():
            self._visited[address].update(found)

    def _halve(self, nodes: list[Node], cyclic: bool, ordinals: set[int], fault: DataFault) -> None:
        """Find the member whose values break the statement; it leaves in `error`, the others are served."""
        if len(ordinals) > 1:
            ordered = sorted(ordinals)
            middle = len(ordered) // 2
            self._read(nodes, cyclic, set(ordered[:middle]))
            self._read(nodes, cyclic, set(ordered[middle:]))
            return
        with self._run.commit() as connection:
            address = nodes[0].address
            self._run.log(connection, self._place(address), ActionType.ACCESS, LogStatus.ERROR, str(fault), ordinals)
            self._run.fail(connection, ordinals, fault, str(address))

    def _report(self, group: Group, ordinals: set[int], status: LogStatus, message: str) -> None:
        with self._run.commit() as connection:
            for address in group.nodes:
                self._run.log(connection, self._place(address), ActionType.ACCESS, status, message, ordinals)

    def _place(self, address: Address) -> tuple[str, str, str]:
        return self._nodes[address].connection, address.dataset, address.collection
