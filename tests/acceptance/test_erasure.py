"""Erasure through HTTP: what is masked once stays masked once, and nothing is masked too early (A18, A23, A24)."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from landscape import CHAIN, Landscape, on_one_ledger
from targets import ANN, BOB, MARK, MariaDbTarget, PostgresTarget, SqliteTarget, Target, dataset, field, key

GIVE = {"give": ["user"]}
FORGET = {"string_rewrite": ["user.content", "user.contact.address.street"], "null_rewrite": ["user.name"]}


def watch(target: Target, table: str, column: str) -> None:
    """From now on the target itself counts the rows of a table that are written."""
    target.execute(f"CREATE TABLE seen_{table} (id integer)")
    if isinstance(target, SqliteTarget):
        target.execute(
            f"CREATE TRIGGER watch_{table} AFTER UPDATE OF {column} ON {table} "
            f"BEGIN INSERT INTO seen_{table} VALUES (new.id); END"
        )
        return
    if isinstance(target, MariaDbTarget):
        insert = f"INSERT INTO seen_{table} VALUES (new.id)"
        target.execute(f"CREATE TRIGGER watch_{table} AFTER UPDATE ON {table} FOR EACH ROW {insert}")
        return
    target.execute(
        f"CREATE FUNCTION see_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN INSERT INTO seen_{table} VALUES (new.id); RETURN new; END $$",
        f"CREATE TRIGGER watch_{table} AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION see_{table}()",
    )


def refuse(target: Target, table: str) -> None:
    """From now on the target puts the old value back whenever a row of this table is changed."""
    if isinstance(target, SqliteTarget):
        target.execute(f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'no {MARK}'); END")
        return
    if isinstance(target, MariaDbTarget):
        signal = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no {MARK}'"
        target.execute(f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW {signal}")
        return
    target.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'no {MARK}' USING ERRCODE = 'check_violation'; END $$",
        f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


def relent(target: Target, table: str) -> None:
    target.execute("DROP TRIGGER refuse" + (f" ON {table}" if isinstance(target, PostgresTarget) else ""))


def masked(landscape: Landscape, request: str) -> dict[str, int]:
    return {address: place["changed"] for address, place in landscape.report(request).items()}


def test_an_erasure_masks_the_persons_rows_and_proves_it(landscape: Landscape) -> None:
    first, second = landscape.chain()
    policy = landscape.policy(erasure=FORGET)
    request = landscape.finish(policy, {"email": ANN})["id"]
    assert first.rows("SELECT id, name FROM members ORDER BY id") == [(1, None), (2, f"Bob {MARK}")]
    assert [note for (note,) in first.rows("SELECT note FROM orders ORDER BY id")] == [
        "MASKED",
        "MASKED",
        f"note {MARK}",
    ]
    assert second.rows("SELECT id, street FROM parcels ORDER BY id") == [(1111, "MASKED"), (2111, f"{MARK} lane 2")]
    report = landscape.report(request)
    assert masked(landscape, request) == dict(zip(CHAIN, (1, 2, 2, 1, 1), strict=True))
    assert all(place["verified"] for place in report.values())
    again = landscape.finish(policy, {"email": ANN})["id"]
    assert {address: place["already"] for address, place in landscape.report(again).items()} == masked(
        landscape, request
    )


def test_a18_erasure_fails_at_the_second_collection_and_the_first_is_not_masked_again(landscape: Landscape) -> None:
    first, second = landscape.chain()
    policy = landscape.policy(erasure=FORGET)
    for target, table, column in ((second, "marks", "remark"), (first, "orders", "note")):
        watch(target, table, column)
    refuse(second, "parcels")
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    request = stopped["id"]
    assert stopped["action_required_details"]["step"] == "erasure"
    assert stopped["action_required_details"]["collection"] == "second:parcels"
    assert MARK not in json.dumps(landscape.show(request, verbose=True))
    assert second.rows("SELECT id FROM seen_marks") == [(11111,)]  # the walk is undone: remarks come first
    assert first.rows("SELECT id FROM seen_orders") == []
    relent(second, "parcels")
    landscape.retry(request)
    assert second.rows("SELECT id FROM seen_marks") == [(11111,)]
    assert sorted(first.rows("SELECT id FROM seen_orders")) == [(11,), (12,)]
    assert masked(landscape, request) == dict(zip(CHAIN, (1, 2, 2, 1, 1), strict=True))
    tries = landscape.visits(request, "erasure")
    assert tries["second:marks"] == ["in_processing", "complete"]
    assert tries["second:parcels"] == ["in_processing", "error", "in_processing", "complete"]
    assert {tuple(found) for address, found in landscape.visits(request).items()} == {("in_processing", "complete")}


def test_people_of_one_run_who_share_a_row_are_both_served(landscape: Landscape) -> None:
    target = landscape.members()
    homes = landscape.new_target("homes")
    homes.execute(
        "CREATE TABLE homes (id integer PRIMARY KEY, street text)",
        f"INSERT INTO homes VALUES (7, '{MARK} lane'), (8, '{MARK} road')",
    )
    target.execute("ALTER TABLE members ADD COLUMN home integer", "UPDATE members SET home = 7")
    watch(homes, "homes", "street")
    body = dataset(
        "first",
        members=[
            key(),
            field("mail", "user.contact.email", identity="email"),
            field("home", data_type="integer"),
        ],
    )
    landscape.describe(f"{landscape.tag}-first", body)
    place = [field("id", data_type="integer", primary_key=True,
                   references=[{"dataset": "first", "field": "members.home", "direction": "from"}])]  # fmt: skip
    street = field("street", "user.contact.address.street", data_type="string")
    landscape.describe(landscape.connect("homes", homes), dataset("homes", homes=[*place, street]))
    policy = landscape.policy(access=GIVE, erasure={"hmac": ["user.contact.address"]})
    requests = landscape.submit(policy, {"email": ANN}, {"email": BOB})
    for request in requests:
        landscape.wait(request)
        found = json.loads(landscape.packages(request)[0].read_text())
        assert found["homes:homes"] == [{"street": f"{MARK} lane"}]
        assert landscape.report(request)["homes:homes"]["changed"] == 1
    assert homes.rows("SELECT id FROM seen_homes") == [(7,)]
    assert homes.rows("SELECT street FROM homes WHERE id = 8") == [(f"{MARK} road",)]


def test_of_two_retries_at_once_one_wins(landscape: Landscape) -> None:
    _, second = landscape.chain()
    policy = landscape.policy(access=GIVE)
    second.execute("ALTER TABLE items RENAME TO things")
    request = landscape.finish(policy, {"email": ANN}, "error")["id"]
    second.execute("ALTER TABLE things RENAME TO items")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: landscape.call("POST", f"/privacy-request/{request}/retry"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    landscape.wait(request)
    assert landscape.visits(request)["second:marks"] == ["in_processing", "complete"]
    assert landscape.call("POST", f"/privacy-request/{request}/retry").status_code == 400


def test_a23_nothing_is_masked_before_the_package_is_kept(landscape: Landscape) -> None:
    first, _ = landscape.chain()
    folder = landscape.folder / "occupied"
    folder.write_text("a file where the folder should be")
    policy = landscape.policy(access=GIVE, erasure=FORGET, storage=landscape.save_storage("occupied", folder))
    stopped = landscape.finish(policy, {"email": ANN}, "error")
    request = stopped["id"]
    assert stopped["action_required_details"]["step"] == "upload"
    assert str(folder) in stopped["failure"]
    assert landscape.packages(request) == []
    assert first.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]
    assert landscape.visits(request, "erasure") == {}
    uploads = [entry["status"] for entry in landscape.log(request) if entry["dataset_name"] == "Access package upload"]
    assert uploads == ["retrying", "retrying", "error"]
    folder.unlink()
    landscape.retry(request)
    assert f"Ann {MARK}" in landscape.packages(request)[0].read_text()
    assert first.rows("SELECT name FROM members WHERE id = 1") == [(None,)]
    assert {tuple(found) for address, found in landscape.visits(request).items() if ":" in address[:-1]} == {
        ("in_processing", "complete")
    }


@on_one_ledger
def test_a_full_disk_stops_the_request_and_leaves_no_half_a_package(landscape: Landscape) -> None:
    first = landscape.members()
    first.execute(f"UPDATE members SET name = '{MARK}' || hex(zeroblob(100000)) WHERE id = 1")
    folder = landscape.folder / "small"
    folder.mkdir()
    with small_disk(folder) as reason:
        policy = landscape.policy(access=GIVE, erasure=FORGET, storage=landscape.save_storage("small", folder))
        stopped = landscape.finish(policy, {"email": ANN}, "error")
        assert reason in stopped["failure"]
        assert files_in(folder) == []
    assert str(first.rows("SELECT name FROM members WHERE id = 1")[0][0]).startswith(MARK)
    landscape.retry(stopped["id"])  # there is room now: the folder is on the big disk again
    assert len(landscape.packages(stopped["id"])[0].read_bytes()) > 200_000
    assert first.rows("SELECT name FROM members WHERE id = 1") == [(None,)]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """A file system of 64 kB at this folder while the block lasts; where none can be mounted, a file in its place.

    Yields the reason that the server will give.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if mounted:
        try:
            yield "the disk is full"
        finally:
            subprocess.run(["umount", folder], check=True, capture_output=True)
        return
    folder.rmdir()
    folder.touch()
    yield str(folder)
    folder.unlink()


def test_a24_a_package_whose_key_is_gone_is_not_written_at_all(landscape: Landscape) -> None:
    first, second = landscape.chain()
    policy = landscape.policy(access=GIVE, erasure=FORGET)
    second.execute("ALTER TABLE items RENAME TO things")
    people = ({"email": ANN}, {"email": BOB})
    sealed, plain = landscape.submit(policy, people[0], encryption_key="0123456789abcdef") + landscape.submit(
        policy, people[1]
    )
    for request in (sealed, plain):
        landscape.wait(request, "error")
    lost = landscape.write_ledger("UPDATE request SET sealed_encryption_key = NULL WHERE id = :id", id=sealed)
    assert lost == 1
    second.execute("ALTER TABLE things RENAME TO items")
    landscape.ask("POST", f"/privacy-request/{sealed}/retry")
    landscape.retry(plain)
    stopped = landscape.wait(sealed, "error")
    assert "encryption key is gone" in stopped["failure"]
    assert landscape.packages(sealed) == []
    assert [path.name for path in files_in(landscape.folder / "packages")] == [f"{plain}.json"]
    assert first.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]


@on_one_ledger
def test_what_erasure_leaves_out_is_said(landscape: Landscape) -> None:
    target = landscape.new_target("notes")
    target.execute(
        "CREATE TABLE notes (id integer PRIMARY KEY, mail text, word text NOT NULL, author integer)",
        f"INSERT INTO notes VALUES (1, '{ANN}', 'word {MARK}', 5)",
    )
    body = dataset(
        "notes",
        notes=[
            field("id", "user.unique_id", data_type="integer", primary_key=True),
            field("mail", "user.contact.email", identity="email", read_only=True),
            field("word", "user.content", data_type="string"),
        ],
    )
    landscape.describe(landscape.connect("notes", target), body)
    request = landscape.finish(landscape.policy(erasure={"null_rewrite": ["user"]}), {"email": ANN})["id"]
    report = landscape.ask("GET", f"/privacy-request/{request}/report")
    skipped = {entry["path"] for place in report["collections"] for entry in place["skipped"]}
    assert skipped >= {"notes:notes:id", "notes:notes:mail"}
    assert len(report["exceptions"]) >= 2
    assert target.rows("SELECT id, mail FROM notes") == [(1, ANN)]
    assert MARK not in str(target.rows("SELECT word FROM notes"))
