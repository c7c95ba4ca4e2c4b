"""Servers and landscapes of acceptance tests: every test runs on both ledgers, beside every kind of target."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Servers
from landscape import Landscape
from shelves import Bucket, Folder, Place, Shelf
from targets import MariaDbTarget, PostgresTarget, SqliteTarget, Target

from servers.postgres import PostgresServer
from servers.s3 import S3Server


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Servers]:
    running = Servers(tmp_path_factory.mktemp("servers"), postgres_server)
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def landscape(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Landscape]:
    """A test's own corner of a server; targets are of the ledger's kind, MariaDB beside a ledger in SQLite."""
    server, ledger_url = servers.get("postgresql" if request.param == "postgresql" else "sqlite")

    def new_target(name: str) -> Target:
        if request.param == "sqlite":
            return SqliteTarget(tmp_path / f"{name}.db")
        if request.param == "mariadb":
            return MariaDbTarget(request.getfixturevalue("mariadb_server"), name)
        return PostgresTarget(servers.postgres, name)

    with server.client() as http:
        made = Landscape(server, http, ledger_url, new_target, tmp_path)
        yield made
        made.leave()


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, landscape: Landscape, s3_server: S3Server, tmp_path: Path) -> Place:
    """Every kind of destination."""
    if request.param == "local":
        return Folder(tmp_path / "shelf")
    return Bucket(s3_server, s3_server.create_bucket(f"{landscape.tag}-{landscape.ledger.dialect.name}"))


@pytest.fixture(params=["json", "csv"])
def shelf(request: pytest.FixtureRequest, landscape: Landscape, place: Place) -> Shelf:
    """Every kind of destination in every format."""
    return Shelf(landscape, place, request.param)
