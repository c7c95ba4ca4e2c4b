"""Processes of ours as operators meet them: settings by environment, signals, and a log to read."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class Process:
    """A command that runs in a folder; made is started. `stop` is orderly, `kill` a crash; `start` starts it again.

    Of this process's environment it sees all but settings of ours. What it writes goes to a file in the folder.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._folder = folder
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(os.devnull)
        try:
            self.start()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, deadline: float = 60.0) -> None:
        """Start and wait until it is ready, at most `deadline` seconds."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HABEAS", "FIDES"))}
        descriptor, log = tempfile.mkstemp(prefix="process-", suffix=".log", dir=self._folder)
        self._log = Path(log)
        with os.fdopen(descriptor, "wb") as output:
            self._process = subprocess.Popen(
                self._command,
                env=inherited | self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_for("the process to be ready", self._check_ready, deadline, self.log_text)

    def is_ready(self) -> bool:
        """Whether it has come up; what says nothing of itself is ready at once."""
        return True

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); does nothing when it is not running."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in order (SIGTERM) and wait for that; does nothing when it is not running."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP) as a frozen machine would be; every thread stands when this returns."""
        self._running().send_signal(signal.SIGSTOP)
        wait_for("all threads to stand still", lambda: set(_thread_states(self.pid)) <= {"T"})

    def resume(self) -> None:
        """Let it go on where it stood (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def log_text(self) -> str:
        """What it has written since it was last started."""
        return self._log.read_text(errors="replace")

    def _check_ready(self) -> bool:
        assert self._running().poll() is None, f"it does not start:\n{self.log_text()}"
        return self.is_ready()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the process is not running"
        return self._process

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)  # a paused process takes no SIGTERM
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)
            raise AssertionError(f"the process did not end by {with_signal.name} within 30 seconds") from None


def _thread_states(pid: int) -> list[str]:
    """The state letter of each thread that there still is; a signal reaches a process's threads one by one."""
    states = []
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            states.append(file.read_text().rpartition(")")[2].split()[0])
    return states


@contextmanager
def expecting(what: str, deadline: float, say: Callable[[], str] = str) -> Iterator[Iterator[int]]:
    """Attempts, 20 a second, until the block leaves the loop; AssertionError after `deadline` seconds."""
    until = time.monotonic() + deadline

    def attempts() -> Iterator[int]:
        for number in count():
            yield number
            if time.monotonic() > until:
                raise AssertionError(f"waited {deadline:.0f} seconds for {what}\n{say()}")
            time.sleep(0.05)

    yield attempts()


def wait_for(what: str, condition: Callable[[], T | None], deadline: float = 20.0, say: Callable[[], str] = str) -> T:
    """The first truthy answer of `condition`; AssertionError after `deadline` seconds."""
    with expecting(what, deadline, say) as attempts:
        return next(answer for _ in attempts if (answer := condition()))
