"""Looking into PostgreSQL's nested values: documents are walked by their names, through arrays at any depth.

The walk is a recursive query for each row, so rows that hold no wanted value anywhere are left out before it, by a
scan in the server's own code that may take too many and never too few.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from habeas.connectors.sql.json_text import scalar_form, write_json
from habeas.connectors.sql.postgres_types import compare, compared_type, relation
from habeas.connectors.sql.statements import Draft, Inside, Seek, literal, quote
from habeas.connectors.sql.values import matched_form, postgres_form
from habeas.domain.dataset import Match
from habeas.domain.documents import Position
from habeas.domain.ports import ColumnSketch, Value


def whole_form(value: Value, column: ColumnSketch) -> str | None:
    """All that a nested column is to hold, as text input; a document that must not be null holds JSON's null."""
    if column.document:
        return None if value is None and column.nullable else write_json(value)
    return None if value is None else _array_form(value, replace(column, array=False))


def _array_form(value: Value, element: ColumnSketch) -> str | None:
    """The store's text of an array; None unless every element is one."""
    if not isinstance(value, list | tuple):
        return None
    forms = []
    for item in value:
        inner = isinstance(item, list | tuple)
        form = _array_form(item, element) if inner else postgres_form(item, element)
        if form is None and item is not None:
            return None
        words = "NULL" if form is None else form if inner else '"' + re.sub(r'(["\\])', r"\\\1", form) + '"'
        forms.append(words)
    return "{" + ",".join(forms) + "}"


class PostgresNesting:
    """Columns of type json and jsonb, and arrays. A place is a JSON array of names and indices."""

    no_place = "CAST(NULL AS jsonb)"

    def form(self, value: Value, column: ColumnSketch, match: Match) -> Value | None:
        if match is not Match.EXACT:
            return matched_form(value, match)
        return scalar_form(value) if column.document else postgres_form(value, column)

    def branch(self, table: str, identity: Sequence[str], part: Seek, alias: str, draft: Draft) -> str:
        """A line for every place; the places of the whole table are one relation that the values are joined to."""
        (column,) = part.columns
        names = [f"i{number}" for number in range(len(identity))]
        own = ", ".join(f"{expression} AS {name}" for expression, name in zip(identity, names, strict=True))
        outputs = ", ".join(["n.place", *(f"n.{name}" for name in names)])
        if len(part.rows) == 1:
            ordinal, (value,) = part.rows[0]
            wanted = f"CAST({draft.bind(value)} AS {compared_type(column, part.match)})"
            places = _places(table, own, part, f"= {wanted}")
            return f"SELECT {ordinal}, {outputs} FROM ({places}) AS n WHERE {_equals(part, wanted)}"  # noqa: S608  # identifiers quoted, values bound
        values = relation(part, alias, draft)
        wanted = f"= ANY(CAST({draft.bind([value for _, (value,) in part.rows])} AS jsonb[]))" if _scans(part) else ""
        places = _places(table, own, part, wanted)
        return (
            f"SELECT {values.ordinal}, {outputs} FROM {values.source} "  # noqa: S608  # identifiers quoted, values bound
            f"JOIN ({places}) AS n ON {_equals(part, values.values[0])}"
        )

    def gathered(self, place: str) -> str:
        return f"jsonb_agg({place}) FILTER (WHERE {place} IS NOT NULL)"

    def positions(self, gathered: Value) -> Iterable[Position]:
        return [tuple(place) for place in gathered] if isinstance(gathered, list) else ()


def _equals(part: Seek, wanted: str) -> str:
    column = part.columns[0]
    return compare("n.held", replace(column, type="jsonb") if column.document else column, wanted, part.match)


def _scans(part: Seek) -> bool:
    return part.columns[0].document and part.match is Match.EXACT


def _places(table: str, own: str, part: Seek, wanted: str) -> str:
    """Every place of the path in every row. OFFSET 0 keeps the planner from joining the values row by row."""
    if part.inside is None:
        raise ValueError("a flat part")
    inside, name = part.inside, f"t.{quote(part.inside.column.name)}"
    held = f"CAST({name} AS jsonb)" if inside.column.document else name  # json, jsonb, or a domain over one
    walk = _walk(held, inside) if inside.column.document else _elements(held, inside)
    scan = f"SELECT FROM jsonb_path_query({held}, {_anywhere(held, inside)}) AS s WHERE s {wanted}"
    where = f" WHERE EXISTS ({scan})" if _scans(part) else ""
    return f"SELECT {own}, w.place, w.held FROM {table} AS t CROSS JOIN LATERAL ({walk}) AS w{where} OFFSET 0"  # noqa: S608  # identifiers quoted, values bound


def _walk(held: str, inside: Inside, kinds: str = "IN ('string', 'number', 'boolean')") -> str:
    """What stands at the path with its places: a step goes to an element of an array or to the next name."""
    names = f"CAST(ARRAY[{', '.join(map(literal, inside.path))}] AS text[])"
    start = f"CAST({literal(json.dumps([inside.column.name]))} AS jsonb)"
    return (
        f"WITH RECURSIVE w(step, place, held) AS (SELECT 1, {start}, {held} UNION ALL "  # noqa: S608  # identifiers quoted, values bound
        "SELECT w.step + e.down, w.place || e.at, e.held FROM w CROSS JOIN LATERAL ("
        "SELECT 0, to_jsonb(a.nth - 1), a.held FROM "
        "jsonb_array_elements(CASE WHEN jsonb_typeof(w.held) = 'array' THEN w.held END) "
        "WITH ORDINALITY AS a(held, nth) UNION ALL "
        f"SELECT 1, to_jsonb(({names})[w.step]), w.held -> ({names})[w.step]"
        ") AS e(down, at, held) WHERE e.held IS NOT NULL) "
        f"SELECT w.place, w.held FROM w WHERE w.step = {len(inside.path) + 1} "
        f"AND jsonb_typeof(w.held) {kinds}"
    )


def _anywhere(held: str, inside: Inside) -> str:
    """A JSON path to more than the places of the path: names with anything between, below an object."""
    steps = "".join(f".{json.dumps(name)}.**" for name in inside.path)
    if not steps:
        return "'$.**'"
    return f"CASE jsonb_typeof({held}) WHEN 'object' THEN CAST({literal('$' + steps)} AS jsonpath) ELSE '$.**' END"


def _elements(held: str, inside: Inside) -> str:
    """The elements of an array; those of several dimensions stand one in the other."""
    start = f"CAST({literal(json.dumps([inside.column.name]))} AS jsonb)"
    walk = _walk(f"to_jsonb({held})", inside, "<> 'array'")
    walked = f"SELECT w.place FROM ({walk}) AS w ORDER BY w.place"  # noqa: S608  # identifiers quoted, values bound
    return (
        f"SELECT CASE array_ndims({held}) WHEN 1 THEN {start} || to_jsonb(a.nth - 1) "  # noqa: S608  # identifiers quoted, values bound
        f"ELSE ({walked} OFFSET a.nth - 1 LIMIT 1) END AS place, a.held "
        f"FROM unnest({held}) WITH ORDINALITY AS a(held, nth)"
    )
