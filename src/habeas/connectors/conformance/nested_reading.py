"""Cases of looking below columns: whose values stand where inside of a row."""

from collections.abc import Sequence
from decimal import Decimal

from habeas.connectors.conformance.harness import Case, Column, Harness, Kind, TableSpec, read_all
from habeas.domain.dataset import Match
from habeas.domain.documents import Position, places
from habeas.domain.ports import Connector, Entry, Limits, Lookup, Table, Value

_ID = Column("id", Kind.INTEGER, nullable=False)
_POSTS = (_ID, Column("author"), Column("body", Kind.DOCUMENT))
Found = list[tuple[int, object, tuple[Position, ...]]]


def posts(*bodies: Value, author: str = "nobody") -> TableSpec:
    """A table of documents, with ids from 1."""
    rows = tuple((number, author, body) for number, body in enumerate(bodies, 1))
    return TableSpec("posts", _POSTS, ("id",), rows)


def inside(path: str, *pairs: tuple[int, Value], match: Match = Match.EXACT) -> Entry:
    """A way in below a column, e.g. `body.home.town`."""
    column, *names = path.split(".")
    return Entry(column, pairs, match, tuple(names))


def _find(connector: Connector, table: Table, *entries: Entry) -> Found:
    """(ordinal, first value, places) of every match, sorted."""
    rows = read_all(connector, Lookup(table, entries))
    assert all(len(row.ordinals) == 1 for row in rows if row.matched), "a row with places is one person's"
    found = [(ordinal, row.values[0], row.matched) for row in rows for ordinal in row.ordinals]
    assert len({(ordinal, row.key) for row in rows for ordinal in row.ordinals}) == len(found), "a match came twice"
    return sorted(found, key=repr)


def _search(harness: Harness, bodies: Sequence[Value], *entries: Entry) -> Found:
    spec = posts(*bodies)
    harness.create(spec)
    return _find(harness.connect(), spec.table("id", "body"), *entries)


def describes_documents(harness: Harness) -> None:
    harness.create(posts())
    sketch = harness.connect().describe()
    table = sketch.table(None, "posts") if sketch else None
    assert table is not None
    assert [column.document for column in table.columns] == [False, False, True]
    assert [column.nested for column in table.columns] == [False, False, True]
    assert [column.text for column in table.columns] == [False, True, False]


def finds_members_of_objects(harness: Harness) -> None:
    bodies = [
        {"home": {"town": "Oslo"}},
        {"home": {"town": "Rome"}},
        {"home": "Oslo", "town": "Oslo"},
        {"home": None},
        {"Home": {"town": "Oslo"}},
        5,
        None,
        {"home": {"town": {"town": "Oslo"}}},
    ]
    assert _search(harness, bodies, inside("body.home.town", (7, "Oslo"))) == [(7, 1, ())]


def finds_elements_and_says_where(harness: Harness) -> None:
    bodies = [{"tags": ["x", "y", "x"]}, {"tags": ["y"]}, {"tags": []}, {"tags": "x"}]
    assert _search(harness, bodies, inside("body.tags", (0, "x"))) == [
        (0, 1, (("body", "tags", 0), ("body", "tags", 2))),
        (0, 4, ()),
    ]


def finds_objects_in_arrays(harness: Harness) -> None:
    bodies = [{"notes": [{"by": "ann"}, {"on": 1}, {"by": "bob"}, {"by": "ann"}]}, [{"notes": {"by": "ann"}}]]
    assert _search(harness, bodies, inside("body.notes.by", (3, "ann"))) == [
        (3, 1, (("body", "notes", 0, "by"), ("body", "notes", 3, "by"))),
        (3, 2, (("body", 0, "notes", "by"),)),
    ]


def finds_arrays_in_arrays(harness: Harness) -> None:
    deep = {"a": [[["b"], "c"], [[{"d": ["b", [["b"]]]}]], "b"]}
    assert _search(harness, [deep, [[deep]]], inside("body.a", (0, "b"))) == [
        (0, 1, (("body", "a", 0, 0, 0), ("body", "a", 2))),
        (0, 2, (("body", 0, 0, "a", 0, 0, 0), ("body", 0, 0, "a", 2))),
    ]
    found = _find(harness.connect(), posts().table("id", "body"), inside("body.a.d", (0, "b"), (1, "x")))
    assert [matched for _, _, matched in found] == [
        (("body", "a", 1, 0, 0, "d", 0), ("body", "a", 1, 0, 0, "d", 1, 0, 0)),
        (("body", 0, 0, "a", 1, 0, 0, "d", 0), ("body", 0, 0, "a", 1, 0, 0, "d", 1, 0, 0)),
    ]


def finds_elements_of_the_column_itself(harness: Harness) -> None:
    bodies = [["x", ["x", "y"]], "x", {"x": "x"}, [], "y"]
    assert _search(harness, bodies, inside("body", (0, "x"), (1, "y"))) == [
        (0, 1, (("body", 0), ("body", 1, 0))),
        (0, 2, ()),
        (1, 1, (("body", 1, 1),)),
        (1, 5, ()),
    ]


def tells_people_in_one_document_apart(harness: Harness) -> None:
    bodies = [{"notes": [{"by": "ann"}, {"by": "bob"}, {"by": "ann"}, {"by": "cyd"}]}]
    assert _search(harness, bodies, inside("body.notes.by", (0, "ann"), (4, "bob"), (5, "ann"), (9, "x"))) == [
        (0, 1, (("body", "notes", 0, "by"), ("body", "notes", 2, "by"))),
        (4, 1, (("body", "notes", 1, "by"),)),
        (5, 1, (("body", "notes", 0, "by"), ("body", "notes", 2, "by"))),
    ]


def gathers_the_places_of_all_entries(harness: Harness) -> None:
    spec = posts({"notes": [{"by": "ann", "to": "bob"}, {"by": "x", "to": "ann"}], "tags": ["a1", "b1"]}, author="ann")
    harness.create(spec)
    entries = (
        inside("body.notes.by", (0, "ann"), (0, "x"), (1, "bob")),
        inside("body.notes.to", (0, "bob"), (1, "bob")),
        inside("body.tags", (0, "b1")),
        inside("author", (0, "ann"), (2, "ann")),
    )
    assert _find(harness.connect(), spec.table("id"), *entries) == [
        (
            0,
            1,
            (
                ("body", "notes", 0, "by"),
                ("body", "notes", 0, "to"),
                ("body", "notes", 1, "by"),
                ("body", "tags", 1),
            ),
        ),
        (1, 1, (("body", "notes", 0, "to"),)),
        (2, 1, ()),
    ]


def compares_inside_by_type(harness: Harness) -> None:
    bodies = [{"v": [1, 1.0, "1", True, "true", None, "1.0", 0, False, "", {"v": 1}]}]
    spec = posts(*bodies)
    harness.create(spec)
    connector = harness.connect()
    for value, indices in ((1, [0, 1]), ("1", [2]), (True, [3]), ("true", [4]), (0, [7]), (False, [8]), ("", [9])):
        expected = [(5, 1, tuple(("body", "v", index) for index in indices))]
        assert _find(connector, spec.table("id"), inside("body.v", (5, value))) == expected, value
        assert _find(connector, spec.table("id"), inside("body.v", (5, value), (6, "x"))) == expected, value
    assert _find(connector, spec.table("id"), inside("body.v", (0, "None"), (0, "null"), (0, 2), (0, b"1"))) == []


def compares_large_numbers_exactly(harness: Harness) -> None:
    bodies = [{"v": [2**53, 2**53 + 1, Decimal("0.1")]}]
    pairs = ((0, 2**53 + 1), (1, Decimal("0.10")), (2, 0.1), (3, 10**40))
    assert _search(harness, bodies, inside("body.v", *pairs)) == [
        (0, 1, (("body", "v", 1),)),
        (1, 1, (("body", "v", 2),)),
        (2, 1, (("body", "v", 2),)),
    ]


def folds_case_and_phones_inside_when_asked(harness: Harness) -> None:
    spec = posts({"mail": ["Ann@Example.com", "ann@example.com", 5, None], "phone": "+1 (555) 010-1"})
    harness.create(spec)
    connector, table = harness.connect(), spec.table("id")
    expected = [(0, 1, (("body", "mail", 0), ("body", "mail", 1)))]
    one = inside("body.mail", (0, "ANN@example.com"), match=Match.CASEFOLD)
    assert _find(connector, table, one) == expected
    two = inside("body.mail", (0, "ANN@example.com"), (1, "x"), match=Match.CASEFOLD)
    assert _find(connector, table, two) == expected
    assert _find(connector, table, inside("body.phone", (0, "+1.555.0101"), match=Match.PHONE)) == [(0, 1, ())]
    assert _find(connector, table, inside("body.mail", (0, "none"), match=Match.CASEFOLD)) == []


def finds_awkward_names_and_texts(harness: Harness) -> None:
    words = ("it's", 'say "hi"', "back\\slash", "100%", ":p0", "a\nb", "[1]", "{}", "日本 🙂", "$.**", "0", "\\u0041")
    bodies = [{word: [word]} for word in words]
    spec = posts(*bodies)
    harness.create(spec)
    connector = harness.connect()
    for number, word in enumerate(words, 1):
        entry = Entry("body", [(0, word), (1, "other")], inside=(word,))
        assert _find(connector, spec.table("id"), entry) == [(0, number, (("body", word, 0),))], word
        one = Entry("body", [(0, word)], inside=(word,))
        assert _find(connector, spec.table("id"), one) == [(0, number, (("body", word, 0),))], word


def ignores_values_that_no_document_holds(harness: Harness) -> None:
    pairs = ((0, "a\x00"), (1, "\ud800"), (2, float("nan")), (3, {"a": 1}), (4, "a"))
    assert _search(harness, [{"v": "a"}], inside("body.v", *pairs)) == [(4, 1, ())]
    assert _find(harness.connect(), posts().table("id"), inside("body.v", (0, "a\x00"))) == []


def reads_documents_as_they_are(harness: Harness) -> None:
    body = {"n": [0, -1, 2**63, 10**30, Decimal("1.50"), Decimal("1e-9")], "t": "ünï 🙂", "x": [None, True, {}, [], ""]}
    spec = posts(body, None, [body])
    harness.create(spec)
    rows = read_all(harness.connect(), Lookup(spec.table("body", "id"), (Entry("author", [(0, "nobody")]),)))
    found = {row.key: row.values[0] for row in rows}
    assert found == {(1,): body, (2,): None, (3,): [body]}
    kinds = [type(value) for _, value in places(found[(1,)], ("n",))]
    assert kinds == [int, int, int, int, Decimal, Decimal], "a number went through a float"


def tells_equal_documents_without_a_key_apart(harness: Harness) -> None:
    columns = (Column("author"), Column("body", Kind.DOCUMENT))
    body = {"tags": ["x", "y"]}
    spec = TableSpec("loose", columns, rows=(("ann", body), ("ann", body), ("bob", {"tags": ["y"]})))
    harness.create(spec)
    connector = harness.connect()
    entries = (inside("body.tags", (0, "x"), (1, "y")), inside("author", (0, "ann")))
    rows = read_all(connector, Lookup(spec.table(), entries))
    assert sorted((row.ordinals, row.matched) for row in rows) == [
        ((0,), (("body", "tags", 0),)),
        ((0,), (("body", "tags", 0),)),
        ((1,), (("body", "tags", 0),)),
        ((1,), (("body", "tags", 1),)),
        ((1,), (("body", "tags", 1),)),
    ]
    assert len({row.key for row in rows}) == 3
    flat = read_all(connector, Lookup(spec.table(), (Entry("author", [(0, "ann"), (0, "bob")]),)))
    assert {row.key for row in flat} == {row.key for row in rows}, "a row has another key in another look-up"
    assert connector.count(Lookup(spec.table(), entries)) == 3


def streams_documents_in_bounded_batches(harness: Harness) -> None:
    bodies = [{"notes": [{"by": f"p{number % 4}"}, {"by": f"p{number % 3}"}]} for number in range(500)]
    spec = posts(*bodies)
    harness.create(spec)
    connector = harness.connect(Limits(batch_rows=50))
    what = Lookup(spec.table("id", "body"), (inside("body.notes.by", *((p, f"p{p}") for p in range(6))),))
    batches = list(connector.read(what))
    assert all(0 < len(batch) <= 50 for batch in batches)
    found = {(row.ordinals, row.key): row.matched for batch in batches for row in batch}
    assert len(found) == sum(map(len, batches))
    expected = {
        ((p,), (number + 1,)): tuple(("body", "notes", place, "by") for place in (0, 1) if number % (4 - place) == p)
        for number in range(500)
        for p in {number % 4, number % 3}
    }
    assert found == expected
    assert connector.count(what) == 500


def explains_nested_look_ups_without_values(harness: Harness) -> None:
    spec = posts({"home": {"town": "Oslo"}})
    harness.create(spec)
    connector = harness.connect()
    one = connector.explain(Lookup(spec.table("id"), (inside("body.home.town", (0, "Oslo")),)))
    several = connector.explain(Lookup(spec.table("id"), (inside("body.home.town", (0, "Oslo"), (1, "Rome")),)))
    for text in (one, several):
        assert "posts" in text and "?" in text and "town" in text and "\n" not in text
        assert not [value for value in ("Oslo", "Rome") if value in text]
    assert one != several


def finds_elements_of_an_array_column(harness: Harness) -> None:
    lists: list[Value] = [["x", "y", "x"], ["Y", None], [], None, ["x,y", 'q"q', ""]]
    spec = TableSpec("tagged", (_ID, Column("tags", Kind.ARRAY)), ("id",), tuple(enumerate(lists, 1)))
    harness.create(spec)
    connector, table = harness.connect(), spec.table("id", "tags")
    assert _find(connector, table, inside("tags", (0, "x"))) == [(0, 1, (("tags", 0), ("tags", 2)))]
    assert _find(connector, table, inside("tags", (0, "y"), (1, "x"), (2, ""), (3, 'q"q'), (4, "z"), (5, 5))) == [
        (0, 1, (("tags", 1),)),
        (1, 1, (("tags", 0), ("tags", 2))),
        (2, 5, (("tags", 2),)),
        (3, 5, (("tags", 1),)),
    ]
    folded = inside("tags", (0, "Y"), (1, "x"), match=Match.CASEFOLD)
    assert _find(connector, table, folded) == [
        (0, 1, (("tags", 1),)),
        (0, 2, (("tags", 0),)),
        (1, 1, (("tags", 0), ("tags", 2))),
    ]
    sketch = connector.describe()
    described = sketch.table(None, "tagged") if sketch else None
    column = described.column("tags") if described else None
    assert column is not None and column.array and column.nested and column.text and not column.document


CASES: tuple[Case, ...] = (
    describes_documents,
    finds_members_of_objects,
    finds_elements_and_says_where,
    finds_objects_in_arrays,
    finds_arrays_in_arrays,
    finds_elements_of_the_column_itself,
    tells_people_in_one_document_apart,
    gathers_the_places_of_all_entries,
    compares_inside_by_type,
    compares_large_numbers_exactly,
    folds_case_and_phones_inside_when_asked,
    finds_awkward_names_and_texts,
    ignores_values_that_no_document_holds,
    reads_documents_as_they_are,
    tells_equal_documents_without_a_key_apart,
    streams_documents_in_bounded_batches,
    explains_nested_look_ups_without_values,
)
ARRAYS: tuple[Case, ...] = (finds_elements_of_an_array_column,)
