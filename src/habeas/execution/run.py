"""A claimed run: its members and plan, and the only ways to write to the ledger for it."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from habeas.domain.errors import HabeasError, LeaseLost
from habeas.domain.identity import Identity
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.connector_pool import is_paused
from habeas.execution.context import Context
from habeas.execution.telling import tell_failed
from habeas.planning.plan import Node, Plan
from habeas.store import journal, progress, requests, runs
from habeas.store.configurations import find_connections
from habeas.store.journal import Entry

ASKED = "a person is asked"
"""What the log says of a collection that waits for somebody's answer."""


class Stopped(LeaseLost):
    """This process is shutting down: give the run back. Nothing is lost."""


class Paused(Exception):
    """Somebody has paused a connection that is needed now: what is done is kept, the rest waits."""

    def __init__(self, connection: str) -> None:
        super().__init__(f"connection {connection} is paused")
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Member:
    """One privacy request in a run. `ordinal` is its place, by which stores name it."""

    ordinal: int
    request_id: str
    identities: tuple[Identity, ...]
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Done:
    """The step is done for all members that are still in the run.

    `conclude` writes what is left to write, in the transaction that remembers the next step.
    """

    conclude: Callable[[sa.Connection], None] = lambda connection: None


@dataclass(frozen=True, slots=True)
class Failed:
    """The step cannot be done: every member that is left ends in `error`, at `collection` if one is to blame."""

    error: HabeasError
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """The step goes on from where it is once this connection is paused no more."""

    connection: str


def place_of(node: Node) -> tuple[str, str, str]:
    """Where the execution log files a collection: its connection, dataset and name."""
    return node.connection, node.address.dataset, node.address.collection


@dataclass(slots=True)
class Run:
    """A run under our fence. `lost` is set by the heartbeat, `stopping` by the process."""

    context: Context
    id: str
    fence: int
    plan: Plan
    next_step: str
    members: Mapping[int, Member]
    stopping: threading.Event
    has_post_webhooks: bool = False
    parked: int = 0
    lost: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises LeaseLost or Stopped when this worker must not go on."""
        if self.lost.is_set():
            raise LeaseLost("the lease of this run is lost")
        if self.stopping.is_set():
            raise Stopped("this worker is stopping")

    def guard(self) -> None:
        """Called right before each commit in a target: raises unless the lease is ours at this moment."""
        self.check()
        with self.context.ledger.read() as connection:
            if not runs.is_leased(connection, self.context.ledger, self.id, self.fence):
                self.lost.set()
                raise LeaseLost("the lease of this run is lost")

    @contextmanager
    def commit(self, *, progress: bool = False) -> Iterator[sa.Connection]:
        """A ledger transaction under our fence; raises LeaseLost when another holds a higher one.

        `progress`: it records something as finished, so that a run which comes on is not taken for a deadly one.
        """
        self.check()
        with self.context.ledger.write() as connection:
            runs.hold(connection, self.id, self.fence, progress=progress)
            yield connection

    def living(self, connection: sa.Connection) -> set[int]:
        """Ordinals of the members that are in the run at this moment."""
        return runs.living_ordinals(connection, self.id)

    def read_living(self) -> set[int]:
        with self.context.ledger.read() as connection:
            return self.living(connection)

    def pass_over(
        self, connection: sa.Connection, node: Node, action: ActionType, reason: str, ordinals: Iterable[int]
    ) -> None:
        """Skip a collection because of something that came after the plan."""
        own = {"action": action, "collection": str(node.address), "complete": True, "skipped": reason}
        living = sorted(self.living(connection).intersection(ordinals))
        progress.skip_outcomes(
            connection, [{"request_id": request_id, **own} for request_id in self.request_ids(living)]
        )
        self.log(connection, living, Entry(place_of(node), action, LogStatus.SKIPPED, reason))

    def request_ids(self, ordinals: Iterable[int]) -> list[str]:
        return [self.members[ordinal].request_id for ordinal in sorted(ordinals)]

    def log(self, connection: sa.Connection, ordinals: Collection[int], *entries: Entry) -> None:
        """Entries of the execution log for each of these members that is still in the run."""
        journal.log_members(connection, self.id, ordinals, entries, self.context.clock.now())

    def fail(
        self, connection: sa.Connection, ordinals: Iterable[int], error: HabeasError, collection: str | None
    ) -> None:
        """End members in `error` at this step; they leave the run and a retry goes on from here."""
        now = self.context.clock.now()
        failed = self.request_ids(ordinals)
        ended = requests.transition(
            connection,
            failed,
            RequestStatus.ERROR,
            now,
            next_step=self.next_step,
            failed_collection=collection,
            failure=str(error),
            finished_at=now,
        )
        tell_failed(self.context, connection, ended)
        runs.leave(connection, self.id, failed)

    def park(
        self,
        connection: sa.Connection,
        ordinals: Iterable[int],
        status: RequestStatus,
        collection: str | None = None,
        *,
        seconds: int | None = None,
    ) -> None:
        """Let members wait at this step for somebody's answer (about `collection`), at most `seconds` (default: the
        setting `execution.answer_ttl_seconds`); they leave the run, and go on from here.
        """
        now = self.context.clock.now()
        patience = self.context.settings.execution.answer_ttl_seconds if seconds is None else seconds
        values: dict[str, Any] = {"next_step": self.next_step, "failed_collection": collection}
        values["waits_until"] = now + timedelta(seconds=patience)
        if status is RequestStatus.PAUSED:
            values["paused_at"] = now
        parked = requests.transition(connection, self.request_ids(ordinals), status, now, **values)
        runs.leave(connection, self.id, parked)
        self.parked += len(parked)

    def set_free(self, connection: sa.Connection, ordinals: Iterable[int]) -> None:
        """Leave members to a later run, which goes on from here."""
        released = self.request_ids(ordinals)
        runs.leave(connection, self.id, released)
        self.parked += len(released)

    def heed_pause(self, connections: Collection[str]) -> None:
        """Raises Paused when one of these connections is."""
        with self.context.ledger.read() as connection:
            found = find_connections(connection, connections)
        for key in sorted(found):
            if is_paused(found[key]):
                raise Paused(key)

    def rest(self, seconds: float) -> None:
        """Wait before another try, waking early when this worker must not go on."""
        if self.stopping.wait(seconds) or self.lost.is_set():
            self.check()
