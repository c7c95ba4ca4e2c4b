"""The worker's side of a Dask cluster: a plug-in holds the wired context, a task carries a run id.

Importable on every worker; the scheduler needs nothing of ours.
"""

import threading
from collections.abc import Callable
from typing import Any

from distributed import WorkerPlugin, get_worker

from habeas.execution.context import Context
from habeas.execution.runner import carry

PLUGIN = "habeas"


class HabeasPlugin(WorkerPlugin):
    """Gives a Dask worker the context its runs are carried in, and stops them when the worker closes."""

    name = PLUGIN

    def __init__(self, make_context: Callable[[], Context]) -> None:
        self._make_context = make_context
        self.stopping = threading.Event()
        self.context: Context | None = None

    def setup(self, worker: Any) -> None:
        self.context = self._make_context()

    def teardown(self, worker: Any) -> None:
        self.stopping.set()


def carry_on_worker(run_id: str) -> None:
    """The task: carry a run in the context of the worker it landed on."""
    worker: Any = get_worker()
    plugin = worker.plugins[PLUGIN]
    carry(plugin.context, run_id, worker.address, plugin.stopping)
