"""Runs `habeas serve` as a process of its own: own data folder, free port, settings by environment.

Crash and acceptance tests act on it as operators do, by signals, and call it as its users do, over HTTP.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from habeas.client import Client

COMMAND = Path(sys.executable).with_name("habeas")
STORAGE = "packages"


class HabeasServer:
    """A running server; made is started. `stop` is orderly, `kill` a crash; `start` starts it again.

    Two servers share a ledger when they share the data folder, also beside a PostgreSQL ledger: keys and
    packages are there.
    """

    def __init__(self, data_dir: Path, *, environment: Mapping[str, str] | None = None, executor: bool = True) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._command = [COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir)]
        if not executor:
            self._command.append("--no-executor")
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(os.devnull)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, deadline: float = 30.0) -> None:
        """Start on a fresh port and wait until `/health` says that all is well, at most `deadline` seconds."""
        self._process, self._log = launch(self._command, self.data_dir, self._environment)
        with expecting("the server to be healthy", deadline, self.log_text) as attempts:
            for _ in attempts:
                if self._process.poll() is not None:
                    raise AssertionError(f"the server does not start:\n{self.log_text()}")
                self.url = self._announced()
                if self.url and _is_healthy(self.url):
                    return

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Calls with a token of the root client; paths begin with `/api/v1`, `/health` …"""
        client_id, _, secret = (self.data_dir / "root-client").read_text().strip().partition(":")
        with httpx.Client(base_url=self.url, timeout=30) as http:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
            token = Client(http).call("POST", "/oauth/token", data=form)["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield http

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); does nothing when it is not running."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in order (SIGTERM) and wait for that."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP) as a frozen machine would be."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it stood (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def log_text(self) -> str:
        """What it has written since it was last started."""
        return self._log.read_text(errors="replace")

    def _announced(self) -> str:
        found = [line.removeprefix("serving on ") for line in self.log_text().splitlines(keepends=True)]
        return next((line.strip() for line in found if line.startswith("http") and line.endswith("\n")), "")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not running"
        return self._process

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None:
            end(self._process, with_signal)
            self._process = None


def launch(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a process in `folder` with no settings but those given; the process and the file it logs to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HABEAS", "FIDES"))}
    descriptor, log = tempfile.mkstemp(prefix="process-", suffix=".log", dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        process = subprocess.Popen(
            list(command),
            env={**inherited, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    return process, Path(log)


def end(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    """Send a signal that ends the process, also when it is paused, and wait for its end."""
    process.send_signal(with_signal)
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=30)
        raise AssertionError(f"the process did not end by {with_signal.name} within 30 seconds") from None


@contextmanager
def expecting(what: str, deadline: float, say: Any = lambda: "") -> Iterator[Iterator[int]]:
    """Attempts, 20 a second, until the block leaves the loop; an AssertionError after `deadline` seconds."""
    until = time.monotonic() + deadline

    def attempts() -> Iterator[int]:
        number = 0
        while time.monotonic() < until:
            yield number
            number += 1
            time.sleep(0.05)
        raise AssertionError(f"waited {deadline:.0f} seconds for {what}\n{say()}")

    yield attempts()
