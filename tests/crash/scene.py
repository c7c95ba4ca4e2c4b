"""A ledger with submitted requests and a shop, in which processes die, and to which time can be turned back."""

import shutil
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from moments import KINDS, Moment, die_at, read_moment, run_and_die
from shop import PEOPLE, POLICY
from tests.engine import Engine, opened

from habeas.store import tables
from servers.postgres import PostgresServer

QUICK = {"lease_seconds": 30, "visits": 1}
"""One visit after the other, so that moments come in the same order every time."""
SECTIONS = {"security": {"outgoing_allow_list": ["127.0.0.1"]}}

MASKS = {"hmac": ["user.contact"], "null_rewrite": ["user.demographic", "user.device"]}


class _Shop(Protocol):
    storage: str
    details: Mapping[str, Any]
    batch_rows: int

    def reset(self) -> None: ...
    def connect(self, engine: Engine) -> None: ...
    def rows(self) -> Mapping[str, Any]: ...
    def writes(self) -> list[tuple[str, int]]: ...
    def open(self, package: bytes) -> Any: ...


class Scene:
    """A folder that holds a ledger with three submitted requests, and a shop; `restore` turns time back.

    Two of the requests are of one person: they share every row.
    """

    def __init__(self, folder: Path, shop: _Shop, postgres: PostgresServer | None = None) -> None:
        self._now = folder / "now"
        self._then = folder / "then"
        self._note = folder / "died at"
        self._shop = shop
        self._postgres = postgres
        self._url = postgres.create_database("crash_now") if postgres else f"sqlite:///{self._now}/habeas.db"
        self._now.mkdir()
        with self._open() as engine:
            shop.connect(engine)
            engine.policy(POLICY, access=["user"], erasure=MASKS, storage=shop.storage)
            self._requests = engine.submit(POLICY, *PEOPLE, PEOPLE[0], **shop.details)
        shutil.copytree(self._now, self._then)
        if postgres:
            postgres.create_database("crash_then", template="crash_now")

    def restore(self) -> None:
        shutil.rmtree(self._now)
        shutil.copytree(self._then, self._now)
        self._shop.reset()
        if self._postgres:
            self._postgres.create_database("crash_now", template="crash_then")

    def die(self, number: int, kinds: Collection[str] = KINDS) -> Moment | None:
        """Carry the requests in a process that is killed at its `number`-th moment of these kinds, if it comes so far.

        What has a package's name is whole then.
        """

        def carry() -> None:
            with self._open() as engine:
                _end_leases(engine)
                die_at(engine, number, kinds, self._note)
                engine.run()

        died = run_and_die(carry)
        for package in self.packages().values():
            self._shop.open(package)
        return read_moment(self._note) if died else None

    def run(self) -> dict[str, Any]:
        """Carry what is left, once the lease of the dead is over, and what there is to see then."""
        with self._open() as engine:
            _end_leases(engine)
            engine.run()
            seen: dict[str, Any] = {
                request: (
                    engine.view(request).status,
                    engine.log(request),
                    engine.counts(request),
                    self._shop.open(engine.package_bytes(request, f"{POLICY}-give")),
                )
                for request in self._requests
            }
        files = sorted(self.packages())
        return {**seen, "rows": self._shop.rows(), "writes": self._shop.writes(), "files": files}

    def packages(self) -> Mapping[str, bytes]:
        """Everything that has a package's name."""
        return {path.name: path.read_bytes() for path in self._now.glob("packages/*") if path.is_file()}

    def _open(self) -> AbstractContextManager[Engine]:
        return opened(self._now, self._url, sections=SECTIONS, batch_rows=self._shop.batch_rows, **QUICK)


def _end_leases(engine: Engine) -> None:
    """Of the dead: nobody waits for them here."""
    with engine.context.ledger.write() as connection:
        connection.execute(tables.runs.update().values(lease_until=None))
