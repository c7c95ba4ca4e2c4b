"""A small shop, and one person whose request is carried through a deployment to its end."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from habeas.client import Client
from servers.habeas import (
    read_package,
    read_report,
    register_connection,
    register_dataset,
    register_policy,
    register_storage,
    submit,
    wait_until_over,
)

_PEOPLE = ((1, "ann@example.com", "Ann Archer"), (2, "bob@example.com", "Bob Baker"))
_DATASET = {
    "fides_key": "shop",
    "name": "Shop",
    "collections": [
        {
            "name": "customers",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "email", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
                {"name": "name", "data_categories": ["user.name"]},
            ],
        }
    ],
}


def check_deployment(url: str, client_id: str, secret: str, folder: Path) -> None:
    """Strangers are turned away, and a person's data is given and erased: AssertionError when not."""
    with _logged_in(url, client_id, secret) as http:
        stranger = httpx.post(f"{url}/api/v1/privacy-request", json=[{"policy_key": "all", "identity": {"email": "a"}}])
        assert stranger.status_code == 401, "anybody may submit requests"
        shop = folder / "shop.db"
        with closing(sqlite3.connect(shop)) as database, database:
            database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, name TEXT)")
            database.executemany("INSERT INTO customers VALUES (?, ?, ?)", _PEOPLE)
        register_storage(http)
        register_connection(http, "shop", "sqlite", {"path": str(shop)})
        register_dataset(http, "shop", _DATASET)
        register_policy(http, "all", access=["user"], erasure=["user"])
        (request,) = submit(http, "all", {"email": "ann@example.com"})
        assert wait_until_over(http, request, 60) == "complete"
        assert b"Ann Archer" in read_package(http, request, "all_access")
        assert read_report(http, request)["collections"][0]["changed"] == 1
    with closing(sqlite3.connect(shop)) as database:
        assert database.execute("SELECT * FROM customers").fetchall() == [(1, None, None), _PEOPLE[1]]


@contextmanager
def _logged_in(url: str, client_id: str, secret: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as http:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        token = Client(http).call("POST", "/oauth/token", data=form)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http
