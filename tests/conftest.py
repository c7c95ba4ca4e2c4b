"""Fixtures shared by all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from servers.database import DatabaseServer, MissingServer
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer
from servers.s3 import S3Server

Server = TypeVar("Server", bound=DatabaseServer)

LONG = ("crash", "docs", "property", "packaging", "fuzz", "acceptance", "conformance")
"""Folders whose files take long: they begin first, so that no process is left alone with one at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(folder).parts[0], len(LONG)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL for the session."""
    yield from _serve(PostgresServer)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    """A private MariaDB for the session."""
    yield from _serve(MariaDbServer)


def _serve(start: Callable[[], Server]) -> Iterator[Server]:
    """A missing installation is a failure, never a skip."""
    try:
        server = start()
    except MissingServer as error:
        pytest.fail(str(error))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store of objects for the session; every test makes buckets of its own."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server
