"""Connectors in use, one per connection and process, renewed when the connection changes."""

import threading
from collections.abc import Mapping
from datetime import datetime

from habeas.domain.errors import NotFound
from habeas.domain.ports import ConnectionType, Connector, Limits
from habeas.store.configurations import Record, connection_place, decode_sketch, find, open_json
from habeas.store.ledger import Ledger
from habeas.store.tables import connections


def hindrance_of(record: Record | None) -> str:
    """Why a connection must not be used at this moment; empty when nothing stands against it."""
    if record is None:
        return "the connection was deleted"
    return "the connection is disabled" if record.disabled else ""


def is_paused(record: Record | None) -> bool:
    """Whether what needs this connection has to wait. One that is disabled too is passed over instead."""
    return record is not None and record.paused_at is not None and not record.disabled


class ConnectorPool:
    """Hands out connectors by connection key; thread-safe."""

    def __init__(self, ledger: Ledger, types: Mapping[str, ConnectionType], limits: Limits) -> None:
        self._ledger = ledger
        self._types = types
        self._limits = limits
        self._lock = threading.Lock()
        self._open: dict[str, tuple[datetime, Connector]] = {}
        self._slots: dict[str, threading.BoundedSemaphore] = {}

    def get(self, key: str) -> Connector:
        """The connector of a connection, with its newest secrets. Raises NotFound when it was deleted."""
        with self._ledger.read() as connection:
            record = find(connection, connections, key)
        if record is None:
            raise NotFound(f"connection {key!r} does not exist any more")
        return self.open(record)

    def open(self, record: Record) -> Connector:
        """The connector of a connection as it was read from the ledger."""
        key = record.key
        with self._lock:
            made_for, connector = self._open.get(key, (None, None))
            if connector is not None and made_for == record.updated_at:
                return connector
            secrets = open_json(self._ledger.sealer, record.sealed_secrets, connection_place(key))
            fresh = self._types[record.type].connect(secrets, self._limits, decode_sketch(record.sketch))
            self._open[key] = (record.updated_at, fresh)
            self._slots[key] = threading.BoundedSemaphore(fresh.capabilities.max_parallel)
        if connector is not None:
            connector.close()
        return fresh

    def slot(self, key: str) -> threading.BoundedSemaphore:
        """Bounds how many visits use the connection at once in this process; after `get` or `open`."""
        return self._slots[key]

    def close(self) -> None:
        with self._lock:
            for _, connector in self._open.values():
                connector.close()
            self._open.clear()
