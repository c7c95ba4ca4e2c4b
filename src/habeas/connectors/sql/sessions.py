"""Keeps pooled sessions fit for use, for every store behind a network. Knows no driver."""

import time
from collections.abc import Callable

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

_REST = 1.0
"""Seconds after which a pooled session is asked whether it still lives."""


class Sessions:
    """Asks pooled sessions whether they still live: after a rest, and once another one was lost.

    `lives` answers for one session; a session that does not live is replaced before it is used.
    """

    def __init__(self, lives: Callable[[DBAPIConnection], bool], *engines: Engine) -> None:
        self._lives = lives
        self._lost = 0.0
        for engine in engines:
            event.listen(engine, "handle_error", self._note_loss)
            event.listen(engine, "checkin", self._note_use)
            event.listen(engine, "checkout", self._ping)

    def _note_loss(self, context: ExceptionContext) -> None:
        if context.is_disconnect:
            self._lost = time.monotonic()

    def _note_use(self, _connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    def _ping(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        """Raising this error makes the pool connect anew."""
        now = time.monotonic()
        used = record.info.get("used", now)
        if used > self._lost and now - used < _REST:
            return
        if not self._lives(connection):
            raise DisconnectionError
