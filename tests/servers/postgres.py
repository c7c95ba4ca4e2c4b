"""Starts a private PostgreSQL for tests: own data folder, free port, password login over TCP."""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import psycopg

from servers.database import DatabaseServer, MissingServer

USER = "habeas_test"
PASSWORD = "postgres-test-password"
_DEBIAN = Path("/usr/lib/postgresql")
_INIT = ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
_OPTIONS = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB"]


def find_binaries() -> Path:
    """The folder of the newest installed server. Raises MissingServer."""
    versions = [path for path in _DEBIAN.glob("*/bin/initdb") if path.parent.parent.name.isdigit()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.parent.name)).parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise MissingServer("PostgreSQL is not installed: run `make test`, which installs what the tests need")


class PostgresServer(DatabaseServer):
    """A running server. `durable` keeps fsync on, for tests that kill it."""

    name, account = "Postgres", "postgres"
    stopping, crashing = signal.SIGINT, signal.SIGQUIT

    def __init__(self, *, durable: bool = False, connections: int = 100) -> None:
        self._bin = find_binaries()
        self._durable = durable
        self._connections = connections
        super().__init__()

    @property
    def version(self) -> str:
        """As it names itself."""
        with psycopg.connect(self.url()) as connection:
            return connection.info.parameter_status("server_version") or "?"

    def url(self, dbname: str = "postgres") -> str:
        """`postgresql://…` of one of its databases."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{dbname}"

    def secrets(self, dbname: str = "postgres") -> dict[str, str]:
        """The same place as connection secrets."""
        parts = {"host": "127.0.0.1", "port": str(self.port), "dbname": dbname}
        return parts | {"username": USER, "password": PASSWORD}

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database like `template` (empty), replacing one of the same name, and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def _command(self) -> Sequence[str | Path]:
        options = ["-c", f"max_connections={self._connections}"]
        options += [] if self._durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        return [self._bin / "postgres", "-D", self._folder / "data", "-p", str(self.port), *_OPTIONS, *options]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        self._give(password)
        self._run(*(self._bin / "initdb", "-D", self._folder / "data", "-U", USER, "--pwfile", password), *_INIT)
