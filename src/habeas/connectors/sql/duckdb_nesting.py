"""Looking into DuckDB's nested values: lists and structs by the steps that their types tell, documents by a walk.

A place is the text of a JSON array of names and indices, without its end. Everything is done for whole tables at
once: each step is a relation over the one before.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from habeas.connectors.sql.duckdb_comparing import comparable, compare, relation, sql
from habeas.connectors.sql.duckdb_types import Type, parse_type
from habeas.connectors.sql.duckdb_values import matched_form, member_form
from habeas.connectors.sql.statements import Draft, Inside, Seek, literal, quote
from habeas.domain.dataset import Match
from habeas.domain.documents import Position
from habeas.domain.ports import ColumnSketch, Value


class DuckdbNesting:
    """Lists, arrays and structs at any depth, and JSON inside of them or by itself."""

    no_place = "CAST(NULL AS VARCHAR)"

    def form(self, value: Value, column: ColumnSketch, match: Match) -> Value | None:
        return member_form(value, parse_type(column.type).leaf) if match is Match.EXACT else matched_form(value, match)

    def branch(self, table: str, identity: Sequence[str], part: Seek, alias: str, draft: Draft) -> str:
        """A line for every place; the places of the whole table are one relation that the values are joined to."""
        if part.inside is None:
            raise ValueError("a flat part")
        column = part.columns[0]
        leaf = replace(column, type=str(parse_type(column.type).leaf), document=False)
        names = [f"i{number}" for number in range(len(identity))]
        start = _Walk("".join(f"{name}, " for name in names), _start(table, identity, names, part.inside))
        outputs = ", ".join(["n.place", *(f"n.{name}" for name in names)])
        if len(part.rows) == 1:
            ordinal, (value,) = part.rows[0]
            wanted = f"CAST({draft.bind(value)} AS VARCHAR)"
            if _scans(part):
                start = start.where(
                    f"(json_type({wanted}) <> 'VARCHAR' OR json_contains(held, CAST({wanted} AS JSON)))"
                )
            equal = compare("n.held", leaf, comparable(wanted, leaf, part.match), part.match)
            return f"SELECT {ordinal}, {outputs} FROM ({start.along(part.inside)}) AS n WHERE {equal}"  # noqa: S608  # identifiers quoted, values bound
        values = relation(replace(part, columns=(leaf,)), alias, draft)
        equal = compare("n.held", leaf, values.values[0], part.match)
        return (
            f"SELECT {values.ordinal}, {outputs} FROM {values.source} "  # noqa: S608  # identifiers quoted, values bound
            f"JOIN ({start.along(part.inside)}) AS n ON {equal}"
        )

    def gathered(self, place: str) -> str:
        return f"list({place}) FILTER (WHERE {place} IS NOT NULL)"

    def positions(self, gathered: Value) -> Iterable[Position]:
        return [tuple(json.loads(f"{place}]")) for place in gathered] if isinstance(gathered, list) else ()


def _start(table: str, identity: Sequence[str], names: Sequence[str], inside: Inside) -> str:
    own = "".join(f"{expression} AS {name}, " for expression, name in zip(identity, names, strict=True))
    place = literal(f"[{json.dumps(inside.column.name)}")
    return f"SELECT {own}{place} AS place, t.{quote(inside.column.name)} AS held FROM {table} AS t"  # noqa: S608  # identifiers quoted


def _scans(part: Seek) -> bool:
    """Whether rows without the value can be left out at once; numbers that are equal may be spelled differently."""
    return part.match is Match.EXACT and part.inside is not None and parse_type(part.inside.column.type).name == "JSON"


@dataclass(frozen=True, slots=True)
class _Walk:
    """A relation of what is held at which place, beside what identifies its row (`own`)."""

    own: str
    relation: str

    def where(self, condition: str) -> "_Walk":
        return self._then(f"SELECT {self.own}place, held FROM ({self.relation}) WHERE {condition}")  # noqa: S608  # values bound

    def along(self, inside: Inside) -> str:
        """What stands at the end of the path."""
        walk, kind = self, parse_type(inside.column.type)
        for count, name in enumerate(inside.path):
            walk, kind = walk._through_lists(kind)
            if kind.name == "JSON":
                return walk._through_document(inside.path[count:])
            kind = dict(kind.members)[name]
            walk = walk._to(f"struct_extract(held, {literal(name)})", literal("," + json.dumps(name)))
        walk, kind = walk._through_lists(kind)
        return walk._through_document(()) if kind.name == "JSON" else walk.relation

    def _then(self, relation: str) -> "_Walk":
        return _Walk(self.own, relation)

    def _to(self, held: str, step: str) -> "_Walk":
        return self._then(f"SELECT {self.own}place || {step} AS place, {held} AS held FROM ({self.relation})")  # noqa: S608  # names are literals

    def _through_lists(self, kind: Type) -> "tuple[_Walk, Type]":
        walk = self
        while kind.element is not None:
            held = "held" if kind.size is None else f"CAST(held AS {sql(kind.element)}[])"
            walk = walk._to(f"unnest({held})", f"',' || (generate_subscripts({held}, 1) - 1)")
            kind = kind.element
        return walk, kind

    def _through_document(self, path: Sequence[str]) -> str:
        """A step goes to every element of an array, or to the next name of an object."""
        pointers = ", ".join(literal("/" + name.replace("~", "~0").replace("/", "~1")) for name in path)
        names = ", ".join(literal(json.dumps(name)) for name in path)
        return (
            f"WITH RECURSIVE w AS (SELECT {self.own}1 AS step, place, held FROM ({self.relation}) "  # noqa: S608  # names are literals
            f"UNION ALL SELECT {self.own}step + down, place || ',' || next, held FROM ("
            f"SELECT {self.own}step, place, CASE WHEN many THEN 0 ELSE 1 END AS down, "
            "CASE WHEN many THEN CAST(generate_subscripts(below, 1) - 1 AS VARCHAR) "
            f"ELSE CAST([{names}] AS VARCHAR[])[step] END AS next, unnest(below) AS held FROM ("
            f"SELECT {self.own}step, place, json_type(held) = 'ARRAY' AS many, CASE json_type(held) "
            "WHEN 'ARRAY' THEN json_extract(held, '$[*]') "
            f"WHEN 'OBJECT' THEN [json_extract(held, CAST([{pointers}] AS VARCHAR[])[step])] END AS below FROM w)) "
            f"WHERE held IS NOT NULL) SELECT {self.own}place, held FROM w WHERE step = {len(path) + 1} "
            "AND json_type(held) NOT IN ('OBJECT', 'ARRAY', 'NULL')"
        )
