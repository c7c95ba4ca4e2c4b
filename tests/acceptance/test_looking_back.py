"""What is seen of a request while it goes on and long after it: its statuses in order, its data gone (A25, A29)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import start_server
from landscape import CHAIN, Landscape
from targets import ANN, BOB, SqliteTarget

from servers.habeas import wait_for
from servers.postgres import PostgresServer

GIVE = {"give": ["user"]}


def test_a29_a_verbose_answer_has_each_collections_statuses_in_order(landscape: Landscape) -> None:
    _, second = landscape.chain()
    policy = landscape.policy(access=GIVE)
    with second.locked("items"):
        request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    stopped = landscape.show(request, verbose=True)
    assert stopped["task_status_by_dataset"] == {"first": "complete", "second": "error"}
    assert statuses(stopped, "second", "items") == ["in_processing", "retrying", "retrying", "error"]
    landscape.retry(request)
    ended = landscape.show(request, verbose=True)
    assert ended["task_status_by_dataset"]["second"] == "complete"
    again = ["in_processing", "complete"]
    assert statuses(ended, "second", "items") == [*statuses(stopped, "second", "items"), *again]
    for address in CHAIN:
        dataset, collection = address.split(":")
        assert statuses(ended, dataset, collection)[-2:] == again
    for entries in ended["results"].values():
        moments = [entry["updated_at"] for entry in entries]
        assert moments == sorted(moments)
    assert [entry["status"] for entry in ended["results"]["Request retried"]] == ["retried"]
    assert ended["results"]["first"][1]["fields_affected"]


def statuses(shown: dict[str, dict[str, list[dict[str, str]]]], dataset: str, collection: str) -> list[str]:
    return [entry["status"] for entry in shown["results"][dataset] if entry["collection_name"] == collection]


@pytest.fixture(params=["sqlite", "postgresql"])
def forgetful(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Landscape]:
    """A landscape at a server that keeps rows for two seconds."""
    lives = {"TEMPORARY_TTL_SECONDS": "2", "GRACE_SECONDS": "2"}
    settings = {f"HABEAS__EXECUTION__{name}": value for name, value in lives.items()}
    folder = tmp_path / f"forgetful_{request.param}"
    server, ledger_url = start_server(folder, request.param, postgres_server, **settings)
    with server, server.client() as http:
        yield Landscape(server, http, ledger_url, lambda name: SqliteTarget(tmp_path / f"{name}.db"), tmp_path)


def test_a25_kept_data_goes_with_the_time_and_identities_stay_searchable(forgetful: Landscape) -> None:
    _, second = forgetful.chain()
    policy = forgetful.policy(access=GIVE)
    complete = forgetful.finish(policy, {"email": BOB})["id"]
    second.execute("ALTER TABLE items RENAME TO things")
    stopped = forgetful.finish(policy, {"email": ANN}, "error", encryption_key="0123456789abcdef")["id"]
    second.execute("ALTER TABLE things RENAME TO items")
    assert kept(forgetful) > 0

    def nothing_is_kept() -> bool:
        forgetful.write_ledger("UPDATE schedule SET due_at = 0 WHERE job = 'forget'")
        return kept(forgetful) == 0

    wait_for("the rows to be forgotten", nothing_is_kept)
    for request, person in ((complete, BOB), (stopped, ANN)):
        found = forgetful.ask("GET", "/privacy-request", params={"identity": person, "include_identities": "plain"})
        assert [(item["id"], item["identity"]) for item in found["items"]] == [(request, {"email": person})]
        assert forgetful.ask("GET", f"/privacy-request/{request}/log")["total"] > 0
    keys = forgetful.read_ledger("SELECT sealed_encryption_key FROM request")
    assert [key for (key,) in keys if key is not None] == []
    assert forgetful.report(complete)["first:members"]["found"] == 1


def kept(landscape: Landscape) -> int:
    return int(landscape.read_ledger("SELECT count(*) FROM chunk")[0][0])
