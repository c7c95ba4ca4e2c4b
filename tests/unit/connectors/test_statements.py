"""The statements that reach a store, as a person would review them."""

import pytest

from habeas.connectors.sql import connect_postgres, connect_sqlite
from habeas.domain.dataset import Address, Match
from habeas.domain.ports import (
    Change,
    ColumnSketch,
    Connector,
    Entry,
    Erasure,
    Limits,
    Lookup,
    Sketch,
    Table,
    TableSketch,
)

SKETCH = Sketch(
    (
        TableSketch(
            "customer",
            "public",
            (
                ColumnSketch("id", "integer", text=False),
                ColumnSketch("email", "character varying", text=True),
                ColumnSketch("mood", "crm.mood", text=False),
            ),
        ),
    ),
    default_schema="public",
)
TABLE = Table(Address("shop", "customer"), ("email", "id"), ("id",))
ONE = Lookup(TABLE, (Entry("email", [(7, "ann@example.com")]),))
MANY = Lookup(TABLE, (Entry("email", [(0, "a"), (1, "b")]), Entry("id", [(4, 5)])))
CHANGE = Erasure(TABLE, ("email",), [Change((1,), ("ann@example.com",), (None,))])


@pytest.fixture
def postgres() -> Connector:
    return connect_postgres({"url": "postgresql://nobody@localhost:1/none"}, Limits(), SKETCH)


@pytest.fixture
def sqlite() -> Connector:
    return connect_sqlite({"path": "nowhere.db"}, Limits())


def test_postgres_one_value(postgres: Connector) -> None:
    assert postgres.explain(ONE) == (
        'SELECT 0, t."email", t."id" FROM "customer" AS t WHERE t."email" = CAST(? AS character varying)'
    )


def test_postgres_many_values_and_alternatives(postgres: Connector) -> None:
    assert postgres.explain(MANY) == (
        "WITH habeas_k0 AS MATERIALIZED (SELECT * FROM "
        "unnest(CAST(? AS int4[]), CAST(? AS character varying[])) AS u(ord, v0)) "
        'SELECT habeas_k0.ord, t."email", t."id" FROM habeas_k0 CROSS JOIN "customer" AS t '
        'WHERE t."email" = habeas_k0.v0 '
        'UNION ALL SELECT 0, t."email", t."id" FROM "customer" AS t WHERE t."id" = CAST(? AS bigint)'
    )


def test_postgres_update(postgres: Connector) -> None:
    assert postgres.explain(CHANGE) == (
        'UPDATE "customer" AS t SET "email" = CAST(n.a0 AS character varying) '
        'FROM unnest(CAST(? AS bigint[]), CAST(? AS text[])) AS n(k0, a0) WHERE t."id" = n.k0'
    )


def test_postgres_compares_other_types_as_text(postgres: Connector) -> None:
    assert 'WHERE CAST(t."mood" AS text) = CAST(? AS text)' in postgres.explain(
        Lookup(TABLE, (Entry("mood", [(0, "sad")]),))
    )


def test_sqlite_one_value(sqlite: Connector) -> None:
    assert sqlite.explain(ONE) == 'SELECT 0, t."email", t."id" FROM "customer" AS t WHERE t."email" = ?'


def test_sqlite_many_values_and_alternatives(sqlite: Connector) -> None:
    assert sqlite.explain(MANY) == (
        'SELECT json_extract(habeas_k0.value, \'$[0]\'), t."email", t."id" '
        'FROM json_each(?) AS habeas_k0 CROSS JOIN "customer" AS t '
        "WHERE t.\"email\" = json_extract(habeas_k0.value, '$[1]') "
        'UNION ALL SELECT 0, t."email", t."id" FROM "customer" AS t WHERE t."id" = ?'
    )


def test_sqlite_update(sqlite: Connector) -> None:
    assert sqlite.explain(CHANGE) == 'UPDATE "customer" AS t SET "email" = ? WHERE t."id" = ?'


def test_widened_matches(postgres: Connector, sqlite: Connector) -> None:
    folded = Lookup(TABLE, (Entry("email", [(0, "A")], Match.CASEFOLD),))
    phone = Lookup(TABLE, (Entry("email", [(0, "+1")], Match.PHONE),))
    assert 'WHERE lower(CAST(t."email" AS text)) = lower(CAST(? AS text))' in postgres.explain(folded)
    assert "WHERE translate(CAST(t.\"email\" AS text), ' -().', '') = CAST(? AS text)" in postgres.explain(phone)
    assert 'WHERE LOWER(t."email") = LOWER(?)' in sqlite.explain(folded)
    assert sqlite.explain(phone).count("REPLACE(") == 5


def test_names_are_quoted_and_qualified(postgres: Connector) -> None:
    table = Table(Address("shop", 'or"der :x'), ("se lect:a::b",), (), "Sales")
    shown = postgres.explain(Lookup(table, (Entry("se lect:a::b", [(0, 1)]),)))
    assert 't."se lect:a::b" FROM "Sales"."or""der :x" AS t' in shown


def test_an_explanation_without_pairs_shows_the_plain_form(sqlite: Connector) -> None:
    assert sqlite.explain(Lookup(TABLE, (Entry("email", []),))) == sqlite.explain(ONE)
