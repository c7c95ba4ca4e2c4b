"""Runs a Dask scheduler and `habeas worker` processes, which join it and share a server's ledger."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from servers.habeas import COMMAND
from servers.process import Process


class DaskScheduler(Process):
    """A scheduler on a free loopback port that it keeps when it is started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.address = f"tcp://127.0.0.1:{port}"
        options = ["--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0"]
        super().__init__([sys.executable, "-m", "distributed.cli.dask_scheduler", *options], folder, {})

    def is_ready(self) -> bool:
        """Whether it has said that it listens."""
        return "Scheduler at:" in self.log_text()


class HabeasWorker(Process):
    """A `habeas worker`; `data_dir` and `environment` are those of the server."""

    def __init__(self, scheduler: DaskScheduler, data_dir: Path, environment: Mapping[str, str]) -> None:
        options = ["--threads", "2", "--data-dir", str(data_dir)]
        super().__init__([COMMAND, "worker", scheduler.address, *options], data_dir, environment)

    def is_ready(self) -> bool:
        """Whether it has joined."""
        return "working for" in self.log_text()
