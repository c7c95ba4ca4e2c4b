"""The life of requests as a machine: whatever people, receivers, failures, deaths and clocks do, in whatever order,
every request ends, or waits for somebody who is named, until a time that is known.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.integration.execution.memory_shop import EMAIL, Shop

from engine import Engine, done
from habeas.connectors.memory import MemoryConnector, MemoryStore
from habeas.domain.clock import SystemClock
from habeas.domain.errors import InputError, NotAllowed, SystemUnavailable
from habeas.domain.identity import parse_identities
from habeas.domain.ports import Effect, Erasure, Lookup, Outcome, Row
from habeas.domain.request import TERMINAL, TRANSITIONS, WAITING, ActionType, RequestStatus
from habeas.execution.housekeeping import JOBS, sweep
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, forms, manual_webhooks, requests, review, verification, webhooks
from habeas.services.manual_webhooks import FieldDraft
from habeas.services.requests import NewRequest
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import tables
from letterbox import read_code, set_up_letterbox, wrong
from servers.receiver import Answer, Call, Receiver

UNVERIFIED = RequestStatus.IDENTITY_UNVERIFIED
DAY = timedelta(days=1)


class Died(BaseException):
    """The process has ended here."""


class MovingClock:
    """The machine's clock, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


class Target(MemoryConnector):
    """Counts who is looked up and which rows are changed; fails or dies when told to."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
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
            raise Died
        if self.broken:
            raise SystemUnavailable("the shop is closed")


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
        self.deaths = 0

    @initialize(must_verify=st.booleans(), must_review=st.booleans())
    def open(self, must_verify: bool, must_review: bool) -> None:
        folder = Path(self._folder.name)
        self.engine = Engine(
            folder / "data",
            f"sqlite:///{folder}/ledger.db",
            {"security": {"outgoing_allow_list": ["127.0.0.1"], "identity_verification_resend_pause_seconds": 0}},
            subject_identity_verification_required=must_verify,
            require_manual_request_approval=must_review,
            task_retry_count=0,
        )
        self.clock = MovingClock()
        self.context = self.engine.context = replace(self.engine.context, clock=self.clock)
        self.shop = Shop()
        self.target = Target(self.shop.store)
        self.engine.plug("shop", self.target)
        self.engine.describe("shop", self.shop.body())
        self.engine.policy("both", access=["user.name"], erasure={"null_rewrite": [EMAIL]})
        self.engine.connect("receiver", "https", {"url": self.receiver.url("/desk")})
        draft = WebhookDraft(connection_config_key="receiver", direction=Direction("two_way"))
        webhooks.replace_webhooks(self.context, "both", Phase.PRE, [draft])
        desk = connections.ConnectionDraft(
            name="desk", key="desk", connection_type="manual_webhook", access=AccessLevel.WRITE
        )
        done(connections.save_connections(self.context, [desk]))
        manual_webhooks.create_manual_webhook(self.context, "desk", [FieldDraft(pii_field="Known as")])
        set_up_letterbox(self.context)
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
    @rule()
    def submit(self) -> None:
        person = self.shop.add_person(len(self.ids), orders=1, items=1)
        [view] = requests.submit(self.context, [NewRequest("both", parse_identities(person))])
        self.ids.append(view.id)  # type: ignore[union-attr]
        self.people[self.ids[-1]] = person["email"]

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), right=st.booleans())
    def verify(self, data: st.DataObject, right: bool) -> None:
        request_id = self._choose(data, UNVERIFIED)
        with suppress(InputError, NotAllowed):
            code = read_code(self.context, request_id) if self._status(request_id) is UNVERIFIED else "000000"
            verification.verify(self.context, request_id, code if right else wrong(code))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        with suppress(InputError, NotAllowed):
            verification.resend(self.context, self._choose(data, UNVERIFIED))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        review.approve(self.context, [self._choose(data, RequestStatus.PENDING)])

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), ending=st.sampled_from([review.deny, review.cancel]))
    def end(self, data: st.DataObject, ending: Callable[..., Any]) -> None:
        ending(self.context, [data.draw(st.sampled_from(self.ids))], "for a reason")

    @precondition(lambda self: self._of(RequestStatus.REQUIRES_INPUT))
    @rule(data=st.data(), saves=st.booleans())
    def fill_form(self, data: st.DataObject, saves: bool) -> None:
        self._fill(self._choose(data, RequestStatus.REQUIRES_INPUT), saves=saves)

    def _fill(self, request_id: str, *, saves: bool = True) -> None:
        if saves:
            forms.save_form(self.context, request_id, ActionType.ACCESS, "desk", {"known_as": "Annie"})
            forms.save_form(self.context, request_id, ActionType.ERASURE, "desk", {"known_as": True})
        with suppress(InputError):
            forms.resume(self.context, request_id)

    @precondition(lambda self: self._of(RequestStatus.PAUSED))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self._resume(self._choose(data, RequestStatus.PAUSED))

    def _resume(self, request_id: str) -> None:
        calls = [one for one in self.receiver.calls if one.json["privacy_request_id"] == request_id]
        with suppress(NotAllowed, InputError):
            webhooks.resume(self.context, request_id, calls[-1].headers["reply-to-token"], None)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        with suppress(InputError):
            requests.retry(self.context, self._choose(data, RequestStatus.ERROR))

    @rule(broken=st.booleans(), halts=st.booleans())
    def change_the_weather(self, broken: bool, halts: bool) -> None:
        self.target.broken, self.halts = broken, halts

    @rule(deadly=st.booleans())
    def work(self, deadly: bool) -> None:
        self.target.deadly = deadly
        try:
            self.engine.run()
        except Died:
            self.deaths += 1
            with self.context.ledger.write() as connection:
                connection.execute(tables.runs.update().values(lease_until=None))
        self.target.deadly = False

    @rule(hours=st.sampled_from([1, 30, 24 * 9]))
    def wait(self, hours: int) -> None:
        self.clock.ahead += timedelta(hours=hours)
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
        for row in rows:
            status = RequestStatus(row.status)
            assert (status in WAITING) == (row.waits_until is not None), status
            assert status is not RequestStatus.ERROR or row.failure
            assert status is not UNVERIFIED or row.id in codes
            assert (status in TERMINAL | {RequestStatus.ERROR}) == (row.finished_at is not None), status
            if row.must_verify and row.identity_verified_at is None:
                assert self.people[row.id] not in self.target.looked_up

    @invariant()
    def nothing_is_changed_twice(self) -> None:
        if self.ids:
            assert not [row for row, times in self.target.changed.items() if times > 1]

    @invariant()
    def a_call_is_repeated_only_by_a_death(self) -> None:
        keys = Counter(call.headers["idempotency-key"] for call in self.receiver.calls)
        assert sum(keys.values()) - len(keys) <= self.deaths

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
        self.target.broken = self.halts = False
        for _ in range(6):
            for request_id in self._of(UNVERIFIED):
                with suppress(InputError, NotAllowed):
                    verification.resend(self.context, request_id)
                    verification.verify(self.context, request_id, read_code(self.context, request_id))
            review.approve(self.context, self._of(RequestStatus.PENDING))
            for request_id in self._of(RequestStatus.ERROR):
                requests.retry(self.context, request_id)
            self.engine.run()
            for request_id in self._of(RequestStatus.REQUIRES_INPUT):
                self._fill(request_id)
            for request_id in self._of(RequestStatus.PAUSED):
                self._resume(request_id)
            self.engine.run()
            self.clock.ahead += 9 * DAY
            sweep(self.context, "end_waits")
        left = {self._status(request_id) for request_id in self.ids} - TERMINAL
        assert left <= {UNVERIFIED}, left  # whose codes are used up
        review.cancel(self.context, self._of(UNVERIFIED))
        self.every_move_is_in_the_table()
        self.nothing_is_changed_twice()
        for request_id in self._of(RequestStatus.COMPLETE):
            number = self.ids.index(request_id)
            assert [row["mail"] for row in self.shop.people.records if row["id"] == number] == [None]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
