"""Every masking strategy on real tables: what is written where columns are unique, short, null or preserved."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine import Engine
from habeas.domain.request import RequestStatus
from habeas.services import requests
from servers.postgres import PostgresServer

Start = Callable[..., Engine]
Look = Callable[[str], list[tuple[Any, ...]]]

SCHEMA = (
    """CREATE TABLE members (id integer PRIMARY KEY, mail text, login varchar(40) NOT NULL UNIQUE,
    nick varchar(26) UNIQUE, name text, note text, age integer, phone varchar(8) UNIQUE, device varchar(20) UNIQUE)""",
    """INSERT INTO members VALUES
    (1, 'ann@x.org', 'ann', NULL, 'Ann Lee', 'one', 41, '555-0101', 'd1'),
    (2, 'ann@x.org', 'ann.lee', NULL, 'Ann Lee', NULL, 41, '555-0102', NULL),
    (3, 'bob@x.org', 'bob', 'bobby', 'Ann Lee', 'one', 42, '555-0103', 'd3'),
    (4, 'eve@x.org', 'eve', 'evie', 'Ann Lee', 'one', 43, '555-0104', 'd4')""",
)
FIELDS = {
    "login": "user.contact",
    "nick": "user.name",
    "name": "user.name",
    "note": "user.content",
    "age": "user.demographic",
    "phone": "user.telemetry",
    "device": "user.device",
}
DATASET = {
    "fides_key": "shop",
    "name": "shop",
    "collections": [
        {
            "name": "members",
            "fields": [
                {"name": "id", "fides_meta": {"primary_key": True}},
                {"name": "mail", "fides_meta": {"identity": "email"}},
                *({"name": name, "data_categories": [category]} for name, category in FIELDS.items()),
            ],
        }
    ],
}
RULES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "string_rewrite": (
        "user.contact", {"rewrite_value": "MASKED", "format_preservation": {"suffix": "@masked.example"}}
    ),
    "random_string_rewrite": ("user.name", {"length": 24, "format_preservation": {"suffix": "@m.ex"}}),
    "aes_encrypt": ("user.content", {}),
    "preserve": ("user.demographic", {}),
    "hash": ("user.telemetry", {}),
    "hmac": ("user.device", {"format_preservation": {"suffix": "-a-long-ending"}}),
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Mapping[str, str], Look]:
    """Kind and secrets of a database with four members, and a way to look into it."""
    if request.param == "sqlite":
        file = tmp_path / "shop.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            for statement in SCHEMA:
                connection.execute(statement)

        def look(query: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(file)) as connection:
                return connection.execute(query).fetchall()

        return "sqlite", {"path": str(file)}, look
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database("strategies")
    with psycopg.connect(url) as opened:
        for statement in SCHEMA:
            opened.execute(statement.encode())

    def ask(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(query.encode()).fetchall()

    return "postgres", server.secrets("strategies"), ask


def forget(engine: Engine, shop: tuple[str, Mapping[str, str], Look], *strategies: str) -> list[str]:
    """Erase Ann and Bob in one run with the rules of these strategies; their requests."""
    kind, secrets, _ = shop
    engine.connect("shop", kind, secrets)
    engine.describe("shop", DATASET)
    for strategy in strategies:
        category, configuration = RULES[strategy]
        engine.policy("forget", erasure={strategy: [category]}, configuration=configuration)
    ids = engine.submit("forget", {"email": "ann@x.org"}, {"email": "bob@x.org"})
    engine.run()
    assert [engine.view(request).status for request in ids] == [RequestStatus.COMPLETE] * 2, engine.view(ids[0])
    return ids


def test_each_strategy_writes_what_its_column_can_hold_and_the_report_names_what_differs(
    start: Start, shop: tuple[str, Mapping[str, str], Look]
) -> None:
    engine = start()
    look = shop[2]
    [eve] = look("SELECT * FROM members WHERE id = 4")
    ids = forget(engine, shop, *RULES)
    rows = look(f"SELECT {', '.join(FIELDS)} FROM members WHERE id < 4 ORDER BY id")
    logins, nicks, names, notes, ages, phones, devices = zip(*rows, strict=True)
    assert all(re.fullmatch("[a-z2-7]{25}@masked.example", login) for login in logins)  # unique: no constant
    assert len(set(logins)) == 3
    assert all(re.fullmatch("[a-z0-9]{21}@m.ex", nick) for nick in nicks)  # cut to 26, two of them were null
    assert len(set(nicks)) == 3
    assert all(re.fullmatch("[a-z0-9]{24}@m.ex", name) for name in names)
    assert names[0] == names[1] != names[2]  # alike within a request, another in another
    assert re.fullmatch(r"[A-Za-z0-9+/]{26}==", notes[0])  # 3 bytes and the tag
    assert notes[1] is None
    assert notes[2] not in (None, "one", notes[0])
    assert ages == (41, 41, 42)
    assert phones == (None, None, None)  # unique, and too short for any text
    assert re.fullmatch("[a-z2-7]{20}", devices[0])  # unique, and too short for the ending
    assert devices[1] is None
    assert re.fullmatch("[a-z2-7]{20}", devices[2])
    assert look("SELECT * FROM members WHERE id = 4") == [eve]
    for request, rows_of_theirs in zip(ids, (2, 1), strict=True):
        place = engine.counts(request)["shop:members"]
        assert (place["found"], place["changed"], place["verified"]) == (rows_of_theirs, rows_of_theirs, True)
        assert place["skipped"] == [{"path": "shop:members:age", "reason": "the masking strategy keeps it"}]
        assert requests.report(engine.context, request)["exceptions"] == [
            "shop:members:device was masked by a substitute: derived",
            "shop:members:login was masked by a substitute: derived",
            "shop:members:phone was masked by a substitute: null",
        ]


def test_a_policy_that_preserves_all_changes_nothing_and_says_so(
    start: Start, shop: tuple[str, Mapping[str, str], Look]
) -> None:
    engine = start()
    before = shop[2]("SELECT * FROM members ORDER BY id")
    for request in forget(engine, shop, "preserve"):
        place = engine.counts(request)["shop:members"]
        assert (place["changed"], place["already"], place["verified"]) == (0, 0, None)
        assert place["skipped"] == [{"path": "shop:members:age", "reason": "the masking strategy keeps it"}]
        assert requests.report(engine.context, request)["exceptions"] == []
    assert shop[2]("SELECT * FROM members ORDER BY id") == before
