"""Cases of telling: what the store holds, what would be asked of it, and what is missing."""

from habeas.connectors.conformance.erasing import PEOPLE
from habeas.connectors.conformance.harness import Case, Column, Harness, TableSpec, erasure, expect, lookup, permit
from habeas.domain.errors import NeedsHuman


def answers_a_check(harness: Harness) -> None:
    harness.connect().check()


def describes_columns_and_keys(harness: Harness) -> None:
    harness.create(PEOPLE)
    sketch = harness.connect().describe()
    assert sketch is not None
    table = sketch.table(None, "people")
    assert table is not None
    assert [column.name for column in table.columns] == ["id", "email", "name", "age"]
    assert [column.text for column in table.columns] == [False, True, True, False]
    assert [column.nullable for column in table.columns] == [False, True, False, True]
    assert [column.length for column in table.columns] == [None, None, 10, None]
    assert table.primary_key == ("id",)
    assert ("email",) in table.unique
    assert table.locatable


def explains_without_values(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    one = connector.explain(lookup(PEOPLE.table(), "email", (0, "ann@example.com")))
    several = connector.explain(lookup(PEOPLE.table(), "email", (0, "ann@example.com"), (1, "bob@example.com")))
    change = connector.explain(erasure(PEOPLE, "name", ((4711,), "Ann", "MASKED")))
    for text in (one, several, change):
        assert "people" in text and "?" in text and "\n" not in text
        assert not [value for value in ("ann@", "bob@", "Ann", "MASKED", "4711") if value in text]
    assert one != several


def explains_the_same_for_every_value(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    texts = {connector.explain(lookup(PEOPLE.table(), "id", (place, place))) for place in range(3)}
    assert len(texts) == 1


def names_a_missing_table(harness: Harness) -> None:
    spec = TableSpec("nowhere", (Column("email"),), ("email",))
    connector = harness.connect()
    with expect(NeedsHuman, "ann@example.com"):
        list(connector.read(lookup(spec.table(), "email", (0, "ann@example.com"))))
    with expect(NeedsHuman, "ann@example.com"):
        connector.erase(erasure(spec, "email", (("ann@example.com",), "ann@example.com", None)), permit)


def names_a_missing_column(harness: Harness) -> None:
    harness.create(PEOPLE)
    connector = harness.connect()
    try:
        list(connector.read(lookup(PEOPLE.table("id", "absent"), "email", (0, "ann@example.com"))))
    except NeedsHuman as error:
        assert "absent" in str(error) and "people" in str(error)
    else:
        raise AssertionError("a missing column went unnoticed")
    with expect(NeedsHuman, "ann@example.com"):
        list(connector.read(lookup(PEOPLE.table("id"), "absent", (0, "ann@example.com"))))
    with expect(NeedsHuman, "MASKED"):
        connector.erase(erasure(PEOPLE, "absent", ((0,), "x", "MASKED")), permit)


def sees_a_table_that_was_created_meanwhile(harness: Harness) -> None:
    connector = harness.connect()
    what = lookup(PEOPLE.table("id"), "email", (0, "bob@example.com"))
    with expect(NeedsHuman):
        connector.count(what)
    harness.create(PEOPLE)
    assert connector.count(what) == 1


def may_be_closed_twice(harness: Harness) -> None:
    connector = harness.connect()
    connector.check()
    connector.close()
    connector.close()


CASES: tuple[Case, ...] = (
    answers_a_check,
    explains_without_values,
    explains_the_same_for_every_value,
    may_be_closed_twice,
)
STORED: tuple[Case, ...] = (
    describes_columns_and_keys,
    names_a_missing_table,
    names_a_missing_column,
    sees_a_table_that_was_created_meanwhile,
)
