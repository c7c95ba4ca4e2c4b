"""Fixtures shared by all tests."""

from collections.abc import Iterator

import pytest

from servers.mariadb import MariaDbServer, MissingServer
from servers.postgres import MissingBinaries, PostgresServer
from servers.s3 import S3Server


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


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store of objects for the session; every test makes buckets of its own."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server
