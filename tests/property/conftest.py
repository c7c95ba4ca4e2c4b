"""The stage on which random worlds are played: one engine, a folder and two servers for all of them."""

from collections.abc import Iterator

import pytest
from stage import Stage

from engine import opened
from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, mariadb_server: MariaDbServer
) -> Iterator[Stage]:
    """Batches of three rows, so that tables of a dozen are more than one."""
    folder = tmp_path_factory.mktemp("worlds")
    with opened(folder, f"sqlite:///{folder}/ledger.db", batch_rows=3) as engine:
        made = Stage(engine, folder, postgres_server, mariadb_server)
        yield made
        made.close()
