"""Where a request stops for a mail's, a restart's or another request's sake, over HTTP (checks A19, A26, A37, A38)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from tests.integration.execution.memory_shop import EMAIL, NAME, Shop, make_field
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine
from habeas.execution import erasure_emails
from habeas.execution.postman import post_due
from habeas.store import tables
from letterbox import read_code, set_up_letterbox
from servers.receiver import Answer, Receiver
from servers.smtp import SmtpServer

API = "/api/v1"
REQUESTS = f"{API}/privacy-request"
pytestmark = pytest.mark.parametrize("made_ledger", ["sqlite"], indirect=True, ids=["sqlite"])


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    with SmtpServer(tmp_path_factory.mktemp("smtp") / "server") as server:
        yield server


class House:
    """A server that can be restarted, with a shop of one person and the policies `give` and `forget`."""

    def __init__(self, start: Callable[..., Engine]) -> None:
        self.shop = Shop()
        self.shop.add_person(1)
        self._start = start
        self.restart()
        self.engine.describe("shop", Shop.body())
        self.save("storage/config", {"name": "packages", "key": "packages", "type": "local", "format": "json"})
        give = {"action_type": "access", "storage_destination_key": "packages"}
        forget = {"action_type": "erasure", "masking_strategy": {"strategy": "null_rewrite", "configuration": {}}}
        for key, rule in (("give", give), ("forget", forget)):
            self.save("policy", {"name": key, "key": key})
            self.save(f"policy/{key}/rule", {"name": key, "key": key, **rule})
            for category in (EMAIL, NAME):
                self.save(f"policy/{key}/rule/{key}/target", {"data_category": category})

    def restart(self) -> None:
        """Another process on the ledger."""
        security = {"outgoing_allow_list": ["127.0.0.1"], "identity_verification_resend_pause_seconds": 0}
        self.engine = self._start(sections={"security": security}, task_retry_count=0)
        self.engine.plug("shop", self.shop.connector())
        known = self.engine.context.settings.security
        self.anyone = Caller(SharedApp(self.engine.context))
        self.root = sign_in(self.anyone, known.oauth_root_client_id, known.oauth_root_client_secret)

    def ask(self, method: str, path: str, **content: Any) -> Any:
        answer = self.root(method, f"{API}/{path}", **content)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def save(self, path: str, item: Mapping[str, Any]) -> None:
        assert self.ask("PATCH", path, json=[item])["failed"] == []

    def connect(self, key: str, kind: str, **secrets: str) -> None:
        self.save("connection", {"name": key, "key": key, "connection_type": kind, "access": "write"})
        self.ask("PUT", f"connection/{key}/secret?verify=false", json=secrets)

    def submit(self, policy: str, times: int = 1) -> list[str]:
        """Requests of the one person, made in one call."""
        item = {"policy_key": policy, "identity": {"email": "p1@example.com"}}
        made = self.ask("POST", "privacy-request", json=[item] * times)
        self.engine.run()
        return [one["id"] for one in made["succeeded"]]

    def show(self, request_id: str) -> Any:
        return self.ask("GET", f"privacy-request/{request_id}?verbose=true")

    def retry(self, request_id: str) -> Any:
        self.ask("POST", f"privacy-request/{request_id}/retry")
        self.engine.run()
        return self.show(request_id)

    def mail_by(self, server: SmtpServer) -> None:
        for file in server.mails.iterdir():
            file.unlink()
        self.ask("PUT", "messaging/default", json={"service_type": "smtp", "details": server.details()})
        self.ask("PUT", "messaging/default/active", json={"service_type": "smtp"})
        self.ask("PATCH", "config", json={"notifications": {"send_request_receipt_notification": False}})


@pytest.fixture
def house(start: Callable[..., Engine]) -> House:
    return House(start)


def told(server: SmtpServer) -> list[tuple[str, str]]:
    """To whom each mail went, and its id."""
    return [(mail.recipients[0], str(mail.message["Message-ID"])) for mail in server.accepted()]


def describe_mailed(house: House, key: str, to_email: str) -> None:
    """Somebody is asked by e-mail to erase what leads from the shop's people to them."""
    house.connect(key, "email", to_email=to_email)
    fields = [make_field("id", key=True), make_field("customer", refers_to="people.id"), make_field("street", NAME)]
    collections = [{"name": "leads", "fields": fields}]
    house.save(f"connection/{key}/dataset", {"fides_key": key, "name": key, "collections": collections})


def test_a19_of_two_erasure_mails_the_one_that_failed_is_sent_by_a_retry(house: House, mail_server: SmtpServer) -> None:
    house.mail_by(mail_server)
    house.ask("PATCH", "config", json={"notifications": {"send_request_completion_notification": False}})
    describe_mailed(house, "agency", "agency@example.com")
    describe_mailed(house, "carrier", "busy@example.com")
    [request_id] = house.submit("forget")
    assert house.show(request_id)["status"] == "error"
    assert [one for one, _ in told(mail_server)] == ["agency@example.com"]
    masked = [dict(row) for row in house.shop.people.records]
    house.ask("PUT", "connection/carrier/secret?verify=false", json={"to_email": "carrier@example.com"})
    assert house.retry(request_id)["status"] == "complete"
    assert [one for one, _ in told(mail_server)] == ["agency@example.com", "carrier@example.com"]
    assert house.shop.people.records == masked


def test_a38_a_completion_mail_that_fails_leaves_the_request_complete_and_is_all_that_a_retry_sends(
    house: House, mail_server: SmtpServer
) -> None:
    house.mail_by(mail_server)
    [request_id] = house.submit("give")
    mail_server.refuse(True)
    try:
        assert post_due(house.engine.context) == 0
    finally:
        mail_server.refuse(False)
    before = house.show(request_id)
    assert (before["status"], told(mail_server)) == ("complete", [])
    after = house.retry(request_id)
    assert post_due(house.engine.context) == 1
    assert [one for one, _ in told(mail_server)] == ["p1@example.com"]
    assert (after["status"], after["finished_processing_at"]) == ("complete", before["finished_processing_at"])
    assert after["results"]["shop"] == before["results"]["shop"]
    assert house.root("POST", f"{REQUESTS}/{request_id}/retry").status_code == 400


def test_a26_a_paused_request_goes_on_after_a_restart(house: House) -> None:
    receiver = Receiver()
    receiver.answers["/desk"] = Answer(body={"halt": True})
    try:
        house.connect("desk", "https", url=receiver.url("/desk"))
        hook = {"connection_config_key": "desk", "direction": "two_way"}
        house.ask("PUT", "policy/give/webhook/pre_execution", json=[hook])
        [request_id] = house.submit("give")
        house.restart()
        house.engine.run()
        assert house.show(request_id)["status"] == "paused"
        token = {"Authorization": f"Bearer {receiver.calls[0].headers['reply-to-token']}"}
        assert house.anyone("POST", f"{REQUESTS}/{request_id}/resume", json={}, headers=token).is_success
        house.restart()
        house.engine.run()
        assert (house.show(request_id)["status"], len(receiver.calls)) == ("complete", 1)
    finally:
        receiver.close()


def test_a26_a_process_that_dies_after_an_erasure_mail_was_taken_repeats_it_under_its_id(
    house: House, mail_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.mail_by(mail_server)
    house.ask("PATCH", "config", json={"notifications": {"send_request_completion_notification": False}})
    describe_mailed(house, "agency", "agency@example.com")

    class Died(BaseException):
        """Ends the process there and then."""

    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(erasure_emails.outbox, "conclude", lambda *_: (_ for _ in ()).throw(Died))
        house.submit("forget")
    with house.engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=None))
    house.restart()
    house.engine.run()
    [found] = house.ask("GET", "privacy-request")["items"]
    assert found["status"] == "complete"
    [first, second] = told(mail_server)
    assert first == second


def test_a37_one_request_of_a_person_lives_and_the_others_wait(house: House) -> None:
    """Made in one instant, one after another, and when an earlier one was canceled."""
    house.ask("PATCH", "config", json={"duplicates": {"enabled": True, "hold": True}})
    first, second = house.submit("give", 2)
    [third] = house.submit("give")
    shown = [house.show(one) for one in (first, second, third)]
    assert [one["duplicate_of"] for one in shown] == [None, first, first]
    assert [one["status"] for one in shown] == ["complete", "pending", "pending"]
    house.ask("PATCH", "config", json={"execution": {"require_manual_request_approval": True}})
    [canceled] = house.submit("forget")
    assert house.show(canceled)["duplicate_of"] is None
    house.ask("PATCH", "privacy-request/administrate/cancel", json=[canceled])
    [fourth, fifth] = house.submit("forget", 2)
    assert [house.show(one)["duplicate_of"] for one in (fourth, fifth)] == [None, fourth]


@pytest.mark.parametrize("later_first", [False, True])
def test_a37_who_proves_it_first_lives(house: House, later_first: bool) -> None:
    """A relation never keeps anybody from proving who they are."""
    set_up_letterbox(house.engine.context)
    house.ask("PATCH", "config", json={"duplicates": {"enabled": True, "hold": True}})
    house.ask("PATCH", "config", json={"execution": {"subject_identity_verification_required": True}})
    requests = [*house.submit("give"), *house.submit("give")]
    lives, waits = reversed(requests) if later_first else requests
    assert [house.show(one)["status"] for one in requests] == ["identity_unverified"] * 2
    for one in (lives, waits):
        code = {"code": read_code(house.engine.context, one)}
        assert house.anyone("POST", f"{REQUESTS}/{one}/verify", json=code).is_success
        house.engine.run()
    assert [(house.show(one)["status"], house.show(one)["duplicate_of"]) for one in (lives, waits)] == [
        ("complete", None),
        ("pending", lives),
    ]
