"""The step of erasure e-mails: asks others, once per person and dataset, to erase what only they can reach.

What is asked for follows from the plan and the rows that access kept: it is worked out anew each time. Erasure changes
nothing of that.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from habeas.domain.actor import SYSTEM
from habeas.domain.audit import AuditAction
from habeas.domain.errors import LeaseLost, NeedsHuman, TryAgain
from habeas.domain.message import Event
from habeas.domain.ports import SystemType
from habeas.domain.request import ActionType, LogStatus
from habeas.execution import outbox
from habeas.execution.attempts import name_fault, try_again
from habeas.execution.connector_pool import hindrance_of, is_paused
from habeas.execution.erasure_letter import Instruction, Letter, deliver
from habeas.execution.links import LinkValues
from habeas.execution.run import Done, Failed, Paused, Run, Wait, place_of
from habeas.execution.spooled import read_rows
from habeas.planning.plan import Node, Plan
from habeas.store import configurations, journal, messages, progress
from habeas.store.journal import Entry


def perform(run: Run) -> Done | Failed | Wait:
    """Send the e-mails that were not sent; members about whom one cannot be sent leave in `error`."""
    links = _gather_links(run)
    for dataset in _mailed(run.plan):
        mailing = _Mailing(run, dataset, links)
        try:
            mailing.send()
        except Paused as pause:
            mailing.report(run.members, LogStatus.PAUSED, str(pause))
            return Wait(pause.connection)
    return Done()


@dataclass(frozen=True, slots=True)
class MailedDataset:
    """A dataset that somebody is asked about by e-mail; `updates`: its collections where there is anything to erase."""

    key: str
    connection: str
    nodes: Sequence[Node]
    updates: Mapping[str, Mapping[str, str]]

    @property
    def acting(self) -> list[Node]:
        """The collections where there is anything to erase."""
        return [node for node in self.nodes if str(node.address) in self.updates]


def _mailed(plan: Plan) -> list[MailedDataset]:
    """The datasets that e-mails are about, in walk order."""
    requests = {str(erasure.address): erasure.request for erasure in plan.erasure}
    nodes: dict[str, list[Node]] = {}
    for node in plan.nodes:
        if node.system is SystemType.EMAIL:
            nodes.setdefault(node.address.dataset, []).append(node)
    found = []
    for key, own in nodes.items():
        updates = {name: requests[name] for name in (str(node.address) for node in own) if requests.get(name)}
        if updates:
            found.append(MailedDataset(key, own[0].connection, own, updates))
    return found


def instruct(dataset: MailedDataset, locators: Callable[[Node], Mapping[str, Sequence[object]]]) -> list[Instruction]:
    """What is asked for about one person, collection by collection; nothing when there is nothing to find or to erase.

    Where a collection is found through another of the dataset, the field to look at there stands among the locators.
    """
    instructions: list[Instruction] = []
    located = set()
    for node in dataset.nodes:
        ways = {field: [str(value) for value in values] for field, values in locators(node).items()}
        for link in node.links:
            if link.source in located:
                ways.setdefault(link.field, []).append(f"{link.source}:{link.source_field}")
        if ways:
            located.add(node.address)
            instructions.append(Instruction(str(node.address), ways, dataset.updates.get(str(node.address), {})))
    return instructions if any(one.update for one in instructions) else []


def _gather_links(run: Run) -> LinkValues:
    """What leads the members' way into the datasets, learned from the rows that access kept."""
    links = LinkValues(run)
    sources = {link.source for node in run.plan.nodes if node.system is SystemType.EMAIL for link in node.links}
    feeding = [node for node in run.plan.nodes if node.address in sources and node.system is not SystemType.EMAIL]
    if feeding:
        with run.context.ledger.read() as connection:
            spools = progress.spools_of(connection, run.id)
        wanted = {node: spools.get(str(node.address), {}) for node in feeding}
        for node, rows in read_rows(run.context.ledger, wanted):
            links.learn(node, rows)
    return links


class _Mailing:
    """The e-mails about one dataset, one for each member."""

    def __init__(self, run: Run, dataset: MailedDataset, links: LinkValues) -> None:
        self._run = run
        self._dataset = dataset
        self._links = links

    def send(self) -> None:
        """Raises Paused while the dataset's connection is paused."""
        try:
            intended = self._intend()
        except (LeaseLost, Paused):
            raise
        except Exception as problem:
            self._fail(self._run.read_living(), problem)
            return
        left = dict(intended)
        for ordinal, message in intended.items():
            if ordinal not in self._run.read_living():
                continue
            try:
                self._run.check()
                send = partial(deliver, self._run.context, message)
                try_again(self._run, [self._dataset.connection], send, partial(self._report_retry, ordinal))
            except (LeaseLost, Paused):
                raise
            except (TryAgain, NeedsHuman) as problem:  # it would be the same for all others
                self._fail(left, problem)
                return
            except Exception as problem:
                self._fail([ordinal], problem)
            else:
                self._conclude(ordinal, message.id)
            del left[ordinal]

    def _intend(self) -> dict[int, Letter]:
        """Record which e-mails are going to be sent, and write them. Of each only the id is kept, the same for ever."""
        run, dataset = self._run, self._dataset
        with run.commit() as connection:
            record = configurations.find_connections(connection, [dataset.connection]).get(dataset.connection)
            event, living = Event.ERASURE_INSTRUCTIONS, run.living(connection)
            sent = messages.sent_about(connection, event, dataset.key, run.request_ids(living))
            unsent = [ordinal for ordinal in sorted(living) if run.members[ordinal].request_id not in sent]
            if not unsent:
                return {}
            if record is None or hindrance_of(record):
                for node in dataset.acting:
                    run.pass_over(connection, node, ActionType.ERASURE, hindrance_of(record), unsent)
                return {}
            if is_paused(record):
                raise Paused(dataset.connection)
            place = configurations.connection_place(dataset.connection)
            secrets = configurations.open_json(run.context.ledger.sealer, record.sealed_secrets, place)
            if "to_email" not in secrets:
                raise NeedsHuman(f"connection {dataset.connection} has no to_email", hint="give it its secrets")
            intended: dict[int, Letter] = {}
            for ordinal in unsent:
                request_id = run.members[ordinal].request_id
                instructions = instruct(dataset, partial(self._links.locators, ordinal=ordinal))
                if instructions:
                    recipient = secrets["to_email"]
                    message_id = outbox.intend(run.context, connection, event, request_id, dataset.key, recipient)
                    intended[ordinal] = Letter(message_id, recipient, request_id, dataset.key, instructions)
        return intended

    def _conclude(self, ordinal: int, message_id: str) -> None:
        """Record that an e-mail was accepted, and what it asked for."""
        run, request_id = self._run, self._run.members[ordinal].request_id
        outcomes = [
            {
                "request_id": request_id,
                "action": ActionType.ERASURE,
                "collection": str(node.address),
                "complete": True,
                "submitted": 1,
            }
            for node in self._dataset.acting
        ]
        with run.commit(progress=True) as connection:
            outbox.conclude(run.context, connection, [message_id])
            progress.write_outcomes(connection, outcomes)
            now, sealer = run.context.clock.now(), run.context.ledger.sealer
            journal.audit(connection, sealer, [request_id], SYSTEM, AuditAction.EMAIL_SENT, now, self._dataset.key)
            run.log(connection, [ordinal], *self._entries(LogStatus.COMPLETE, "asked by e-mail"))

    def _fail(self, ordinals: Iterable[int], problem: Exception) -> None:
        error = name_fault(problem, f"sending the erasure e-mail about {self._dataset.key}")
        with self._run.commit() as connection:
            failed = self._run.living(connection).intersection(ordinals)
            self._run.log(connection, failed, *self._entries(LogStatus.ERROR, str(error)))
            self._run.fail(connection, failed, error, None)

    def report(self, ordinals: Collection[int], status: LogStatus, message: str) -> None:
        """Log something of each of the dataset's collections."""
        with self._run.commit() as connection:
            self._run.log(connection, ordinals, *self._entries(status, message))

    def _report_retry(self, ordinal: int, number: int, error: TryAgain) -> None:
        self.report([ordinal], LogStatus.RETRYING, f"try {number} again: {error}")

    def _entries(self, status: LogStatus, message: str) -> list[Entry]:
        return [Entry(place_of(node), ActionType.ERASURE, status, message) for node in self._dataset.acting]
