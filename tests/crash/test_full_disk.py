"""The disk of the ledger and of the packages fills up: said clearly, nothing is lost, and with room all goes on."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import LEASE, PACE
from outcome import Outcome, observe
from shop import PEOPLE, POLICY, Shop, while_reading_and_erasing

from habeas.client import Client
from servers.disk import SmallDisk
from servers.habeas import COMMAND, HabeasServer, submit, wait_until_over
from servers.process import wait_for

BIG = 1_000_000
"""Characters of a note: all the same, they take hardly any room in the ledger, but all of it in a package."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", "16m") as disk:
        yield disk


@pytest.fixture
def server(tmp_path: Path, disk: SmallDisk) -> Iterator[HabeasServer]:
    """The ledger and the packages are on the small disk, what the server says is not."""
    environment = {
        **PACE,
        "HABEAS__EXECUTION__TASK_RETRY_DELAY": "0.05",
        "HABEAS__DATABASE__URL": f"sqlite:///{disk.folder}/habeas.db",
    }
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "packages").symlink_to(disk.folder)
    with HabeasServer(data_dir, environment=environment) as server:
        yield server


@while_reading_and_erasing
def test_the_ledger_has_no_room(
    server: HabeasServer, disk: SmallDisk, shop: Shop, undisturbed: Outcome, lock: str
) -> None:
    with server.client() as http:
        shop.register(http)
        with shop.locked(lock):
            requests = submit(http, POLICY, *PEOPLE)
            shop.wait_until_blocked()
            disk.fill()
        left = "left for later: the ledger failed (its disk is full)"
        wait_for("the run to be left", lambda: left in server.log_text(), 2 * LEASE, server.log_text)
        wait_for("the run to be tried again and again", lambda: server.log_text().count(left) > 8, 2 * LEASE)
        assert server.log_text().count(left) < 20, "there is no pause between two tries"
        assert Client(http).call("GET", f"/privacy-request/{requests[0]}")["status"] == "in_processing"
        refused = http.post("/api/v1/privacy-request", json=[{"policy_key": POLICY, "identity": PEOPLE[0]}])
        assert (refused.status_code, "the ledger's disk is full" in refused.text) == (503, True)
        disk.clear()
        assert observe(http, requests, shop) == undisturbed


def test_the_packages_have_no_room(server: HabeasServer, disk: SmallDisk, shop: Shop, undisturbed: Outcome) -> None:
    shop.execute(f"UPDATE orders SET note = repeat('x', {BIG}) WHERE customer_id < 3")
    shop.execute("TRUNCATE writes")
    before = shop.rows()
    with server.client() as http:
        shop.register(http)
        disk.fill(leaving=5 * BIG)
        requests = submit(http, POLICY, *PEOPLE)
        assert [wait_until_over(http, request) for request in requests] == ["error", "error"]
        for request in requests:
            failure = Client(http).call("GET", f"/privacy-request/{request}")["failure"]
            assert "the disk is full (free some space, then retry the request)" in failure
        assert shop.rows() == before, "masked before the package was kept"
        assert not list(disk.folder.rglob("*.json*")), "half a package was left"
        disk.clear()
        for request in requests:
            Client(http).call("POST", f"/privacy-request/{request}/retry")
        seen = observe(http, requests, shop)
    assert [package.count(b"x" * BIG) for package in seen.packages] == [4, 4]
    logs = [[entry for entry in log if entry[0]] for log in seen.logs]  # without what is said of packages and retries
    assert replace(seen, packages=undisturbed.packages, logs=logs) == undisturbed


def test_a_first_start_without_room_leaves_nothing_in_the_way_of_the_next(tmp_path: Path, disk: SmallDisk) -> None:
    data_dir = disk.folder / "data"
    data_dir.mkdir()
    disk.fill()
    start = [str(COMMAND), "serve", "--port", "0", "--data-dir", str(data_dir)]
    done = subprocess.run(start, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "No space left on device" in done.stderr) == (1, True), done.stderr
    disk.clear()
    with HabeasServer(data_dir) as server, server.client() as http:
        assert http.get("/health").status_code == 200
