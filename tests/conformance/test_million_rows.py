"""A million rows stream through every driver in bounded memory; DuckDB's own test is with its traps."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from servers.mariadb import MariaDbServer
from servers.postgres import PostgresServer

_COLUMNS = "id, concat('p', id, '@example.com') AS email, concat('p', id % 5) AS owner"
_READ = """
import json, resource, sys
from habeas.connectors import sql
from habeas.domain.dataset import Address
from habeas.domain.ports import Entry, Limits, Lookup, Table
connector = getattr(sql, "connect_" + sys.argv[1])(json.loads(sys.argv[2]), Limits())
table = Table(Address("store", "t"), ("email", "id", "owner"), ("id",))
small = Lookup(table, (Entry("id", [(0, 1)]),))
assert len(list(connector.read(small))) == 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = connector.read(Lookup(table, (Entry("owner", [(number, f"p{number}") for number in range(5)]),)))
sizes = [len(batch) for batch in batches]
print(sum(sizes), max(sizes), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The kind and the secrets of a store with a million rows in table `t`."""
    if request.param == "sqlite":
        numbers = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n LIMIT 1000000)"
        columns = "id, 'p' || id || '@example.com' AS email, 'p' || (id % 5) AS owner"
        with closing(sqlite3.connect(tmp_path / "t.db")) as file, file:
            file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, owner TEXT)")
            file.execute(f"{numbers} INSERT INTO t SELECT {columns} FROM n")
        return "sqlite", {"path": str(tmp_path / "t.db")}
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        with psycopg.connect(postgres.create_database("million")) as session:
            session.execute(f"CREATE TABLE t AS SELECT {_COLUMNS} FROM generate_series(1, 1000000) AS n(id)".encode())
            session.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
        return "postgres", postgres.secrets("million")
    mariadb: MariaDbServer = request.getfixturevalue("mariadb_server")
    mariadb.create_database("million")
    with mariadb.connect("million") as session, session.cursor() as cursor:
        numbers = "(SELECT seq AS id FROM seq_1_to_1000000) AS n"
        cursor.execute(f"CREATE TABLE t (PRIMARY KEY (id)) AS SELECT {_COLUMNS} FROM {numbers}")
    return "mariadb", mariadb.secrets("million")


def test_a_million_rows_stream_under_a_memory_bound(store: tuple[str, dict[str, str]]) -> None:
    kind, secrets = store
    command = [sys.executable, "-c", _READ, kind, json.dumps(secrets)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    count, largest, grown = map(int, told.stdout.split())
    assert count == 1_000_000
    assert largest <= 2000
    assert grown < 60, f"{grown} MB more than before"
