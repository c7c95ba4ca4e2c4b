"""The life of requests as a machine: whatever people, receivers, failures, deaths and clocks do, in whatever order,
every request ends, or waits for somebody who is named, until a time that is known; and who is to be told is told once.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from dying import Mortality
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.integration.execution.memory_shop import EMAIL, NAME, Shop, make_field

from engine import Engine, done
from habeas.connectors.memory import MemoryConnector, MemoryStore
from habeas.domain.audit import AuditAction
from habeas.domain.clock import SystemClock
from habeas.domain.errors import Conflict, InputError, NotAllowed, SystemUnavailable
from habeas.domain.identity import parse_identities
from habeas.domain.message import Channel, Event, Message, ProviderType
from habeas.domain.ports import Effect, Erasure, Lookup, Outcome, Row
from habeas.domain.request import TERMINAL, TRANSITIONS, WAITING, ActionType, LogStatus, RequestStatus
from habeas.execution.housekeeping import JOBS, sweep
from habeas.execution.postman import CLAIM_SECONDS, post_due
from habeas.planning.plan_input import AccessLevel
from habeas.services import (
    connections,
    deadlines,
    forms,
    manual_collections,
    manual_webhooks,
    requests,
    review,
    verification,
    webhooks,
)
from habeas.services.manual_webhooks import FieldDraft
from habeas.services.requests import NewRequest
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import messages, tables
from letterbox import wrong
from servers.receiver import Answer, Call, Receiver

UNVERIFIED = RequestStatus.IDENTITY_UNVERIFIED
IN_PROCESSING = RequestStatus.IN_PROCESSING
DAY = timedelta(days=1)
LEASE = timedelta(seconds=10)
"""A little longer than that of a run."""

DRAWER = {
    "fides_key": "drawer",
    "name": "Drawer",
    "collections": [
        {
            "name": "cards",
            "fields": [
                make_field("card", key=True),
                make_field("person", refers_to="people.id"),
                make_field("name", NAME),
                make_field("mail", EMAIL),
            ],
        }
    ],
}
CARDS = "drawer:cards"
AGENCY = {
    "fides_key": "agency",
    "name": "Agency",
    "collections": [
        {"name": "leads", "fields": [make_field("id", key=True), make_field("mail", EMAIL, identity="email")]}
    ],
}
AGENCY_MAIL = "agency@example.com"
TIMEFRAME = 30
GOES_ON = (tables.audits.c.action == AuditAction.RESUMED) | tables.audits.c.message.endswith(CARDS)
IS_ASKED = (tables.logs.c.collection_name == "cards") & (tables.logs.c.status == LogStatus.PAUSED)


class MovingClock:
    """The machine's clock, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


class Target(MemoryConnector):
    """Counts who is looked up and which rows are changed; fails or dies when told to."""

    def __init__(self, store: MemoryStore, mortality: Mortality) -> None:
        super().__init__(store)
        self._mortality = mortality
        self.broken = self.deadly = False
        self.looked_up: set[str] = set()
        self.changed: Counter[tuple[str, object]] = Counter()

    def read(self, lookup: Lookup) -> Iterator[list[Row]]:
        self._meanwhile()
        if lookup.table.name == "people":
            self.looked_up.update(str(value) for entry in lookup.entries for _, value in entry.pairs)
        yield from super().read(lookup)

    def erase(self, erasure: Erasure, guard: Callable[[], None]) -> Sequence[Effect]:
        effects = super().erase(erasure, guard)
        self.changed.update((erasure.table.name, one.key) for one in effects if one.outcome is Outcome.CHANGED)
        self._meanwhile()
        return effects

    def _meanwhile(self) -> None:
        if self.deadly:
            self.deadly = False
            self._mortality.die()
        if self.broken:
            raise SystemUnavailable("the shop is closed")


class Mailbox:
    """A provider of e-mails: keeps what it takes, is busy, or ends the process that has just handed one over."""

    def __init__(self, mortality: Mortality) -> None:
        self._mortality = mortality
        self.busy = self.deadly = False
        self.taken: list[Message] = []

    def send(self, message: Message) -> None:
        if self.busy:
            raise SystemUnavailable("the mail server is busy")
        self.taken.append(message)
        if self.deadly:
            self.deadly = False
            self._mortality.die()

    def activate(self, engine: Engine) -> None:
        kind = ProviderType("mailbox", Channel.EMAIL, {}, {}, lambda details, secrets: self)
        engine.context = replace(engine.context, provider_types={"mailbox": kind})
        now = engine.context.clock.now()
        row = {"key": "mailbox", "id": "mes_1", "name": "mailbox", "type": "mailbox", "details": {}, "active": True}
        with engine.context.ledger.write() as connection:
            connection.execute(tables.message_providers.insert().values(**row, created_at=now, updated_at=now))


class Life(RuleBasedStateMachine):
    """One server with a SQLite ledger, its requests, and all who have a say in them."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.receiver = Receiver()
        self.receiver.answers["/desk"] = self._answer
        self.halts = False
        self.ids: list[str] = []
        self.people: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.complete: set[str] = set()

    @initialize(must_verify=st.booleans(), must_review=st.booleans(), holds=st.booleans())
    def open(self, must_verify: bool, must_review: bool, holds: bool) -> None:
        self.holds = holds
        folder = Path(self._folder.name)
        self.engine = Engine(
            folder / "data",
            f"sqlite:///{folder}/ledger.db",
            {
                "security": {"outgoing_allow_list": ["127.0.0.1"], "identity_verification_resend_pause_seconds": 0},
                "duplicates": {"enabled": True, "hold": holds},
            },
            subject_identity_verification_required=must_verify,
            require_manual_request_approval=must_review,
            task_retry_count=0,
            visits=1,
        )
        self.clock = MovingClock()
        self.engine.context = replace(self.engine.context, clock=self.clock)
        self.engine.context.ledger.clock = self.clock
        self.mortality = Mortality(self.engine.context.ledger.engine)
        self.mailbox = Mailbox(self.mortality)
        self.mailbox.activate(self.engine)
        self.context = self.engine.context
        self.shop = Shop()
        self.target = Target(self.shop.store, self.mortality)
        self.engine.plug("shop", self.target)
        self.engine.describe("shop", self.shop.body())
        self.engine.connect("drawer", "manual", {})
        self.engine.describe("drawer", DRAWER)
        self.engine.connect("agency", "email", {"to_email": AGENCY_MAIL})
        self.engine.describe("agency", AGENCY)
        erasure = {"null_rewrite": [EMAIL]}
        self.engine.policy("both", access=["user.name"], erasure=erasure, execution_timeframe=TIMEFRAME)
        self.engine.connect("receiver", "https", {"url": self.receiver.url("/desk")})
        draft = WebhookDraft(connection_config_key="receiver", direction=Direction("two_way"))
        webhooks.replace_webhooks(self.context, "both", Phase.PRE, [draft])
        desk = connections.ConnectionDraft(
            name="desk", key="desk", connection_type="manual_webhook", access=AccessLevel.WRITE
        )
        done(connections.save_connections(self.context, [desk]))
        manual_webhooks.create_manual_webhook(self.context, "desk", [FieldDraft(pii_field="Known as")])
        with self.context.ledger.write() as connection:
            connection.exec_driver_sql("CREATE TABLE moves (id TEXT, before TEXT, after TEXT)")
            connection.exec_driver_sql(
                "CREATE TRIGGER moving AFTER UPDATE OF status ON request WHEN old.status <> new.status "
                "BEGIN INSERT INTO moves VALUES (new.id, old.status, new.status); END"
            )

    def _answer(self, call: Call) -> Answer:
        return Answer(body={"halt": self.halts})

    def _status(self, request_id: str) -> RequestStatus:
        with self.context.ledger.read() as connection:
            query = sa.select(tables.requests.c.status).where(tables.requests.c.id == request_id)
            return RequestStatus(connection.execute(query).scalar_one())

    def _of(self, *statuses: RequestStatus) -> list[str]:
        return [request_id for request_id in self.ids if self._status(request_id) in statuses]

    def _choose(self, data: st.DataObject, *statuses: RequestStatus) -> str:
        return str(data.draw(st.sampled_from(self._of(*statuses) or self.ids)))

    @precondition(lambda self: len(self.ids) < 4)
    @rule(again=st.booleans())
    def submit(self, again: bool) -> None:
        """For somebody new, or once more for who came last."""
        if again and self.ids:
            number, person = self.numbers[self.ids[-1]], {"email": self.people[self.ids[-1]]}
        else:
            number = len(self.ids)
            person = self.shop.add_person(number, orders=1, items=1)
        [view] = requests.submit(self.context, [NewRequest("both", parse_identities(person))])
        self.ids.append(view.id)  # type: ignore[union-attr]
        self.people[self.ids[-1]], self.numbers[self.ids[-1]] = person["email"], number

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), right=st.booleans())
    def verify(self, data: st.DataObject, right: bool) -> None:
        request_id = self._choose(data, UNVERIFIED)
        with self._process(), suppress(InputError, NotAllowed):
            code = self._read_code(request_id)
            verification.verify(self.context, request_id, code if right else wrong(code))

    def _read_code(self, request_id: str) -> str:
        """The latest code that the person was sent, or is going to be; any other when there is none any more."""
        table = tables.messages
        query = sa.select(table).where(table.c.request_id == request_id, table.c.event == Event.VERIFICATION)
        with self.context.ledger.read() as connection:
            row = connection.execute(query.order_by(table.c.created_at.desc())).mappings().first()
        if row is None:
            return "000000"
        for message in self.mailbox.taken:
            if message.id == row.id:
                return re.findall(r"\b\d{6}\b", message.text)[0]
        return str(messages.open_variables(self.context.ledger.sealer, row).get("code", "000000"))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        request_id = self._choose(data, UNVERIFIED)
        with self._process(), suppress(InputError, NotAllowed):
            verification.resend(self.context, request_id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        request_id = self._choose(data, RequestStatus.PENDING)
        with self._process():
            review.approve(self.context, [request_id])

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), ending=st.sampled_from([review.deny, review.cancel]))
    def end(self, data: st.DataObject, ending: Callable[..., Any]) -> None:
        request_id = data.draw(st.sampled_from(self.ids))
        with self._process():
            ending(self.context, [request_id], "for a reason")

    @precondition(lambda self: self._of(RequestStatus.REQUIRES_INPUT))
    @rule(data=st.data(), saves=st.booleans())
    def fill_form(self, data: st.DataObject, saves: bool) -> None:
        request_id = self._choose(data, RequestStatus.REQUIRES_INPUT)
        with self._process():
            self._fill(request_id, saves=saves)

    def _fill(self, request_id: str, *, saves: bool = True) -> None:
        if saves:
            forms.save_form(self.context, request_id, ActionType.ACCESS, "desk", {"known_as": "Annie"})
            forms.save_form(self.context, request_id, ActionType.ERASURE, "desk", {"known_as": True})
        with suppress(InputError):
            forms.resume(self.context, request_id)

    @precondition(lambda self: self._of(RequestStatus.PAUSED))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        request_id = self._choose(data, RequestStatus.PAUSED)
        with self._process():
            self._resume(request_id)

    def _resume(self, request_id: str) -> None:
        calls = [one for one in self.receiver.calls if one.json["privacy_request_id"] == request_id]
        with suppress(NotAllowed, InputError):
            webhooks.resume(self.context, request_id, calls[-1].headers["reply-to-token"], None)

    @precondition(lambda self: self._of(RequestStatus.PAUSED))
    @rule(data=st.data())
    def look_into_the_drawer(self, data: st.DataObject) -> None:
        request_id = self._choose(data, RequestStatus.PAUSED)
        with self._process():
            self._look_into_the_drawer(request_id)

    def _look_into_the_drawer(self, request_id: str) -> None:
        """Answer what is asked, and what is not."""
        cards = self._cards_of(request_id)
        with suppress(InputError):
            manual_collections.answer(self.context, request_id, cards)
        with suppress(InputError):
            manual_collections.confirm(self.context, request_id, len(cards))

    def _cards_of(self, request_id: str) -> list[dict[str, Any]]:
        """Every other person has a card."""
        number = self.numbers[request_id]
        return [{"card": 1, "person": number, "name": "Annie", "mail": "annie@example.com"}] if number % 2 else []

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        request_id = self._choose(data, RequestStatus.ERROR)
        with self._process(), suppress(InputError):
            requests.retry(self.context, request_id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), hours=st.sampled_from([0, 30]))
    def ask_what_is_meant_and_hear_it(self, data: st.DataObject, hours: int) -> None:
        """At once, after a while, or when it was asked before."""
        request_id = data.draw(st.sampled_from(self.ids))
        with self._process(), suppress(Conflict):
            deadlines.stop_clock(self.context, request_id, "which shop?")
        self.clock.ahead += timedelta(hours=hours)
        with self._process(), suppress(Conflict):
            deadlines.start_clock(self.context, request_id)

    @rule(broken=st.booleans(), halts=st.booleans(), busy=st.booleans())
    def change_the_weather(self, broken: bool, halts: bool, busy: bool) -> None:
        self.target.broken, self.halts, self.mailbox.busy = broken, halts, busy

    @precondition(lambda self: self.ids)
    @rule(deadly=st.booleans())
    def post(self, deadly: bool) -> None:
        self._post(deadly=deadly)

    def _post(self, *, deadly: bool = False) -> None:
        self.mailbox.deadly = deadly
        with self._process():
            post_due(self.context)
        self.mailbox.deadly = False

    @rule(deadly=st.sampled_from(["", "shop", "mail"]))
    def work(self, deadly: str) -> None:
        self.target.deadly, self.mailbox.deadly = deadly == "shop", deadly == "mail"
        with self._process():
            self.engine.run()
        self.target.deadly = self.mailbox.deadly = False

    @precondition(lambda self: self.ids)
    @rule(rounds=st.integers(1, 4), doomed=st.integers(0, 5), recorded=st.booleans())
    def everybody_helps_and_one_kind_of_help_is_deadly(self, rounds: int, doomed: int, recorded: bool) -> None:
        for _ in range(rounds):
            self._do_what_is_waited_for(doomed, recorded=recorded)

    def _do_what_is_waited_for(self, doomed: int | None = None, *, recorded: bool = False) -> None:
        acts: Sequence[tuple[RequestStatus, Callable[[str], object]]] = (
            (UNVERIFIED, self._verify_anew),
            (RequestStatus.PENDING, lambda request_id: review.approve(self.context, [request_id])),
            (RequestStatus.ERROR, lambda request_id: requests.retry(self.context, request_id)),
            (RequestStatus.REQUIRES_INPUT, self._fill),
            (RequestStatus.PAUSED, self._resume),
            (RequestStatus.PAUSED, self._look_into_the_drawer),
        )
        for number, (status, act) in enumerate(acts):
            for request_id in self._of(status):
                if number == doomed:
                    self.mortality.doom(1, recorded=recorded)
                with self._process(), suppress(InputError, NotAllowed):
                    act(request_id)
            with self._process():
                self.engine.run()

    def _verify_anew(self, request_id: str) -> None:
        verification.resend(self.context, request_id)
        verification.verify(self.context, request_id, self._read_code(request_id))

    @rule(commits=st.integers(1, 40), recorded=st.booleans())
    def doom(self, commits: int, recorded: bool) -> None:
        self.mortality.doom(commits, recorded=recorded)

    @contextmanager
    def _process(self) -> Iterator[None]:
        """What is done here ends where it dies; another process comes when the leases of the dead are over."""
        deaths = self.mortality.deaths
        with self.mortality.process():
            yield
        if self.mortality.deaths > deaths:
            self.clock.ahead += LEASE

    @rule(hours=st.sampled_from([1, 30, 24 * 9]))
    def wait(self, hours: int) -> None:
        self.clock.ahead += timedelta(hours=hours)
        with self._process():
            for job in JOBS:
                sweep(self.context, job)

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        if not self.ids:
            return
        with self.context.ledger.read() as connection:
            moves = connection.exec_driver_sql("SELECT id, before, after FROM moves").all()
        for request_id, before, after in moves:
            assert RequestStatus(after) in TRANSITIONS[RequestStatus(before)], (request_id, before, after)

    @invariant()
    def who_waits_waits_for_somebody_until_a_time(self) -> None:
        if not self.ids:
            return
        with self.context.ledger.read() as connection:
            rows = connection.execute(sa.select(tables.requests)).mappings().all()
            codes = set(connection.scalars(sa.select(tables.verifications.c.request_id)))
        verified = {self.people[row.id] for row in rows if row.identity_verified_at is not None}
        for row in rows:
            status = RequestStatus(row.status)
            assert (status in WAITING) == (row.waits_until is not None), status
            assert status is not RequestStatus.ERROR or row.failure
            assert status is not UNVERIFIED or row.id in codes
            assert (status in TERMINAL | {RequestStatus.ERROR}) == (row.finished_at is not None), status
            if row.must_verify and self.people[row.id] not in verified:
                assert self.people[row.id] not in self.target.looked_up
            if row.duplicate_of is not None:
                assert self.people[row.duplicate_of] == self.people[row.id]
                assert row.reviewed_at or not self.holds or status in TERMINAL | {RequestStatus.PENDING}, status

    @invariant()
    def nothing_is_changed_twice(self) -> None:
        if self.ids:
            assert not [row for row, times in self.target.changed.items() if times > 1]

    @invariant()
    def a_call_is_repeated_only_by_a_death(self) -> None:
        keys = Counter(call.headers["idempotency-key"] for call in self.receiver.calls)
        assert sum(keys.values()) - len(keys) <= self.mortality.deaths

    @invariant()
    def who_is_told_is_told_once(self) -> None:
        """The same message, and another one of its kind only of codes; repeated by a death alone."""
        if not self.ids:
            return
        columns = (tables.messages.c.id, tables.messages.c.request_id, tables.messages.c.event, tables.messages.c.part)
        with self.context.ledger.read() as connection:
            told = {row.id: row for row in connection.execute(sa.select(*columns))}
        kinds = Counter((row.request_id, row.event, row.part) for row in told.values())
        assert not [kind for kind, times in kinds.items() if times > 1 and kind[1] != Event.VERIFICATION]
        taken = self.mailbox.taken
        assert len(taken) - len({message.id for message in taken}) <= self.mortality.deaths
        assert len({message.id for message in taken}) == len(set(taken)), "a message came in two wordings"
        for message in taken:
            row = told[message.id]
            is_asking = row.event == Event.ERASURE_INSTRUCTIONS
            assert message.recipient == (AGENCY_MAIL if is_asking else self.people[row.request_id])

    @invariant()
    def a_deadline_moves_on_by_the_time_that_its_clock_stood(self) -> None:
        if not self.ids:
            return
        said: dict[str, int] = Counter()
        signs = {AuditAction.CLOCK_STOPPED: 1, AuditAction.CLOCK_STARTED: -1}
        with self.context.ledger.read() as connection:
            rows = connection.execute(sa.select(tables.requests)).mappings().all()
            query = sa.select(tables.audits.c.object_id, tables.audits.c.action)
            for audit in connection.execute(query.where(tables.audits.c.action.in_(signs))):
                said[audit.object_id] += signs[AuditAction(audit.action)]
        for row in rows:
            assert said[row.id] == (row.clock_stopped_at is not None)
            moved = row.due_at - row.requested_at - timedelta(days=TIMEFRAME)
            assert abs(moved.total_seconds() - row.clock_stood) < 20, "more than what is rounded off"

    @invariant()
    def who_goes_on_was_let_go_on_once(self) -> None:
        if not self.ids:
            return
        with self.context.ledger.read() as connection:
            moves = connection.exec_driver_sql("SELECT id, before, after FROM moves").all()
            audits = connection.execute(sa.select(tables.audits.c.object_id, tables.audits.c.message).where(GOES_ON))
            said = Counter((row.object_id, row.message) for row in audits)
            asked = connection.execute(sa.select(tables.logs.c.request_id, tables.logs.c.action_type).where(IS_ASKED))
            questions = Counter((row.request_id, f"{row.action_type} of {CARDS}") for row in asked)
        waited = Counter(one for one, before, after in moves if before in WAITING and after == IN_PROCESSING)
        let_go = Counter()
        for (request_id, message), times in said.items():
            let_go[request_id] += times
            assert not message.endswith(CARDS) or times <= questions[request_id, message], message
            assert message != f"erasure of {CARDS}" or times == 1, "somebody had to erase twice"
        assert waited == let_go

    @invariant()
    def who_is_done_has_what_people_said(self) -> None:
        for request_id in set(self._of(RequestStatus.COMPLETE)) - self.complete:
            self.complete.add(request_id)
            package, cards = json.loads(self.engine.package(request_id, "both-give")), self._cards_of(request_id)
            assert package["desk"] == [{"known_as": "Annie"}]
            if Counter(self.people.values())[self.people[request_id]] > 1:
                continue  # the other one may have been first
            assert package.get(CARDS, []) == [{"name": card["name"]} for card in cards]
            counts = self.engine.counts(request_id)[CARDS]
            assert (counts["found"], counts["changed"]) == (len(cards), len(cards))

    def teardown(self) -> None:
        try:
            if self.ids:
                self._bring_to_an_end()
        finally:
            if hasattr(self, "engine"):
                self.engine.close()
            self.receiver.close()
            self._folder.cleanup()

    def _bring_to_an_end(self) -> None:
        self.target.broken = self.halts = self.mailbox.busy = False
        self.mortality.spare()
        for _ in range(6):
            self._do_what_is_waited_for()
            self._post()
            self.clock.ahead += 9 * DAY
            sweep(self.context, "end_waits")
        left = {self._status(request_id) for request_id in self.ids} - TERMINAL
        assert not left
        self.every_move_is_in_the_table()
        self.nothing_is_changed_twice()
        self.who_goes_on_was_let_go_on_once()
        self.who_is_done_has_what_people_said()
        self.clock.ahead += timedelta(seconds=CLAIM_SECONDS)
        self._post()
        self.who_is_told_is_told_once()
        self._who_is_done_was_told()
        for request_id in self._of(RequestStatus.COMPLETE):
            number = self.numbers[request_id]
            assert [row["mail"] for row in self.shop.people.records if row["id"] == number] == [None]

    def _who_is_done_was_told(self) -> None:
        """Unless a mail's time was over while the server was busy."""
        with self.context.ledger.read() as connection:
            rows = connection.execute(sa.select(tables.messages)).mappings().all()
        told = {(row.request_id, row.event) for row in rows}
        complete = self._of(RequestStatus.COMPLETE)
        for row in rows:  # what a step intended for a request that was ended then is sent by nobody
            is_left = row.status == "intended" and row.request_id not in complete
            assert row.status in ("sent", "failed") or is_left, (row.event, row.status, self._status(row.request_id))
        for request_id in complete:
            assert {(request_id, Event.ACCESS_COMPLETE), (request_id, Event.DELETION_COMPLETE)} <= told


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
