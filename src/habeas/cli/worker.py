"""`habeas worker`: a Dask worker that can carry runs."""

import asyncio
import contextlib
import signal
import tempfile
from typing import Annotated, Any

import typer

from habeas import bootstrap
from habeas.cli.logs import announce, set_up_logs
from habeas.cli.settings_option import DataDir, announce_old_names, read_settings
from habeas.domain.errors import InputError
from habeas.execution.context import Context


def worker(
    context: typer.Context,
    scheduler: Annotated[str, typer.Argument(help="Address of the Dask scheduler, e.g. tcp://host:8786.")],
    threads: Annotated[int | None, typer.Option(help="Runs carried out at once; default: execution.threads.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Join a Dask cluster and carry out the runs it hands over, from the same ledger as the server."""
    settings = read_settings(context, data_dir)
    set_up_logs(settings.logging.level, settings.logging.format)
    announce_old_names(settings)
    threads = threads or settings.execution.threads
    application = bootstrap.build(settings, create=False)  # says what is wrong before joining
    try:
        with bootstrap.working(application, threads), contextlib.suppress(asyncio.CancelledError):  # SIGTERM
            asyncio.run(_work(application.context, scheduler, threads))
    except ImportError:
        raise InputError("a worker needs Dask", hint="install the extra: pip install 'habeas[cluster]'") from None
    except (ValueError, OSError):
        raise InputError(f"{scheduler} is no address of a Dask scheduler", hint="e.g. tcp://host:8786") from None
    finally:
        bootstrap.close(application)


async def _work(context: Context, scheduler: str, threads: int) -> None:
    """Join, and join again after the scheduler was away, until SIGTERM or Ctrl-C; runs are given back each time.

    Waits as long as no scheduler answers: which of them starts first does not matter.
    """
    from distributed import Worker
    from distributed.comm.addressing import resolve_address

    from habeas.execution.cluster import HabeasPlugin

    resolve_address(scheduler)
    if myself := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, myself.cancel)
    with tempfile.TemporaryDirectory(prefix="habeas-worker-") as folder:
        while True:
            plugin = HabeasPlugin(context)
            options: dict[str, Any] = {"nthreads": threads, "local_directory": folder, "dashboard": False}
            async with Worker(scheduler, plugins=(plugin,), **options) as joined:
                said = f"working for {scheduler} as {joined.address}"
                announce(said, context.settings.logging.format)
                await joined.finished()
