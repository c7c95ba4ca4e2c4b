"""Trying again: the one loop for temporary failures, with back-off, and the naming of unknown ones."""

import logging
import secrets
from collections.abc import Callable, Collection
from itertools import count
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from habeas.domain.errors import Fault, HabeasError, TryAgain
from habeas.execution.run import Run

_log = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_REST = 60.0
"""Seconds that a run rests at most because the other side asked for them."""


def try_again(
    run: Run, connections: Collection[str], attempt: Callable[[], T], report: Callable[[int, TryAgain], None]
) -> T:
    """Call `attempt` until it succeeds, at most `task_retry_count` further times; the last failure passes through.

    `report(n, error)` is called before the n-th further try; the rest between grows by `task_retry_backoff`, and is as
    long as the other side asks for, within a minute.
    Raises Paused instead when one of the connections it uses has been paused meanwhile: nothing counts then.
    """
    settings = run.context.settings.execution
    rest = settings.task_retry_delay
    for number in count(1):
        try:
            return attempt()
        except TryAgain as error:
            run.heed_pause(connections)
            if number > settings.task_retry_count:
                raise
            report(number, error)
            asked = min(error.seconds, _LONGEST_REST)
        run.rest(max(rest, asked))
        rest *= settings.task_retry_backoff
    raise AssertionError("counting does not end")


def name_fault(error: Exception, doing: str) -> HabeasError:
    """Errors of ours as they are; any other becomes a Fault with a reference into the server's log.

    Ledger failures pass through: they say nothing about the work, and the run is taken up again.
    """
    if isinstance(error, HabeasError):
        return error
    if isinstance(error, SQLAlchemyError):
        raise error
    reference = secrets.token_hex(4)
    # The text of a foreign error may hold values of rows: only its kind and place are logged.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    _log.error("fault %s while %s: %s at %s", reference, doing, type(error).__name__, place)
    return Fault(f"internal error while {doing}", hint=f"see reference {reference} in the server's log")
