"""A shop whose customers lie in four stores at once: one graph of datasets, nested, keyless and deleted rows in it.

Packages are encrypted CSV. Every store but DuckDB counts the changes that are made to it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import pymysql
from sealed import PACKAGE_KEY, open_sealed
from shop import POLICY
from tests.engine import Engine, done
from wide_stores import WRITES, Attic, Desk, Lake, Rows, Store, Till

from habeas.services import storages
from servers.habeas import register_connection, register_dataset, register_policy, register_storage
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer
from servers.process import wait_for

FORGOTTEN = ("user.contact", "user.device")
"""Categories that the policy masks."""

READING, ERASING = "LOCK TABLES orders WRITE", "SELECT 1 FROM orders FOR UPDATE"
"""What to lock in MariaDB so that the engine stands still at a statement of the one or the other kind."""

_WAITING_FOR_TABLE = """
SELECT id FROM information_schema.processlist WHERE db = database() AND state = 'Waiting for table metadata lock'"""
_WAITING_FOR_ROW = re.compile(r"^LOCK WAIT .*?^MariaDB thread id (\d+)", re.MULTILINE | re.DOTALL)
"""In what InnoDB says of itself: its table of transactions stands still while it is asked often."""

Log = list[tuple[str, str, str]]


class WideShop:
    """A fresh shop; its files are in `folder`. There is one at a time: it replaces the one before."""

    storage = "archive"
    batch_rows = 3
    details: Mapping[str, Any] = {"encryption_key": PACKAGE_KEY}
    """Of requests, beside their identities."""

    def __init__(self, folder: Path, postgres: PostgresServer, mariadb: MariaDbServer) -> None:
        self.till = Till(mariadb)
        stores: Sequence[Store] = (Desk(postgres), self.till, Lake(folder / "lake.db"), Attic(folder / "attic.db"))
        self._waiters: set[int] = set()
        self._stores = {str(store.dataset["fides_key"]): store for store in stores}
        self.reset()

    def reset(self) -> None:
        """Everything as it was in the beginning."""
        for store in self._stores.values():
            store.reset()

    def register(self, http: httpx.Client) -> None:
        """Tell a server about the shop and about the policy that gives everything and masks contact data."""
        register_storage(http, self.storage, package_format="csv")
        for key, store in self._stores.items():
            register_connection(http, f"{key}_db", store.kind, store.secrets)
            register_dataset(http, f"{key}_db", store.dataset)
        register_policy(http, POLICY, access=["user"], erasure=FORGOTTEN, storage=self.storage)

    def connect(self, engine: Engine) -> None:
        """Tell an engine about the shop."""
        draft = storages.StorageDraft(name=self.storage, key=self.storage, type="local", format="csv")
        done(storages.save_storages(engine.context, [draft]))
        for key, store in self._stores.items():
            engine.connect(f"{key}_db", store.kind, store.secrets)
            engine.describe(f"{key}_db", store.dataset)

    @contextmanager
    def locked(self, statement: str) -> Iterator["pymysql.Connection[Any]"]:
        """Holds the locks of a statement in MariaDB until the block ends, or until `rollback` of what it yields."""
        with closing(self.till.connect()) as session, session.cursor() as cursor:
            session.autocommit(value=False)
            cursor.execute(statement)
            yield session

    def wait_until_blocked(self) -> None:
        """Wait for a session of MariaDB that stands before a lock, other than those that an earlier call has seen."""
        with closing(self.till.connect()) as session, session.cursor() as cursor:

            def look() -> set[int]:
                cursor.execute(_WAITING_FOR_TABLE)
                found = {number for (number,) in cursor}
                cursor.execute("SHOW ENGINE INNODB STATUS")
                found.update(map(int, _WAITING_FOR_ROW.findall(" ".join(next(iter(cursor))))))
                return found - self._waiters

            self._waiters |= wait_for("a statement to wait for the lock", look)

    def rows(self) -> Rows:
        """Every row of every collection, by `dataset:collection`."""
        return {name: rows for name, rows in self._look().items() if not name.endswith(f":{WRITES}")}

    def writes(self) -> list[tuple[str, int]]:
        """(collection, row) of every change that was made; a change made twice stands twice."""
        found = self._look()
        return [write for name, rows in found.items() if name.endswith(f":{WRITES}") for write in rows]

    def _look(self) -> Rows:
        return {f"{key}:{name}": rows for key, store in self._stores.items() for name, rows in store.rows().items()}

    @staticmethod
    def settle(log: Log) -> Log:
        """The entries of each collection in their order: several are visited at a time."""
        return sorted(log, key=itemgetter(0))

    @staticmethod
    def open(package: bytes) -> Any:
        """What a package says."""
        return open_sealed(package)
