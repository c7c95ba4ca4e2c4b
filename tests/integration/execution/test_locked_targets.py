"""A target that another program has locked is waited for."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from engine import Engine
from habeas.domain.request import RequestStatus

Start = Callable[..., Engine]

PEOPLE = {
    "fides_key": "shop",
    "name": "shop",
    "collections": [
        {
            "name": "people",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "mail", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
            ],
        }
    ],
}


def test_an_erasure_waits_until_the_file_is_let_go_of(start: Start, tmp_path: Path) -> None:
    engine, file = start(lease_seconds=1, task_retry_count=50), tmp_path / "shop.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as owner:
        owner.execute("CREATE TABLE people (id integer PRIMARY KEY, mail text)")
        owner.execute("INSERT INTO people VALUES (1, 'ann@example.com')")
        engine.connect("shop", "sqlite", {"path": str(file)})
        engine.describe("shop", PEOPLE)
        engine.policy("forget", erasure={"null_rewrite": ["user.contact"]})
        owner.execute("BEGIN EXCLUSIVE")
        [request_id] = engine.submit("forget", {"email": "ann@example.com"})
        work = threading.Thread(target=engine.run)
        work.start()
        until = time.monotonic() + 10
        while not any(status == "retrying" for _, _, status in engine.log(request_id)):
            assert work.is_alive() and time.monotonic() < until
            time.sleep(0.02)
        owner.execute("ROLLBACK")
        work.join()
        assert engine.view(request_id).status is RequestStatus.COMPLETE
        assert owner.execute("SELECT * FROM people").fetchall() == [(1, None)]
