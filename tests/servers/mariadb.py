"""Starts a private MariaDB for tests: own data folder, free port, password login over TCP.

Settings of this machine are not read.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pymysql

from servers.database import DatabaseServer, MissingServer

USER = "habeas_test"
PASSWORD = "mariadb-test-password"
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_OPTIONS = ["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--innodb-buffer-pool-size=64M"]
_HASTY = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"]
_ACCOUNT = f"""
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;
"""


def find_program(name: str) -> str:
    """The path of a program of the server. Raises MissingServer."""
    if found := shutil.which(name, path=_PLACES):
        return found
    raise MissingServer("MariaDB is not installed: run `make test`, which installs what the tests need")


class MariaDbServer(DatabaseServer):
    """A running server. `durable` flushes each commit, for tests that kill it."""

    name, account = "MariaDB", "nobody"

    def __init__(self, *, durable: bool = False, connections: int = 200) -> None:
        self._program = find_program("mariadbd")
        self._options = [*_OPTIONS, *([] if durable else _HASTY), f"--max-connections={connections}"]
        super().__init__()

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

    def _command(self) -> Sequence[str | Path]:
        places = [f"--datadir={self._folder / 'data'}", f"--socket={self._folder / 'socket'}"]
        places.append(f"--tmpdir={self._folder}")  # what a killed server leaves in a common one is in others' way
        files = [f"--pid-file={self._folder / 'pid'}", f"--init-file={self._folder / 'account.sql'}"]
        return [self._program, "--no-defaults", *places, *files, f"--port={self.port}", *self._options]

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        account = self._folder / "account.sql"
        account.write_text(_ACCOUNT)
        self._give(account)
        self._run(
            *(find_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._folder / 'data'}"),
            f"--tmpdir={self._folder}",
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )
