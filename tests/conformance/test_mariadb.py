"""MariaDB's own traps: character sets and collations, types, keyless rows, streams, sessions that end."""

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, text

from habeas.connectors.conformance.harness import Column, TableSpec, erasure, expect, lookup, owned, permit, read_all
from habeas.connectors.sql import connect_mariadb
from habeas.connectors.sql.mariadb import MariaDbDialect
from habeas.connectors.sql.statements import Seek, compile_select, resolve
from habeas.domain.dataset import Address, Match
from habeas.domain.errors import DataFault, InputError, NeedsHuman, SystemUnavailable
from habeas.domain.ports import Change, Connector, Entry, Erasure, ForeignKeySketch, Limits, Lookup, Outcome, Table
from habeas.store.spool import decode_rows, encode_rows
from servers.mariadb import MariaDbServer

Run = Callable[..., None]
Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def secrets(mariadb_server: MariaDbServer) -> dict[str, str]:
    mariadb_server.create_database("types")
    return mariadb_server.secrets("types")


@pytest.fixture
def run(secrets: dict[str, str], mariadb_server: MariaDbServer) -> Run:
    return lambda *statements: mariadb_server.run(*statements, dbname="types")


@pytest.fixture
def ask(secrets: dict[str, str], mariadb_server: MariaDbServer) -> Ask:
    def fetch(query: str) -> list[tuple[object, ...]]:
        with mariadb_server.connect("types") as session, session.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    return fetch


@pytest.fixture
def connector(secrets: dict[str, str]) -> Iterator[Connector]:
    made = connect_mariadb(secrets, Limits(lock_timeout=1.0, statement_timeout=5.0))
    yield made
    made.close()


def place(name: str, columns: str, key: str = "", schema: str | None = None) -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()), schema)


UTC = dt.UTC
TYPED = [
    ("tinyint", "7", [7, "7", "007", 7.0, Decimal("7.0")], ["300", "seven", "7abc", " 7", 2**80, 7.5, True, ""]),
    ("bigint", "7", [7], [Decimal("1e999999999"), Decimal("-1e999999999")]),
    ("boolean", "true", [True, 1, "1"], ["true", 2, "1x"]),
    ("bigint", "9007199254740993", [9007199254740993, "9007199254740993"], [9007199254740992.0, "1e3", 2**63]),
    ("bigint unsigned", "18446744073709551615", [2**64 - 1, str(2**64 - 1)], [-1, 2**64, 2**63 - 1]),
    ("int(6) unsigned zerofill", "42", [42, "42", "000042"], [-42, 2**32]),
    ("decimal(10,2)", "1.50", ["1.5", 1.5, Decimal("1.50")], ["one", "1.504", "1e999999", "99999999999", "1.5x"]),
    ("decimal(65,30)", "0.1", ["0.1", Decimal("0.1")], ["0.1000000000000000000000000000000001"]),
    ("float", "0.1", [0.1, "0.1", 0.10000000149011612], [1e300, "x", 0.2]),
    ("double", "0.1", [0.1, "0.1"], ["x", "0.1x", float("nan"), float("inf"), "1e999"]),
    ("bit(5)", "b'101'", [5, "5"], [64, "x", -5, b"\x05"]),
    ("year", "2024", [2024, "2024"], [24, "24", 1, "soon"]),
    ("date", "'2024-02-29'", ["2024-02-29", dt.date(2024, 2, 29)], ["2024-02-30", "soon", "0000-00-00"]),
    ("date", "'0000-00-00'", ["0000-00-00"], ["2024-02-30", "soon", ""]),
    ("datetime", "'2024-02-29 10:00'", ["2024-02-29T10:00:00"], ["2024-02-29T10:00:00+00:00", "2024-02-29 10:00:00.5"]),
    ("datetime(3)", "'2024-02-29 10:00:00.5'", ["2024-02-29 10:00:00.5"], ["2024-02-29 10:00:00", "soon"]),
    ("datetime", "'0000-00-00'", ["0000-00-00 00:00:00", "0000-00-00"], ["soon", "2024-02-30 00:00:00"]),
    (
        "timestamp",
        "'2024-02-29 10:00'",
        ["2024-02-29T12:00:00+02:00", dt.datetime(2024, 2, 29, 10, tzinfo=UTC), "2024-02-29 10:00:00"],
        ["soon", "2024-02-29 12:00:00"],
    ),
    ("time", "'-25:01:02'", ["-25:01:02", -dt.timedelta(hours=25, minutes=1, seconds=2)], ["25:01:02", "-25:61:02"]),
    ("time(2)", "'10:00:00.5'", ["10:00:00.5", dt.time(10, 0, 0, 500000)], ["10:00", "839:00:00", "soon"]),
    ("varbinary(8)", "x'00ff27'", [b"\x00\xff'"], ["\x00", b"\x00\xff"]),
    ("blob", "'ann@x'", [b"ann@x", "ann@x"], ["ANN@x", b"ann@x\x00"]),
    ("binary(4)", "x'00ff0000'", [b"\x00\xff\x00\x00"], [b"\x00\xff"]),
    ("char(5) COLLATE utf8mb4_bin", "'ab'", ["ab", "ab   "], ["abc", "AB"]),
    ("varchar(3) COLLATE utf8mb4_bin", "'abc'", ["abc", "abc  "], ["abcdef", "ab", "ABC"]),
    ("varchar(30) COLLATE utf8mb4_nopad_bin", "'abc'", ["abc"], ["abc ", "abc\x00"]),
    ("varchar(30) COLLATE utf8mb4_bin", "'a\\0b'", ["a\x00b"], ["a", "ab", "a\x00"]),
    ("varchar(30) COLLATE utf8mb4_unicode_ci", "'Üser5'", ["üSER5", "USER5", "user5  "], ["user6"]),
    ("varchar(30) CHARACTER SET latin1", "'J?r'", ["J?r", "j?R"], ["J中r", "J\N{GRINNING FACE}r", "J"]),
    ("varchar(30) CHARACTER SET latin1 COLLATE latin1_german1_ci", "'Jör'", ["Jör", "JÖR", "jor"], ["J中r", "Joer"]),
    ("text CHARACTER SET latin2", "'Łódź'", ["Łódź", "łódź"], ["?ódź", "Łódź中"]),
    ("varchar(30) CHARACTER SET utf8mb3", "'x?'", ["x?"], ["x\N{GRINNING FACE}"]),
    ("varchar(30) CHARACTER SET ucs2", "'日本'", ["日本"], ["日\N{GRINNING FACE}", "日"]),
    ("varchar(30) CHARACTER SET ascii", "'ann'", ["ann", "ANN"], ["änn", "ann\u0301"]),
    ("varchar(30) CHARACTER SET sjis", "'表示'", ["表示"], ["表", "表\N{GRINNING FACE}"]),
    ("longtext", "'it''s \"q\" \\\\ % :p0 \N{GRINNING FACE}'", ['it\'s "q" \\ % :p0 \N{GRINNING FACE}'], ["it's"]),
    ("enum('sad','ok')", "'sad'", ["sad", "SAD"], ["angry", 1, "1"]),
    ("set('a','b')", "'a,b'", ["a,b"], ["a", 3]),
    ("json", "'{\"a\": 1}'", ['{"a": 1}'], ["{", '{"a":1}']),
    ("uuid", "'6f1b9c1e-0000-4000-8000-00000000000a'", ["6F1B9C1E-0000-4000-8000-00000000000A"], ["x", 5]),
    ("inet6", "'::1'", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "x"]),
]


@pytest.mark.parametrize(("kind", "literal", "equal", "others"), TYPED, ids=[f"{row[0]} {row[1]}" for row in TYPED])
def test_values_are_compared_by_the_columns_own_type(
    kind: str, literal: str, equal: list[object], others: list[object], run: Run, connector: Connector
) -> None:
    run(
        f"CREATE TABLE typed (id int PRIMARY KEY, held {kind} NULL)",
        f"INSERT INTO typed VALUES (1, {literal})",
        "INSERT INTO typed VALUES (2, NULL)",
    )
    table = place("typed", "id", "id")
    for value in equal:
        assert owned(read_all(connector, lookup(table, "held", (4, value)))) == [(4, (1,))], value
    for value in others:
        assert read_all(connector, lookup(table, "held", (4, value))) == [], value
    pairs = [(0, value) for value in others] + [(1, value) for value in equal]
    assert owned(read_all(connector, lookup(table, "held", *pairs))) == [(1, (1,))]


@pytest.mark.parametrize(("kind", "literal"), [row[:2] for row in TYPED], ids=[f"{row[0]} {row[1]}" for row in TYPED])
def test_what_is_read_is_kept_exactly_and_finds_its_row_again(
    kind: str, literal: str, run: Run, connector: Connector
) -> None:
    run(f"CREATE TABLE typed (id int PRIMARY KEY, held {kind} NULL)", f"INSERT INTO typed VALUES (1, {literal})")
    rows = read_all(connector, lookup(place("typed", "id held", "id"), "id", (0, 1)))
    assert decode_rows(encode_rows(rows)) == rows
    (held,) = (row.values[1] for row in rows)
    assert owned(read_all(connector, lookup(place("typed", "id", "id"), "held", (0, held)))) == [(0, (1,))]
    assert owned(read_all(connector, lookup(place("typed", "id", "id"), "held", (0, held), (1, "other")))) == [
        (0, (1,))
    ]


KEYS = [row for row in TYPED if not row[0].startswith(("text", "longtext", "blob", "json"))]


@pytest.mark.parametrize(("kind", "literal"), [row[:2] for row in KEYS], ids=[f"{row[0]} {row[1]}" for row in KEYS])
def test_rows_are_erased_by_keys_of_any_type(kind: str, literal: str, run: Run, connector: Connector) -> None:
    run(
        f"CREATE TABLE typed (held {kind} NOT NULL PRIMARY KEY, note varchar(20))",
        f"INSERT INTO typed VALUES ({literal}, 'x')",
    )
    table = place("typed", "held note", "held")
    rows = read_all(connector, lookup(table, "note", (0, "x")))
    batch = Erasure(table, ("note",), [Change(rows[0].key, ("x",), ("m",))])
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.ALREADY]


MASKS = [
    ("int", "30", 0),
    ("int unsigned", "30", "4"),
    ("bit(1)", "b'1'", 0),
    ("decimal(6,2)", "30", 1.5),
    ("float", "30", "0.1"),
    ("double", "30", 0.1),
    ("date", "'1990-01-01'", "2000-01-01"),
    ("datetime(6)", "'1990-01-01'", "2000-01-01T10:00:00.25"),
    ("timestamp(6) NULL", "'1990-01-01'", "2000-01-01T10:00:00.25+02:00"),
    ("time", "'10:00'", dt.timedelta(hours=-30)),
    ("year", "1990", 2000),
    ("char(8)", "'ann'", "MASKED  "),
    ("varchar(20) CHARACTER SET latin1", "'ann'", "käse"),
    ("longtext", "'ann'", "x" * 100_000),
    ("varbinary(9)", "'ann'", b"\x00\xff'\\"),
    ("enum('sad','ok')", "'sad'", "ok"),
    ("json", "'{}'", '{"a": "\\u00e4"}'),
    ("uuid", "'6f1b9c1e-0000-4000-8000-00000000000a'", "6F1B9C1E-0000-4000-8000-00000000000B"),
    ("varchar(20)", "'ann'", None),
]


@pytest.mark.parametrize(("kind", "literal", "mask"), MASKS, ids=[row[0] for row in MASKS])
def test_masks_of_several_types_are_set_and_recognised(
    kind: str, literal: str, mask: object, run: Run, connector: Connector
) -> None:
    run(f"CREATE TABLE p (id int PRIMARY KEY, held {kind})", f"INSERT INTO p VALUES (1, {literal}), (2, {literal})")
    table = place("p", "id held", "id")
    (row,) = read_all(connector, lookup(table, "id", (0, 1)))
    batch = Erasure(table, ("held",), [Change((1,), (row.values[1],), (mask,))])
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.ALREADY]
    (other,) = read_all(connector, lookup(table, "id", (0, 2)))
    assert other.values[1] == row.values[1]


@pytest.mark.parametrize(
    ("kind", "mask"),
    [
        ("tinyint", 300),
        ("varchar(3)", "MASKED"),
        ("varchar(20) CHARACTER SET latin1", "中"),
        ("enum('sad','ok')", "angry"),
        ("json", "MASKED"),
        ("int", "MASKED"),
        ("date", "MASKED"),
        ("int CHECK (held < 9)", 10),
    ],
)
def test_a_mask_that_the_column_cannot_hold_changes_nothing(
    kind: str, mask: object, run: Run, ask: Ask, connector: Connector
) -> None:
    run(f"CREATE TABLE p (id int PRIMARY KEY, held {kind})", "INSERT INTO p VALUES (1, NULL), (2, NULL)")
    batch = Erasure(place("p", "id held", "id"), ("held",), [Change((1,), (None,), (mask,))])
    with expect(DataFault, str(mask)):
        connector.erase(batch, permit)
    assert ask("SELECT * FROM p") == [(1, None), (2, None)]


@pytest.mark.parametrize(("kind", "mask"), [("datetime", "2024-01-01 10:00:00.7"), ("tinytext", "x" * 256)])
def test_a_mask_that_the_store_cuts_without_a_word_is_refused(
    kind: str, mask: str, run: Run, ask: Ask, connector: Connector
) -> None:
    run(f"CREATE TABLE p (id int PRIMARY KEY, held {kind})", "INSERT INTO p VALUES (1, NULL)")
    batch = Erasure(place("p", "id held", "id"), ("held",), [Change((1,), (None,), (mask,))])
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.REFUSED]
    assert ask("SELECT * FROM p") == [(1, None)]


def test_values_come_as_python_has_them(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE v (id int PRIMARY KEY, f float, b bit(9), m timestamp NULL, d datetime, z date, t time, y year)",
        "INSERT INTO v VALUES (1, 16777217, 257, '2024-02-29 10:00', '2024-02-29 10:00', '2024-00-00', '-25:00', 2024)",
    )
    (row,) = read_all(connector, lookup(place("v", "f b m d z t y id", "id"), "id", (0, 1)))
    moment = dt.datetime(2024, 2, 29, 10)
    assert row.values == (
        *(16777216.0, 257, moment.replace(tzinfo=UTC), moment, "2024-00-00"),
        *(dt.timedelta(hours=-25), 2024, 1),
    )


def test_a_timestamp_is_the_same_moment_whatever_the_servers_zone(
    run: Run, connector: Connector, mariadb_server: MariaDbServer
) -> None:
    mariadb_server.run("SET GLOBAL time_zone = '+05:30'")
    try:
        run(
            "CREATE TABLE v (id int PRIMARY KEY, m timestamp NULL)",
            "INSERT INTO v VALUES (1, '2024-02-29 04:30')",
        )
        (row,) = read_all(connector, lookup(place("v", "id m", "id"), "m", (0, "2024-02-28T23:00:00Z"), (1, "x")))
        assert row.values[1] == dt.datetime(2024, 2, 28, 23, tzinfo=UTC)
    finally:
        mariadb_server.run("SET GLOBAL time_zone = 'SYSTEM'")


def test_columns_of_several_collations_are_ways_into_one_table(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE m (id int PRIMARY KEY, a varchar(20) COLLATE utf8mb4_unicode_ci, "
        "b varchar(20) CHARACTER SET latin1, c varchar(20) COLLATE utf8mb4_nopad_bin, d int)",
        "INSERT INTO m VALUES (1, 'Änn', 'x', 'x', 0), (2, 'x', 'Änn', 'x', 0), (3, 'x', 'x', 'Änn', 0), "
        "(4, 'x', 'x', 'änn', 5)",
    )
    entries = tuple(Entry(column, [(0, "änn"), (1, 5)]) for column in "abcd")
    rows = read_all(connector, Lookup(place("m", "id", "id"), entries))
    assert owned(rows) == [(0, (1,)), (0, (2,)), (0, (4,)), (1, (4,))]


def test_widened_matches_work_under_every_character_set(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE w (id int PRIMARY KEY, bin varchar(30) COLLATE utf8mb4_bin, lat varchar(30) CHARACTER SET latin1 "
        "COLLATE latin1_bin, num bigint)",
        "INSERT INTO w VALUES (1, 'Änn-1', 'Änn-1', 15550101), (2, '+1 (5)5', '1.55', 155)",
    )
    table = place("w", "id", "id")
    for column in ("bin", "lat"):
        for pairs in [((0, "äNN-1"),), ((0, "äNN-1"), (1, "ÄNN-2"))]:
            what = lookup(table, column, *pairs, match=Match.CASEFOLD)
            assert owned(read_all(connector, what)) == [(0, (1,))]
    for column, value in (("bin", "+155"), ("lat", "155"), ("num", "1-5-5")):
        for pairs in [((0, value),), ((0, value), (1, "9"))]:
            assert owned(read_all(connector, lookup(table, column, *pairs, match=Match.PHONE))) == [(0, (2,))]


def test_long_values_are_compared_whole(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, note longtext)", "INSERT INTO t VALUES (1, repeat('x', 70000)), (2, 'x')")
    table = place("t", "id", "id")
    pairs = ((0, "x" * 70000), (1, "x" * 70001), (2, "x" * 69999), (3, "x"))
    assert owned(read_all(connector, lookup(table, "note", *pairs))) == [(0, (1,)), (3, (2,))]


def test_more_values_than_a_statement_takes_are_sent_in_portions(
    run: Run, secrets: dict[str, str], mariadb_server: MariaDbServer
) -> None:
    """Of a table without a key too: its rows come once, also when two portions find them."""
    run(
        "CREATE TABLE k (id int PRIMARY KEY, email varchar(400) COLLATE utf8mb4_unicode_ci, KEY (email))",
        "CREATE TABLE l (email varchar(400) COLLATE utf8mb4_unicode_ci, note text)",
        "INSERT INTO k SELECT seq, concat('p', seq, repeat('x', 300)) FROM seq_1_to_30000",
        "INSERT INTO l SELECT email, 'a' FROM k WHERE id > 29990",
        "INSERT INTO l SELECT email, 'a' FROM k WHERE id > 29990",
    )
    long = "x" * 300
    pairs = [(0, f"{letter}{number}{long}") for letter in "pP" for number in range(1, 30001)]
    made = connect_mariadb(secrets, Limits(statement_timeout=30.0))
    try:
        assert sum(len(text) for _, text in pairs) > 2**24
        assert len(read_all(made, lookup(place("k", "id", "id"), "email", *pairs))) == 30000
        found = read_all(made, lookup(place("l", "email note"), "email", *pairs))
        assert Counter(row.values[0] for row in found) == Counter({f"p{n}{long}": 2 for n in range(29991, 30001)})
        assert len({row.key for row in found}) == 20
    finally:
        made.close()


def test_a_statement_longer_than_the_server_takes_is_a_fault_of_its_values(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, note longtext)", "INSERT INTO t VALUES (1, 'x')")
    with expect(DataFault):
        read_all(connector, lookup(place("t", "id", "id"), "note", (0, "x" * 17_000_000)))
    batch = Erasure(place("t", "id note", "id"), ("note",), [Change((1,), ("x",), ("y" * 17_000_000,))])
    with expect(DataFault):
        connector.erase(batch, permit)
    assert owned(read_all(connector, lookup(place("t", "id note", "id"), "id", (0, 1)))) == [(0, (1, "x"))]


KEYLESS = [
    ("ann", "1", "a"),
    ("ann", "1", "a"),
    ("ann", "1", "b"),
    ("Ann", "1", "a"),
    ("ann", None, "a"),
    ("bob", "1", "a"),
    ("bob", "1", "a"),
]


def test_rows_without_a_key_come_once_for_each_person_however_often_they_match(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE log (email varchar(20) COLLATE utf8mb4_general_ci, phone varchar(20), note text, KEY (email))",
        *(f"INSERT INTO log VALUES ('{e}', {'NULL' if p is None else repr(p)}, '{n}')" for e, p, n in KEYLESS),
    )
    table = place("log", "email phone note")
    entries = (
        Entry("email", [(0, "ann"), (0, "ANN"), (0, "Ann"), (1, "bob"), (2, "ann")]),
        Entry("phone", [(0, "1"), (3, "2")]),
    )
    rows = read_all(connector, Lookup(table, entries))
    anns = Counter(row for row in KEYLESS if row[0].lower() == "ann")
    assert Counter(row.values for row in rows if 0 in row.ordinals) == Counter(row for row in KEYLESS if row[0])
    assert Counter(row.values for row in rows if 1 in row.ordinals) == Counter(
        row for row in KEYLESS if row[0] == "bob"
    )
    assert Counter(row.values for row in rows if 2 in row.ordinals) == anns
    assert len({row.key for row in rows}) == len(KEYLESS)
    assert connector.count(Lookup(table, entries)) == len(KEYLESS)
    assert connector.count(lookup(table, "email", (0, "ann"), (1, "ANN"))) == 5


def test_rows_without_a_key_are_known_again_in_another_look_up(run: Run, connector: Connector) -> None:
    run("CREATE TABLE log (email varchar(20), phone varchar(20))", "INSERT INTO log VALUES ('a', '1'), ('a', '1')")
    table = place("log", "email phone")
    first = read_all(connector, lookup(table, "email", (0, "a")))
    second = read_all(connector, lookup(table, "phone", (5, "1"), (5, "2")))
    assert sorted(row.key for row in first) == sorted(row.key for row in second)


LOOKALIKES = [("ann", "a"), ("ann", "a"), ("ANN", "a"), ("ann ", "a"), ("änn", "a"), ("ann", None), ("ann", "b")]


@pytest.mark.parametrize("text_type", ["varchar(20) COLLATE utf8mb4_general_ci", "varchar(20) CHARACTER SET latin1"])
@pytest.mark.parametrize("delete", [False, True], ids=["mask", "delete"])
def test_rows_without_a_key_are_erased_with_their_equals_and_without_their_lookalikes(
    text_type: str, delete: bool, run: Run, ask: Ask, connector: Connector
) -> None:
    run(
        f"CREATE TABLE log (email {text_type}, note varchar(20), KEY (email))",
        *(f"INSERT INTO log VALUES ('{e}', {'NULL' if n is None else repr(n)})" for e, n in LOOKALIKES),
    )
    columns, after = ((), ()) if delete else (("email",), ("m",))
    originals = ((), ()) if delete else (("ann",), ("ann",))
    changes = [
        Change(key, old, after, copies)
        for key, old, copies in zip((("ann", "a"), ("ann", None)), originals, (2, 1), strict=True)
    ]
    effects = connector.erase(Erasure(place("log", "email note"), columns, changes, delete), permit)
    assert [(effect.outcome, effect.rows) for effect in effects] == [(Outcome.CHANGED, 2), (Outcome.CHANGED, 1)]
    left = Counter(LOOKALIKES) - Counter({("ann", "a"): 2, ("ann", None): 1})
    masked = Counter() if delete else Counter({("m", "a"): 2, ("m", None): 1})
    assert Counter(ask("SELECT * FROM log")) == left + masked


def test_rows_without_a_key_are_known_by_values_of_every_type(run: Run, ask: Ask, connector: Connector) -> None:
    kinds = [(kind, literal) for kind, literal, *_ in TYPED]
    declared = ", ".join(f"c{n} {kind} NULL" for n, (kind, _) in enumerate(kinds))
    values = ", ".join(literal for _, literal in kinds)
    run(
        f"CREATE TABLE wide (mail varchar(20), {declared}, shape point)",
        *[f"INSERT INTO wide VALUES ('ann', {values}, point(1, 2))"] * 2,
        f"INSERT INTO wide VALUES ('ann', {values}, point(1, 3))",
        f"INSERT INTO wide VALUES ('ann', {', '.join(['NULL'] * len(kinds))}, NULL)",
    )
    table = place("wide", " ".join(["mail", *(f"c{n}" for n in range(len(kinds))), "shape"]))
    rows = read_all(connector, lookup(table, "mail", (0, "ann"), (1, "bob")))
    assert len({row.key for row in rows}) == 4
    rows.sort(key=lambda row: repr(row.values))
    copies = Counter(repr(row.values) for row in rows)
    changes = {repr(row.values): Change(row.values, ("ann",), ("m",), copies[repr(row.values)]) for row in rows}
    effects = connector.erase(Erasure(table, ("mail",), list(changes.values())), permit)
    assert sorted((effect.outcome, effect.rows) for effect in effects) == sorted(
        [(Outcome.CHANGED, n) for n in (1, 1, 2)]
    )
    assert ask("SELECT DISTINCT mail, count(*) FROM wide") == [("m", 4)]


def test_a_large_table_without_key_and_index_is_erased_in_time(run: Run, ask: Ask, connector: Connector) -> None:
    """By an index over the values: comparing each with each would take minutes."""
    run(
        "CREATE TABLE log (email varchar(60) COLLATE utf8mb4_bin, number int)",
        "INSERT INTO log SELECT concat('p', seq), seq FROM seq_1_to_50000",
    )
    changes = [Change((f"p{n}", n), (f"p{n}",), (f"m{n}",)) for n in range(1, 1001)]
    effects = connector.erase(Erasure(place("log", "email number"), ("email",), changes), permit)
    assert {(effect.outcome, effect.rows) for effect in effects} == {(Outcome.CHANGED, 1)}
    assert ask("SELECT count(*) FROM log WHERE email LIKE 'm%'") == [(1000,)]


@pytest.mark.parametrize(
    ("options", "words"),
    [("ENGINE MyISAM", "InnoDB"), ("ENGINE Aria", "InnoDB"), ("WITH SYSTEM VERSIONING", "held before")],
)
def test_a_table_that_cannot_be_erased_for_good_is_read_and_not_erased(
    options: str, words: str, run: Run, ask: Ask, connector: Connector
) -> None:
    run(f"CREATE TABLE t (id int PRIMARY KEY, name text) {options}", "INSERT INTO t VALUES (1, 'a')")
    table = place("t", "id name", "id")
    assert owned(read_all(connector, lookup(table, "id", (0, 1)))) == [(0, (1, "a"))]
    with pytest.raises(NeedsHuman, match=words):
        connector.erase(Erasure(table, ("name",), [Change((1,), ("a",), ("m",))]), permit)
    assert ask("SELECT name FROM t") == [("a",)]


def test_deleted_rows_are_gone_and_their_children_refuse(run: Run, ask: Ask, connector: Connector) -> None:
    run(
        "CREATE TABLE a (id int PRIMARY KEY)",
        "CREATE TABLE b (id int PRIMARY KEY, a int, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id))",
        "INSERT INTO a VALUES (1), (2), (3)",
        "INSERT INTO b VALUES (1, 1)",
    )
    table = place("a", "id", "id")
    with pytest.raises(DataFault, match=r"1451 .* b_a"):
        connector.erase(Erasure(table, (), [Change((1,), (), ()), Change((2,), (), ())], delete=True), permit)
    assert ask("SELECT id FROM a") == [(1,), (2,), (3,)]
    batch = Erasure(table, (), [Change((2,), (), ()), Change((9,), (), ())], delete=True)
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED, Outcome.ALREADY]
    assert ask("SELECT id FROM a") == [(1,), (3,)]


def test_a_view_needs_a_declared_key(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email text)",
        "INSERT INTO t VALUES (1, 'ann')",
        "CREATE VIEW v AS SELECT * FROM t",
    )
    with pytest.raises(NeedsHuman, match="primary_key"):
        read_all(connector, lookup(place("v", "id email"), "email", (0, "ann")))
    assert owned(read_all(connector, lookup(place("v", "id email", "id"), "email", (0, "ann")))) == [(0, (1, "ann"))]


def test_a_declared_key_that_repeats_loses_no_row_and_erases_none(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int, email text)", "INSERT INTO t VALUES (1, 'ann'), (1, 'ann')")
    table = place("t", "id email", "id")
    what = lookup(table, "email", (0, "ann"), (0, "Ann"))
    assert owned(read_all(connector, what)) == [(0, (1, "ann"))] * 2
    assert connector.count(what) == 2
    with pytest.raises(NeedsHuman, match="not unique"):
        connector.erase(Erasure(table, ("email",), [Change((1,), ("ann",), (None,))]), permit)


def test_a_foreign_key_speaks_before_the_guard(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE a (id varchar(9) PRIMARY KEY)",
        "CREATE TABLE b (id int PRIMARY KEY, a varchar(9), CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id))",
        "INSERT INTO a VALUES ('x')",
        "INSERT INTO b VALUES (1, 'x')",
    )
    asked: list[None] = []
    with pytest.raises(DataFault, match=r"1452 .* b_a"):
        connector.erase(
            Erasure(place("b", "id a", "id"), ("a",), [Change((1,), ("x",), ("gone",))]), lambda: asked.append(None)
        )
    assert not asked


def test_an_error_names_the_key_and_no_value(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email varchar(60), UNIQUE KEY mails (email))",
        "INSERT INTO t VALUES (1, 'a'), (2, 'secret'' for key ''fake')",
    )
    batch = Erasure(place("t", "id email", "id"), ("email",), [Change((1,), ("a",), ("secret' for key 'fake",))])
    with expect(DataFault, "secret", "fake"):
        connector.erase(batch, permit)
    with pytest.raises(DataFault, match=r"1062 IntegrityError (t\.)?mails"):
        connector.erase(batch, permit)


def test_a_trigger_that_says_no_is_a_fault_of_the_row(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, name text)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "CREATE TRIGGER no BEFORE UPDATE ON t FOR EACH ROW BEGIN IF OLD.id = 2 THEN "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret'; END IF; END",
    )
    spec = TableSpec("t", (Column("id"), Column("name")), ("id",))
    with expect(DataFault, "secret"):
        connector.erase(erasure(spec, "name", ((1,), "a", "m"), ((2,), "b", "m")), permit)
    assert owned(read_all(connector, lookup(spec.table(), "id", (0, 1)))) == [(0, (1, "a"))]


def test_describes_databases_keys_and_columns(run: Run, mariadb_server: MariaDbServer, connector: Connector) -> None:
    mariadb_server.create_database("other db")
    mariadb_server.run("CREATE TABLE `other db`.owner (a int, b int, PRIMARY KEY (b, a))")
    run(
        "CREATE TABLE t (x int, y int, email varchar(40) NOT NULL, mail2 text, doc json, twice int AS (x * 2), "
        "kept int AS (length(email)) STORED, day date DEFAULT (curdate()), note tinytext, "
        "seq int NOT NULL AUTO_INCREMENT UNIQUE, "
        "at timestamp NOT NULL DEFAULT now() ON UPDATE now(), UNIQUE (y, x), UNIQUE half (mail2(10)), "
        "CONSTRAINT owned FOREIGN KEY (y, x) REFERENCES `other db`.owner (b, a) ON UPDATE CASCADE)",
        "CREATE UNIQUE INDEX prefix ON t (email(10))",
        "CREATE VIEW v AS SELECT x FROM t",
    )
    sketch = connector.describe()
    assert sketch is not None and sketch.default_schema == "types"
    assert not {table.schema for table in sketch.tables} & {"mysql", "sys", "information_schema"}
    table, owner, view = sketch.table(None, "t"), sketch.table("other db", "owner"), sketch.table("types", "v")
    assert table is not None and owner is not None and view is not None
    names = ["x", "y", "email", "mail2", "doc", "twice", "kept", "day", "note", "seq", "at"]
    assert [column.name for column in table.columns] == names
    assert {column.name for column in table.columns if column.generated} == {"twice", "kept"}
    assert {column.name for column in table.columns if column.text} == {"email", "mail2", "note"}
    assert {column.name: column.length for column in table.columns if column.length} == {"email": 40, "note": 63}
    assert {column.name for column in table.columns if not column.nullable} == {"email", "seq", "at"}
    assert sorted(table.unique) == [("seq",), ("y", "x")]
    assert table.foreign_keys == (ForeignKeySketch(("y", "x"), "other db", "owner", ("b", "a"), cascades=True),)
    assert owner.primary_key == ("b", "a")
    assert not view.locatable and table.locatable
    assert not any(column.nested for column in table.columns)


def test_a_unique_text_is_unique(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE)")
    sketch = connector.describe()
    table = sketch and sketch.table(None, "t")
    assert table and table.unique == (("email",),)


def test_names_of_any_kind_are_quoted(mariadb_server: MariaDbServer, run: Run, connector: Connector) -> None:
    mariadb_server.run("DROP DATABASE IF EXISTS `a ``b: %s`", "CREATE DATABASE `a ``b: %s`")
    run(
        'CREATE TABLE `a ``b: %s`.`t ``: "é" %%` (`k``e:y %` int PRIMARY KEY, `\'\\ :p0 日本` varchar(20))',
        "INSERT INTO `a ``b: %s`.`t ``: \"é\" %%` VALUES (1, 'x'), (2, 'y')",
    )
    columns = ("k`e:y %", "'\\ :p0 日本")
    table = Table(Address("store", 't `: "é" %%'), columns, columns[:1], "a `b: %s")
    for pairs in [((0, "x"),), ((0, "x"), (1, "z"))]:
        assert owned(read_all(connector, lookup(table, columns[1], *pairs))) == [(0, (1, "x"))]
    batch = Erasure(table, columns[1:], [Change((1,), ("x",), ("m",))])
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert '`a ``b: %s`.`t ``: "é" %%`' in connector.explain(batch)


def test_table_names_keep_their_case_where_the_server_keeps_it(run: Run, connector: Connector) -> None:
    run("CREATE TABLE Members (id int PRIMARY KEY)", "INSERT INTO Members VALUES (1)")
    assert connector.count(lookup(place("Members", "id", "id"), "id", (0, 1))) == 1
    with expect(NeedsHuman):
        connector.count(lookup(place("members", "id", "id"), "id", (0, 1)))


@pytest.mark.parametrize("count", [1, 5])
def test_reads_and_locks_use_the_index(count: int, run: Run, mariadb_server: MariaDbServer) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, big bigint unsigned, email varchar(60) COLLATE utf8mb4_unicode_ci, "
        "nick varchar(60) CHARACTER SET latin1, code char(30), born date, seen datetime, price decimal(20,2), "
        "raw varbinary(20), tag uuid, note text)",
        "INSERT INTO t SELECT seq, seq, concat('p', seq), concat('p', seq), concat('p', seq), "
        "'1950-01-01' + INTERVAL seq DAY, '1950-01-01' + INTERVAL seq DAY, seq, concat('p', seq), "
        "concat('00000000-0000-4000-8000-', lpad(seq, 12, '0')), repeat('x', 200) FROM seq_1_to_20000",
        *(
            f"CREATE INDEX i_{c} ON t ({c})"
            for c in ("big", "email", "nick", "code", "born", "seen", "price", "raw", "tag")
        ),
        "ANALYZE TABLE t",
    )
    values: dict[str, Callable[[int], object]] = {
        "id": int,
        "big": int,
        "email": lambda n: f"p{n}",
        "nick": lambda n: f"p{n}",
        "code": lambda n: f"p{n}",
        "born": lambda n: dt.date(1950, 1, 1 + n),
        "seen": lambda n: dt.datetime(1950, 1, 1 + n),
        "price": Decimal,
        "raw": lambda n: f"p{n}".encode(),
        "tag": lambda n: f"00000000-0000-4000-8000-{n:012}",
    }
    engine = create_engine(mariadb_server.url("types").replace("mariadb:", "mysql+pymysql:"))
    dialect, table = MariaDbDialect(), place("t", "note", "id")
    with engine.connect() as connection:
        sketch = dialect.sketch_table(connection, table)
        assert sketch is not None
        for name, make in values.items():
            (column,) = resolve(sketch, table, [name])
            seek = Seek((column,), [(n, (dialect.form(make(n), column),)) for n in range(1, 1 + count)])
            (statement,) = compile_select(dialect, table, ["t.note"], [seek], dialect.lock(["id"]))
            plan = connection.execute(text(f"EXPLAIN {statement.text}"), statement.parameters).mappings().all()
            (step,) = (step for step in plan if step["table"] == "t")
            assert step["type"] in ("const", "ref", "eq_ref"), (name, plan)
            assert len(connection.execute(text(statement.text), statement.parameters).all()) == count, name
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "match"), [("email", Match.EXACT), ("number", Match.EXACT), ("email", Match.CASEFOLD)]
)
def test_a_table_without_an_index_is_read_once_however_many_values_are_sought(
    name: str, match: Match, run: Run, mariadb_server: MariaDbServer
) -> None:
    """By an index over the values: comparing each with each would take minutes."""
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email varchar(60) COLLATE utf8mb4_bin, number bigint, note text)",
        "INSERT INTO t SELECT seq, concat('p', seq), seq, repeat('x', 100) FROM seq_1_to_5000",
        "ANALYZE TABLE t",
    )
    engine = create_engine(mariadb_server.url("types").replace("mariadb:", "mysql+pymysql:"))
    dialect, table = MariaDbDialect(), place("t", "note", "id")
    with engine.connect() as connection:
        sketch = dialect.sketch_table(connection, table)
        assert sketch is not None
        columns = resolve(sketch, table, [name])
        seek = Seek(columns, [(n, (n if name == "number" else f"p{n}",)) for n in range(1, 101)], match)
        (statement,) = compile_select(dialect, table, ["t.note"], [seek])
        plan = connection.execute(text(f"EXPLAIN {statement.text}"), statement.parameters).mappings().all()
        assert [(step["table"], step["type"]) for step in plan][:2] == [("t", "ALL"), ("<derived2>", "ref")], plan
        assert len(connection.execute(text(statement.text), statement.parameters).all()) == 100
    engine.dispose()


def test_reads_cannot_write(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email text)",
        "INSERT INTO t VALUES (1, 'ann')",
        "CREATE FUNCTION spy(n int) RETURNS int BEGIN DELETE FROM t; RETURN n; END",
        "CREATE VIEW v AS SELECT spy(1) AS id, 'ann' AS email",
    )
    with pytest.raises(NeedsHuman):
        read_all(connector, lookup(place("v", "id email", "id"), "email", (0, "ann")))
    assert connector.count(lookup(place("t", "id", "id"), "id", (0, 1))) == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"password": "wrong-word"}, SystemUnavailable, "username and password"),
        ({"username": "nobody"}, SystemUnavailable, "username and password"),
        ({"dbname": "absent"}, NeedsHuman, "does not exist"),
        ({"port": "1"}, SystemUnavailable, "cannot be reached"),
    ],
    ids=["password", "user", "database", "port"],
)
def test_a_check_says_what_is_wrong(
    change: dict[str, str], error: type[Exception], words: str, secrets: dict[str, str]
) -> None:
    made = connect_mariadb(secrets | change, Limits(connect_timeout=2))
    with pytest.raises(error, match=words) as raised:
        made.check()
    assert "wrong-word" not in str(raised.value) and raised.value.__cause__ is None
    made.close()


def test_a_certificate_that_is_not_there_is_said(mariadb_server: MariaDbServer) -> None:
    made = connect_mariadb({"url": f"{mariadb_server.url()}?ssl_ca=/nowhere/ca.pem"}, Limits())
    with pytest.raises(SystemUnavailable, match="2026"):
        made.check()


def test_a_missing_privilege_is_for_a_person(secrets: dict[str, str], run: Run) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email text)",
        "INSERT INTO t VALUES (1, 'a')",
        "CREATE OR REPLACE USER reader IDENTIFIED BY 'word'",
        "GRANT SELECT ON types.* TO reader",
    )
    made = connect_mariadb(secrets | {"username": "reader", "password": "word"}, Limits())
    made.check()
    with pytest.raises(NeedsHuman, match="1142"):
        made.erase(Erasure(place("t", "id email", "id"), ("email",), [Change((1,), ("a",), (None,))]), permit)
    made.close()


BAD = [
    {},
    {"host": "h"},
    {"url": "no url"},
    {"url": "mysql://u:p@h/"},
    {"url": "postgresql://u:p@h/d"},
    {"url": "mysql://u:p@h/d?init_command=x"},
    {"host": "h", "port": "x", "dbname": "d", "username": "u", "password": "p"},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_secrets_that_cannot_be_used_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(InputError) as raised:
        connect_mariadb(bad, Limits())
    assert "u:p" not in f"{raised.value}"


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "mysql+pymysql"])
def test_a_url_of_any_spelling_connects(scheme: str, mariadb_server: MariaDbServer, secrets: dict[str, str]) -> None:
    made = connect_mariadb({"url": mariadb_server.url("types").replace("mariadb", scheme, 1)}, Limits())
    made.check()
    made.close()


def test_a_column_added_meanwhile_is_seen(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    assert connector.count(lookup(place("t", "id", "id"), "id", (0, 1))) == 1
    what = lookup(place("t", "id late", "id"), "id", (0, 1))
    with expect(NeedsHuman):
        read_all(connector, what)
    run("ALTER TABLE t ADD late text")
    assert owned(read_all(connector, what)) == [(0, (1, None))]


def test_a_statement_that_takes_too_long_is_given_up(run: Run, secrets: dict[str, str]) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, email text)",
        "INSERT INTO t VALUES (1, 'ann')",
        "CREATE VIEW v AS SELECT id, concat(sleep(30), email) AS email FROM t",
    )
    made = connect_mariadb(secrets, Limits(statement_timeout=0.1))
    started = time.monotonic()
    with pytest.raises(SystemUnavailable, match="1969"):
        read_all(made, lookup(place("v", "id email", "id"), "id", (0, 1)))
    assert time.monotonic() - started < 10
    made.close()


def test_a_transaction_left_idle_is_ended(run: Run, ask: Ask, secrets: dict[str, str]) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (1, 'a')")
    made = connect_mariadb(secrets, Limits(statement_timeout=1.0))
    batch = Erasure(place("t", "id name", "id"), ("name",), [Change((1,), ("a",), ("m",))])

    def wait_until_ended() -> None:
        until = time.monotonic() + 20
        while ask("SELECT count(*) FROM information_schema.innodb_trx") != [(0,)]:
            assert time.monotonic() < until, "the server did not end the transaction"
            time.sleep(0.2)  # asked more often, the server answers from its cache for ever

    with expect(SystemUnavailable):
        made.erase(batch, wait_until_ended)
    assert ask("SELECT name FROM t") == [("a",)]
    assert [effect.outcome for effect in made.erase(batch, permit)] == [Outcome.CHANGED]
    made.close()


def test_a_lost_session_is_worth_another_try(run: Run, ask: Ask, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (1, 'a')")
    table = place("t", "id name", "id")
    batch = Erasure(table, ("name",), [Change((1,), ("a",), ("m",))])
    assert connector.count(lookup(table, "id", (0, 1))) == 1  # a reading session rests in the pool

    def end_all() -> None:
        others = "SELECT id FROM information_schema.processlist WHERE db = 'types' AND id <> connection_id()"
        for (number,) in ask(others):
            run(f"KILL {number}")

    with expect(SystemUnavailable):
        connector.erase(batch, end_all)
    assert [effect.outcome for effect in connector.erase(batch, permit)] == [Outcome.CHANGED]
    assert connector.count(lookup(table, "id", (0, 1))) == 1


def test_another_key_can_be_inserted_while_an_absent_one_is_looked_for(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (1, 'a'), (9, 'b')")
    batch = Erasure(
        place("t", "id name", "id"), ("name",), [Change((5,), ("a",), ("m",)), Change((1,), ("a",), ("m",))]
    )
    effects = connector.erase(batch, lambda: run("SET innodb_lock_wait_timeout = 1", "INSERT INTO t VALUES (6, 'c')"))
    assert [effect.outcome for effect in effects] == [Outcome.ABSENT, Outcome.CHANGED]


def test_a_batch_does_not_wait_for_rows_of_others(
    run: Run, mariadb_server: MariaDbServer, connector: Connector
) -> None:
    """In a small table too, which the store would rather read, and lock, as a whole."""
    run("CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a'), (5, 'a')")
    table = place("t", "id name", "id")
    changes = [Change((n,), ("a",), ("m",)) for n in (1, 2)]
    with mariadb_server.connect("types") as session, session.cursor() as cursor:
        session.begin()
        cursor.execute("SELECT * FROM t WHERE id = 5 FOR UPDATE")
        effects = connector.erase(Erasure(table, ("name",), changes), permit)
        assert [effect.outcome for effect in effects] == [Outcome.CHANGED] * 2
        removed = [Change((n,), (), ()) for n in (1, 2)]
        effects = connector.erase(Erasure(table, (), removed, delete=True), permit)
        assert [effect.outcome for effect in effects] == [Outcome.CHANGED] * 2


def test_two_batches_over_the_same_rows_wait_for_each_other(run: Run, secrets: dict[str, str]) -> None:
    run(
        "CREATE TABLE t (id varchar(9) PRIMARY KEY, name text)",
        "INSERT INTO t SELECT seq, 'a' FROM seq_1_to_500",
    )
    table = place("t", "id name", "id")
    outcomes: list[Outcome] = []
    connector = connect_mariadb(secrets, Limits(lock_timeout=20.0, statement_timeout=20.0))

    def erase(order: int) -> None:
        changes = [Change((str(n),), ("a",), ("m",)) for n in range(1, 501)][::order]
        outcomes.extend(effect.outcome for effect in connector.erase(Erasure(table, ("name",), changes), permit))

    threads = [threading.Thread(target=erase, args=(order,)) for order in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connector.close()
    assert sorted(outcomes) == sorted([Outcome.CHANGED] * 500 + [Outcome.ALREADY] * 1000)


LARGE = 400_000
LARGE_TABLE = place("large", "id owner note", "id")
WHOLE = lookup(LARGE_TABLE, "owner", (0, 0), (1, 1))


@pytest.fixture(scope="module")
def large(mariadb_server: MariaDbServer) -> dict[str, str]:
    """Secrets of a database with LARGE_TABLE."""
    mariadb_server.create_database("large")
    mariadb_server.run(
        "CREATE TABLE large (id int PRIMARY KEY, owner int, note varchar(200), KEY (owner))",
        f"INSERT INTO large SELECT seq, seq % 2, repeat('x', 100) FROM seq_1_to_{LARGE}",
        dbname="large",
    )
    return mariadb_server.secrets("large")


_READER = """
import json, resource, sys
from test_mariadb import WHOLE
from habeas.connectors.sql import connect_mariadb
from habeas.domain.ports import Limits

connector = connect_mariadb(json.loads(sys.argv[1]), Limits())
connector.check()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sizes = [len(batch) for batch in connector.read(WHOLE)]
print(json.dumps([sum(sizes), max(sizes), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_a_large_table_streams_under_a_memory_bound(large: dict[str, str]) -> None:
    """All rows as Python has them would take more than 100 MB."""
    read = subprocess.run(
        [sys.executable, "-c", _READER, json.dumps(large)],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    rows, largest, kilobytes = json.loads(read.stdout)
    assert (rows, largest) == (LARGE, Limits().batch_rows)
    assert kilobytes < 25 * 1024


def test_a_stream_that_is_left_does_not_read_what_is_left(large: dict[str, str], ask: Ask) -> None:
    made = connect_mariadb(large, Limits(pool_size=1, batch_rows=100))
    started = time.monotonic()
    for _ in range(10):
        batches = made.read(WHOLE)
        assert len(next(iter(batches))) == 100
        batches.close()  # type: ignore[attr-defined]  # an iterator of ours is a generator
    took = time.monotonic() - started
    whole = time.monotonic()
    assert made.count(WHOLE) == LARGE
    assert took < time.monotonic() - whole, "ten beginnings take less than one end"
    until = time.monotonic() + 20
    while ask("SELECT 1 FROM information_schema.processlist WHERE db = 'large' AND command <> 'Sleep'"):
        assert time.monotonic() < until, "the server still sends what nobody reads"
        time.sleep(0.05)
    made.close()


def test_a_stream_may_take_longer_than_a_statement(large: dict[str, str]) -> None:
    made = connect_mariadb(large, Limits(statement_timeout=1.5))
    rows = 0
    started = time.monotonic()
    for batch in made.read(WHOLE):
        while not rows and time.monotonic() - started < 3.0:
            time.sleep(0.05)  # who reads is slow
        rows += len(batch)
    assert rows == LARGE
    made.close()
