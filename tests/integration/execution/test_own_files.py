"""No connection leads to the ledger, nor to keys and packages: who sets up connections would be whoever they like."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine import Engine
from habeas.domain.errors import InputError
from habeas.services import connections
from habeas.services.connections import Verdict

Start = Callable[..., Engine]

ON_SQLITE = pytest.mark.parametrize("made_ledger", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("made_ledger", ["postgres"], indirect=True)
FILES = ("sqlite", "duckdb")


@ON_SQLITE
@pytest.mark.parametrize("kind", FILES)
def test_no_path_to_a_file_of_habeas_is_taken(start: Start, tmp_path: Path, kind: str) -> None:
    engine, ledger = start(), tmp_path / "ledger.db"
    (tmp_path / "soft").symlink_to(ledger)
    os.link(ledger, tmp_path / "hard")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "data" / "packages").mkdir(exist_ok=True)
    (tmp_path / "shelf").symlink_to(tmp_path / "data" / "packages")
    beside = (f"ledger.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal"))
    own = ("data/development-key", "data/root-client", "data/packages/x.json", "shelf/x.json", "data/../ledger.db")
    for name in (*beside, "soft", "hard", "folder/ledger.db", "folder/ledger.db-journal", *own):
        with pytest.raises(InputError, match="a file of Habeas itself"):
            engine.connect("own", kind, {"path": str(tmp_path / name)})
    with pytest.raises(InputError, match="NUL"):
        engine.connect("own", kind, {"path": f"{ledger}\0.db"})
    assert connections.try_connection(engine.context, "own").test_status is Verdict.SKIPPED


@ON_SQLITE
@pytest.mark.parametrize("kind", FILES)
def test_a_path_that_leads_there_later_is_not_opened(start: Start, tmp_path: Path, kind: str) -> None:
    engine, file = start(), tmp_path / "shop.db"
    engine.connect("shop", kind, {"path": str(file)})
    file.symlink_to(tmp_path / "ledger.db")
    tried = connections.try_connection(engine.context, "shop")
    assert tried.test_status is Verdict.FAILED
    assert "a file of Habeas itself" in str(tried.failure_reason)


@ON_SQLITE
def test_other_files_in_the_data_folder_are_targets(start: Start, tmp_path: Path) -> None:
    engine, file = start(), tmp_path / "data" / "company" / "shop.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as shop:
        shop.execute("CREATE TABLE people (id integer PRIMARY KEY)")
    engine.connect("shop", "sqlite", {"path": str(file)})
    assert connections.try_connection(engine.context, "shop").test_status is Verdict.SUCCEEDED


@ON_POSTGRES
@pytest.mark.parametrize("schema", [{}, {"db_schema": "pg_catalog"}], ids=["own schema", "another schema"])
def test_a_ledger_in_postgres_is_no_target(start: Start, schema: dict[str, str]) -> None:
    engine = start()
    engine.connect("own", "postgres", {"url": str(engine.context.settings.database.url)} | schema)
    tried = connections.try_connection(engine.context, "own")
    assert tried.test_status is Verdict.FAILED
    assert "holds a ledger of Habeas" in str(tried.failure_reason)
    assert connections.find_connection(engine.context, "own").last_test_succeeded is False
