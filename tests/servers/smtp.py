"""A mail server on loopback, as a process of its own: what it accepts lies in a folder, one file a mail.

The recipient's address says what becomes of a mail: `refused@…` is answered 550 and `busy@…` 451. With `login` nobody
sends without one; with `delay` a mail is accepted so many seconds after it came; `farewell` answers who leaves. With
`tls` (`starttls` or `tls`) it takes mail and logins over TLS only, with the certificate and key in a file.
"""

import asyncio
import email
import email.policy
import json
import socket
import ssl
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from servers.process import Process

_REFUSING = "refusing"
USERNAME, PASSWORD = "habeas", "correct horse"


@dataclass(frozen=True)
class Mail:
    """A mail that was accepted: its envelope and what it says."""

    sender: str
    recipients: Sequence[str]
    message: EmailMessage

    def part(self, subtype: str) -> str:
        """The text of its part `text/<subtype>`."""
        body = self.message.get_body((subtype,))
        assert body is not None, f"there is no {subtype} part"
        return str(body.get_content())


class SmtpServer(Process):
    """Takes mail at `port` of 127.0.0.1, also after it was stopped and started again."""

    def __init__(
        self,
        folder: Path,
        *,
        login: bool = False,
        delay: float = 0.0,
        tls: str = "plain",
        certificate: Path | None = None,
        farewell: str = "221 Bye",
    ) -> None:
        self.port = _free_port()
        self._tls = tls
        self.mails = folder / "mails"
        self.mails.mkdir(parents=True)
        options = {"port": self.port, "folder": str(self.mails), "login": login, "delay": delay, "tls": tls}
        options |= {"certificate": str(certificate), "farewell": farewell}
        command = [sys.executable, "-m", "servers.smtp", json.dumps(options)]
        super().__init__(command, folder, {"PYTHONPATH": str(Path(__file__).parents[1])})

    def is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def details(self) -> dict[str, object]:
        """Of a provider that sends by this server."""
        return {"host": "127.0.0.1", "port": self.port, "tls_mode": self._tls, "from_address": "privacy@example.com"}

    def refuse(self, everybody: bool) -> None:
        """From now on answer 550 to every recipient, or no longer."""
        mark = self.mails / _REFUSING
        mark.touch() if everybody else mark.unlink()

    def accepted(self) -> list[Mail]:
        """All mails, in the order of their coming."""
        files = sorted(self.mails.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        return [_read(json.loads(file.read_text())) for file in files]


def _read(stored: Mapping[str, Any]) -> Mail:
    message = email.message_from_bytes(stored["content"].encode("latin-1"), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return Mail(stored["sender"], stored["recipients"], message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Desk:
    """What aiosmtpd asks on each command."""

    def __init__(self, folder: Path, delay: float, farewell: str) -> None:
        self._folder = folder
        self._delay = delay
        self._farewell = farewell

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        name = address.partition("@")[0]
        if name == "refused" or (self._folder / _REFUSING).exists():
            return f"550 no such person {address}"
        if name == "busy":
            return f"451 the box of {address} is locked"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self._delay)
        mail = {"sender": envelope.mail_from, "recipients": envelope.rcpt_tos}
        text = json.dumps({**mail, "content": envelope.content.decode("latin-1")})
        unfinished = self._folder / uuid.uuid4().hex
        unfinished.write_text(text)
        unfinished.replace(unfinished.with_suffix(".json"))
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self._farewell


async def _serve(options: Mapping[str, Any]) -> None:
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    mode, context = options["tls"], None
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options["certificate"])
    upgrade = context if mode == "starttls" else None

    def answer() -> SMTP:
        return SMTP(
            _Desk(Path(options["folder"]), options["delay"], options["farewell"]),
            auth_required=options["login"],
            auth_require_tls=upgrade is not None,
            authenticator=check,
            tls_context=upgrade,
            require_starttls=upgrade is not None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(answer, "127.0.0.1", options["port"], ssl=context if mode == "tls" else None)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
