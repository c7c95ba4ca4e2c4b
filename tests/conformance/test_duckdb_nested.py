"""Below DuckDB's columns: lists, arrays and structs of declared types, documents among them, rows without keys."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from habeas.connectors.conformance.harness import expect, outcomes, permit, read_all, tally
from habeas.connectors.sql import connect_duckdb
from habeas.domain.dataset import Address, Match
from habeas.domain.documents import Path as Names
from habeas.domain.documents import Position, Rewrite, Version, map_places, mark, narrow
from habeas.domain.errors import DataFault, NeedsHuman
from habeas.domain.ports import Change, Connector, Entry, Erasure, Limits, Lookup, Outcome, Row, Table, Value
from habeas.store.spool import decode_rows, encode_rows

Run = Callable[..., list[tuple[Value, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "nested.db"
    duckdb.connect(made).close()
    return made


@pytest.fixture
def run(path: Path) -> Run:
    def execute(*statements: str) -> list[tuple[Value, ...]]:
        with duckdb.connect(path) as session:
            return [session.execute(statement) for statement in statements][-1].fetchall()

    return execute


@pytest.fixture
def connector(path: Path) -> Iterator[Connector]:
    made = connect_duckdb({"path": str(path)}, Limits(lock_timeout=1.0))
    yield made
    made.close()


def place(name: str, columns: str, key: str = "") -> Table:
    return Table(Address("store", name), tuple(columns.split()), tuple(key.split()))


def entry(path: str, *pairs: tuple[int, Value], match: Match = Match.EXACT) -> Entry:
    column, *names = path.split(".")
    return Entry(column, pairs, match, tuple(names))


Places = list[tuple[int, int, list[Position]]]


def find(connector: Connector, path: str, *pairs: tuple[int, Value], match: Match = Match.EXACT) -> Places:
    """(id, ordinal, places) of every match in t."""
    rows = read_all(connector, Lookup(place("t", "id", "id"), (entry(path, *pairs, match=match),)))
    return sorted((row.values[0], *row.ordinals, list(row.matched)) for row in rows)  # type: ignore[misc]


FOUND: list[tuple[str, str, str, list[tuple[int, Value]], Places]] = [
    ("varchar[]", "['a', 'b', 'a']", "x", [(0, "a"), (1, "b")], [(1, 0, [("x", 0), ("x", 2)]), (1, 1, [("x", 1)])]),
    ("varchar[]", "[NULL, '']", "x", [(0, "")], [(1, 0, [("x", 1)])]),
    ("integer[][]", "[[1, 2], NULL, [], [2]]", "x", [(0, 2), (1, "2.0")], [(1, 0, [("x", 0, 1), ("x", 3, 0)])]),
    ("varchar[2]", "['a', NULL]", "x", [(0, "a")], [(1, 0, [("x", 0)])]),
    ("varchar[2][]", "[['a', 'b'], ['b', NULL]]", "x", [(0, "b")], [(1, 0, [("x", 0, 1), ("x", 1, 0)])]),
    ("timestamp_s[]", "['2024-01-01']", "x", [(0, "2024-01-01"), (1, "2024-01-01 00:00:00.4")], [(1, 0, [("x", 0)])]),
    ("decimal(4,1)[]", "[1.5]", "x", [(0, "1.54"), (1, "1.50")], [(1, 1, [("x", 0)])]),
    ("bit[]", "['01']", "x", [(0, "01"), (1, "1")], [(1, 0, [("x", 0)])]),
    ("struct(town varchar)", "{'town': 'X'}", "x.town", [(0, "X"), (1, "x")], [(1, 0, [])]),
    (
        'struct("a.b" struct("it\'s /~%:p" integer[]))', "{'a.b': {'it''s /~%:p': [7, 8]}}",
        "x.a|b.it's /~%:p", [(0, 8)], [(1, 0, [("x", "a.b", "it's /~%:p", 1)])],
    ),
    (
        "struct(name varchar, mails varchar[])[]",
        "[{'name': 'n', 'mails': ['m', 'o']}, NULL, {'name': NULL, 'mails': NULL}, {'name': 'm', 'mails': ['m']}]",
        "x.mails", [(0, "m"), (1, "n")], [(1, 0, [("x", 0, "mails", 0), ("x", 3, "mails", 0)])],
    ),
    (
        "struct(name varchar, docs json[])[]",
        """[{'name': 'n', 'docs': ['{"k": [{"v": "z"}]}', '["z"]', NULL]}]""",
        "x.docs.k.v", [(0, "z")], [(1, 0, [("x", 0, "docs", 0, "k", 0, "v")])],
    ),
    (
        "json", """'{"a": [{"b": "x"}, [{"b": ["x", null, {"b": "x"}]}], "x"], "b": "x"}'""",
        "x.a.b", [(0, "x")], [(1, 0, [("x", "a", 0, "b"), ("x", "a", 1, 0, "b", 0)])],
    ),
    (
        "json", """'{"n": [1, 1.0, 1.50, "1", true, 18446744073709551615, 0.30000000000000004]}'""", "x.n",
        [(0, 1), (1, "1"), (2, True), (3, 1.5), (4, 2**64 - 1), (5, 0.30000000000000004), (6, "true"), (7, 2**64 - 2)],
        [
            (1, 0, [("x", "n", 0), ("x", "n", 1)]), (1, 1, [("x", "n", 3)]), (1, 2, [("x", "n", 4)]),
            (1, 3, [("x", "n", 2)]), (1, 4, [("x", "n", 5)]), (1, 5, [("x", "n", 6)]),
        ],
    ),
    (
        "json", '\'["\\u00e9", "\\u0000a"]\'', "x",
        [(0, "é"), (1, "\x00a"), (2, "")], [(1, 0, [("x", 0)]), (1, 1, [("x", 1)])],
    ),
    ("json", "'\"é\"'", "x", [(0, "é")], [(1, 0, [])]),
    (
        "json", """'{"a/b": {"~q\\"": ["v"]}, "": {"": "v"}}'""",
        "x.a/b.~q\"", [(0, "v")], [(1, 0, [("x", "a/b", '~q"', 0)])],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "literal", "path_", "pairs", "expected"), FOUND, ids=[f"{r[0]}-{r[2]}" for r in FOUND]
)
def test_values_are_found_wherever_they_stand_by_their_own_type(
    kind: str,
    literal: str,
    path_: str,
    pairs: list[tuple[int, Value]],
    expected: Places,
    run: Run,
    connector: Connector,
) -> None:
    run(f"CREATE TABLE t (id int PRIMARY KEY, x {kind})")
    run(f"INSERT INTO t SELECT 1, {literal} UNION ALL SELECT 2, NULL")
    names = [name.replace("|", ".") for name in path_.split(".")]

    def found(*asked: tuple[int, Value]) -> Places:
        what = Lookup(place("t", "id", "id"), (Entry("x", asked, inside=tuple(names[1:])),))
        rows = read_all(connector, what)
        return sorted((row.values[0], *row.ordinals, list(row.matched)) for row in rows)  # type: ignore[misc]

    assert found(*pairs) == expected
    for pair in pairs:
        assert found(pair) == [line for line in expected if line[1] == pair[0]], pair


def test_widened_matches_reach_inside(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, l struct(p varchar)[], d json)")
    run("""INSERT INTO t VALUES (1, [{'p': '+1 (5)'}, {'p': 'Ann'}], '{"p": ["ANN", "+1-5", 15]}')""")
    assert find(connector, "l.p", (0, "+15"), match=Match.PHONE) == [(1, 0, [("l", 0, "p")])]
    assert find(connector, "l.p", (0, "aNN"), (1, "x"), match=Match.CASEFOLD) == [(1, 0, [("l", 1, "p")])]
    assert find(connector, "d.p", (0, "ann"), (1, "15"), match=Match.CASEFOLD) == [
        (1, 0, [("d", "p", 0)]),
        (1, 1, [("d", "p", 2)]),
    ]
    assert find(connector, "d.p", (0, "+15"), match=Match.PHONE) == [(1, 0, [("d", "p", 1)])]


def test_a_path_that_the_type_does_not_have_is_named(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, s struct(a varchar), m map(varchar, varchar), u union(n int, s varchar))")
    for path in ("s.b", "s.a.c", "m.key", "u.n"):
        with pytest.raises(NeedsHuman, match="holds nothing inside"):
            find(connector, path, (0, "x"))


def test_views_are_looked_into_by_their_declared_key(run: Run, connector: Connector) -> None:
    run("CREATE TABLE base (id int, l varchar[])")
    run("INSERT INTO base VALUES (1, ['x', 'y', 'x']), (NULL, ['x']), (2, [])", "CREATE VIEW t AS SELECT * FROM base")
    rows = read_all(connector, Lookup(place("t", "id l", "id"), (entry("l", (0, "x"), (1, "z")),)))
    assert sorted((str(row.key[0]), row.matched) for row in rows) == [
        ("1", (("l", 0), ("l", 2))),
        ("None", (("l", 0),)),
    ]
    run("INSERT INTO base VALUES (1, ['q'])")
    with pytest.raises(NeedsHuman, match="two rows have one key"):
        read_all(connector, Lookup(place("t", "id l", "id"), (entry("l", (0, "x")),)))


def test_a_view_whose_keys_only_compare_equal_gives_nobody_the_row_of_another(run: Run, connector: Connector) -> None:
    run("CREATE TABLE base (code varchar COLLATE NOCASE, l varchar[])")
    run("INSERT INTO base VALUES ('a', ['x']), ('A', ['y'])", "CREATE VIEW t AS SELECT * FROM base")
    rows = read_all(connector, Lookup(place("t", "code l", "code"), (entry("l", (0, "x")),)))
    assert [(row.key, row.ordinals) for row in rows] == [(("a",), (0,))]


def rewrite(row: Row, table: Table, column: str, *masked: Names, after: Value = None) -> Rewrite:
    """One person's part of a row, its values at `masked` (below the column) become `after`."""
    held = row.values[table.columns.index(column)]
    original, matched = narrow(held, [position[1:] for position in row.matched if position[0] == column])
    rewritten = original
    for names in masked:
        rewritten = map_places(rewritten, names, lambda _: after)
    return Rewrite(masked, (Version(original, rewritten, matched),))


PEOPLE = place("t", "id people", "id")
EXACTLY = (
    "struct(name varchar, born date, seen timestamp_ns, paid decimal(9,2), score float, raw blob, ref uuid, "
    "mood enum('sad', 'it''s'), big hugeint, words map(varchar, integer), doc json, tags varchar[], span interval, "
    "pair integer[2], bits bit)[]"
)
ANN = (
    "{'name': 'ann', 'born': '1990-01-01', 'seen': '2024-01-01 00:00:00.123456789', 'paid': 1.50, 'score': 0.1, "
    "'raw': '\\x00\\xff'::blob, 'ref': '6f1b9c1e-0000-4000-8000-00000000000a', 'mood': 'it''s', 'big': 1e30::hugeint, "
    "'words': map {'a, ''b': 1}, 'doc': '{\"n\": 1.10}', 'tags': ['x', NULL], 'span': '1 month', 'pair': [1, 2], "
    "'bits': '01'}"
)
BOB = ANN.replace("'ann'", "'bob'").replace("'1990-01-01'", "'infinity'")


def test_one_persons_values_are_masked_and_every_other_value_is_kept_exactly(run: Run, connector: Connector) -> None:
    run(f"CREATE TABLE t (id int PRIMARY KEY, people {EXACTLY}, before {EXACTLY})")
    run(f"INSERT INTO t SELECT 1, x, x FROM (SELECT [{BOB}, {ANN}, NULL, {BOB}] AS x)")
    (read,) = read_all(connector, Lookup(PEOPLE, (entry("people.name", (0, "ann")),)))
    (row,) = decode_rows(encode_rows([read]))
    assert mark(row.values) == mark(read.values), "what is kept is what was read"
    change = rewrite(row, PEOPLE, "people", ("name",), ("born",), ("tags",), ("doc", "n"))
    # somebody adds an element before and puts the others into another order
    run(f"UPDATE t SET people = [{{'name': 'new', 'doc': '[]'}}::{EXACTLY[:-2]}, people[2], people[1], people[4]]")
    batch = Erasure(PEOPLE, ("people",), [Change((1,), (None,), (change,))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert run(
        "SELECT people[2].name, people[2].born, people[2].tags, people[2].doc::varchar, people[2].words, people[2].raw "
        "FROM t"
    ) == [(None, None, [None, None], '{"n": null}', {"a, 'b": 1}, b"\x00\xff")]
    kept = "people[1].name = 'new', len(people) = 4"
    kept += "".join(f", people[{now}] = before[{then}]" for now, then in ((3, 1), (4, 4)))
    kept += "".join(
        f", people[2].{name} = before[2].{name}" for name in ("seen", "paid", "score", "ref", "mood", "span")
    )
    assert set(run(f"SELECT {kept} FROM t")[0]) <= {True, None}
    assert run("SELECT people[3] = before[1], people[4] = before[4] FROM t") in ([(True, True)], [(False, False)])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]


def test_a_mask_that_the_members_type_cannot_hold_is_refused(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, people struct(name varchar, age integer)[])")
    run("INSERT INTO t VALUES (1, [{'name': 'ann', 'age': 3}])")
    (row,) = read_all(connector, Lookup(PEOPLE, (entry("people.name", (0, "ann")),)))
    change = rewrite(row, PEOPLE, "people", ("age",), after="MASKED")
    with expect(DataFault, "MASKED"):
        connector.erase(Erasure(PEOPLE, ("people",), [Change((1,), (None,), (change,))]), permit)
    assert run("FROM t") == [(1, [{"name": "ann", "age": 3}])]


def test_lists_of_lists_are_masked_element_by_element(run: Run, connector: Connector) -> None:
    run(
        "CREATE TABLE t (id int PRIMARY KEY, people varchar[][])",
        "INSERT INTO t VALUES (1, [['a', 'b'], NULL, ['a'], []])",
    )
    (row,) = read_all(connector, Lookup(PEOPLE, (entry("people", (0, "a")),)))
    batch = Erasure(PEOPLE, ("people",), [Change((1,), (None,), (rewrite(row, PEOPLE, "people", (), after="m"),))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert run("FROM t") == [(1, [["m", "b"], None, ["m"], []])]
    assert outcomes(connector.erase(batch, permit)) == [Outcome.ALREADY]


def test_an_array_of_fixed_size_and_a_struct_are_rewritten(run: Run, connector: Connector) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, people struct(home struct(town varchar, zip integer), pair varchar[2]))")
    run("INSERT INTO t VALUES (1, {'home': {'town': 'x', 'zip': 5}, 'pair': ['p', 'q']}), (2, NULL)")
    (row,) = read_all(connector, Lookup(PEOPLE, (entry("people.pair", (0, "q")),)))
    assert row.matched == (("people", "pair", 1),)
    change = rewrite(row, PEOPLE, "people", ("home", "town"), ("pair",), after="m")
    batch = Erasure(PEOPLE, ("people",), [Change((1,), (None,), (change,))])
    assert outcomes(connector.erase(batch, permit)) == [Outcome.CHANGED]
    assert run("FROM t ORDER BY id") == [(1, {"home": {"town": "m", "zip": 5}, "pair": ("p", "m")}), (2, None)]


def test_rows_without_key_that_move_when_they_change_are_counted(run: Run, connector: Connector) -> None:
    """An index or a list makes DuckDB give a changed row another id."""
    run(
        "CREATE TABLE log (mail varchar, tags varchar[], s struct(a integer), d json, n integer)",
        "CREATE INDEX i ON log (mail)",
    )
    ann, bob = "('ann', ['x', NULL], {'a': 1}, '{\"b\": [1.50], \"a\": 2}', 1)", "('bob', NULL, NULL, NULL, NULL)"
    decoys = "('ann', ['x'], {'a': 1}, '{\"b\": [1.50], \"a\": 2}', 1), ('ann', ['x', NULL], {'a': NULL}, '{}', 1)"
    run(f"INSERT INTO log VALUES {ann}, {bob}, {ann}, {bob}, {bob}, {decoys}")
    table = place("log", "mail tags s d n")
    rows = decode_rows(encode_rows(read_all(connector, Lookup(table, (entry("mail", (0, "ann"), (1, "bob")),)))))
    keys = {
        row.ordinals[0]: row.values
        for row in rows
        if row.values[4] is None or row.values[1:3] == (["x", None], {"a": 1})
    }
    batch = Erasure(
        table,
        ("mail", "tags"),
        [Change(keys[0], keys[0][:2], ("bob", None), 2), Change(keys[1], keys[1][:2], (None, None), 3)],
    )
    assert tally(connector.erase(batch, permit)) == [(keys[0], Outcome.CHANGED, 2), (keys[1], Outcome.CHANGED, 3)]
    assert tally(connector.erase(batch, permit)) == [(keys[0], Outcome.ALREADY, 2), (keys[1], Outcome.ALREADY, 3)]
    assert sorted(run("SELECT mail, tags, s.a, n FROM log"), key=repr) == [
        *[("ann", ["x", None], None, 1), ("ann", ["x"], 1, 1)],
        *[("bob", None, 1, 1)] * 2,
        *[(None, None, None, None)] * 3,
    ]
    gone = Erasure(table, (), [Change(("ann", ["x"], {"a": 1}, keys[0][3], 1), (), (), 1)], delete=True)
    assert [effect.rows for effect in connector.erase(gone, permit)] == [1]
    assert run("SELECT count(*) FROM log") == [(6,)]


MANY = """
import resource, sys, time
from habeas.connectors.sql import connect_duckdb
from habeas.domain.dataset import Address
from habeas.domain.ports import Entry, Limits, Lookup, Table
connector = connect_duckdb({"path": sys.argv[1]}, Limits())
connector.check()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
entry = Entry(sys.argv[2], [(number, f"p{number}") for number in range(5)], inside=("by",))
table = Table(Address("s", "t"), ("id", sys.argv[2]), ("id",))
sizes = [len(batch) for batch in connector.read(Lookup(table, (entry,)))]
print(sum(sizes), max(sizes), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("column", ["people", "doc"])
def test_many_nested_rows_stream_under_a_memory_bound(column: str, run: Run, path: Path) -> None:
    run(
        "CREATE TABLE t AS SELECT i AS id, [{'by': 'p' || (i % 5), 'say': repeat('x', 20)}] AS people, "
        "to_json([{'by': 'p' || (i % 5), 'say': repeat('x', 20)}]) AS doc FROM range(300000) AS r(i)"
    )
    told = subprocess.run([sys.executable, "-c", MANY, str(path), column], check=True, capture_output=True, text=True)
    count, largest, grown = map(int, told.stdout.split())
    assert (count, largest) == (300_000, 2000)
    assert grown < 400, f"{grown} MB more than before"
