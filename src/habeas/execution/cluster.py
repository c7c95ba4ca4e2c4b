"""The worker's side of a Dask cluster: a plug-in holds the wired context, a task carries a run id.

Importable on every worker; the scheduler needs nothing of ours.
"""

import threading
from typing import Any

from distributed import WorkerPlugin, get_worker

from habeas.execution.context import Context
from habeas.execution.runner import carry

PLUGIN = "habeas"


class HabeasPlugin(WorkerPlugin):
    """Gives a Dask worker the context its runs are carried in, and stops them when the worker closes."""

    name = PLUGIN

    def __init__(self, context: Context) -> None:
        self.context = context
        self.stopping = threading.Event()

    def teardown(self, worker: Any) -> None:
        self.stopping.set()


def carry_on_worker(run_id: str) -> None:
    """The task: carry a run in the context of the worker it landed on."""
    worker: Any = get_worker()
    plugin = worker.plugins[PLUGIN]
    carry(plugin.context, run_id, worker.address, plugin.stopping)
