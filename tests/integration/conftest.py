"""Ledgers of both kinds: one test body for SQLite and PostgreSQL."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, opened
from servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh ledger of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database(f"ledger_{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of ledger → data folder of an engine that has made one, to be copied: quicker than making each anew."""
    return {kind: tmp_path_factory.mktemp(f"pattern-{kind}") for kind in ("sqlite", "postgres")}


@pytest.fixture(params=["sqlite", "postgres"])
def made_ledger(request: pytest.FixtureRequest, tmp_path: Path, patterns: dict[str, Path]) -> str:
    """A ledger of each kind that has been made, with its data folder in `data`."""
    folder = patterns[request.param]
    is_first = not any(folder.iterdir())
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        if is_first:
            with opened(folder, server.create_database("pattern")):
                pass
        url = server.create_database(f"ledger_{uuid.uuid4().hex}", template="pattern")
    else:
        if is_first:
            with opened(folder, f"sqlite:///{folder}/ledger.db"):
                pass
        url = f"sqlite:///{tmp_path}/ledger.db"
        shutil.copy(folder / "ledger.db", tmp_path)
    shutil.copytree(folder, tmp_path / "data")
    return url


@pytest.fixture
def start(tmp_path: Path, made_ledger: str) -> Iterator[Callable[..., Engine]]:
    """Starts an engine on the test's ledger; called again it is another process as far as the ledger can tell."""
    with ExitStack() as engines:

        def start_engine(**execution: Any) -> Engine:
            return engines.enter_context(opened(tmp_path / "data", made_ledger, **execution))

        yield start_engine
