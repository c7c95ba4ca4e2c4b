"""`habeas db check`, `habeas db backup`, and starts that are refused for the ledger's or the address's sake."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from commands import refused, run, run_here

from servers.dask import DaskScheduler, HabeasWorker
from servers.habeas import HabeasServer
from servers.postgres import PostgresServer

RING = "HABEAS__SECURITY__ENCRYPTION_KEYS"


def execute(ledger: Path, statement: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(statement)


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    return {"HABEAS__DATABASE__URL": postgres_server.create_database("checked")}


def test_a_sound_ledger_is_checked_and_nothing_is_changed(tmp_path: Path, environment: dict[str, str]) -> None:
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data", **environment).returncode == 0
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    done = run_here(tmp_path, "db", "check", "--data-dir", "data", **environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    subjects = ["schema", "tables", "keys"]
    assert [subject for subject, _ in lines] == (subjects if environment else ["file", *subjects])
    assert lines[-1] == ["keys", "opened by development"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


def test_what_is_wrong_with_a_ledger_is_said(tmp_path: Path) -> None:
    def check(**environment: str) -> tuple[str, str]:
        done = run_here(tmp_path, "db", "check", "--data-dir", "data", **environment)
        refused(done, "not as this version needs it")
        return done.stdout, done.stderr

    refused(run_here(tmp_path, "db", "check", "--data-dir", "data"), "no ledger", "--data-dir")
    assert not (tmp_path / "data").exists()
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    ledger = tmp_path / "data" / "habeas.db"
    other = run_here(tmp_path, "key", "new", "--id", "other").stdout.strip()
    out, err = check(**{RING: other})
    assert "sealed with encryption key 'development'" in out and "keys\nhint: give that key" in err
    assert other.partition(":")[2] not in out + err
    execute(ledger, "DROP TABLE chunk")
    assert "tables  missing: chunk\n" in check()[0]
    execute(ledger, "UPDATE alembic_version SET version_num = '0001'")
    out, err = check()
    assert "revision 0001, this version needs" in out and "habeas db upgrade" in err
    execute(ledger, "DELETE FROM data_key")
    assert "lost its keys" in check()[0]
    (tmp_path / "data" / "development-key").unlink()
    refused(run_here(tmp_path, "db", "check", "--data-dir", "data"), "no encryption key is set")


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    ledger = tmp_path / "data" / "habeas.db"
    execute(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    with ledger.open("r+b") as file:
        file.seek(ledger.stat().st_size - 4096 * 20)
        file.write(b"\x5a" * 4096 * 8)
    done = run_here(tmp_path, "db", "check", "--data-dir", "data")
    refused(done, "file")
    assert "file    damaged" in done.stdout


def test_a_ledger_is_copied_while_a_server_writes_it(tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "ledger.db"
    copy.parent.mkdir()
    with HabeasServer(tmp_path / "data") as server, server.client() as http:
        policy = [{"key": "p", "name": "P"}]
        assert http.patch("/api/v1/policy", json=policy).json()["failed"] == []
        done = run(tmp_path, "db", "backup", str(copy), "--data-dir", "data")
        assert done.returncode == 0, done.stderr
    assert copy.stat().st_mode & 0o777 == 0o600
    assert list(copy.parent.iterdir()) == [copy]
    refused(run_here(tmp_path, "db", "backup", str(copy), "--data-dir", "data"), "exists already")
    restored = tmp_path / "restored"
    restored.mkdir()
    (restored / "habeas.db").write_bytes(copy.read_bytes())
    for name in ("development-key", "root-client"):
        (restored / name).write_text((tmp_path / "data" / name).read_text())
    assert run_here(tmp_path, "db", "check", "--data-dir", "restored").returncode == 0
    with HabeasServer(restored) as server, server.client() as http:
        assert http.get("/api/v1/policy/p").status_code == 200


def test_copies_that_cannot_be_made(tmp_path: Path, postgres_server: PostgresServer) -> None:
    (tmp_path / "data").mkdir()
    refused(run_here(tmp_path, "db", "backup", "copy", "--data-dir", "data"), "no ledger")
    absent = f"sqlite:///{tmp_path}/absent.db"
    refused(run_here(tmp_path, "db", "backup", "copy", HABEAS__DATABASE__URL=absent), "holds no ledger")
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    refused(run_here(tmp_path, "db", "backup", "gone/copy", "--data-dir", "data"), "gone/copy cannot be written")
    url = postgres_server.create_database("uncopied")
    refused(run_here(tmp_path, "db", "backup", "copy", HABEAS__DATABASE__URL=url), "pg_dump")
    assert not (tmp_path / "copy").exists()


def test_a_server_does_not_upgrade_a_ledger(tmp_path: Path) -> None:
    assert run_here(tmp_path, "db", "upgrade", "--data-dir", "data").returncode == 0
    ledger = tmp_path / "data" / "habeas.db"
    for revision, words in (("0003", "habeas db upgrade"), ("9999", "does not know")):
        execute(ledger, f"UPDATE alembic_version SET version_num = '{revision}'")
        for command in (("serve", "--port", "0"), ("worker", "tcp://127.0.0.1:1"), ("key", "rotate")):
            refused(run_here(tmp_path, *command, "--data-dir", "data"), revision, words)
    refused(run_here(tmp_path, "db", "upgrade", "--data-dir", "data"), "9999", "does not know")
    refused(run_here(tmp_path, "demo", "--once", "--data-dir", "data"), "9999")


def test_a_server_for_others_is_refused_with_the_settings_for_trying_out(tmp_path: Path) -> None:
    serve = ("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", "data")
    refused(run_here(tmp_path, *serve, "--accept-open-create"), "development key", "habeas key new")
    key = run_here(tmp_path, "key", "new").stdout.strip()
    refused(run_here(tmp_path, *serve, **{RING: key}), "require_auth_to_create", "--accept-open-create")
    assert not (tmp_path / "data").exists()


def test_a_server_shows_its_health_to_anybody(tmp_path: Path) -> None:
    with HabeasServer(tmp_path / "data") as server:
        workers = httpx.get(f"{server.url}/health/workers")
        assert (workers.status_code, workers.json()["processes"][0]["kind"]) == (200, "server")
        assert httpx.get(f"{server.url}/health/database").json()["dialect"] == "sqlite"
        with HabeasServer(tmp_path / "data", executor=False) as idle:
            assert len(httpx.get(f"{idle.url}/health/workers").json()["processes"]) == 1
            server.stop()
            assert httpx.get(f"{idle.url}/health/workers").status_code == 503


def test_a_worker_of_a_cluster_is_known_until_it_ends(tmp_path: Path, postgres_server: PostgresServer) -> None:
    with DaskScheduler(tmp_path) as scheduler:
        environment = {
            "HABEAS__DATABASE__URL": postgres_server.create_database("clustered"),
            "HABEAS__EXECUTION__SCHEDULER_ADDRESS": scheduler.address,
        }
        with HabeasServer(tmp_path / "data", environment=environment) as server:
            assert httpx.get(f"{server.url}/health/workers").status_code == 503
            with HabeasWorker(scheduler, tmp_path / "data", environment) as worker:
                health = httpx.get(f"{server.url}/health/workers")
                assert [(seen["kind"], seen["threads"]) for seen in health.json()["processes"]] == [("worker", 2)]
                worker.stop()
            assert httpx.get(f"{server.url}/health/workers").status_code == 503


def test_housekeeping_is_done_on_demand_and_says_what_it_did(tmp_path: Path) -> None:
    refused(run(tmp_path, "sweep"), "no ledger")
    assert run(tmp_path, "db", "upgrade").returncode == 0
    first = run(tmp_path, "sweep", "--json")
    assert first.returncode == 0, first.stderr
    jobs = [one["job"] for one in json.loads(first.stdout)]
    assert {"forget", "drop_expired_tokens", "drop_ended_runs", "drop_unfinished_packages"} <= set(jobs)
    assert {(one["done"], one["ran_before"]) for one in json.loads(first.stdout)} == {(0, None)}
    (again,) = json.loads(run(tmp_path, "sweep", "--job", "forget", "--json").stdout)
    assert again["job"] == "forget" and again["ran_before"] is not None
    shown = run(tmp_path, "sweep").stdout
    assert all(job in shown for job in jobs) and "never" not in shown
    refused(run(tmp_path, "sweep", "--job", "tidy"), "tidy", *jobs)
