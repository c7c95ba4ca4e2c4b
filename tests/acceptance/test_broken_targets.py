"""Targets that fail: a clear error each, nothing lost, and a retry completes when the cause is mended."""

from collections.abc import Callable

import pytest
from landscape import Landscape, on_one_ledger
from targets import ANN, MARK, PostgresTarget, SqliteTarget, fill_first, first_dataset

from servers.postgres import PostgresServer

GIVE = {"give": ["user"]}
FORGET = {"null_rewrite": ["user.name"]}


@pytest.mark.parametrize(
    ("breaking", "mending", "words"),
    [
        ("ALTER TABLE orders RENAME TO purchases", "ALTER TABLE purchases RENAME TO orders", "no table or view"),
        ("ALTER TABLE orders RENAME COLUMN note TO remark", "ALTER TABLE orders RENAME COLUMN remark TO note", "note"),
    ],
    ids=["table missing", "column missing"],
)
def test_a_store_that_lacks_what_the_dataset_names(
    landscape: Landscape, breaking: str, mending: str, words: str
) -> None:
    target = landscape.members()
    policy = landscape.policy(access=GIVE, erasure=FORGET)
    target.execute(breaking)
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    assert "first:orders" in stopped["failure"]
    assert words in stopped["failure"]
    assert "retrying" not in landscape.count_log(stopped["id"])  # trying again would not help
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]
    target.execute(mending)
    landscape.retry(stopped["id"])
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(None,)]


def test_a_column_that_goes_between_access_and_erasure(landscape: Landscape) -> None:
    target = landscape.members()
    occupied = landscape.folder / "occupied"
    occupied.touch()
    policy = landscape.policy(access=GIVE, erasure=FORGET, storage=landscape.save_storage("occupied", occupied))
    request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    target.execute("ALTER TABLE members RENAME COLUMN name TO title")
    occupied.unlink()
    stopped = landscape.retry(request, "error")
    assert "first:members" in stopped["failure"]
    assert stopped["action_required_details"]["step"] == "erasure"
    target.execute("ALTER TABLE members RENAME COLUMN title TO name")
    landscape.retry(request)
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(None,)]


def _wrong_password(secrets: dict[str, str]) -> dict[str, str]:
    return {**secrets, "password": "canary-password-9d"}


def _no_such_database(secrets: dict[str, str]) -> dict[str, str]:
    return {**secrets, "dbname": "nowhere"}


def _closed_port(secrets: dict[str, str]) -> dict[str, str]:
    return {**secrets, "port": "1"}


@on_one_ledger
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_wrong_password, "check username and password"),
        (_no_such_database, "does not exist"),
        (_closed_port, "cannot be reached"),
    ],
)
def test_secrets_that_do_not_open_the_database(
    landscape: Landscape, postgres_server: PostgresServer, spoil: Callable[[dict[str, str]], dict[str, str]], words: str
) -> None:
    target = PostgresTarget(postgres_server, f"{landscape.tag}_spoiled")
    fill_first(target)
    connection = landscape.connect("first", target)
    landscape.describe(connection, first_dataset())
    tested = landscape.ask("PUT", f"/connection/{connection}/secret", json=spoil(target.secrets))
    assert tested["test_status"] == "failed"
    assert words in tested["failure_reason"]
    stopped = landscape.finish(landscape.policy(access=GIVE), {"email": ANN}, "error")
    assert words in stopped["failure"]
    for text in (str(tested), str(stopped), str(landscape.log(stopped["id"]))):
        assert "canary-password-9d" not in text
    assert landscape.ask("PUT", f"/connection/{connection}/secret", json=target.secrets)["test_status"] == "succeeded"
    landscape.retry(stopped["id"])


@on_one_ledger
def test_a_database_that_is_down_and_comes_back(landscape: Landscape) -> None:
    server = PostgresServer()
    try:
        target = PostgresTarget(server, "shop")
        fill_first(target)
        landscape.describe(landscape.connect("first", target), first_dataset())
        policy = landscape.policy(access=GIVE, erasure=FORGET)
        server.stop()
        stopped = landscape.finish(policy, {"email": ANN}, "error")
        assert "cannot be reached" in stopped["failure"]
        assert landscape.count_log(stopped["id"])["retrying"] == 2
        server.start()
        landscape.retry(stopped["id"])
        assert target.rows("SELECT name FROM members WHERE id = 1") == [(None,)]
    finally:
        server.remove()


@on_one_ledger
def test_a_database_file_that_is_gone_is_not_made_anew(landscape: Landscape) -> None:
    target = SqliteTarget(landscape.folder / "shop.db")
    fill_first(target)
    landscape.describe(landscape.connect("first", target), first_dataset())
    moved = target.path.rename(landscape.folder / "elsewhere.db")
    stopped = landscape.finish(landscape.policy(access=GIVE), {"email": ANN}, "error")
    assert "check that the path exists" in stopped["failure"]
    assert not target.path.exists()
    moved.rename(target.path)
    landscape.retry(stopped["id"])


@on_one_ledger
def test_values_that_a_column_cannot_hold_find_nothing(landscape: Landscape, postgres_server: PostgresServer) -> None:
    target = PostgresTarget(postgres_server, f"{landscape.tag}_typed")
    target.execute("CREATE TABLE people (id uuid PRIMARY KEY, word text)")
    body = {
        "fides_key": "typed",
        "name": "typed",
        "collections": [
            {
                "name": "people",
                "fields": [
                    {"name": "id", "fides_meta": {"primary_key": True, "identity": "customer"}},
                    {"name": "word", "data_categories": ["user.content"]},
                ],
            }
        ],
    }
    landscape.describe(landscape.connect("typed", target), body)
    request = landscape.finish(landscape.policy(access=GIVE), {"customer": f"no uuid {MARK}"})["id"]
    assert landscape.report(request)["typed:people"]["found"] == 0
