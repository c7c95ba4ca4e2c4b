"""Objects and arrays end to end: each person gets and loses their own elements of a document, and nobody else's."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from engine import Engine
from habeas.execution import erasure
from habeas.execution.run import Done, Failed, Run
from habeas.execution.steps import STEPS
from servers.postgres import PostgresServer

Start = Callable[..., Engine]

PROFILES = {
    1: {
        "emails": ["ann@x.org", "bob@x.org", "ann.old@x.org"],
        "home": {"town": "Ghent", "geo": {"lat": 1.10, "big": 12345678901234567890}},
        "chats": [
            {"who": "ann@x.org", "text": "a1", "likes": ["u1", "u2"]},
            {"who": "eve@x.org", "text": "e1", "likes": []},
            {"who": "bob@x.org", "text": "b1", "likes": ["u1"]},
            {"who": "ann@x.org", "text": "a2", "likes": ["u3"]},
        ],
        "undeclared": {"kept": True},
    },
    2: {"emails": ["eve@x.org"], "home": None, "chats": [{"who": "eve@x.org", "text": "e2"}]},
}

DATASET = {
    "fides_key": "docs",
    "collections": [
        {
            "name": "profiles",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {
                    "name": "doc",
                    "fields": [
                        {
                            "name": "emails",
                            "data_categories": ["user.contact.email"],
                            "fides_meta": {"data_type": "string[]", "identity": "email"},
                        },
                        {
                            "name": "home",
                            "fields": [
                                {"name": "town", "data_categories": ["user.contact.address.city"]},
                                {
                                    "name": "geo",
                                    "data_categories": ["user.location"],
                                    "fides_meta": {"data_type": "object"},
                                },
                            ],
                        },
                        {
                            "name": "chats",
                            "fides_meta": {"data_type": "object[]"},
                            "fields": [
                                {
                                    "name": "who",
                                    "data_categories": ["user.contact.email"],
                                    "fides_meta": {"data_type": "string", "identity": "email"},
                                },
                                {
                                    "name": "text",
                                    "data_categories": ["user.content"],
                                    "fides_meta": {"data_type": "string"},
                                },
                                {"name": "likes", "fides_meta": {"data_type": "string[]"}},
                            ],
                        },
                    ],
                },
            ],
        },
        {
            "name": "fans",
            "fields": [
                {
                    "name": "id",
                    "data_categories": ["user.unique_id"],
                    "fides_meta": {
                        "primary_key": True,
                        "references": [{"dataset": "docs", "field": "profiles.doc.chats.likes", "direction": "from"}],
                    },
                },
                {"name": "label", "data_categories": ["user.name"], "fides_meta": {"data_type": "string"}},
            ],
        },
    ],
}


class Docs:
    """A PostgreSQL database with documents in it."""

    def __init__(self, server: PostgresServer, kind: str) -> None:
        url = server.create_database(f"docs_{kind}")
        self.secrets = server.secrets(f"docs_{kind}")
        self.session = psycopg.connect(url, autocommit=True)
        self.session.execute(f"CREATE TABLE profiles (id int PRIMARY KEY, doc {kind})".encode())
        self.session.execute("CREATE TABLE fans (id text PRIMARY KEY, label text)")
        for number, profile in PROFILES.items():
            self.write(number, profile)
        self.session.execute("INSERT INTO fans VALUES ('u1', 'one'), ('u2', 'two'), ('u3', 'three'), ('u4', 'four')")

    def write(self, number: int, profile: Any) -> None:
        self.session.execute("DELETE FROM profiles WHERE id = %s", (number,))
        self.session.execute("INSERT INTO profiles VALUES (%s, %s)", (number, json.dumps(profile)))

    def profile(self, number: int) -> Any:
        [[found]] = self.session.execute("SELECT doc FROM profiles WHERE id = %s", (number,))
        return found

    def fans(self) -> list[tuple[str, str | None]]:
        return self.session.execute("SELECT id, label FROM fans ORDER BY id").fetchall()


@pytest.fixture(params=["jsonb", "json"])
def docs(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[Docs]:
    made = Docs(postgres_server, request.param)
    yield made
    made.session.close()


@pytest.fixture
def engine(start: Start, docs: Docs) -> Engine:
    made = start()
    made.connect("docs", "postgres", docs.secrets)
    made.describe("docs", DATASET)
    made.policy("give", access=["user"])
    made.policy("forget", erasure={"null_rewrite": ["user"]})
    made.policy("hash", erasure={"hash": ["user"]})
    return made


def test_a_package_holds_a_persons_own_elements(engine: Engine) -> None:
    ann, bob = engine.submit("give", {"email": "ann@x.org"}, {"email": "bob@x.org"})
    engine.run()
    home = {"geo": {"lat": "1.1", "big": 12345678901234567890}, "town": "Ghent"}
    chats = [{"text": "a1", "who": "ann@x.org"}, {"text": "a2", "who": "ann@x.org"}]
    package = json.loads(engine.package(ann, "give-give"))
    assert package["docs:profiles"] == [{"doc": {"chats": chats, "emails": ["ann@x.org"], "home": home}}]
    assert sorted(fan["id"] for fan in package["docs:fans"]) == ["u1", "u2", "u3"]
    package = json.loads(engine.package(bob, "give-give"))
    chats = [{"text": "b1", "who": "bob@x.org"}]
    assert package["docs:profiles"] == [{"doc": {"chats": chats, "emails": ["bob@x.org"], "home": home}}]
    assert [fan["id"] for fan in package["docs:fans"]] == ["u1"]


def test_an_erasure_changes_a_persons_own_elements(engine: Engine, docs: Docs) -> None:
    [ann] = engine.submit("forget", {"email": "ann@x.org"})
    engine.run()
    kept = PROFILES[1]["chats"]
    assert docs.profile(1) == {
        "emails": [None, "bob@x.org", "ann.old@x.org"],
        "home": {"town": None, "geo": None},
        "chats": [
            {"who": None, "text": None, "likes": ["u1", "u2"]},
            kept[1],
            kept[2],
            {"who": None, "text": None, "likes": ["u3"]},
        ],
        "undeclared": {"kept": True},
    }
    assert docs.profile(2) == PROFILES[2]
    assert docs.fans() == [("u1", None), ("u2", None), ("u3", None), ("u4", "four")]
    assert engine.counts(ann)["docs:profiles"]["changed"] == 1


def test_two_people_of_one_document_are_erased_together(engine: Engine, docs: Docs) -> None:
    engine.submit("hash", {"email": "ann@x.org"}, {"email": "bob@x.org"})
    engine.run()
    now, before = docs.profile(1), PROFILES[1]
    assert now["chats"][1] == before["chats"][1]
    assert now["emails"][2] == before["emails"][2]
    masked = [*now["emails"][:2], *(now["chats"][place][name] for place in (0, 2, 3) for name in ("who", "text"))]
    assert all(len(text) == 64 for text in masked)
    assert now["emails"][0] == now["chats"][0]["who"] == now["chats"][3]["who"] != now["emails"][1]
    assert now["home"]["geo"] is None
    assert len(now["home"]["town"]) == 64


def test_elements_are_found_though_the_array_was_reordered_and_changed_meanwhile(
    engine: Engine, docs: Docs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between access and erasure the chats are turned round, one of Ann's is edited, and Eve writes a new one."""
    moved = json.loads(json.dumps(PROFILES[1]))
    moved["chats"].reverse()
    moved["chats"][0]["text"] = "a2 edited"
    moved["chats"].insert(0, {"who": "eve@x.org", "text": "e3", "likes": []})
    moved["emails"].reverse()

    def perform_late(run: Run) -> Done | Failed:
        docs.write(1, moved)
        return erasure.perform(run)

    steps = tuple(replace(one, perform=perform_late) if one.name == "erasure" else one for one in STEPS)
    monkeypatch.setattr("habeas.execution.steps.STEPS", steps)
    [ann] = engine.submit("forget", {"email": "ann@x.org"})
    engine.run()
    now = docs.profile(1)
    assert now["emails"] == ["ann.old@x.org", "bob@x.org", None]
    assert [(chat["who"], chat["text"]) for chat in now["chats"]] == [
        ("eve@x.org", "e3"),
        (None, None),
        ("bob@x.org", "b1"),
        ("eve@x.org", "e1"),
        (None, None),
    ]
    assert engine.counts(ann)["docs:profiles"]["drifted"] == 1


def test_null_in_place_of_an_array_has_no_elements_to_mask(engine: Engine, docs: Docs) -> None:
    """A strategy that fills null replaces null elements, and never writes a text where elements are declared."""
    docs.session.execute("CREATE TABLE lists (id int PRIMARY KEY, mail text, tags text[], doc jsonb)")
    docs.session.execute(
        """INSERT INTO lists VALUES (1, 'ann@x.org', NULL, '{"tags": null}'),
        (2, 'ann@x.org', '{a,NULL}', '{"tags": ["a", null]}')"""
    )
    meta = {"data_type": "string[]"}
    fields = [
        {"name": "id", "fides_meta": {"primary_key": True}},
        {"name": "mail", "fides_meta": {"identity": "email"}},
        {"name": "tags", "data_categories": ["user.name"], "fides_meta": meta},
        {"name": "doc", "fields": [{"name": "tags", "data_categories": ["user.name"], "fides_meta": meta}]},
    ]
    engine.describe("docs", {"fides_key": "docs", "collections": [{"name": "lists", "fields": fields}]})
    engine.policy("rewrite", erasure={"string_rewrite": ["user.name"]}, configuration={"rewrite_value": "M"})
    [ann] = engine.submit("rewrite", {"email": "ann@x.org"})
    engine.run()
    assert engine.view(ann).status == "complete"
    assert docs.session.execute("SELECT tags, doc FROM lists ORDER BY id").fetchall() == [
        (None, {"tags": None}),
        (["M", "M"], {"tags": ["M", "M"]}),
    ]


def test_null_in_place_of_an_array_in_an_array_has_no_elements_either(start: Start, tmp_path: Path) -> None:
    """The store says how many arrays lead to an element; with a text in place of one it would refuse the row."""
    file = tmp_path / "lists.db"
    with duckdb.connect(file) as store:
        store.execute("CREATE TABLE lists (id INT PRIMARY KEY, mail TEXT, tags TEXT[][], doc STRUCT(tags TEXT[][])[])")
        store.execute("""INSERT INTO lists VALUES
            (1, 'ann@x.org', [['a', NULL], NULL], [{'tags': [NULL, ['b', NULL]]}, {'tags': NULL}]),
            (2, 'ann@x.org', [NULL], [NULL, {'tags': [[]]}])""")
    meta = {"data_type": "string[]"}
    fields = [
        {"name": "id", "fides_meta": {"primary_key": True}},
        {"name": "mail", "fides_meta": {"identity": "email"}},
        {"name": "tags", "data_categories": ["user.name"], "fides_meta": meta},
        {
            "name": "doc",
            "fides_meta": {"data_type": "object[]"},
            "fields": [{"name": "tags", "data_categories": ["user.name"], "fides_meta": meta}],
        },
    ]
    engine = start()
    engine.connect("duck", "duckdb", {"path": str(file)})
    engine.describe("duck", {"fides_key": "duck", "collections": [{"name": "lists", "fields": fields}]})
    engine.policy("rewrite", erasure={"string_rewrite": ["user.name"]}, configuration={"rewrite_value": "M"})
    [ann] = engine.submit("rewrite", {"email": "ann@x.org"})
    engine.run()
    assert engine.view(ann).status == "complete"
    with duckdb.connect(file) as store:
        assert store.execute("SELECT tags, doc FROM lists ORDER BY id").fetchall() == [
            ([["M", "M"], None], [{"tags": [None, ["M", "M"]]}, {"tags": None}]),
            ([None], [None, {"tags": [[]]}]),
        ]
