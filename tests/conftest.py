"""Fixtures shared by all tests."""

from collections.abc import Iterator

import pytest

from servers.mariadb import MariaDbServer, MissingServer
from servers.postgres import MissingBinaries, PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL for the session; a missing installation is a failure, never a skip."""
    try:
        server = PostgresServer()
    except MissingBinaries as error:
        pytest.fail(str(error))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    """A private MariaDB for the session; a missing installation is a failure, never a skip."""
    try:
        server = MariaDbServer()
    except MissingServer as error:
        pytest.fail(str(error))
    yield server
    server.remove()
