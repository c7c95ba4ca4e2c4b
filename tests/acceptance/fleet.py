"""Servers on either kind of ledger, with time-outs short and batches small enough for tests."""

from pathlib import Path

from targets import MARK

from servers.habeas import HabeasServer
from servers.postgres import PostgresServer

SETTINGS = {
    "HABEAS__EXECUTION__LEASE_SECONDS": "3",
    "HABEAS__EXECUTION__POLL_SECONDS": "0.1",
    "HABEAS__EXECUTION__BATCH_ROWS": "3",
    "HABEAS__EXECUTION__TASK_RETRY_COUNT": "2",
    "HABEAS__EXECUTION__TASK_RETRY_DELAY": "0.05",
    "HABEAS__EXECUTION__TASK_RETRY_BACKOFF": "1",
    "HABEAS__LOGGING__LEVEL": "DEBUG",
    "HABEAS__SECURITY__OUTGOING_ALLOW_LIST": '["127.0.0.1"]',
}


class Servers:
    """One server per ledger for the whole session, started when it is first asked for."""

    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        self.postgres = postgres
        self._folder = folder
        self._running: dict[str, tuple[HabeasServer, str]] = {}

    def get(self, ledger: str) -> tuple[HabeasServer, str]:
        """The server on this kind of ledger, and the ledger's URL."""
        if ledger not in self._running:
            self._running[ledger] = start_server(self._folder / ledger, ledger, self.postgres)
        return self._running[ledger]

    def stop(self) -> None:
        logs = [server.log_text() for server, _ in self._running.values()]
        for server, _ in self._running.values():
            server.kill()
        assert MARK not in "".join(logs), "a server has logged a person's value"


def start_server(folder: Path, ledger: str, postgres: PostgresServer, **settings: str) -> tuple[HabeasServer, str]:
    """A server in a fresh folder on a fresh ledger, and the ledger's URL; its temporary files go to `folder/tmp`."""
    url = f"sqlite:///{folder}/habeas.db"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    environment = SETTINGS | {"TMPDIR": str(temporary)} | settings
    if ledger == "postgresql":
        url = postgres.create_database(f"ledger_{folder.name.replace('-', '_')}")
        environment["HABEAS__DATABASE__URL"] = url
        url = url.replace("postgresql://", "postgresql+psycopg://")
    return HabeasServer(folder, environment=environment), url
