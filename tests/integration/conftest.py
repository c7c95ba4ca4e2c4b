"""Ledgers of both kinds: one test body for SQLite and PostgreSQL."""

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


@pytest.fixture
def start(tmp_path: Path, ledger_url: str) -> Iterator[Callable[..., Engine]]:
    """Starts an engine on the test's ledger; called again it is another process as far as the ledger can tell."""
    with ExitStack() as engines:

        def start_engine(**execution: Any) -> Engine:
            return engines.enter_context(opened(tmp_path / "data", ledger_url, **execution))

        yield start_engine
