"""Values that go round through parts of documents: what is cut away from a person's rows must not lead on."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest

from engine import Engine
from servers.postgres import PostgresServer

Start = Callable[..., Engine]
_numbers = itertools.count()


class Office:
    """Chats name devices by their codes, devices name chats, people own both; notes hang on codes."""

    def __init__(self, server: PostgresServer) -> None:
        name = f"office_{next(_numbers)}"
        self.session = psycopg.connect(server.create_database(name), autocommit=True)
        self.secrets = server.secrets(name)
        self.session.execute("CREATE TABLE people (id int PRIMARY KEY, mail text)")
        self.session.execute("INSERT INTO people VALUES (1, 'ann@x.org'), (2, 'bob@x.org')")
        self.session.execute("CREATE TABLE chats (id int PRIMARY KEY, doc jsonb)")
        self.session.execute("CREATE TABLE devices (code text PRIMARY KEY, owner int, twin text, room text)")
        self.session.execute("CREATE TABLE notes (code text PRIMARY KEY)")

    def fill(self, table: str, *rows: Sequence[Any]) -> None:
        for row in rows:
            marks = ", ".join(["%s"] * len(row))
            cells = [json.dumps(cell) if isinstance(cell, dict) else cell for cell in row]
            self.session.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), cells)


@pytest.fixture
def office(postgres_server: PostgresServer) -> Iterator[Office]:
    made = Office(postgres_server)
    yield made
    made.session.close()


def field(name: str, *links: str, **meta: Any) -> dict[str, Any]:
    """`links`: `to` or `from` and a field."""
    directions = [link.split() for link in links]
    meta["references"] = [{"dataset": "o", "field": other, "direction": direction} for direction, other in directions]
    return {"name": name, "data_categories": ["user.content"], "fides_meta": meta}


def find(engine: Engine, office: Office) -> dict[str, Any]:
    """What Ann is given, by collection; of chats the documents."""
    codes = field("codes", "to devices.code", "from devices.code", "to notes.code", data_type="string[]")
    doc = {"name": "doc", "fields": [field("owner"), field("room"), codes]}
    tables = {
        "people": [
            field("id", "to chats.doc.owner", "to devices.owner", primary_key=True),
            field("mail", identity="email"),
        ],
        "chats": [field("id", primary_key=True), doc],
        "devices": [
            field("code", primary_key=True),
            field("owner"),
            field("twin", "to devices.code"),
            field("room", "to chats.doc.room"),
        ],
        "notes": [field("code", primary_key=True)],
    }
    engine.connect("o", "postgres", office.secrets)
    collections = [{"name": name, "fields": fields} for name, fields in tables.items()]
    engine.describe("o", {"fides_key": "o", "collections": collections})
    engine.policy("give", access=["user"])
    [ann] = engine.submit("give", {"email": "ann@x.org"})
    engine.run()
    given = json.loads(engine.package(ann, "give-give"))
    chats = [row["doc"]["codes"] for row in given.get("o:chats", [])]
    return {"chats": chats} | {n: sorted(row["code"] for row in given.get(f"o:{n}", [])) for n in ("devices", "notes")}


def test_an_array_that_a_persons_own_values_cut_later_does_not_lead_on_whole_before(
    start: Start, office: Office
) -> None:
    """The chat is found by its owner before any code of hers is known."""
    office.fill("chats", (1, {"owner": 1, "codes": ["a", "b"]}))
    office.fill("devices", ("a", 1, None, None), ("b", 2, None, None))
    office.fill("notes", ("a",), ("b",))
    assert find(start(), office) == {"chats": [["a"]], "devices": ["a"], "notes": ["a"]}


def test_a_row_found_again_in_another_way_does_not_lead_on_by_what_was_cut_away(start: Start, office: Office) -> None:
    """By its code first, and by its room when the twin is known."""
    office.fill("chats", (1, {"room": "r", "codes": ["a", "b"]}))
    office.fill("devices", ("a", 1, "a2", None), ("a2", None, None, "r"), ("b", 2, None, None))
    office.fill("notes", ("a",), ("b",))
    assert find(start(), office) == {"chats": [["a"]], "devices": ["a", "a2"], "notes": ["a"]}


def test_an_array_that_nothing_cuts_leads_on_whole(start: Start, office: Office) -> None:
    office.fill("chats", (1, {"owner": 1, "codes": ["x", "y"]}))
    office.fill("notes", ("x",), ("y",), ("z",))
    assert find(start(), office) == {"chats": [["x", "y"]], "devices": [], "notes": ["x", "y"]}


def test_what_an_array_led_to_cuts_it_for_all_that_comes_after_the_cycle(start: Start, office: Office) -> None:
    """Nothing of Ann's is in the array; that of the devices it leads to one is hers then, and its note alone."""
    office.fill("chats", (1, {"owner": 1, "codes": ["x", "y"]}))
    office.fill("devices", ("y", 2, None, None))
    office.fill("notes", ("x",), ("y",))
    assert find(start(), office) == {"chats": [["y"]], "devices": ["y"], "notes": ["y"]}
