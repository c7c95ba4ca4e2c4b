"""Starts a private PostgreSQL for tests: own data folder, free port, password login over TCP.

PostgreSQL refuses root, so as root everything runs as the user `postgres`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

USER = "habeas_test"
PASSWORD = "postgres-test-password"
_DEBIAN = Path("/usr/lib/postgresql")
_INIT = ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
_OPTIONS = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB"]


class MissingBinaries(Exception):
    """No PostgreSQL server is installed; `make test` (or scripts/install-test-needs.sh) installs it."""


def find_binaries() -> Path:
    """The folder of the newest installed server. Raises MissingBinaries."""
    versions = [path for path in _DEBIAN.glob("*/bin/initdb") if path.parent.parent.name.isdigit()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.parent.name)).parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise MissingBinaries("PostgreSQL is not installed: run `make test`, which installs what the tests need")


class PostgresServer:
    """A running server. `durable` keeps fsync on, for tests that kill it; `kill` is a crash, `stop` is orderly."""

    def __init__(self, *, durable: bool = False, connections: int = 100) -> None:
        self._bin = find_binaries()
        self._account = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="habeas-postgres-"))
        if self._account:
            shutil.chown(self._folder, self._account)
        self._folder.chmod(0o700)
        self._durable = durable
        self._connections = connections
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._initialise()
        self.start()

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

    def start(self, deadline: float = 30.0) -> None:
        """Start and wait until it answers, at most `deadline` seconds."""
        options = ["-c", f"max_connections={self._connections}"]
        options += [] if self._durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._folder / "data", "-p", str(self.port), *_OPTIONS, *options],
                stdout=log,
                stderr=log,
                **self._as_account(),
            )
        until = time.monotonic() + deadline
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PostgreSQL does not start:\n{(self._folder / 'log').read_text()}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in order, ending sessions; does nothing when it is not running."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop and delete its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        self._process.wait(timeout=30)
        self._process = None

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._account:
            shutil.chown(password, self._account)
        subprocess.run(
            [self._bin / "initdb", "-D", self._folder / "data", "-U", USER, "--pwfile", password, *_INIT],
            check=True,
            capture_output=True,
            **self._as_account(),
        )

    def _as_account(self) -> dict[str, object]:
        if self._account is None:
            return {"cwd": self._folder}
        group = pwd.getpwnam(self._account).pw_gid
        return {"user": self._account, "group": group, "extra_groups": [], "cwd": self._folder}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
