"""E-mail over TLS to a real mail server, whose certificate comes from an authority that only this test knows."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from habeas.domain.errors import InputError, SystemUnavailable
from habeas.domain.message import Channel, Message
from habeas.messaging.smtp import smtp_provider
from servers.certificates import Authority
from servers.smtp import PASSWORD, USERNAME, SmtpServer

LETTER = Message("msg_1", Channel.EMAIL, "ann@example.com", "Your data", "secret-content")
LOGIN = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Mail of the house")


@pytest.fixture(scope="module")
def mail_servers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Mapping[str, SmtpServer]]:
    """Mode → a server for it; each demands a login, and its certificate is for 127.0.0.1 alone."""
    folder = tmp_path_factory.mktemp("smtp")
    certificate = authority.issue(folder, "127.0.0.1")
    with ExitStack() as running:
        yield {
            mode: running.enter_context(SmtpServer(folder / mode, login=True, tls=mode, certificate=certificate))
            for mode in ("starttls", "tls")
        }


@pytest.fixture(params=["starttls", "tls"])
def mail_server(request: pytest.FixtureRequest, mail_servers: Mapping[str, SmtpServer]) -> SmtpServer:
    server = mail_servers[request.param]
    for file in server.mails.iterdir():
        file.unlink()
    return server


def send(server: SmtpServer, details: Mapping[str, object], secrets: Mapping[str, str] = LOGIN) -> None:
    smtp_provider().connect({**server.details(), **details}, secrets).send(LETTER)


def refusal_of(
    server: SmtpServer, details: Mapping[str, object], secrets: Mapping[str, str] = LOGIN
) -> tuple[str, str]:
    """What is said, and the hint; no mail has arrived."""
    before = len(server.accepted())
    with pytest.raises(SystemUnavailable) as caught:
        send(server, details, secrets)
    assert len(server.accepted()) == before
    said = caught.value.message, caught.value.hint or ""
    for secret in (PASSWORD, "wrong", "ann@example.com", "secret-content"):
        assert secret not in "".join(said)
    return said


def test_a_mail_arrives_when_who_issued_the_certificate_is_named(mail_server: SmtpServer, authority: Authority) -> None:
    send(mail_server, {"ca_certificates": authority.pem})
    [mail] = mail_server.accepted()
    assert (mail.recipients, mail.part("plain").strip()) == (["ann@example.com"], "secret-content")


def test_several_authorities_can_be_named(mail_server: SmtpServer, authority: Authority) -> None:
    send(mail_server, {"ca_certificates": Authority("Another").pem + authority.pem})
    assert len(mail_server.accepted()) == 1


def test_what_the_machine_trusts_is_trusted(
    mail_server: SmtpServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    send(mail_server, {})
    assert len(mail_server.accepted()) == 1


@pytest.mark.parametrize("named", [False, True])
def test_a_certificate_of_unknown_origin_is_refused_and_the_mend_is_named(mail_server: SmtpServer, named: bool) -> None:
    said, hint = refusal_of(mail_server, {"ca_certificates": Authority("Another").pem} if named else {})
    assert said.startswith("the certificate of the mail server is not trusted (")
    assert "details.ca_certificates" in hint


def test_a_certificate_for_another_host_is_refused_and_the_mend_is_named(
    mail_server: SmtpServer, authority: Authority
) -> None:
    said, hint = refusal_of(mail_server, {"host": "localhost", "ca_certificates": authority.pem})
    assert "not trusted" in said and "localhost" in said
    assert hint == "host must be a name that it is for"


def test_a_certificate_that_is_over_is_refused(tmp_path: Path, authority: Authority) -> None:
    certificate = authority.issue(tmp_path, "127.0.0.1", days=-1)
    with SmtpServer(tmp_path / "server", tls="tls", certificate=certificate) as server:
        said, hint = refusal_of(server, {"ca_certificates": authority.pem}, {})
    assert "expired" in said and "renewed" in hint


def test_a_wrong_password_is_named(mail_server: SmtpServer, authority: Authority) -> None:
    wrong = {"username": USERNAME, "password": "wrong"}
    said, hint = refusal_of(mail_server, {"ca_certificates": authority.pem}, wrong)
    assert (said, hint) == ("the mail server refused the login (535)", "check username and password")


def test_a_login_never_goes_over_a_line_that_is_not_sealed(mail_servers: Mapping[str, SmtpServer]) -> None:
    """The server offers none there."""
    said, hint = refusal_of(mail_servers["starttls"], {"tls_mode": "plain"})
    assert "STARTTLS" in said and "tls_mode" in hint


def test_tls_with_a_server_that_begins_without_is_named(mail_servers: Mapping[str, SmtpServer]) -> None:
    said, hint = refusal_of(mail_servers["starttls"], {"tls_mode": "tls"})
    assert said.startswith("TLS with the mail server failed") and "tls_mode" in hint


@pytest.mark.parametrize(
    "text", ["/etc/ssl/ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"]
)
def test_what_are_no_certificates_is_refused_at_once(text: str) -> None:
    details = {"host": "mail.example.com", "from_address": "privacy@example.com", "ca_certificates": text}
    with pytest.raises(InputError) as caught:
        smtp_provider().connect(details, {})
    assert "ca_certificates" in caught.value.message and "PEM" in (caught.value.hint or "")
