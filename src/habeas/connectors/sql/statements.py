"""Compiles seeks to SELECT statements with named placeholders (`:p0`).

Pure: knows table sketches and a grammar, contacts no server. One value is a plain WHERE with a literal
ordinal, more are one bound relation joined to the table, alternatives are branches of a UNION ALL, never an OR.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.engine.default import DefaultDialect

from habeas.domain.dataset import Match
from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import ColumnSketch, Table, TableSketch, Value

Item = TypeVar("Item")

MAX_BRANCHES = 100
"""Branches of one UNION ALL; SQLite allows 500."""

MAX_CHARACTERS = 2_000_000
"""Of all values in one statement: MariaDB takes statements of 16 MiB, where a character may need several bytes."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Text with `:name` placeholders and what to bind; a list of mappings is executed once for each."""

    text: str
    parameters: Mapping[str, Value] | list[Mapping[str, Value]]

    def shown(self) -> str:
        """The text with `?` in place of every value."""
        return str(text(self.text).compile(dialect=DefaultDialect(paramstyle="qmark")))


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a nested look-up leads: the names below a column, through every array on the way."""

    column: ColumnSketch
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seek:
    """Rows of a table whose `columns` equal the values of one of `rows`: (ordinal, values in bound form).

    `key`: they are a key, whose values no collation may take for another; `proven`: a constraint makes it unique.
    `nulls` are columns that hold null besides. With `inside` the one column is a sketch of what stands there.
    """

    columns: tuple[ColumnSketch, ...]
    rows: Sequence[tuple[int, tuple[Value, ...]]]
    match: Match = Match.EXACT
    nulls: tuple[ColumnSketch, ...] = ()
    key: bool = False
    proven: bool = False
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A bound relation inside a statement: its FROM item, its ordinal and its values as expressions.

    `join`: how the table is joined to it.
    """

    source: str
    ordinal: str
    values: tuple[str, ...]
    join: str = "CROSS JOIN"


@dataclass(slots=True)
class Draft:
    """A statement being written: its parameters and the named relations that stand before it."""

    parameters: dict[str, Value] = field(default_factory=dict)
    relations: list[str] = field(default_factory=list)

    def bind(self, value: Value) -> str:
        """Keep a parameter and return its placeholder."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"


class Grammar(Protocol):
    """What the stores write differently in a SELECT. In every statement the table is called `t`."""

    mark: str = '"'
    """What quotes names."""

    def output(self, column: ColumnSketch) -> str:
        """The column as an item of a SELECT, so that the driver gives its values without loss."""
        return f"t.{quote(column.name, self.mark)}"

    def spelling(self, column: ColumnSketch) -> str:
        """`t.column` of an identity, so that nothing else equals it than what the store's keys take for the same."""
        return f"t.{quote(column.name, self.mark)}"

    def joins(self, values: tuple[Value, ...]) -> bool:
        """True when these bound values pass through a bound relation unchanged."""
        ...

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        """All rows of a seek as one bound relation."""
        ...

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        """A single placeholder as a value comparable with the column."""
        ...

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        """`t.column` equals `value` in the way of `match`."""
        ...

    def identity(self, column: ColumnSketch, value: str) -> str:
        """`t.column` of a key is this `value`; other than equal where the store's keys tell more apart."""
        return self.condition(column, value, Match.EXACT)


def quote(name: str, mark: str = '"') -> str:
    """An identifier, always quoted (as standard SQL does unless told); colons are escaped for `sqlalchemy.text`."""
    return mark + name.replace(mark, mark * 2).replace(":", "\\:") + mark


def literal(words: str) -> str:
    """A standard SQL text literal for names that are part of a statement, never for values."""
    return "'" + words.replace("'", "''").replace(":", "\\:") + "'"


def qualified(table: Table, mark: str = '"') -> str:
    """The quoted name of a table, with its schema when the dataset names one."""
    return ".".join(quote(name, mark) for name in (table.schema, table.name) if name)


def resolve(sketch: TableSketch, table: Table, names: Sequence[str]) -> tuple[ColumnSketch, ...]:
    """The sketches of these columns. Raises NeedsHuman when the table lacks one."""
    found = [(name, sketch.column(name)) for name in names]
    missing = [name for name, column in found if column is None]
    if missing:
        raise NeedsHuman(
            f"{table.address}: the table has no column {', '.join(missing)}",
            hint="correct the dataset's field names or add the column; names are case-sensitive",
        )
    return tuple(column for _, column in found if column is not None)


def compile_select(
    grammar: Grammar, table: Table, outputs: Sequence[str], seeks: Sequence[Seek], tail: str = ""
) -> list[Statement]:
    """Statements returning (ordinal, *outputs) once per match; usually one, none when nothing is sought.

    A row comes once for every value it matches: de-duplicate on the ordinal and what identifies the row.
    """
    parts = [part for seek in seeks for part in parts_of(grammar, seek)]
    return [_union(grammar, qualified(table, grammar.mark), outputs, chunk, tail) for chunk in _chunks(parts)]


def parts_of(grammar: Grammar, seek: Seek) -> list[Seek]:
    """Cut a seek into what becomes one branch each: one row alone, or many rows joined."""
    joined = [row for row in seek.rows if grammar.joins(row[1])]
    alone = [row for row in seek.rows if not grammar.joins(row[1])]
    groups = [*_portions(joined, _weight, MAX_CHARACTERS), *([row] for row in alone)]
    return [replace(seek, rows=rows) for rows in groups]


def _chunks(parts: Sequence[Seek]) -> Iterator[Sequence[Seek]]:
    """What stands in one statement."""
    for chunk in _portions(parts, lambda part: sum(map(_weight, part.rows)), MAX_CHARACTERS):
        for start in range(0, len(chunk), MAX_BRANCHES):
            yield chunk[start : start + MAX_BRANCHES]


def _weight(row: tuple[int, tuple[Value, ...]]) -> int:
    """About how many characters a row takes in a statement."""
    return sum(len(value) if isinstance(value, str | bytes) else 20 for value in row[1]) + 10


def _portions(items: Sequence[Item], weigh: Callable[[Item], int], limit: int) -> Iterator[list[Item]]:
    """Cut where the weight goes over the limit; an item that is too heavy alone stands alone."""
    portion: list[Item] = []
    weight = 0
    for item in items:
        own = weigh(item)
        if portion and weight + own > limit:
            yield portion
            portion, weight = [], 0
        portion.append(item)
        weight += own
    if portion:
        yield portion


def _union(grammar: Grammar, table: str, outputs: Sequence[str], parts: Sequence[Seek], tail: str) -> Statement:
    draft = Draft()
    branches = [branch_of(grammar, table, outputs, part, f"habeas_k{place}", draft) for place, part in enumerate(parts)]
    leading = f"WITH {', '.join(draft.relations)} " if draft.relations else ""
    return Statement(leading + " UNION ALL ".join(branches) + tail, draft.parameters)


def branch_of(grammar: Grammar, table: str, outputs: Sequence[str], part: Seek, alias: str, draft: Draft) -> str:
    """The SELECT of one part: (ordinal, *outputs) of the rows that equal its values."""
    if len(part.rows) == 1:
        ordinal, row = part.rows[0]
        source, place = f"{table} AS t", str(ordinal)
        values = [
            grammar.typed(draft.bind(value), column, part.match)
            for column, value in zip(part.columns, row, strict=True)
        ]
    else:
        relation = grammar.relation(part, alias, draft)
        source, place = f"{relation.source} {relation.join} {table} AS t", relation.ordinal
        values = list(relation.values)
    conditions = [
        grammar.identity(column, value) if part.key else grammar.condition(column, value, part.match)
        for column, value in zip(part.columns, values, strict=True)
    ] + [f"t.{quote(column.name, grammar.mark)} IS NULL" for column in part.nulls]
    return f"SELECT {', '.join([place, *outputs])} FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608  # identifiers quoted, values bound
