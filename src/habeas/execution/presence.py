"""Signs of life: every process that serves or carries is known in the ledger, and renews that from a thread of its own.

What they are for: health, and keys that may be taken away only when nobody needs them (`services/keys.py`).
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from habeas import __version__
from habeas.execution.context import Context
from habeas.store import workers
from habeas.store.ledger import name_failure
from habeas.store.sealing import KeyRing
from habeas.store.workers import Kind, Process

_log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two signs of life."""

_KEPT_SECONDS = 86400.0


@contextmanager
def present(context: Context, name: str, kind: Kind, threads: int) -> Iterator[None]:
    """Show signs of life while the block lasts, as the process of this name that carries so many runs at once."""
    keys = KeyRing.parse(context.settings.security.encryption_keys).fingerprints()
    myself = Process(name, kind, __version__, threads, keys, context.clock.now())
    _show(context, myself)
    over = threading.Event()
    thread = threading.Thread(target=_keep_showing, args=(context, myself, over), name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(SQLAlchemyError), context.ledger.write() as connection:
            workers.leave(connection, name)


def _show(context: Context, myself: Process) -> None:
    """A sign of life; who has been forgotten (or never was known) is entered."""
    with context.ledger.write() as connection:
        if not workers.renew(connection, context.ledger, myself.id):
            workers.enter(connection, context.ledger, myself)


def _keep_showing(context: Context, myself: Process, over: threading.Event) -> None:
    """Until it is over; a ledger that fails is logged once, and tried again."""
    failing = False
    while not over.wait(INTERVAL):
        try:
            _show(context, myself)
            failing = False
        except SQLAlchemyError as error:
            if not failing:
                _log.warning("the ledger failed (%s): no sign of life until it is back", name_failure(error))
            failing = True


def forget_dead_processes(context: Context) -> int:
    """Delete what is known of processes that have shown no sign of life for a day; how many."""
    with context.ledger.write() as connection:
        return workers.delete_dead(connection, context.ledger, _KEPT_SECONDS)
