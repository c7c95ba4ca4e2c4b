"""The postman: sends what is due in the outbox, beside the dispatcher in every server.

Several on one ledger do no harm: a message is claimed before it is sent. One that was accepted by a provider but not
recorded as sent, because the process ended in between, is sent again under the same id.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from habeas.domain.errors import Fault, HabeasError, InputError
from habeas.domain.message import SEND_SECONDS, Event
from habeas.domain.request import LogStatus
from habeas.execution.attempts import name_fault
from habeas.execution.context import Context
from habeas.execution.outbox import entry_of
from habeas.execution.portions import repeat
from habeas.execution.sending import deliver
from habeas.store import journal, messages
from habeas.store.configurations import Record
from habeas.store.ledger import name_failure

_log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
CLAIM_SECONDS = 300.0
"""For how long messages that are being sent are due for nobody else; one that cannot be sent by then is left."""

_AT_ONCE = 5
_QUICK = (2.0, 4.0, 8.0)
_SLOW, _SLOWEST = 60.0, 4 * 3600.0
_FORGET_AT_ONCE = 200


class Postman:
    """A thread that looks for what is due once a second; `post` sends it until nothing is or the event is set."""

    def __init__(
        self, context: Context, name: str = "postman", post: Callable[[Context, threading.Event], int] | None = None
    ) -> None:
        self._context = context
        self._name = name
        self._post = post or post_due
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more; what is in hand is finished."""
        self._stopping.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self._post(self._context, self._stopping)
            except SQLAlchemyError as error:
                _log.warning("the ledger failed (%s); the %s tries again", name_failure(error), self._name)
            except Exception as error:
                _log.error("the %s goes on after: %s", self._name, name_fault(error, "posting"))


def post_due(context: Context, stopping: threading.Event | None = None) -> int:
    """Send what is due, until nothing is or `stopping` is set; how many messages were sent."""
    sent = 0
    while stopping is None or not stopping.is_set():
        now = context.clock.now().timestamp()
        far = now + 2 * _SLOWEST
        with context.ledger.read() as connection:
            if not messages.has_due(connection, now, far):
                break
        with context.ledger.write() as connection:
            claimed = messages.claim(connection, now, now + CLAIM_SECONDS, far, _AT_ONCE)
        for row in claimed:
            if context.clock.now().timestamp() >= now + CLAIM_SECONDS - SEND_SECONDS:
                break  # else another postman might send it too
            sent += _post(context, row)
    return sent


def pause_after(attempts: int) -> float:
    """Seconds from a failed try (the first is 1) to the next one."""
    if attempts <= len(_QUICK):
        return _QUICK[attempts - 1]
    return float(min(_SLOWEST, _SLOW * 2.0 ** min(attempts - len(_QUICK) - 1, 20)))


def forget_messages(context: Context) -> int:
    """Once the time to live is over: forget whom messages that failed were for, and the failures of requests.

    Those that the staff is still to be told of stay. How many of both.
    """
    before = context.clock.now() - timedelta(seconds=context.settings.execution.temporary_ttl_seconds)
    failures = repeat(context, lambda connection: messages.delete_failures(connection, before, _FORGET_AT_ONCE))
    return failures + repeat(context, lambda connection: messages.forget_failed(connection, before, _FORGET_AT_ONCE))


def _post(context: Context, row: Record) -> bool:
    try:
        deliver(context, row)
    except HabeasError as error:
        _put_off(context, row, error)
        return False
    now = context.clock.now()
    with context.ledger.write() as connection:
        if messages.mark_sent(connection, [row.id], now):
            _note(context, connection, row, LogStatus.COMPLETE, "sent")
    _log.info("message %s (%s) was sent", row.id, row.event)
    return True


def _put_off(context: Context, row: Record, error: HabeasError) -> None:
    """Try again later; give up at once what will never be taken, and the rest when its time is over."""
    waited = sum(pause_after(attempt) for attempt in range(1, row.attempts + 1))
    hopeless = isinstance(error, InputError | Fault)
    final = hopeless or waited > context.settings.notifications.give_up_seconds
    with context.ledger.write() as connection:
        if not final:
            due_at = context.clock.now().timestamp() + pause_after(row.attempts)
            messages.put_off(connection, row, due_at, str(error))
        elif messages.give_up(connection, row, str(error)):
            _note(context, connection, row, LogStatus.ERROR, f"not sent: {error}")
    _log.warning("message %s (%s) was not sent%s: %s", row.id, row.event, "" if final else " yet", error)


def _note(context: Context, connection: sa.Connection, row: Record, status: LogStatus, said: str) -> None:
    if row.request_id is not None:
        journal.log_requests(
            connection, [row.request_id], entry_of(Event(row.event), status, said), context.clock.now()
        )
