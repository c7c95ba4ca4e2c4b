"""A rotation of keys as an operator does it, with a server that goes on, on both ledgers."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_commands import refused, run

from habeas import decrypt
from servers.habeas import (
    HabeasServer,
    read_package,
    register_connection,
    register_dataset,
    register_policy,
    register_storage,
    submit,
    wait_until_over,
)
from servers.postgres import PostgresServer

PACKAGE_KEY = "0123456789abcdef"
RING = "HABEAS__SECURITY__ENCRYPTION_KEYS"
DATASET: Mapping[str, Any] = {
    "fides_key": "shop",
    "name": "Shop",
    "collections": [
        {
            "name": "people",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True, "data_type": "integer"}},
                {"name": "mail", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
            ],
        },
        {
            "name": "notes",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True, "data_type": "integer"}},
                {
                    "name": "person",
                    "fides_meta": {
                        "references": [{"dataset": "shop", "field": "people.id", "direction": "from"}],
                        "data_type": "integer",
                    },
                },
                {"name": "text", "data_categories": ["user.content"]},
            ],
        },
    ],
}


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> dict[str, str]:
    retries = {"HABEAS__EXECUTION__TASK_RETRY_COUNT": "0"}
    if request.param == "sqlite":
        return retries
    return {**retries, "HABEAS__DATABASE__URL": postgres_server.create_database("rotated")}


def change(shop: Path, statement: str) -> None:
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.executescript(statement)


def set_up(http: httpx.Client, shop: Path) -> None:
    change(
        shop,
        """CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT);
        CREATE TABLE notes (id INTEGER PRIMARY KEY, person INTEGER, text TEXT);
        INSERT INTO people VALUES (1, 'ann@example.com'); INSERT INTO notes VALUES (1, 1, 'ring twice');""",
    )
    register_storage(http)
    register_connection(http, "shop", "sqlite", {"path": str(shop)})
    register_dataset(http, "shop", DATASET)
    register_policy(http, "give", access=["user"])


def ask(http: httpx.Client) -> str:
    return submit(http, "give", {"email": "ann@example.com"}, encryption_key=PACKAGE_KEY)[0]


def test_the_development_key_is_rotated_away_from_while_a_server_runs(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    data, shop = tmp_path / "data", tmp_path / "shop.db"
    fresh = run(tmp_path, "key", "new", "--id", "key1").stdout.strip()

    def call(*arguments: str, ring: str = "") -> Any:
        return run(tmp_path, *arguments, "--data-dir", str(data), **environment, **({RING: ring} if ring else {}))

    def serve(ring: str = "") -> HabeasServer:
        return HabeasServer(data, environment={**environment, **({RING: ring} if ring else {})})

    def opens(http: httpx.Client, request: str) -> None:
        assert b"ring twice" in decrypt(read_package(http, request, "give_access").decode(), PACKAGE_KEY.encode())

    with serve() as server, server.client() as http:
        set_up(http, shop)
        early = ask(http)
        assert wait_until_over(http, early) == "complete"
        change(shop, "ALTER TABLE notes RENAME TO letters")
        stopped = ask(http)  # what it has read and its package key stay sealed in the ledger
        assert wait_until_over(http, stopped) == "error"
        both = f"{fresh},{(data / 'development-key').read_text().strip()}"
        refused(call("key", "rotate", ring=both), "1 of 1 running processes", "key1", "restart them")
        server.stop()
    with serve(both) as server, server.client() as http:
        rotated = call("key", "rotate", ring=both)
        assert (rotated.returncode, rotated.stdout.splitlines()) == (
            0,
            [
                "key1 opens the ledger, alone; keys re-wrapped: 2",
                "not needed any more, except for backups made before: development",
            ],
        )
        opens(http, early)
        during = ask(http)
        assert wait_until_over(http, during) == "error"
        server.stop()
    (data / "development-key").unlink()
    with serve(fresh) as server, server.client() as http:
        change(shop, "ALTER TABLE letters RENAME TO notes")
        for request in (stopped, during):
            http.post(f"/api/v1/privacy-request/{request}/retry").raise_for_status()
            assert wait_until_over(http, request) == "complete"
        for request in (early, stopped, during):
            opens(http, request)
        assert http.get("/api/v1/privacy-request", params={"identity": "ann@example.com"}).json()["total"] == 3
        server.stop()
    development = both.partition(",")[2]
    refused(call("serve", "--port", "0", ring=development), "'key1'", "security.encryption_keys lacks")
    refused(call("db", "check", ring=development), "keys")
    assert "keys    opened by key1\n" in call("db", "check", ring=fresh).stdout


def test_a_new_key_is_printed_alone_and_is_another_each_time(tmp_path: Path) -> None:
    made = [run(tmp_path, "key", "new") for _ in range(2)]
    for done in made:
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
        ring = {RING: done.stdout.strip()}
        assert run(tmp_path, "db", "upgrade", "--data-dir", done.stdout[:17], **ring).returncode == 0
    names, keys = zip(*(done.stdout.strip().split(":") for done in made), strict=True)
    assert len(set(names)) == len(set(keys)) == 2
    refused(run(tmp_path, "key", "new", "--id", "a,b"), "key's id")
    assert list(tmp_path.glob("**/development-key")) == []
