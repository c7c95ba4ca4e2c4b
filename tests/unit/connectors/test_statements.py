"""The statements that reach a store, as a person would review them."""

import pytest

from habeas.connectors.sql import connect_postgres, connect_sqlite
from habeas.connectors.sql.sqlite import SqliteDialect
from habeas.connectors.sql.statements import Seek, compile_select
from habeas.domain.dataset import Address, Match
from habeas.domain.documents import Rewrite
from habeas.domain.errors import NeedsHuman
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
                ColumnSketch("id", "integer", text=False, nullable=False),
                ColumnSketch("email", "character varying", text=True),
                ColumnSketch("mood", "crm.mood", text=False),
                ColumnSketch("body", "jsonb", text=False, document=True),
                ColumnSketch("tags", "text", text=True, array=True),
            ),
            primary_key=("id",),
        ),
    ),
    default_schema="public",
)
LOG = Table(Address("shop", "log"), ("email", "line"))
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


PLACES = (
    'SELECT t."tableoid" AS i0, t."ctid" AS i1, w.place, w.held FROM "customer" AS t CROSS JOIN LATERAL ('
    "WITH RECURSIVE w(step, place, held) AS ("
    'SELECT 1, CAST(\'["body"]\' AS jsonb), CAST(t."body" AS jsonb) UNION ALL '
    "SELECT w.step + e.down, w.place || e.at, e.held FROM w CROSS JOIN LATERAL ("
    "SELECT 0, to_jsonb(a.nth - 1), a.held FROM "
    "jsonb_array_elements(CASE WHEN jsonb_typeof(w.held) = 'array' THEN w.held END) WITH ORDINALITY AS a(held, nth) "
    "UNION ALL SELECT 1, to_jsonb((CAST(ARRAY['home', 'it''s:x'] AS text[]))[w.step]), "
    "w.held -> (CAST(ARRAY['home', 'it''s:x'] AS text[]))[w.step]"
    ") AS e(down, at, held) WHERE e.held IS NOT NULL) SELECT w.place, w.held FROM w WHERE w.step = 3 "
    "AND jsonb_typeof(w.held) IN ('string', 'number', 'boolean')) AS w"
)
SCAN = (
    ' WHERE EXISTS (SELECT FROM jsonb_path_query(CAST(t."body" AS jsonb), '
    "CASE jsonb_typeof(CAST(t.\"body\" AS jsonb)) WHEN 'object' THEN "
    "CAST('$.\"home\".**.\"it''s:x\".**' AS jsonpath) ELSE '$.**' END) AS s WHERE s {wanted})"
)
GATHER = (
    "habeas_rows AS (SELECT ord, i0, i1, jsonb_agg(place) FILTER (WHERE place IS NOT NULL) AS places "
    'FROM habeas_found GROUP BY ord, i0, i1) SELECT r.ord, r.places, t."email", t."id" '
    'FROM habeas_rows AS r JOIN "customer" AS t ON t."tableoid" = r.i0 AND t."ctid" = r.i1'
)


def test_postgres_one_value_inside(postgres: Connector) -> None:
    assert postgres.explain(Lookup(TABLE, (Entry("body", [(7, "Oslo")], inside=("home", "it's:x")),))) == (
        "WITH habeas_found(ord, place, i0, i1) AS (SELECT 0, n.place, n.i0, n.i1 FROM ("
        f"{PLACES}{SCAN.format(wanted='= CAST(? AS jsonb)')} OFFSET 0"
        f") AS n WHERE n.held = CAST(? AS jsonb)), {GATHER}"
    )


def test_postgres_many_values_inside_and_a_flat_alternative(postgres: Connector) -> None:
    entries = (Entry("body", [(0, "a"), (1, "b")], inside=("home", "it's:x")), Entry("email", [(0, "a")]))
    assert postgres.explain(Lookup(TABLE, entries)) == (
        "WITH habeas_k0 AS MATERIALIZED (SELECT * FROM "
        "unnest(CAST(? AS int4[]), CAST(? AS jsonb[])) AS u(ord, v0)), "
        "habeas_found(ord, place, i0, i1) AS (SELECT habeas_k0.ord, n.place, n.i0, n.i1 FROM habeas_k0 JOIN ("
        f"{PLACES}{SCAN.format(wanted='= ANY(CAST(? AS jsonb[]))')} OFFSET 0"
        ') AS n ON n.held = habeas_k0.v0 UNION ALL SELECT 0, CAST(NULL AS jsonb), t."tableoid", t."ctid" '
        f'FROM "customer" AS t WHERE t."email" = CAST(? AS character varying)), {GATHER}'
    )


def test_postgres_widened_matches_inside_compare_texts_and_scan_nothing_before(postgres: Connector) -> None:
    entry = Entry("body", [(0, "a")], Match.CASEFOLD, inside=("home", "it's:x"))
    shown = postgres.explain(Lookup(TABLE, (entry,)))
    assert f"{PLACES} OFFSET 0) AS n WHERE lower((n.held #>> '{{}}')) = lower(CAST(? AS text))" in shown


def test_postgres_elements_of_an_array(postgres: Connector) -> None:
    shown = postgres.explain(Lookup(TABLE, (Entry("tags", [(0, "a")]),)))
    assert 'a.held FROM unnest(t."tags") WITH ORDINALITY AS a(held, nth)' in shown
    assert "AS n WHERE n.held = CAST(? AS text)" in shown


def test_postgres_rewrites_and_deletes(postgres: Connector) -> None:
    change = Change((1,), (None, None), (Rewrite((), ()), None))
    assert postgres.explain(Erasure(TABLE, ("body", "tags"), [change])) == (
        'UPDATE "customer" AS t SET "body" = CAST(n.a0 AS jsonb), "tags" = CAST(n.a1 AS text[]) '
        "FROM unnest(CAST(? AS bigint[]), CAST(? AS text[]), CAST(? AS text[])) AS n(k0, a0, a1) "
        'WHERE t."id" = n.k0'
    )
    assert postgres.explain(Erasure(TABLE, (), [Change((1,), (), ())], delete=True)) == (
        'DELETE FROM "customer" AS t USING unnest(CAST(? AS bigint[])) AS n(k0) WHERE t."id" = n.k0'
    )


def test_postgres_without_key(postgres: Connector) -> None:
    assert postgres.explain(Erasure(LOG, ("email",), [Change(("a", "b"), ("a",), (None,))])) == (
        'SELECT 0, CAST(t.tableoid AS int8), CAST(t.ctid AS text), t."email", t."line" FROM "log" AS t '
        'WHERE t."email" = CAST(? AS text) AND t."line" = CAST(? AS text) '
        'ORDER BY t."tableoid", t."ctid" FOR UPDATE OF t; '
        'UPDATE "log" AS t SET "email" = CAST(n.a0 AS text) '
        "FROM unnest(CAST(? AS oid[]), CAST(? AS tid[]), CAST(? AS text[])) AS n(k0, k1, a0) "
        'WHERE t."tableoid" = n.k0 AND t."ctid" = n.k1'
    )


def test_sqlite_deletes_and_rows_without_key(sqlite: Connector) -> None:
    assert sqlite.explain(Erasure(TABLE, (), [Change((1,), (), ())], delete=True)) == (
        'DELETE FROM "customer" AS t WHERE t."id" = ?'
    )
    assert sqlite.explain(Erasure(LOG, (), [Change(("a", "b"), (), ())], delete=True)) == (
        'SELECT 0, t.rowid, t."email", t."line" FROM "log" AS t WHERE t."email" = ? AND t."line" = ?; '
        'DELETE FROM "log" AS t WHERE t."rowid" = ?'
    )


def test_sqlite_holds_nothing_inside(sqlite: Connector) -> None:
    with pytest.raises(NeedsHuman, match=r"inside of column email at email\.home"):
        sqlite.explain(Lookup(TABLE, (Entry("email", [(0, "a")], inside=("home",)),)))


def test_paths_enter_columns_that_are_not_described_yet(postgres: Connector) -> None:
    shown = postgres.explain(Lookup(LOG, (Entry("body", [(0, "a")], inside=("home",)),)))
    assert 'CAST(t."body" AS jsonb)' in shown and "'home'" in shown


def test_nulls_are_asked_for_beside_values() -> None:
    dialect, columns = SqliteDialect(), tuple(ColumnSketch(name, "TEXT", text=True) for name in ("a", "b"))
    (statement,) = compile_select(dialect, LOG, ["t.x"], [Seek(columns[:1], [(0, ("v",))], nulls=columns[1:])])
    assert statement.shown() == 'SELECT 0, t.x FROM "log" AS t WHERE t."a" = ? AND t."b" IS NULL'
    (only,) = compile_select(dialect, LOG, ["t.x"], [Seek((), [(3, ())], nulls=columns)])
    assert only.shown() == 'SELECT 3, t.x FROM "log" AS t WHERE t."a" IS NULL AND t."b" IS NULL'


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
