"""Killed around any commit while others are asked and told: webhooks before and after, an erasure e-mail, the outbox.

What is repeated after a death is the same call or mail, by its id; rows are masked once; every request ends.
"""

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import randint

import pytest
from moments import AFTER_RECORD, BEFORE_RECORD, die_at, read_moment, run_and_die
from shop import PEOPLE, POLICY, EmbeddedShop
from tests.engine import Engine, opened

from habeas.domain.request import RequestStatus
from habeas.execution.postman import post_due
from habeas.services import messaging, webhooks
from habeas.services.messaging import ProviderDraft
from habeas.services.webhooks import Direction, Phase, WebhookDraft
from habeas.store import tables
from servers.receiver import Answer, Receiver
from servers.smtp import SmtpServer

EVERY = 6
"""Of the moments one in so many; others in every run."""

SECTIONS = {"security": {"outgoing_allow_list": ["127.0.0.1"]}}
AGENCY = {
    "fides_key": "agency",
    "name": "Agency",
    "collections": [
        {
            "name": "leads",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "mail", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
            ],
        }
    ],
}


class Town:
    """Two requests that are submitted and not begun; `restore` brings that moment back."""

    def __init__(self, folder: Path, receiver: Receiver, smtp: SmtpServer) -> None:
        self._now, self._then, self._note = folder / "now", folder / "then", folder / "died at"
        self._receiver, self._smtp = receiver, smtp
        self._shop = self._now / "shop.db"
        self._now.mkdir()
        with self._open() as engine:
            EmbeddedShop(self._shop).connect(engine)
            engine.policy(POLICY, access=["user"], erasure={"null_rewrite": ["user.contact"]})
            engine.connect("agency", "email", {"to_email": "agency@example.com"})
            engine.describe("agency", AGENCY)
            for phase in Phase:
                engine.connect(phase, "https", {"url": receiver.url(f"/{phase}")})
                draft = WebhookDraft(connection_config_key=phase, direction=Direction("two_way"))
                webhooks.replace_webhooks(engine.context, POLICY, phase, [draft])
            messaging.add_provider(engine.context, ProviderDraft(service_type="smtp", details=smtp.details()))
            self.requests = [request for person in PEOPLE for request in engine.submit(POLICY, person)]
        shutil.copytree(self._now, self._then)

    def _open(self) -> Engine:
        return opened(self._now, f"sqlite:///{self._now}/habeas.db", sections=SECTIONS)  # type: ignore[return-value]

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        self._receiver.calls.clear()
        for mail in self._smtp.mails.iterdir():
            mail.unlink()

    def die(self, number: int) -> bool:
        """Carry the requests on in a process that is killed at its `number`-th moment."""

        def work() -> None:
            with self._open() as engine:
                die_at(engine, number, {BEFORE_RECORD, AFTER_RECORD}, self._note)
                engine.run()
                post_due(engine.context)

        return run_and_die(work)

    def finish(self) -> None:
        """What the next process makes of it, and what others have seen by then."""
        moment = read_moment(self._note) if self._note.exists() else None
        with self._open() as engine:
            with engine.context.ledger.write() as connection:
                connection.execute(tables.runs.update().values(lease_until=None))
                connection.execute(tables.messages.update().values(due_at=0))
            engine.run()
            while post_due(engine.context):
                pass
            assert {engine.view(one).status for one in self.requests} == {RequestStatus.COMPLETE}, moment
        keys = defaultdict(set)
        for call in self._receiver.calls:
            keys[call.path, call.json["privacy_request_id"]].add(call.headers["idempotency-key"])
        assert len(keys) == 2 * len(self.requests), moment
        assert {len(found) for found in keys.values()} == {1}, moment
        mails = self._smtp.accepted()
        told = {(mail.recipients[0], mail.message["Subject"], mail.message["Message-ID"]) for mail in mails}
        assert len([one for one in told if one[0] == "agency@example.com"]) == len(self.requests), moment
        people = [one[:2] for one in told if one[0] != "agency@example.com"]
        assert len(people) == len(set(people)) == 3 * len(self.requests), (moment, sorted(people))
        assert len(mails) <= len(told) + 1, "more than one mail was sent again after one death"
        with closing(sqlite3.connect(self._shop)) as shop:
            writes = shop.execute("SELECT collection, id, count(*) FROM writes GROUP BY 1, 2").fetchall()
        assert writes and all(times == 1 for _, _, times in writes), (moment, writes)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()
    served.answers |= {f"/{phase}": Answer(body={"halt": False}) for phase in Phase}
    yield served
    served.close()


def test_killed_around_any_commit_everybody_is_told_once(tmp_path: Path, receiver: Receiver) -> None:
    with SmtpServer(tmp_path / "smtp") as smtp:
        town = Town(tmp_path, receiver, smtp)
        for number in count(randint(1, EVERY), EVERY):
            town.restore()
            died = town.die(number)
            town.finish()
            if not died:
                break
        assert number > 20
