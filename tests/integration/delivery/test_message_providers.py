"""Providers of messages against a real mail server and against the wire format of Mailgun and Twilio."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from habeas.domain.errors import HabeasError, InputError, RateLimited, SystemUnavailable
from habeas.domain.message import Channel, Message, MessageProvider
from habeas.messaging import smtp as smtp_module
from habeas.messaging.mailgun import mailgun_provider
from habeas.messaging.smtp import smtp_provider
from habeas.messaging.twilio_text import twilio_text_provider
from habeas.outgoing import OutgoingClient
from servers.receiver import Answer, Call, Receiver
from servers.smtp import PASSWORD, USERNAME, SmtpServer

LOGIN = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    """Demands a login."""
    with SmtpServer(tmp_path_factory.mktemp("smtp") / "server", login=True) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def letter(
    recipient: str = "ann@example.com", subject: str = "Ihre Daten – bereit", message_id: str = "msg_1"
) -> Message:
    return Message(
        message_id, Channel.EMAIL, recipient, subject, "Grüße: secret-content\n", "<p>Grüße: secret-content</p>"
    )


def send(server: SmtpServer, message: Message, **secrets: str) -> None:
    smtp_provider().connect(server.details(), secrets or LOGIN).send(message)


def failure_of(send_it: Callable[[], None]) -> HabeasError:
    """What is raised; it repeats nothing personal."""
    with pytest.raises(HabeasError) as caught:
        send_it()
    said = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    for personal in ("example.com", "secret-content", "+1555", "refused@", "busy@", PASSWORD):
        assert personal not in said
    return caught.value


def test_a_mail_arrives_as_it_was_meant(mail_server: SmtpServer) -> None:
    send(mail_server, letter(message_id="msg_whole"))
    mail = next(mail for mail in mail_server.accepted() if mail.message["Message-ID"] == "<msg_whole@example.com>")
    assert (mail.sender, mail.recipients) == ("privacy@example.com", ["ann@example.com"])
    assert (mail.message["To"], mail.message["Subject"]) == ("ann@example.com", "Ihre Daten – bereit")
    assert "Grüße" in mail.part("plain")
    assert "<p>Grüße" in mail.part("html")
    assert mail.message["Auto-Submitted"] == "auto-generated"


def test_a_subject_adds_no_header(mail_server: SmtpServer) -> None:
    send(mail_server, letter(subject="Hello\r\nBcc: eve@example.net\n\nbody", message_id="msg_lines"))
    mail = next(mail for mail in mail_server.accepted() if "msg_lines" in mail.message["Message-ID"])
    assert mail.message["Subject"] == "Hello Bcc: eve@example.net body"
    assert (mail.message["Bcc"], mail.recipients) == (None, ["ann@example.com"])


@pytest.mark.parametrize("address", ["ann@example.com\r\nBcc: eve@example.net", "ann@example.com, eve@example.net"])
def test_a_recipient_adds_no_other(mail_server: SmtpServer, address: str) -> None:
    before = len(mail_server.accepted())
    assert isinstance(failure_of(lambda: send(mail_server, letter(address))), InputError)
    assert len(mail_server.accepted()) == before


@pytest.mark.parametrize(
    ("domain", "on_the_wire"),
    [
        ("exämple.org", "xn--exmple-cua.org"),
        ("straße.example", "xn--strae-oqa.example"),
        ("ÉCOLE.fr", "xn--cole-9oa.fr"),
    ],
)
def test_a_domain_of_other_letters_is_spelt_for_mail_servers(
    mail_server: SmtpServer, domain: str, on_the_wire: str
) -> None:
    send(mail_server, letter(f"ann@{domain}", message_id=f"msg_{on_the_wire}"))
    mail = next(mail for mail in mail_server.accepted() if on_the_wire in mail.message["Message-ID"])
    assert mail.message["To"] == f"ann@{on_the_wire}"
    assert mail.recipients == [f"ann@{on_the_wire}"]


@pytest.mark.parametrize("address", ["jö@example.com", "ann@ex\u2026ample..com"])
def test_what_no_mail_server_knows_as_an_address_is_refused(mail_server: SmtpServer, address: str) -> None:
    assert isinstance(failure_of(lambda: send(mail_server, letter(address))), InputError)


def test_a_wrong_login_is_the_operators_to_mend(mail_server: SmtpServer) -> None:
    error = failure_of(lambda: send(mail_server, letter(), username=USERNAME, password="wrong"))
    assert isinstance(error, SystemUnavailable)
    assert error.hint == "check username and password"


def test_refused_is_for_good_and_busy_for_now(mail_server: SmtpServer) -> None:
    assert isinstance(failure_of(lambda: send(mail_server, letter("refused@example.com"))), InputError)
    assert isinstance(failure_of(lambda: send(mail_server, letter("busy@example.com"))), SystemUnavailable)


def test_a_mail_that_was_taken_is_sent_whatever_the_server_says_to_who_leaves(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "smtp", farewell="421 too busy to say goodbye") as server:
        smtp_provider().connect(server.details(), {}).send(letter())
        assert len(server.accepted()) == 1


def test_a_server_that_is_away_or_silent_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_module, "_TIMEOUT", 0.3)
    with SmtpServer(tmp_path / "server", delay=30) as server:
        assert isinstance(failure_of(lambda: send(server, letter())), SystemUnavailable)
        server.kill()
        error = failure_of(lambda: send(server, letter()))
    assert isinstance(error, SystemUnavailable)
    assert "does not answer" in error.message


class Dripping:
    """A mail server that says all it has to say a byte at a time; a mail lies in `taken` once it has been taken."""

    def __init__(self, greeting: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._answers = [greeting, *(b"%d\r\n" % code for code in (250, 250, 250, 354, 250, 221))]
        self.taken: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def send(self, message: Message) -> None:
        details = {"host": "127.0.0.1", "port": self._socket.getsockname()[1], "tls_mode": "plain"}
        smtp_provider().connect({**details, "from_address": "privacy@example.com"}, {}).send(message)

    def close(self) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as said, suppress(OSError):
            for answer in self._answers:
                for byte in answer:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.01)
                mail = answer.startswith(b"354")
                heard = b"".join(iter(said.readline, b".\r\n")) if mail else said.readline()
                self.taken += [heard] * mail


@pytest.mark.parametrize("lines", [1, 100], ids=["slow answers", "an answer that is slow"])
def test_a_server_that_answers_drop_by_drop_is_left_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """It is never silent for long."""
    monkeypatch.setattr(smtp_module, "SEND_SECONDS", 0.1)
    with closing(Dripping(b"220-hello\r\n" * (lines - 1) + b"220 hello\r\n")) as server:
        assert isinstance(failure_of(lambda: server.send(letter())), SystemUnavailable)
    assert server.taken == []


def test_a_server_that_answers_drop_by_drop_is_waited_for() -> None:
    with closing(Dripping(b"220 hello\r\n")) as server:
        server.send(letter())
    assert len(server.taken) == 1


def test_a_server_without_tls_gets_nothing_unless_that_is_meant(mail_server: SmtpServer) -> None:
    before = len(mail_server.accepted())
    provider = smtp_provider().connect({**mail_server.details(), "tls_mode": "starttls"}, LOGIN)
    assert isinstance(failure_of(lambda: provider.send(letter())), SystemUnavailable)
    assert len(mail_server.accepted()) == before


def mailgun(receiver: Receiver, allow: tuple[str, ...] = ("127.0.0.1",), timeout: float = 5) -> MessageProvider:
    kind = mailgun_provider(OutgoingClient(allow, timeout))
    return kind.connect({"domain": "mg.example.com", "base_url": receiver.url("")}, {"mailgun_api_key": "key-1"})


def twilio(receiver: Receiver, **sender: str) -> MessageProvider:
    secrets = {"twilio_account_sid": "AC1", "twilio_auth_token": "token-1", **sender}
    return twilio_text_provider(OutgoingClient(("127.0.0.1",))).connect({"base_url": receiver.url("")}, secrets)


def text_message() -> Message:
    return Message("msg_1", Channel.SMS, "+15551234567", "", "secret-content")


def form_of(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def credentials_of(call: Call) -> str:
    return base64.b64decode(call.headers["authorization"].removeprefix("Basic ")).decode()


def test_mailgun_gets_a_mail_in_its_form(receiver: Receiver) -> None:
    mailgun(receiver).send(letter())
    call = receiver.to("/v3/mg.example.com/messages")[0]
    assert credentials_of(call) == "api:key-1"
    assert form_of(call) == {
        "from": "mailgun@mg.example.com",
        "to": "ann@example.com",
        "subject": "Ihre Daten – bereit",
        "text": "Grüße: secret-content\n",
        "html": "<p>Grüße: secret-content</p>",
        "h:Message-Id": "<msg_1@mg.example.com>",
    }


@pytest.mark.parametrize(
    ("details", "url"),
    [
        ({}, "https://api.mailgun.net/v3/mg.example.com/messages"),
        ({"is_eu_domain": True}, "https://api.eu.mailgun.net/v3/mg.example.com/messages"),
        ({"api_version": "v4"}, "https://api.mailgun.net/v4/mg.example.com/messages"),
    ],
)
def test_mailgun_has_two_places_and_a_version(details: dict[str, object], url: str) -> None:
    asked = []

    class Recorder(OutgoingClient):
        def post(self, url: str, **_: object):  # type: ignore[no-untyped-def,override]
            asked.append(url)
            raise SystemUnavailable("no answer")

    provider = mailgun_provider(Recorder(())).connect({"domain": "mg.example.com", **details}, {"mailgun_api_key": "k"})
    with pytest.raises(SystemUnavailable):
        provider.send(letter())
    assert asked == [url]


@pytest.mark.parametrize(
    ("sender", "field"),
    [
        ({"twilio_sender_phone_number": "+15550000000"}, {"From": "+15550000000"}),
        ({"twilio_messaging_service_sid": "MG1"}, {"MessagingServiceSid": "MG1"}),
    ],
)
def test_twilio_gets_a_text_message_in_its_form(
    receiver: Receiver, sender: dict[str, str], field: dict[str, str]
) -> None:
    twilio(receiver, **sender).send(text_message())
    call = receiver.to("/2010-04-01/Accounts/AC1/Messages.json")[0]
    assert credentials_of(call) == "AC1:token-1"
    assert form_of(call) == {"To": "+15551234567", "Body": "secret-content", **field}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InputError),
        (401, SystemUnavailable),
        (404, SystemUnavailable),
        (408, SystemUnavailable),
        (429, RateLimited),
        (302, SystemUnavailable),
        (500, SystemUnavailable),
        (503, SystemUnavailable),
    ],
)
def test_an_answer_over_http_is_judged(receiver: Receiver, status: int, kind: type[HabeasError]) -> None:
    said = Answer(status, {"message": "ann@example.com +15551234567 secret-content"})
    receiver.answers["/v3/mg.example.com/messages"] = said
    receiver.answers["/2010-04-01/Accounts/AC1/Messages.json"] = said
    assert type(failure_of(lambda: mailgun(receiver).send(letter()))) is kind
    sender = {"twilio_messaging_service_sid": "MG1"}
    assert type(failure_of(lambda: twilio(receiver, **sender).send(text_message()))) is kind


def test_a_provider_over_http_that_is_silent_is_tried_again(receiver: Receiver) -> None:
    def wait(call: Call) -> Answer:
        time.sleep(0.5)
        return Answer()

    receiver.answers["/v3/mg.example.com/messages"] = wait
    error = failure_of(lambda: mailgun(receiver, timeout=0.2).send(letter()))
    assert isinstance(error, SystemUnavailable)


def test_a_place_that_is_not_allowed_is_never_asked(receiver: Receiver) -> None:
    error = failure_of(lambda: mailgun(receiver, allow=()).send(letter()))
    assert isinstance(error, SystemUnavailable)
    assert "outgoing_allow_list" in (error.hint or "")
    assert receiver.calls == []
