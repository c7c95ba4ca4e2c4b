"""Every field that an erasure rule targets is masked, or the report names it, or its collection, with the reason.

The landscape holds a case of every reason that the planner knows; a new reason fails here until it has one.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from memory_shop import make_table

from engine import Engine
from habeas.connectors.memory import MemoryConnector, MemoryStore, MemoryTable
from habeas.domain.policy import OnUnreachable
from habeas.domain.ports import ColumnSketch, TableSketch
from habeas.domain.request import RequestStatus
from habeas.planning.plan import OmitReason, SkipReason
from habeas.services import connections, requests
from servers.postgres import PostgresServer

Start = Callable[..., Engine]
Look = Callable[[str], list[tuple[Any, ...]]]

SCHEMA = (
    """CREATE TABLE people (id integer PRIMARY KEY, mail text, code varchar(9) UNIQUE, age integer NOT NULL, name text,
    nick text NOT NULL, note text, motto text, born integer GENERATED ALWAYS AS (2026 - age) STORED)""",
    "CREATE TABLE cards (id integer PRIMARY KEY, code varchar(9) NOT NULL REFERENCES people (code), label text)",
    "CREATE TABLE heap (mail text, word text)",
    "INSERT INTO people (id, mail, code, age, name, nick, note, motto) "
    "VALUES (1, 'ann@x.org', 'A', 41, 'Ann', 'an', 'hm', 'ha')",
    "INSERT INTO cards VALUES (5, 'A', 'gold')",
    "INSERT INTO heap VALUES ('ann@x.org', 'word')",
    *(f"CREATE TABLE {name} (id integer PRIMARY KEY, mail text)" for name in ("frozen", "off", "unasked", "passed")),
    *(f"INSERT INTO {name} VALUES (1, 'ann@x.org')" for name in ("frozen", "off", "unasked", "passed")),
    *(f"CREATE TABLE {name} (id integer PRIMARY KEY, owner integer, word text)" for name in ("behind", "lost")),
    *(f"INSERT INTO {name} VALUES (1, 1, 'word')" for name in ("behind", "lost")),
)


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Mapping[str, str], Look]:
    """Kind and secrets of a database with one person in it, and a way to look into it."""
    if request.param == "sqlite":
        file = tmp_path / "target.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            for statement in SCHEMA:
                connection.execute(statement)

        def look(query: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(file)) as connection:
                return connection.execute(query).fetchall()

        return "sqlite", {"path": str(file)}, look
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database("reasons")
    with psycopg.connect(url) as opened:
        for statement in SCHEMA:
            opened.execute(statement.encode())

    def ask(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(query.encode()).fetchall()

    return "postgres", server.secrets("reasons"), ask


def field(name: str, category: str = "user.content", **meta: Any) -> dict[str, Any]:
    return {"name": name, "data_categories": [category] if category else [], "fides_meta": meta}


def link(name: str, dataset: str, source: str) -> dict[str, Any]:
    return field(name, references=[{"dataset": dataset, "field": source, "direction": "from"}])


def collection(name: str, *fields: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"name": name, "fides_meta": meta, "fields": list(fields)}


def dataset(key: str, *collections: dict[str, Any]) -> dict[str, Any]:
    return {"fides_key": key, "name": key, "collections": list(collections)}


ID = field("id", "user.unique_id", primary_key=True)
MAIL = field("mail", "user.contact.email", identity="email")
DATASETS: Mapping[str, Sequence[dict[str, Any]]] = {
    "main": (
        dataset(
            "main",
            collection(
                "people", ID, MAIL, field("code"), field("age", data_type="integer"), field("name"), field("nick"),
                field("note", read_only=True), field("born", data_type="integer"),
                field("motto", masking_strategy_override={"strategy": "preserve"}),
            ),
            collection("cards", ID, link("code", "main", "people.code"), field("label")),
            collection("heap", MAIL, field("word")),
            collection("behind", ID, link("owner", "off", "off.id"), field("word")),
            collection("lost", ID, field("owner", "", identity="customer"), field("word")),
            collection("passed", ID, MAIL, skip_processing=True),
        ),
        dataset("unasked", collection("unasked", ID, MAIL)),
    ),
    "frozen": (dataset("frozen", collection("frozen", ID, MAIL)),),
    "off": (dataset("off", collection("off", ID, MAIL)),),
    "kept": (dataset("kept", collection("kept", ID, MAIL)),),
    "loose": (dataset("loose", collection("scraps", {"name": "scrap", "fields": [MAIL]})),),
}  # fmt: skip


def set_up(engine: Engine, kind: str, secrets: Mapping[str, str]) -> None:
    kept = make_table("kept", "id", "mail", types={"id": "integer"})
    kept.records.append({"id": 1, "mail": "ann@x.org"})
    engine.connectors["kept"] = MemoryConnector(MemoryStore(kept))
    engine.connect("kept", "archive", {"name": "kept"})
    scraps = MemoryTable(TableSketch("scraps", None, (ColumnSketch("scrap", "json", text=False, document=True),)))
    scraps.records.append({"scrap": {"mail": "ann@x.org"}})
    engine.plug("loose", MemoryConnector(MemoryStore(scraps)))
    engine.connect("main", kind, secrets)
    engine.connect("frozen", kind, secrets, access="read")
    engine.connect("off", kind, secrets)
    for connection in ("off", "main", "frozen", "kept", "loose"):
        engine.describe(connection, *DATASETS[connection])
    engine.connect("off", kind, secrets, disabled=True)
    engine.policy("forget", erasure={"null_rewrite": ["user"]}, on_unreachable=OnUnreachable.SKIP)


def find_masked(look: Look, before: Mapping[str, tuple[Any, ...]]) -> set[str]:
    """Paths of the fields whose value in the database is another one now."""
    masked = set()
    for name, row in before.items():
        fields = [column["name"] for column in COLLECTIONS[name]["fields"]]
        [now] = look(f"SELECT {', '.join(fields)} FROM {name}")
        pairs = zip(fields, row, now, strict=True)
        masked |= {f"{OF[name]}:{name}:{column}" for column, then, this in pairs if then != this}
    return masked


COLLECTIONS = {one["name"]: one for several in DATASETS.values() for each in several for one in each["collections"]}
OF = {
    one["name"]: each["fides_key"] for several in DATASETS.values() for each in several for one in each["collections"]
}
TARGETED = {
    f"{OF[name]}:{name}:{column['name']}"
    for name, one in COLLECTIONS.items()
    for column in one["fields"]
    if column.get("data_categories")
} | {"loose:scraps:scrap.mail"}


def test_what_is_targeted_is_masked_or_listed_with_the_reason(
    start: Start, target: tuple[str, Mapping[str, str], Look]
) -> None:
    engine = start()
    kind, secrets, look = target
    set_up(engine, kind, secrets)
    stored = {
        name: look(f"SELECT {', '.join(column['name'] for column in one['fields'])} FROM {name}")[0]
        for name, one in COLLECTIONS.items()
        if name not in ("kept", "scraps")
    }
    chosen = tuple(sorted(set(OF.values()) - {"unasked"}))
    (request,) = engine.submit("forget", {"email": "ann@x.org"}, dataset_keys=chosen)
    engine.run()
    assert engine.view(request).status is RequestStatus.COMPLETE, engine.view(request).failure
    report = engine.counts(request)
    masked = find_masked(look, stored)
    listed = {entry["path"]: entry["reason"] for place in report.values() for entry in place["skipped"]}
    passed_over = {address: place["reason"] for address, place in report.items() if not place["reached"]}
    unreached = {path for path in TARGETED if path.rpartition(":")[0] in passed_over}
    assert masked | listed.keys() | unreached == TARGETED
    assert not masked & listed.keys() and not masked & unreached and not unreached & listed.keys()
    heap = {"main:heap:mail", "main:heap:word"}
    assert masked == {"main:people:mail", "main:people:name", "main:people:nick", "main:cards:label"} | heap
    assert set(listed.values()) == set(OmitReason), "a reason for which a field is not masked has no case here"
    assert {reason.partition(":")[0] for reason in passed_over.values()} == set(SkipReason)
    said = "\n".join(requests.report(engine.context, request)["exceptions"])
    for path, reason in listed.items():
        assert (f"{path} was not masked: {reason}" in said) is (reason != OmitReason.PRESERVED)
    for address, reason in passed_over.items():
        assert (f"{address} was not visited: {reason.partition(':')[0]}" in said) is (reason != SkipReason.NOT_CHOSEN)


@pytest.mark.parametrize(
    ("take_away", "reason"),
    [
        (
            lambda engine, kind, secrets: engine.connect("main", kind, secrets, disabled=True),
            "the connection is disabled",
        ),
        (
            lambda engine, kind, secrets: connections.delete_connection(engine.context, "main"),
            "the connection was deleted",
        ),
    ],
    ids=["disabled", "deleted"],
)
def test_a_connection_taken_away_between_access_and_erasure_is_listed_with_the_reason(
    start: Start,
    target: tuple[str, Mapping[str, str], Look],
    tmp_path: Path,
    take_away: Callable[[Engine, str, Mapping[str, str]], None],
    reason: str,
) -> None:
    engine = start(task_retry_count=0)
    kind, secrets, look = target
    set_up(engine, kind, secrets)
    engine.policy("both", ["user"], {"null_rewrite": ["user"]}, on_unreachable=OnUnreachable.SKIP)
    packages = tmp_path / "data" / "packages"
    packages.touch()
    (request,) = engine.submit("both", {"email": "ann@x.org"})
    engine.run()
    assert engine.view(request).status is RequestStatus.ERROR
    take_away(engine, kind, secrets)
    packages.unlink()
    requests.retry(engine.context, request)
    engine.run()
    assert engine.view(request).status is RequestStatus.COMPLETE
    assert look("SELECT mail, name FROM people") == [("ann@x.org", "Ann")]
    report = engine.counts(request)
    said = "\n".join(requests.report(engine.context, request)["exceptions"])
    for name in ("people", "cards", "heap"):
        place = report[f"main:{name}"]
        assert (place["found"], place["changed"], place["reason"]) == (1, 0, reason)
        assert not place["verified"]
        assert f"main:{name} was passed over: {reason}" in said
    assert ("people", "erasure", "skipped") in engine.log(request)
