"""A process killed while a package goes into a bucket in parts leaves no half of it; the next one makes up for it."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from moments import AFTER_UPLOAD, BEFORE_UPLOAD, PART_SENT, UPLOAD_BEGUN, UPLOADS
from scene import Scene
from sealed import PACKAGE_KEY, open_sealed
from shop import EmbeddedShop
from tests.engine import Engine, done

from habeas.delivery.s3 import BLOCK
from habeas.services import storages
from servers.s3 import KEYS, S3Server

BUCKET = "crash"
LONG = BLOCK + 1000
"""Characters of a note of Bob's: his package goes in two parts, since what is encrypted does not become less."""


class _Shop(EmbeddedShop):
    """Its packages are encrypted and go into a bucket."""

    storage = "bucket"
    details: Mapping[str, Any] = {"encryption_key": PACKAGE_KEY}

    def __init__(self, file: Path, server: S3Server) -> None:
        self.server = server
        super().__init__(file)

    def reset(self) -> None:
        super().reset()
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute("UPDATE orders SET note = ? WHERE id = 2", ("x" * LONG,))
            connection.execute("DELETE FROM writes")
        self.server.empty(BUCKET)

    def connect(self, engine: Engine) -> None:
        super().connect(engine)
        where = self.server.details(BUCKET)
        draft = storages.StorageDraft(name=self.storage, key=self.storage, type="s3", format="csv", details=where)
        done(storages.save_storages(engine.context, [draft]))
        storages.save_storage_secrets(engine.context, self.storage, KEYS, verify=False)

    @staticmethod
    def open(package: bytes) -> Any:
        """What a package says, in short."""
        return {name: hash(str(said)) for name, said in open_sealed(package).items()}


class _Scene(Scene):
    def packages(self) -> Mapping[str, bytes]:
        shop: Any = self._shop
        objects: Mapping[str, bytes] = shop.server.objects(BUCKET)
        return objects


def test_killed_at_each_moment_of_uploads(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket(BUCKET)
    scene = _Scene(tmp_path, _Shop(tmp_path / "shop.db", s3_server))
    undisturbed = scene.run()
    died: Counter[str] = Counter()
    for number in count(1):
        scene.restore()
        moment = scene.die(number, UPLOADS)
        if moment is None:
            break
        appeared = scene.packages()
        assert (moment.place in appeared) == (moment.kind == AFTER_UPLOAD)
        assert scene.run() == undisturbed, f"killed at moment {number}, {moment}"
        assert s3_server.unfinished(BUCKET) == [], f"parts are left after moment {number}, {moment}"
        died[moment.kind] += 1
    assert died == {UPLOAD_BEGUN: 1, PART_SENT: 2, BEFORE_UPLOAD: 1, AFTER_UPLOAD: 1}
