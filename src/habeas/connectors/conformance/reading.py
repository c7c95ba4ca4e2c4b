"""Cases of reading: who owns which row, and that nothing else comes."""

from collections import Counter

from habeas.connectors.conformance.harness import (
    Case,
    Column,
    Harness,
    Kind,
    TableSpec,
    lookup,
    owned,
    read_all,
)
from habeas.domain.dataset import Match
from habeas.domain.ports import Entry, Limits, Lookup

_ID = Column("id", Kind.INTEGER, nullable=False)
MEMBERS = TableSpec(
    "members",
    (_ID, Column("email"), Column("phone"), Column("note")),
    ("id",),
    (
        (0, "ann@example.com", "+1 (555) 010-1", "zero"),
        (1, "bob@example.com", "+15550102", "one"),
        (2, "bob@example.com", None, "two"),
        (3, None, "+15550103", "three"),
    ),
)
LOG = TableSpec(
    "log",
    (Column("email"), Column("line")),
    rows=(("ann@example.com", "in"), ("ann@example.com", "in"), ("ann@example.com", "out"), ("bob@example.com", "in")),
)


def finds_rows_of_one_value(harness: Harness) -> None:
    harness.create(MEMBERS)
    rows = read_all(harness.connect(), lookup(MEMBERS.table("id", "note"), "email", (7, "bob@example.com")))
    assert owned(rows) == [(7, (1, "one")), (7, (2, "two"))]
    assert sorted(row.key for row in rows) == [(1,), (2,)]


def attributes_rows_of_many_values(harness: Harness) -> None:
    harness.create(MEMBERS)
    pairs = ((3, "ann@example.com"), (5, "bob@example.com"), (6, "nobody@example.com"))
    rows = read_all(harness.connect(), lookup(MEMBERS.table("id"), "email", *pairs))
    assert owned(rows) == [(3, (0,)), (5, (1,)), (5, (2,))]


def joins_alternatives_without_repeating_a_row(harness: Harness) -> None:
    harness.create(MEMBERS)
    entries = (
        Entry("email", [(1, "bob@example.com"), (2, "ann@example.com")]),
        Entry("phone", [(1, "+15550102"), (1, "+15550103")]),
    )
    rows = read_all(harness.connect(), Lookup(MEMBERS.table("id"), entries))
    assert owned(rows) == [(1, (1,)), (1, (2,)), (1, (3,)), (2, (0,))]


def gives_a_shared_row_to_both_people(harness: Harness) -> None:
    harness.create(MEMBERS)
    entries = (Entry("email", [(1, "bob@example.com")]), Entry("phone", [(2, "+15550102")]))
    connector = harness.connect()
    rows = read_all(connector, Lookup(MEMBERS.table("id"), entries))
    assert owned(rows) == [(1, (1,)), (1, (2,)), (2, (1,))]
    same = read_all(connector, lookup(MEMBERS.table("id"), "email", (1, "ann@example.com"), (2, "ann@example.com")))
    assert owned(same) == [(1, (0,)), (2, (0,))]


def keeps_the_number_of_equal_rows_without_a_key(harness: Harness) -> None:
    harness.create(LOG)
    entries = (Entry("email", [(0, "ann@example.com")]), Entry("line", [(0, "in"), (1, "in")]))
    rows = read_all(harness.connect(), Lookup(LOG.table(), entries))
    expected = {(0, row): count for row, count in Counter(LOG.rows).items()}
    expected |= {(1, row): count for row, count in Counter(LOG.rows).items() if row[1] == "in"}
    assert Counter(owned(rows)) == expected
    assert len({row.key for row in rows}) == len(LOG.rows)


def finds_key_zero_and_empty_text(harness: Harness) -> None:
    harness.create(MEMBERS)
    spec = TableSpec("codes", (Column("code", nullable=False), Column("note")), ("code",), (("", "empty"), ("0", "0")))
    harness.create(spec)
    connector = harness.connect()
    assert owned(read_all(connector, lookup(MEMBERS.table("id"), "id", (0, 0)))) == [(0, (0,))]
    assert owned(read_all(connector, lookup(MEMBERS.table("id"), "id", (0, 0), (1, 1)))) == [(0, (0,)), (1, (1,))]
    assert owned(read_all(connector, lookup(spec.table(), "code", (4, "")))) == [(4, ("", "empty"))]
    both = read_all(connector, lookup(spec.table("code"), "code", (4, ""), (5, "0")))
    assert owned(both) == [(4, ("",)), (5, ("0",))]
    assert sorted(row.key for row in both) == [("",), ("0",)]


def gives_composite_keys_in_declared_order(harness: Harness) -> None:
    columns = (Column("order_id", Kind.INTEGER, nullable=False), Column("line", Kind.INTEGER, nullable=False))
    spec = TableSpec("lines", (*columns, Column("note")), ("order_id", "line"), ((1, 1, "a"), (1, 2, "b"), (2, 1, "c")))
    harness.create(spec)
    rows = read_all(harness.connect(), lookup(spec.table("line", "note", "order_id"), "order_id", (0, 1), (1, 2)))
    assert sorted((row.key, row.values, row.ordinals) for row in rows) == [
        ((1, 1), (1, "a", 1), (0,)),
        ((1, 2), (2, "b", 1), (0,)),
        ((2, 1), (1, "c", 2), (1,)),
    ]


def never_matches_null(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect()
    for text in ("", "None", "null"):
        assert read_all(connector, lookup(MEMBERS.table(), "email", (0, text), (1, "x"))) == []
        assert read_all(connector, lookup(MEMBERS.table(), "email", (0, text), match=Match.CASEFOLD)) == []


def matches_unicode_and_awkward_text(harness: Harness) -> None:
    texts = ("Ünïcode@exämple.com", "日本", "🙂", "it's", 'say "hi"', "back\\slash", "100%", ":p0", "a\nb", "[1]", "{}")
    spec = TableSpec("words", (_ID, Column("word")), ("id",), tuple(enumerate(texts)))
    harness.create(spec)
    connector = harness.connect()
    rows = read_all(connector, lookup(spec.table(), "word", *enumerate(texts)))
    assert owned(rows) == sorted(((place, (place, text)) for place, text in enumerate(texts)), key=repr)
    for place, text in enumerate(texts):
        assert owned(read_all(connector, lookup(spec.table(), "word", (0, text)))) == [(0, (place, text))]


def ignores_text_that_no_store_holds(harness: Harness) -> None:
    spec = TableSpec("words", (_ID, Column("word")), ("id",), ((1, "a"),))
    harness.create(spec)
    pairs = ((0, "a\x00b"), (1, "a\x00"), (2, "a"), (3, "\ud800"))
    assert owned(read_all(harness.connect(), lookup(spec.table("id"), "word", *pairs))) == [(2, (1,))]
    assert read_all(harness.connect(), lookup(spec.table("id"), "word", (0, "a\x00"))) == []


def quotes_every_name(harness: Harness) -> None:
    names = ("select", "Mixed Case", 'quo"te', "per%cent", "co:lon", ":p0", "back\\slash", "dash-ed")
    spec = TableSpec("Order", (_ID, *(Column(name) for name in names)), ("id",), ((1, *names), (2, *names[::-1])))
    harness.create(spec)
    connector = harness.connect()
    for name in names:
        assert owned(read_all(connector, lookup(spec.table("id", name), name, (0, name)))) == [(0, (1, name))]
        many = lookup(spec.table("id"), name, (0, name), (1, "other"))
        assert owned(read_all(connector, many)) == [(0, (1,))]


def compares_as_the_store_does(harness: Harness) -> None:
    spec = TableSpec("folded", (_ID, Column("email", Kind.FOLDING)), ("id",), ((1, "Ann@Example.com"), (2, "bob")))
    harness.create(spec)
    connector = harness.connect()
    assert owned(read_all(connector, lookup(spec.table("id"), "email", (0, "ANN@example.com")))) == [(0, (1,))]
    pairs = ((0, "ANN@example.com"), (1, "ann@EXAMPLE.com"), (1, "ann@example.com"), (2, "BOB"))
    rows = read_all(connector, lookup(spec.table("id"), "email", *pairs))
    assert owned(rows) == [(0, (1,)), (1, (1,)), (2, (2,))]


def compares_exactly_where_the_store_does(harness: Harness) -> None:
    spec = TableSpec("exact", (_ID, Column("email")), ("id",), ((1, "Ann@Example.com"), (2, "ann@example.com ")))
    harness.create(spec)
    pairs = ((0, "ann@example.com"), (1, "Ann@Example.com"))
    assert owned(read_all(harness.connect(), lookup(spec.table("id"), "email", *pairs))) == [(1, (1,))]


def folds_case_when_asked(harness: Harness) -> None:
    spec = TableSpec("folding", (_ID, Column("email")), ("id",), ((1, "Ann@Example.com"), (2, "bob@example.com")))
    harness.create(spec)
    connector = harness.connect()
    one = lookup(spec.table("id"), "email", (0, "aNN@example.com"), match=Match.CASEFOLD)
    assert owned(read_all(connector, one)) == [(0, (1,))]
    pairs = ((0, "ANN@EXAMPLE.COM"), (0, "ann@example.com"), (1, "BOB@example.com"))
    rows = read_all(connector, lookup(spec.table("id"), "email", *pairs, match=Match.CASEFOLD))
    assert owned(rows) == [(0, (1,)), (1, (2,))]


def ignores_phone_punctuation_when_asked(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect()
    one = lookup(MEMBERS.table("id"), "phone", (0, "+15550101"), match=Match.PHONE)
    assert owned(read_all(connector, one)) == [(0, (0,))]
    pairs = ((0, "+1.555.0101"), (1, "+1 555-0102"), (1, "+15550102"))
    rows = read_all(connector, lookup(MEMBERS.table("id"), "phone", *pairs, match=Match.PHONE))
    assert owned(rows) == [(0, (0,)), (1, (1,))]


def leaves_out_values_of_another_type(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect()
    pairs = ((0, "x"), (1, "1"), (2, 2), (3, 10**30), (4, ""), (5, "1x"))
    assert owned(read_all(connector, lookup(MEMBERS.table("id"), "id", *pairs))) == [(1, (1,)), (2, (2,))]
    assert read_all(connector, lookup(MEMBERS.table("id"), "id", (0, "1 or 1=1"))) == []


def matches_numbers_with_text_columns(harness: Harness) -> None:
    spec = TableSpec("codes", (_ID, Column("code")), ("id",), ((1, "467"), (2, "0467")))
    harness.create(spec)
    connector = harness.connect()
    assert owned(read_all(connector, lookup(spec.table("id"), "code", (0, 467)))) == [(0, (1,))]
    assert owned(read_all(connector, lookup(spec.table("id"), "code", (0, 467), (1, "0467")))) == [(0, (1,)), (1, (2,))]


def streams_in_bounded_batches(harness: Harness) -> None:
    rows = tuple((number, f"p{number % 3}@example.com") for number in range(1000))
    spec = TableSpec("many", (_ID, Column("email")), ("id",), rows)
    harness.create(spec)
    connector = harness.connect(Limits(batch_rows=100))
    pairs = [(number, f"p{number}@example.com") for number in range(3)]
    batches = list(connector.read(lookup(spec.table(), "email", *pairs)))
    assert len(batches) >= 10
    assert all(0 < len(batch) <= 100 for batch in batches)
    assert owned([row for batch in batches for row in batch]) == sorted(((row[0] % 3, row) for row in rows), key=repr)


def takes_many_values_at_once(harness: Harness) -> None:
    rows = tuple((number, f"p{number}@example.com") for number in range(5000))
    spec = TableSpec("wide", (_ID, Column("email")), ("id",), rows)
    harness.create(spec)
    pairs = [(number, f"p{number}@example.com") for number in range(10, 10000, 2)]
    found = read_all(harness.connect(), lookup(spec.table("id"), "email", *pairs))
    assert owned(found) == sorted(((number, (number,)) for number in range(10, 5000, 2)), key=repr)


def gives_nothing_without_pairs(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect()
    assert list(connector.read(lookup(MEMBERS.table(), "email"))) == []
    assert list(connector.read(Lookup(MEMBERS.table(), ()))) == []
    assert connector.count(lookup(MEMBERS.table(), "email")) == 0


def reads_declared_columns_only(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect()
    what = lookup(MEMBERS.table("email", "id"), "phone", (0, "+15550102"))
    assert [row.values for row in read_all(connector, what)] == [("bob@example.com", 1)]
    assert "note" not in connector.explain(what)


def may_be_left_half_read(harness: Harness) -> None:
    harness.create(MEMBERS)
    connector = harness.connect(Limits(batch_rows=1, pool_size=1))
    what = lookup(MEMBERS.table("id"), "email", (0, "bob@example.com"))
    for _ in range(3):
        batches = connector.read(what)
        assert len(next(batches)) == 1
        batches.close()  # type: ignore[attr-defined]  # an iterator of ours is a generator
    assert connector.count(what) == 2


def counts_distinct_rows(harness: Harness) -> None:
    harness.create(MEMBERS)
    harness.create(LOG)
    connector = harness.connect()
    entries = (
        Entry("email", [(0, "bob@example.com"), (1, "bob@example.com"), (2, "ann@example.com")]),
        Entry("phone", [(0, "+15550102")]),
    )
    assert connector.count(Lookup(MEMBERS.table(), entries)) == 3
    assert connector.count(lookup(LOG.table(), "email", (0, "ann@example.com"))) == 3


CASES: tuple[Case, ...] = (
    finds_rows_of_one_value,
    attributes_rows_of_many_values,
    joins_alternatives_without_repeating_a_row,
    gives_a_shared_row_to_both_people,
    keeps_the_number_of_equal_rows_without_a_key,
    finds_key_zero_and_empty_text,
    gives_composite_keys_in_declared_order,
    never_matches_null,
    matches_unicode_and_awkward_text,
    ignores_text_that_no_store_holds,
    quotes_every_name,
    compares_as_the_store_does,
    compares_exactly_where_the_store_does,
    folds_case_when_asked,
    ignores_phone_punctuation_when_asked,
    leaves_out_values_of_another_type,
    matches_numbers_with_text_columns,
    streams_in_bounded_batches,
    takes_many_values_at_once,
    gives_nothing_without_pairs,
    reads_declared_columns_only,
    may_be_left_half_read,
    counts_distinct_rows,
)
