"""Executors execute: threads in the server, or Dask on many machines. What runs is the ledger's decision.

Tasks carry run ids only.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from habeas.domain.errors import InputError
from habeas.execution.context import Context
from habeas.execution.runner import carry

_log = logging.getLogger(__name__)


class Executor(Protocol):
    """Carries runs somewhere. A future says only that the runner has returned."""

    def capacity(self) -> int:
        """Runs that can be carried at once."""
        ...

    def submit(self, run_id: str) -> "Future[None]": ...

    def close(self) -> None:
        """Let what is running come to a safe stop, and wait for it."""
        ...


class ThreadExecutor:
    """Threads of this process."""

    def __init__(self, context: Context, worker: str) -> None:
        self._context = context
        self._worker = worker
        self._stopping = threading.Event()
        self._threads = context.settings.execution.threads
        self._pool = ThreadPoolExecutor(self._threads, "run")

    def capacity(self) -> int:
        return self._threads

    def submit(self, run_id: str) -> "Future[None]":
        return self._pool.submit(carry, self._context, run_id, self._worker, self._stopping)

    def close(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


class ClusterExecutor:
    """A Dask cluster. When its scheduler is away nothing is lost: runs wait in the ledger until it is back."""

    def __init__(self, address: str, carry_there: Callable[[str], None]) -> None:
        self._address = address
        self._carry_there = carry_there
        self._client: Any = None
        self._outstanding: set[Future[None]] = set()

    def capacity(self) -> int:
        """Threads of all workers; 0 while the scheduler does not answer."""
        try:
            return sum(self._connected().nthreads().values())
        except (OSError, TimeoutError, RuntimeError, ValueError):
            self._drop()
            return 0

    def submit(self, run_id: str) -> "Future[None]":
        landed: Future[None] = Future()
        self._outstanding.add(landed)
        landed.add_done_callback(self._outstanding.discard)
        try:
            distant = self._connected().submit(self._carry_there, run_id, pure=False)
            distant.add_done_callback(lambda done: _land(landed, done.status))
        except (OSError, TimeoutError, RuntimeError):
            self._drop()
        return landed

    def close(self) -> None:
        self._drop()

    def _connected(self) -> Any:
        if self._client is None or self._client.status != "running":
            self._drop()
            self._client = _connect(self._address)
        return self._client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close(timeout=2)
            self._client = None
        for landed in list(self._outstanding):
            _land(landed, "the scheduler is away")


def _land(landed: "Future[None]", status: str) -> None:
    if landed.done():
        return
    if status == "finished":
        landed.set_result(None)
    else:
        landed.set_exception(RuntimeError(f"the cluster gave the run back: {status}"))


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "execution.scheduler_address needs Dask", hint="install the extra: pip install 'habeas[cluster]'"
        ) from None
    client: Any = Client
    return client(address, timeout=5, set_as_default=False, name="habeas-dispatcher")
