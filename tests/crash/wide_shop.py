"""A shop whose customers lie in four stores at once: one graph of datasets, nested, keyless and deleted rows in it.

Packages are encrypted CSV. Every store but DuckDB counts the changes that are made to it.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
from shop import POLICY
from tests.engine import Engine, done
from wide_stores import WRITES, Attic, Desk, Lake, Rows, Store, Till

from habeas import decrypt
from habeas.services import storages
from servers.habeas import register_connection, register_dataset, register_policy, register_storage
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

KEY = "0123456789abcdef"
"""Of every package."""


class WideShop:
    """A fresh shop; its files are in `folder`. There is one at a time: it replaces the one before."""

    storage = "archive"
    details: Mapping[str, Any] = {"encryption_key": KEY}
    """Of requests, beside their identities."""

    def __init__(self, folder: Path, postgres: PostgresServer, mariadb: MariaDbServer) -> None:
        self.till = Till(mariadb)
        stores: Sequence[Store] = (Desk(postgres), self.till, Lake(folder / "lake.db"), Attic(folder / "attic.db"))
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
        register_policy(http, POLICY, access=["user"], erasure=["user.contact"], storage=self.storage)

    def connect(self, engine: Engine) -> None:
        """Tell an engine about the shop."""
        draft = storages.StorageDraft(name=self.storage, key=self.storage, type="local", format="csv")
        done(storages.save_storages(engine.context, [draft]))
        for key, store in self._stores.items():
            engine.connect(f"{key}_db", store.kind, store.secrets)
            engine.describe(f"{key}_db", store.dataset)

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
    def open(package: bytes) -> dict[str, Any]:
        """What a package says, whatever its nonces: its manifest, and the lines of each member."""
        with ZipFile(io.BytesIO(package)) as zipped:
            assert zipped.testzip() is None
            manifest = json.loads(zipped.read("manifest.json"))
            members = {member["name"]: decrypt(zipped.read(member["name"]), KEY) for member in manifest["members"]}
            assert set(zipped.namelist()) == {"manifest.json", *members}
        del manifest["request"]
        return {"manifest": manifest} | {name: _lines(member) for name, member in members.items()}


def _lines(member: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(member.decode(), newline=""), strict=True))
