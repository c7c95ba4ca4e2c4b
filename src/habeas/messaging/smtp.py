"""E-mail by SMTP, to a server of your own or of your mail provider."""

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

import idna

from habeas.domain.clock import Clock, SystemClock
from habeas.domain.errors import Fault, InputError, SystemUnavailable
from habeas.domain.message import SEND_SECONDS, Channel, Message, ProviderType, is_mailable

_TIMEOUT = 10.0
"""Seconds that the server may be silent; that it is never so for long makes a message no longer than `SEND_SECONDS`."""

_MODES = ("starttls", "tls", "plain")
_PORTS = {"starttls": 587, "tls": 465, "plain": 25}
_OTHER_NAME = (62, 64)
"""What OpenSSL says of a certificate that is for another host name or address."""


@dataclass(frozen=True, slots=True)
class SmtpProvider:
    """Sends each message over a connection of its own.

    Over TLS it trusts what the machine trusts, and the authorities in `ca_certificates` (PEM) besides.
    """

    host: str
    port: int
    mode: str
    ca_certificates: str
    sender: str
    sender_name: str
    username: str
    password: str
    clock: Clock

    def send(self, message: Message) -> None:
        mail = self.compose(message)
        try:
            server = self._connect()
            try:
                refused = server.send_message(mail, self.sender, [str(mail["To"])])
            finally:
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()  # whatever is said to that: the message was taken before, or refused
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()), (500, b""))[0]
            raise _judge("the mail server refused the recipient", code) from None
        except smtplib.SMTPAuthenticationError as error:
            raise SystemUnavailable(
                f"the mail server refused the login ({error.smtp_code})", hint="check username and password"
            ) from None
        except (smtplib.SMTPConnectError, smtplib.SMTPHeloError) as error:
            raise SystemUnavailable(f"the mail server is not ready ({error.smtp_code})") from None
        except smtplib.SMTPSenderRefused as error:
            said = f"the mail server refused the sender ({error.smtp_code})"
            raise SystemUnavailable(said, hint="check from_address") from None
        except smtplib.SMTPResponseException as error:
            raise _judge("the mail server refused the message", error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            said = "the mail server lacks what this provider or this recipient needs (STARTTLS, login or SMTPUTF8)"
            raise SystemUnavailable(said, hint="check tls_mode, username and the server") from None
        except ssl.SSLCertVerificationError as error:
            said = f"the certificate of the mail server is not trusted ({error.verify_message})"
            mend = "host must be a name that it is for"
            if error.verify_code not in _OTHER_NAME:
                mend = "put who issued it into details.ca_certificates, or have it renewed if it is over"
            raise SystemUnavailable(said, hint=mend) from None
        except ssl.SSLError as error:
            said = f"TLS with the mail server failed ({error.reason or type(error).__name__})"
            raise SystemUnavailable(said, hint="check tls_mode and port") from None
        except (smtplib.SMTPException, OSError) as error:
            said = f"the mail server {self.host}:{self.port} does not answer ({type(error).__name__})"
            raise SystemUnavailable(said, hint="check host, port, tls_mode and that it runs") from None
        if refused:
            raise Fault("the mail server refused one of one recipients, and took the message")

    def compose(self, message: Message) -> EmailMessage:
        """The e-mail; what would break out of a header raises InputError."""
        mail = EmailMessage(policy=SMTP)
        local, _, domain = self.sender.rpartition("@")
        try:
            mail["From"] = Address(self.sender_name, local, domain)
            mail["To"] = Address(addr_spec=_spell(message.recipient))
            mail["Subject"] = " ".join(message.subject.split())
        except (ValueError, IndexError):
            raise InputError("the recipient's address cannot stand in an e-mail") from None
        mail["Date"] = format_datetime(self.clock.now())
        mail["Message-ID"] = f"<{message.id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        return mail

    def _connect(self) -> smtplib.SMTP:
        context = _trust(self.ca_certificates)
        if self.mode == "tls":
            server: _Hurried = _HurriedOverTls(self.host, self.port, timeout=_TIMEOUT, context=context)
        else:
            server = _Hurried(self.host, self.port, timeout=_TIMEOUT)
        try:
            if self.mode == "starttls":
                server.starttls(context=context)
            if self.username:
                server.login(self.username, self.password)
        except BaseException:
            with suppress(smtplib.SMTPException, OSError):
                server.close()
            raise
        return server


class _Hurried(smtplib.SMTP):
    """A session that is over in time, also with a server that answers drop by drop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._deadline = time.monotonic() + SEND_SECONDS
        super().__init__(*args, **kwargs)

    def send(self, s: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(_left(self._deadline))
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Answers(self.sock, self._deadline))
        return super().getreply()


class _HurriedOverTls(_Hurried, smtplib.SMTP_SSL):
    """The same over TLS."""


class _Answers(io.RawIOBase):
    """What the server says, as long as there is time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _left(deadline: float) -> float:
    """Seconds that the server may be silent now."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise smtplib.SMTPServerDisconnected
    return min(left, _TIMEOUT)


def _trust(ca_certificates: str) -> ssl.SSLContext:
    """Raises InputError when these are no certificates."""
    context = ssl.create_default_context()
    if ca_certificates:
        try:
            context.load_verify_locations(cadata=ca_certificates)
        except (ssl.SSLError, ValueError, TypeError):
            hint = "give the text of a PEM file: it begins with -----BEGIN CERTIFICATE-----"
            raise InputError("details.ca_certificates are no certificates", hint=hint) from None
    return context


def _spell(address: str) -> str:
    """The address with its domain as mail servers know it (IDNA 2008). Raises ValueError for what is no domain."""
    local, _, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{idna.encode(domain, uts46=True).decode()}"


def _judge(said: str, code: int) -> InputError | SystemUnavailable:
    """4xx is for now, 5xx for good (RFC 5321 §4.2.1). Only the code is kept: the words may repeat an address."""
    return SystemUnavailable(f"{said} for now ({code})") if code < 500 else InputError(f"{said} ({code})")


def smtp_provider(clock: Clock | None = None) -> ProviderType:
    """`tls_mode`: `starttls` (default), `tls`, or `plain` for a server on this machine."""

    def connect(details: Mapping[str, object], secrets: Mapping[str, str]) -> SmtpProvider:
        mode = str(details.get("tls_mode") or "starttls")
        if mode not in _MODES:
            raise InputError("details.tls_mode is unknown", hint=f"known are {', '.join(_MODES)}")
        try:
            port = int(str(details.get("port") or _PORTS[mode]))
        except ValueError:
            port = 0
        if not 0 < port < 65536:
            raise InputError("details.port is no port", hint="e.g. 587")
        sender, host = str(details["from_address"]), str(details["host"])
        if not (is_mailable(sender) and sender.isascii()):
            raise InputError("details.from_address is no e-mail address", hint="write it as name@domain")
        if not host or not host.isprintable() or " " in host:
            raise InputError("details.host is no name of a host")
        name = " ".join(str(details.get("from_name") or "").split())
        authorities = str(details.get("ca_certificates") or "")
        _trust(authorities)
        given = (secrets.get("username", ""), secrets.get("password", ""))
        return SmtpProvider(host, port, mode, authorities, sender, name, *given, clock or SystemClock())

    optional = ("from_name", "port", "tls_mode", "ca_certificates")
    details = {"host": True, "from_address": True} | dict.fromkeys(optional, False)
    return ProviderType("smtp", Channel.EMAIL, details, {"username": False, "password": False}, connect)
