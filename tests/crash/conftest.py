"""Fixtures of the crash tests: a shop, both ledgers, and what happens when nothing is disturbed."""

from pathlib import Path
from typing import Any

import pytest
from ledgers import PACE, PostgresLedger, SqliteLedger
from outcome import Outcome, observe
from shop import PEOPLE, POLICY, Shop
from wide_shop import WideShop

from servers.habeas import HabeasServer, submit
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def shop(postgres_server: PostgresServer) -> Shop:
    return Shop(postgres_server, "crash_shop")


@pytest.fixture
def wide_shop(tmp_path: Path, postgres_server: PostgresServer, mariadb_server: MariaDbServer) -> WideShop:
    return WideShop(tmp_path, postgres_server, mariadb_server)


@pytest.fixture
def postgres_ledger(postgres_server: PostgresServer) -> PostgresLedger:
    return PostgresLedger(postgres_server.create_database("crash_ledger"))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, data_dir: Path) -> Any:
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_ledger")
    return SqliteLedger(data_dir)


@pytest.fixture(scope="session")
def undisturbed(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The twin: the same requests on the same data, left in peace."""
    shop = Shop(postgres_server, "crash_twin")
    with HabeasServer(tmp_path_factory.mktemp("twin"), environment=PACE) as server, server.client() as http:
        shop.register(http)
        return observe(http, submit(http, POLICY, *PEOPLE), shop)


@pytest.fixture(scope="session")
def wide_undisturbed(
    postgres_server: PostgresServer, mariadb_server: MariaDbServer, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """The twin of the wide shop, which takes its databases: this is made before, as it is the session's."""
    folder = tmp_path_factory.mktemp("wide-twin")
    shop = WideShop(folder, postgres_server, mariadb_server)
    with HabeasServer(folder / "data", environment=PACE) as server, server.client() as http:
        shop.register(http)
        return observe(http, submit(http, POLICY, *PEOPLE, **shop.details), shop)
