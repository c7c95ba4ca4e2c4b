"""Rows that are shared, change or go between access and erasure, or that the store will not have masked.

Each ends as design §3 says, on every kind of target, and the user is told.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from landscape import Landscape
from targets import (
    ANN,
    BOB,
    MARK,
    MariaDbTarget,
    PostgresTarget,
    SqliteTarget,
    Target,
    dataset,
    field,
    fill_first,
    first_dataset,
    key,
)

GIVE = {"give": ["user"]}
CONTENT = {"null_rewrite": ["user.content"]}
NAME = {"null_rewrite": ["user.name"]}


def count_writes(target: Target, table: str) -> None:
    """From now on the target itself writes down the rows of a table that are written."""
    target.execute("CREATE TABLE written (id integer)")
    insert = "INSERT INTO written VALUES (new.id)"
    if isinstance(target, SqliteTarget):
        target.execute(f"CREATE TRIGGER see AFTER UPDATE ON {table} BEGIN {insert}; END")
        return
    if isinstance(target, MariaDbTarget):
        target.execute(f"CREATE TRIGGER see AFTER UPDATE ON {table} FOR EACH ROW {insert}")
        return
    target.execute(
        f"CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert}; RETURN new; END $$",
        f"CREATE TRIGGER see AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION see()",
    )


def written(target: Target) -> list[int]:
    return sorted(row for (row,) in target.rows("SELECT id FROM written"))


@contextmanager
def between_access_and_erasure(landscape: Landscape, *people: str, **policy: object) -> Iterator[list[str]]:
    """Requests that have read all, and that mask when the block ends: until then no package can be kept."""
    occupied = landscape.folder / "occupied"
    occupied.touch()
    storage = landscape.save_storage("occupied", occupied)
    requests = landscape.submit(
        landscape.policy(access=GIVE, erasure=CONTENT, storage=storage), *({"email": person} for person in people)
    )
    for request in requests:
        landscape.wait(request, "error")
    yield requests
    occupied.unlink()
    for request in requests:
        landscape.retry(request)


def exceptions(landscape: Landscape, request: str) -> str:
    return "\n".join(landscape.ask("GET", f"/privacy-request/{request}/report")["exceptions"])


def test_a_row_shared_with_somebody_outside_is_masked_for_both(landscape: Landscape) -> None:
    target = landscape.new_target("homes")
    target.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, mail text, home integer)",
        "CREATE TABLE homes (id integer PRIMARY KEY, street text)",
        f"INSERT INTO people VALUES (1, '{ANN}', 7), (2, '{BOB}', 7)",
        f"INSERT INTO homes VALUES (7, '{MARK} lane'), (8, '{MARK} road')",
    )
    home = field("home", data_type="integer", references=[
        {"dataset": "town", "field": "homes.id", "direction": "to"}])  # fmt: skip
    body = dataset(
        "town",
        people=[key(), field("mail", "user.contact.email", identity="email"), home],
        homes=[key(), field("street", "user.contact.address.street")],
    )
    landscape.describe(landscape.connect("town", target), body)
    count_writes(target, "homes")
    forget = landscape.policy(erasure={"hmac": ["user.contact.address"]})
    ann = landscape.finish(forget, {"email": ANN})["id"]
    place = landscape.report(ann)["town:homes"]
    assert (place["found"], place["changed"], place["shared"]) == (1, 1, 0)  # `mask` does not count the owners
    assert target.rows("SELECT id FROM homes WHERE street LIKE '%lane%'") == []
    assert target.rows("SELECT street FROM homes WHERE id = 8") == [(f"{MARK} road",)]
    assert target.rows("SELECT mail, home FROM people ORDER BY id") == [(ANN, 7), (BOB, 7)]
    [(street,)] = target.rows("SELECT street FROM homes WHERE id = 7")
    bob = landscape.finish(landscape.policy(access=GIVE), {"email": BOB})["id"]
    assert json.loads(landscape.packages(bob)[0].read_text())["town:homes"] == [{"street": street}]
    bob = landscape.finish(forget, {"email": BOB})["id"]
    assert landscape.report(bob)["town:homes"]["changed"] == 1
    assert written(target) == [7, 7]


def test_rows_that_change_or_go_between_access_and_erasure(landscape: Landscape) -> None:
    target = landscape.members()
    target.execute(
        "DELETE FROM orders",
        f"INSERT INTO orders SELECT id * 10 + 1, id, '1 {MARK}' FROM members",
        f"INSERT INTO orders SELECT id * 10 + 2, id, '2 {MARK}' FROM members",
        f"INSERT INTO orders SELECT id * 10 + 3, id, '3 {MARK}' FROM members",
        f"INSERT INTO orders SELECT id * 10 + 4, id, '4 {MARK}' FROM members",
    )
    with between_access_and_erasure(landscape, ANN, BOB) as (ann, bob):
        target.execute(
            f"UPDATE orders SET note = 'corrected {MARK}' WHERE id = 12",
            "UPDATE orders SET note = NULL WHERE id = 13",
            "DELETE FROM orders WHERE id = 14",
            f"INSERT INTO orders VALUES (15, 1, 'late {MARK}')",
        )
        count_writes(target, "orders")
    counted = ("found", "changed", "drifted", "already", "absent", "refused")
    place = landscape.report(ann)["first:orders"]
    assert [place[count] for count in counted] == [4, 1, 1, 1, 1, 0]
    assert [landscape.report(bob)["first:orders"][count] for count in counted] == [4, 4, 0, 0, 0, 0]
    assert "first:orders: 1 rows had changed since they were read and were masked all the same" in exceptions(
        landscape, ann
    )
    assert "first:orders: 1 rows were gone before they could be masked" in exceptions(landscape, ann)
    assert exceptions(landscape, bob) == ""
    assert written(target) == [11, 12, 21, 22, 23, 24]
    assert target.rows("SELECT id, note FROM orders WHERE note IS NOT NULL") == [(15, f"late {MARK}")]
    assert f"2 {MARK}" in landscape.packages(ann)[0].read_text()  # the package holds what was there at access


def test_a_read_only_connection_is_read_and_left_alone(landscape: Landscape) -> None:
    target = landscape.new_target("first")
    fill_first(target)
    count_writes(target, "members")
    landscape.describe(landscape.connect("first", target, access="read"), first_dataset())
    done = landscape.finish(landscape.policy(access=GIVE, erasure={"null_rewrite": ["user"]}), {"email": ANN})
    place = landscape.report(done["id"])["first:members"]
    assert (place["found"], place["changed"], place["verified"]) == (1, 0, None)
    reason = "the connection is read-only"
    assert place["skipped"] == [
        {"path": f"first:members:{name}", "reason": reason} for name in ("mail", "name", "phone")
    ]
    assert f"first:members:name was not masked: {reason}" in exceptions(landscape, done["id"])
    assert f"Ann {MARK}" in landscape.packages(done["id"])[0].read_text()
    assert target.rows("SELECT name FROM members WHERE id = 1") == [(f"Ann {MARK}",)]
    assert written(target) == []


PUTS_BACK, SWALLOWS, SPOILS = "puts the old value back", "swallows the change", "writes another value"


def interfere(target: Target, how: str, row: int) -> None:
    """From now on the target does something else when the name of this member is changed."""
    if isinstance(target, SqliteTarget):
        moment, body = {
            PUTS_BACK: ("AFTER", "UPDATE members SET name = old.name WHERE id = new.id"),
            SWALLOWS: ("BEFORE", "SELECT RAISE(IGNORE)"),
            SPOILS: ("AFTER", "UPDATE members SET name = 'unnamed' WHERE id = new.id"),
        }[how]
        target.execute(
            f"CREATE TRIGGER meddle {moment} UPDATE OF name ON members WHEN old.id = {row} BEGIN {body}; END"
        )
        return
    if isinstance(target, MariaDbTarget):
        body = {
            PUTS_BACK: "SET new.name = old.name",
            SWALLOWS: "SET new.name = old.name, new.mail = old.mail, new.phone = old.phone",
            SPOILS: "SET new.name = 'unnamed'",
        }[how]
        meddle = f"BEGIN IF old.id = {row} THEN {body}; END IF; END"
        target.execute(f"CREATE TRIGGER meddle BEFORE UPDATE ON members FOR EACH ROW {meddle}")
        return
    body = {
        PUTS_BACK: "new.name := old.name; RETURN new",
        SWALLOWS: "RETURN NULL",
        SPOILS: "new.name := 'unnamed'; RETURN new",
    }[how]
    target.execute(
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$",
        f"CREATE TRIGGER meddle BEFORE UPDATE ON members FOR EACH ROW WHEN (old.id = {row}) EXECUTE FUNCTION meddle()",
    )


@pytest.mark.parametrize("how", [PUTS_BACK, SWALLOWS, SPOILS])
def test_a_trigger_that_changes_what_is_masked_is_refused(landscape: Landscape, how: str) -> None:
    target = landscape.members()
    target.execute(f"INSERT INTO members VALUES (3, 'eve.{MARK}@example.com', NULL, 'Eve {MARK}')")
    interfere(target, how, 2)
    policy = landscape.policy(erasure={"null_rewrite": ["user.name", "user.contact"]})
    people = [{"email": mail} for mail in (ANN, BOB, f"eve.{MARK}@example.com")]
    ann, bob, eve = landscape.submit(policy, *people)
    stopped = landscape.wait(bob, "error")
    for request in (ann, eve):
        landscape.wait(request)
        assert landscape.report(request)["first:members"]["changed"] == 1
    assert "1 rows of first:members could not be erased" in stopped["failure"]
    assert stopped["action_required_details"]["collection"] == "first:members"
    place = landscape.report(bob)["first:members"]
    assert (place["changed"], place["refused"], place["verified"]) == (0, 1, False)
    assert "first:members: 1 rows could not be masked" in exceptions(landscape, bob)
    assert target.rows("SELECT id, mail, name FROM members ORDER BY id") == [
        (1, None, None),
        (2, BOB, f"Bob {MARK}"),  # not half of it
        (3, None, None),
    ]
    target.execute("DROP TRIGGER meddle" + (" ON members" if isinstance(target, PostgresTarget) else ""))
    landscape.retry(bob)
    assert landscape.report(bob)["first:members"]["changed"] == 1
    assert target.rows("SELECT mail, name FROM members WHERE id = 2") == [(None, None)]


def test_a_column_that_must_not_be_null_gets_a_substitute_or_stays(landscape: Landscape) -> None:
    target = landscape.new_target("strict")
    target.execute(
        "CREATE TABLE members (id integer PRIMARY KEY, mail text NOT NULL UNIQUE, name varchar(12) NOT NULL, "
        "age integer NOT NULL, weight integer)",
        f"INSERT INTO members VALUES (1, '{ANN}', 'Ann', 41, 60), (2, '{BOB}', 'Bob', 42, 80)",
    )
    fields = [key(), field("mail", "user.contact.email", identity="email"), field("name", "user.name")]
    fields += [
        field("age", "user.demographic", data_type="integer"),
        field("weight", "user.demographic", data_type="integer"),
    ]
    landscape.describe(landscape.connect("strict", target), dataset("strict", members=fields))
    policy = landscape.policy(erasure={"null_rewrite": ["user"]})
    for request in landscape.submit(policy, {"email": ANN}, {"email": BOB}):
        landscape.wait(request)
        place = landscape.report(request)["strict:members"]
        reason = "the column must not be null and cannot hold text"
        assert place["skipped"] == [{"path": "strict:members:age", "reason": reason}]
        assert (place["changed"], place["verified"]) == (1, True)
        said = exceptions(landscape, request)
        assert f"strict:members:age was not masked: {reason}" in said
        for name in ("mail", "name"):
            assert f"strict:members:{name} was masked by a substitute: derived" in said
        assert "weight" not in said
    rows = target.rows("SELECT mail, name, age, weight FROM members ORDER BY id")
    assert [row[2:] for row in rows] == [(41, None), (42, None)]
    assert MARK not in str(rows) and not {"Ann", "Bob"} & {row[1] for row in rows}
    assert all(0 < len(row[1]) <= 12 for row in rows) and len({row[0] for row in rows}) == 2
