"""What the private database servers of tests share: a folder, a free port, an account, start and end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class MissingServer(Exception):
    """No such server is installed; `make test` (or scripts/install-test-needs.sh) installs it."""


class DatabaseServer(ABC):
    """A server process of a test's own. `kill` is a crash, `stop` is orderly.

    Such servers refuse root, so as root everything runs as `account`.
    """

    name: ClassVar[str]
    account: ClassVar[str]
    stopping: ClassVar[signal.Signals] = signal.SIGTERM
    crashing: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        self._account = self.account if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix=f"habeas-{self.name.lower()}-"))
        self._give(self._folder)
        self._folder.chmod(0o700)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._initialise()
        self.start()

    @abstractmethod
    def _initialise(self) -> None:
        """Make the data."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """The command line of the server."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a session can be had."""

    def start(self, deadline: float = 60.0) -> None:
        """Start and wait until it answers, at most `deadline` seconds."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*self._command()], stdout=log, stderr=log, **self._as_account())
        until = time.monotonic() + deadline
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in order, ending sessions; does nothing when it is not running."""
        self._end(self.stopping)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(self.crashing)

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

    def _run(self, *command: str | Path) -> None:
        """Raises RuntimeError with what a command said that failed."""
        done = subprocess.run(command, capture_output=True, text=True, **self._as_account())
        if done.returncode:
            raise RuntimeError(f"{self.name} cannot be set up:\n{done.stdout}{done.stderr}")

    def _give(self, path: Path) -> None:
        if self._account:
            shutil.chown(path, self._account)

    def _as_account(self) -> dict[str, object]:
        if self._account is None:
            return {"cwd": self._folder}
        group = pwd.getpwnam(self._account).pw_gid
        return {"user": self._account, "group": group, "extra_groups": [], "cwd": self._folder}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
