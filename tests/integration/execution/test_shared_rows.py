"""Rows that others own too: masked, masked and told, or left, as the policy's `shared_rows` says (design §9)."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from engine import Engine
from habeas.domain.policy import SharedRows
from servers.postgres import PostgresServer

Start = Callable[..., Engine]
_numbers = itertools.count()


class Town:
    """Addresses that several people live at."""

    def __init__(self, server: PostgresServer) -> None:
        name = f"town_{next(_numbers)}"
        self.session = psycopg.connect(server.create_database(name), autocommit=True)
        self.secrets = server.secrets(name)

    def make(self, people: str, *rows: str, addresses: str = "id int PRIMARY KEY, street text") -> None:
        self.session.execute(f"CREATE TABLE people ({people})".encode())
        self.session.execute(f"CREATE TABLE addresses ({addresses})".encode())
        for table, row in zip(["people"] * (len(rows) - 1) + ["addresses"], rows, strict=True):
            self.session.execute(f"INSERT INTO {table} VALUES {row}".encode())

    def streets(self) -> list[Any]:
        return [street for (street,) in self.session.execute("SELECT street FROM addresses ORDER BY id").fetchall()]


@pytest.fixture
def town(postgres_server: PostgresServer) -> Iterator[Town]:
    made = Town(postgres_server)
    yield made
    made.session.close()


def field(name: str, category: str | None = None, **meta: Any) -> dict[str, Any]:
    return {"name": name, "data_categories": [category] if category else [], "fides_meta": meta}


HOME = field("home", references=[{"dataset": "t", "field": "addresses.id", "direction": "to"}])
PEOPLE = [field("id", primary_key=True), field("mail", identity="email"), field("name", "user.name"), HOME]
ADDRESSES = [field("id", primary_key=True), field("street", "user.contact.address.street")]


def erase(
    engine: Engine,
    town: Town,
    shared: SharedRows,
    people: list[dict[str, Any]] = PEOPLE,
    addresses: list[dict[str, Any]] = ADDRESSES,
    mails: tuple[str, ...] = ("ann@x.org",),
    **meta: Any,
) -> dict[str, Any]:
    """What became of the first one's addresses. `meta`: of the collection of people."""
    engine.connect("t", "postgres", town.secrets)
    collections = [
        {"name": "people", "fields": people, "fides_meta": meta},
        {"name": "addresses", "fields": addresses},
    ]
    engine.describe("t", {"fides_key": "t", "collections": collections})
    engine.policy("forget", erasure={"null_rewrite": ["user"]}, shared_rows=shared)
    ids = engine.submit("forget", *({"email": mail} for mail in mails))
    engine.run()
    assert [engine.view(request).status for request in ids] == ["complete"] * len(ids)
    told = engine.counts(ids[0])["t:addresses"]
    return {name: told[name] for name in ("changed", "shared")}


KEYED = "id int PRIMARY KEY, mail text, name text, home int"
THREE = "(1, 'ann@x.org', 'Ann', 10), (2, 'bob@x.org', 'Bob', 10), (3, 'ann@x.org', 'Ann', 11)"
STREETS = "(10, 'Elm'), (11, 'Oak')"


@pytest.mark.parametrize(
    ("shared", "told", "left"),
    [
        (SharedRows.MASK, {"changed": 2, "shared": 0}, [None, None]),
        (SharedRows.REPORT, {"changed": 2, "shared": 1}, [None, None]),
        (SharedRows.SKIP, {"changed": 1, "shared": 1}, ["Elm", None]),
    ],
)
def test_what_others_own_too_is_masked_told_or_left(
    start: Start, town: Town, shared: SharedRows, told: dict[str, int], left: list[Any]
) -> None:
    town.make(KEYED, THREE, STREETS)
    assert erase(start(), town, shared) == told
    assert town.streets() == left


def test_those_who_are_erased_together_are_no_others(start: Start, town: Town) -> None:
    town.make(KEYED, THREE, STREETS)
    told = erase(start(), town, SharedRows.SKIP, mails=("ann@x.org", "bob@x.org"))
    assert told == {"changed": 2, "shared": 0}
    assert town.streets() == [None, None]


def test_rows_without_key_of_which_a_person_owns_a_part_are_their_own(start: Start, town: Town) -> None:
    """Ann's row was read cut to her element; asked who else leads to the address, the store gives it whole."""
    town.make("doc jsonb, home int", """('{"who": ["ann@x.org", "eve@x.org"]}', 10)""", STREETS)
    who = {"name": "who", "fides_meta": {"data_type": "string[]", "identity": "email"}}
    people = [{"name": "doc", "fields": [who]}, HOME]
    assert erase(start(), town, SharedRows.SKIP, people) == {"changed": 1, "shared": 0}
    assert town.streets() == [None, "Oak"]


def test_rows_without_key_that_were_masked_before_are_a_persons_own_still(start: Start, town: Town) -> None:
    """Addresses are to be erased after people, whose rows look different by then and lead to them still."""
    town.make("mail text, name text, home int", "('ann@x.org', 'Ann', 10)", STREETS)
    addresses = [*ADDRESSES]
    engine = start()
    engine.connect("t", "postgres", town.secrets)
    people = [field("mail", "user.contact.email", identity="email"), field("name", "user.name"), HOME]
    collections = [
        {"name": "people", "fields": people},
        {"name": "addresses", "fields": addresses, "fides_meta": {"erase_after": ["t.people"]}},
    ]
    engine.describe("t", {"fides_key": "t", "collections": collections})
    engine.policy("forget", erasure={"null_rewrite": ["user"]}, shared_rows=SharedRows.SKIP)
    [ann] = engine.submit("forget", {"email": "ann@x.org"})
    engine.run()
    assert engine.counts(ann)["t:people"]["changed"] == 1
    assert engine.counts(ann)["t:addresses"]["changed"] == 1
    assert town.streets() == [None, "Oak"]


@pytest.mark.parametrize(("shared", "changed"), [(SharedRows.REPORT, 2), (SharedRows.SKIP, 0)])
def test_every_copy_of_a_row_without_key_counts(start: Start, town: Town, shared: SharedRows, changed: int) -> None:
    town.make(KEYED, THREE, "(10, 'Elm'), (10, 'Elm')", addresses="id int, street text")
    told = erase(start(), town, shared, addresses=[field("id"), ADDRESSES[1]])
    assert told == {"changed": changed, "shared": 2}
    assert town.streets() == (["Elm"] * 2 if changed == 0 else [None] * 2)
