"""Starts a private MariaDB for tests: own data folder, free port, password login over TCP.

MariaDB refuses root, so as root everything runs as the user `nobody`. Settings of this machine are not read.
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

import pymysql

USER = "habeas_test"
PASSWORD = "mariadb-test-password"
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_OPTIONS = ["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--innodb-buffer-pool-size=64M"]
_HASTY = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"]
_ACCOUNT = f"""
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;
"""


class MissingServer(Exception):
    """No MariaDB server is installed; `make test` (or scripts/install-test-needs.sh) installs it."""


def find_program(name: str) -> str:
    """The path of a program of the server. Raises MissingServer."""
    if found := shutil.which(name, path=_PLACES):
        return found
    raise MissingServer("MariaDB is not installed: run `make test`, which installs what the tests need")


class MariaDbServer:
    """A running server. `durable` flushes each commit, for tests that kill it; `kill` is a crash, `stop` is orderly."""

    def __init__(self, *, durable: bool = False, connections: int = 200) -> None:
        self._program = find_program("mariadbd")
        self._account = "nobody" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="habeas-mariadb-"))
        if self._account:
            shutil.chown(self._folder, self._account)
        self._folder.chmod(0o700)
        self._options = [*_OPTIONS, *([] if durable else _HASTY), f"--max-connections={connections}"]
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._initialise()
        self.start()

    @property
    def version(self) -> str:
        """As it names itself."""
        with self.connect() as session, session.cursor() as cursor:
            cursor.execute("SELECT version()")
            row = cursor.fetchone()
            return str(row[0]) if row else "?"

    def connect(self, dbname: str = "mysql") -> pymysql.Connection:  # type: ignore[type-arg]
        """A session that commits by itself, for a test's own statements."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database=dbname, autocommit=True
        )

    def url(self, dbname: str = "mysql") -> str:
        """`mariadb://…` of one of its databases."""
        return f"mariadb://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{dbname}"

    def secrets(self, dbname: str = "mysql") -> dict[str, str]:
        """The same place as connection secrets."""
        parts = {"host": "127.0.0.1", "port": str(self.port), "dbname": dbname}
        return parts | {"username": USER, "password": PASSWORD}

    def create_database(self, name: str) -> str:
        """Create an empty database, replacing one of the same name, and return its URL."""
        self.run(f"DROP DATABASE IF EXISTS `{name}`", f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def run(self, *statements: str, dbname: str = "mysql") -> None:
        """Execute statements, each by itself."""
        with self.connect(dbname) as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def start(self, deadline: float = 60.0) -> None:
        """Start and wait until it answers, at most `deadline` seconds."""
        places = [f"--datadir={self._folder / 'data'}", f"--socket={self._folder / 'socket'}"]
        places.append(f"--tmpdir={self._folder}")  # what a killed server leaves in a common one is in others' way
        files = [f"--pid-file={self._folder / 'pid'}", f"--init-file={self._folder / 'account.sql'}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--no-defaults", *places, *files, f"--port={self.port}", *self._options],
                stdout=log,
                stderr=log,
                **self._as_account(),
            )
        until = time.monotonic() + deadline
        while True:
            try:
                self.connect().close()
                return
            except pymysql.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"MariaDB does not start:\n{(self._folder / 'log').read_text()}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in order, ending sessions; does nothing when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        self._process.wait(timeout=60)
        self._process = None

    def _initialise(self) -> None:
        (self._folder / "account.sql").write_text(_ACCOUNT)
        if self._account:
            shutil.chown(self._folder / "account.sql", self._account)
        subprocess.run(
            [
                *(find_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._folder / 'data'}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
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
