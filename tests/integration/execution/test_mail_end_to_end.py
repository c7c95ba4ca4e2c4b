"""From a request to the mail in a real mail server's hands, on both ledgers."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from memory_shop import Shop, set_up

import habeas.execution.postman as postman_module
from engine import Engine
from habeas.domain.request import RequestStatus
from habeas.execution.postman import post_due
from habeas.services import review, verification
from habeas.store import messages, tables
from servers.smtp import SmtpServer

Start = Callable[..., Engine]


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    with SmtpServer(tmp_path_factory.mktemp("smtp") / "server") as server:
        yield server


@pytest.fixture
def engine(start: Start, mail_server: SmtpServer) -> Engine:
    return begin(start, mail_server)


def begin(start: Start, mail_server: SmtpServer, **execution: Any) -> Engine:
    """An engine that sends by the mail server, in which nothing is left over."""
    for file in mail_server.mails.iterdir():
        file.unlink()
    made = start(**execution)
    set_up(made, Shop().connector())
    now = made.context.clock.now()
    row = {"key": "mail", "id": "mes_1", "name": "mail", "type": "smtp", "details": mail_server.details()}
    with made.context.ledger.write() as connection:
        connection.execute(tables.message_providers.insert().values(**row, active=True, created_at=now, updated_at=now))
    return made


def make_due(engine: Engine) -> None:
    with engine.context.ledger.write() as connection:
        connection.execute(tables.messages.update().values(due_at=0))


def completed(engine: Engine) -> str:
    request_id = engine.submit("give", {"email": "ann@example.com"})[0]
    engine.run()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    return request_id


def test_a_mail_that_waited_for_its_server_arrives_once(engine: Engine, mail_server: SmtpServer) -> None:
    mail_server.kill()
    try:
        request_id = completed(engine)
        assert post_due(engine.context) == 0
    finally:
        mail_server.start()
    assert engine.view(request_id).status == RequestStatus.COMPLETE
    make_due(engine)
    post_due(engine.context)
    make_due(engine)
    assert post_due(engine.context) == 0
    mails = mail_server.accepted()
    assert sorted(mail.message["Subject"] for mail in mails) == ["Your data is ready", "Your request has been received"]
    for mail in mails:
        assert mail.recipients == ["ann@example.com"]
        assert request_id in mail.part("plain")


def test_a_mail_accepted_but_not_recorded_comes_again_under_its_id(
    engine: Engine, mail_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed(engine)
    with monkeypatch.context() as broken:
        broken.setattr(postman_module.messages, "mark_sent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            post_due(engine.context)
    make_due(engine)
    assert post_due(engine.context) == 2
    ids = [mail.message["Message-ID"] for mail in mail_server.accepted()]
    assert (len(ids), len(set(ids))) == (3, 2)


def test_a_mail_that_was_refused_is_sent_by_a_retry_once_the_server_takes_it(
    engine: Engine, mail_server: SmtpServer
) -> None:
    request_id = completed(engine)
    mail_server.refuse(True)
    try:
        assert post_due(engine.context) == 0
    finally:
        mail_server.refuse(False)
    with engine.context.ledger.write() as connection:
        failed, _ = messages.list_messages(connection, 1, 10, status="failed")
        assert {row.failure for row in failed} == {"the mail server refused the recipient (550)"}
        assert messages.retry_failed(connection, request_id, engine.context.clock.now()) == len(failed) == 2
    assert post_due(engine.context) == 2
    assert len(mail_server.accepted()) == 2
    assert engine.view(request_id).status == RequestStatus.COMPLETE


def test_the_code_of_the_mail_verifies_and_each_step_is_told(start: Start, mail_server: SmtpServer) -> None:
    engine = begin(start, mail_server, subject_identity_verification_required=True)
    [request_id] = engine.submit("give", {"email": "ann@example.com"})
    post_due(engine.context)
    [mail] = mail_server.accepted()
    code = re.search(r"Your code is (\d{6})\.", mail.part("plain"))
    assert code is not None
    verification.verify(engine.context, request_id, code[1])
    engine.run()
    post_due(engine.context)
    assert [one.message["Subject"] for one in mail_server.accepted()] == [
        "Your one-time code",
        "Your request has been received",
        "Your data is ready",
    ]
    assert "Answer us, naming the request below" in mail_server.accepted()[-1].part("plain")


def test_decisions_and_deletion_are_told(start: Start, mail_server: SmtpServer) -> None:
    engine = begin(start, mail_server, require_manual_request_approval=True)
    [granted] = engine.submit("forget", {"email": "ann@example.com"})
    [denied] = engine.submit("forget", {"email": "bob@example.com"})
    review.approve(engine.context, [granted])
    review.deny(engine.context, [denied], "We <know> nobody by that name.")
    engine.run()
    post_due(engine.context)
    told = {(mail.recipients[0][:3], mail.message["Subject"]) for mail in mail_server.accepted()}
    assert told == {
        ("ann", "Your request has been received"),
        ("ann", "Your request has been approved"),
        ("ann", "Your data has been deleted"),
        ("bob", "Your request has been received"),
        ("bob", "Your request has been denied"),
    }
    [mail] = [mail for mail in mail_server.accepted() if mail.message["Subject"] == "Your request has been denied"]
    assert "We <know> nobody by that name." in mail.part("plain")
    assert "We &lt;know&gt; nobody by that name." in mail.part("html")
