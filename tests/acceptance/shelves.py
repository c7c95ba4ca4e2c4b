"""Where packages of acceptance tests go, and in which form: a folder or a bucket, JSON or CSV, with the same verbs."""

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zipfile import ZipFile

from landscape import Landscape

from habeas import decrypt
from servers.s3 import KEYS, S3Server

Rows = list[dict[str, Any]]


class Place(Protocol):
    """A destination seen from beside."""

    type: str
    details: dict[str, Any]
    secrets: dict[str, str]

    def files(self) -> dict[str, bytes]:
        """Everything in it by file name, also what is half written."""
        ...

    def spoil(self) -> None:
        """Nothing can be put there from now on."""
        ...

    def mend(self) -> None: ...


class Folder:
    """A folder of the server's disk."""

    type = "local"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.details: dict[str, Any] = {"path": str(path)}
        self.secrets: dict[str, str] = {}

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self._path.rglob("*") if path.is_file()}

    def spoil(self) -> None:
        self._path.touch()

    def mend(self) -> None:
        self._path.unlink()


class Bucket:
    """A bucket of a store."""

    type = "s3"

    def __init__(self, server: S3Server, name: str) -> None:
        self._server = server
        self._name = name
        self.details = server.details(name, prefix="packages")
        self.secrets = dict(KEYS)

    def files(self) -> dict[str, bytes]:
        unfinished = dict.fromkeys(self._server.unfinished(self._name), b"half written")
        return {key.rpartition("/")[2]: content for key, content in {**unfinished, **self._objects()}.items()}

    def spoil(self) -> None:
        self._server.delete_bucket(self._name)

    def mend(self) -> None:
        self._server.create_bucket(self._name)

    def _objects(self) -> dict[str, bytes]:
        found = self._server.objects(self._name)
        assert all(key.startswith("packages/") for key in found)
        return found


@dataclass
class Shelf:
    """A storage of a landscape, and how packages in it are read."""

    landscape: Landscape
    place: Place
    format: str
    storage: str = field(init=False)

    def __post_init__(self) -> None:
        self.storage = f"{self.landscape.tag}-shelf"
        item = {"key": self.storage, "name": "Shelf", "type": self.place.type, "format": self.format}
        self.landscape.save("/storage/config", {**item, "details": self.place.details})
        if self.place.secrets:
            path = f"/storage/config/{self.storage}/secret"
            saved = self.landscape.ask("PUT", path, json=self.place.secrets)
            assert saved["test_status"] == "succeeded", saved

    def name(self, stem: str) -> str:
        return f"{stem}.{'zip' if self.format == 'csv' else 'json'}"

    def read(self, content: bytes, key: str | None = None) -> dict[str, Rows]:
        """Rows by collection, of CSV as texts; a package with a key opens with that alone."""
        if self.format == "json":
            found: dict[str, Rows] = json.loads(content if key is None else decrypt(content, key))
            return found
        with ZipFile(io.BytesIO(content)) as package:
            manifest = json.loads(package.read("manifest.json"))
            assert set(package.namelist()) == {"manifest.json", *(member["name"] for member in manifest["members"])}
            return {member["collection"]: _read_member(package, member, key) for member in manifest["members"]}


def _read_member(package: ZipFile, member: dict[str, Any], key: str | None) -> Rows:
    assert member["encrypted"] is (key is not None)
    content = package.read(member["name"])
    text = (content if key is None else decrypt(content, key)).decode()
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = list(reader)
    assert reader.fieldnames == member["columns"]
    assert len(rows) == member["rows"]
    return rows
