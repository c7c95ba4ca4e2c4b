"""Look-ups that lead below columns: which rows, and where inside of them each person's values stand.

The store finds and compares; each row comes once for each person, with all its places together. Pure. What a store
writes in its own way is a `Nesting`; flat alternatives of the same look-up are ordinary branches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from habeas.connectors.sql.statements import Draft, Grammar, Seek, Statement, branch_of, parts_of, qualified
from habeas.domain.dataset import Match
from habeas.domain.documents import Position
from habeas.domain.errors import NeedsHuman
from habeas.domain.ports import ColumnSketch, Table, Value


class Nesting(Protocol):
    """How a store looks into nested values. A place is the column's name, then names and indices below it."""

    no_place: str
    """A null of the type of a place."""

    def form(self, value: Value, column: ColumnSketch, match: Match) -> Value | None:
        """The bound form of a value that may stand inside, `column` being its sketch; None when it never can."""
        ...

    def branch(self, table: str, identity: Sequence[str], part: Seek, alias: str, draft: Draft) -> str:
        """The SELECT of one part with `inside`: (ordinal, place, *identity), a line for every place that matches.

        Like `branch_of`: one row alone is bound as it is, several as one relation called `alias`.
        """
        ...

    def gathered(self, place: str) -> str:
        """The aggregate of an expression's places without the nulls among them."""
        ...

    def positions(self, gathered: Value) -> Iterable[Position]:
        """The gathered places as the driver gives them, null included."""
        ...


def leads_inside(column: ColumnSketch, path: Sequence[str]) -> bool:
    """True when values below the column are meant, and not the column itself."""
    return bool(path) or column.nested


def leaf(column: ColumnSketch, path: Sequence[str]) -> ColumnSketch | None:
    """What stands at a path below a column, as elements where it is an array; None when nothing can stand there."""
    here: ColumnSketch | None = column
    for name in path:
        if here is None or here.document:
            return here
        here = next((member for member in here.fields if member.name == name), None)
    return replace(here, array=False) if here is not None and here.nested else here if column.nested else None


def holds_nothing(table: Table, path: Sequence[str]) -> NeedsHuman:
    """The error for a path that leads into a column without nested values."""
    return NeedsHuman(
        f"{table.address}: the store holds nothing inside of column {path[0]} at {'.'.join(path)}",
        hint="correct the dataset's fields; paths lead into columns that the store describes as nested only",
    )


def compile_nested(
    grammar: Grammar,
    nesting: Nesting,
    table: Table,
    identity: Sequence[ColumnSketch],
    outputs: Sequence[str],
    seeks: Sequence[Seek],
) -> Statement | None:
    """The statement returning (ordinal, places, *outputs) once for each row and ordinal; None when nothing is sought.

    `identity` are columns that tell rows apart; rows that do not differ in them come together.
    """
    parts = [part for seek in seeks for part in parts_of(grammar, seek)]
    if not parts:
        return None
    draft, name = Draft(), qualified(table)
    same = [grammar.spelling(column) for column in identity]
    branches = []
    for number, part in enumerate(parts):
        alias = f"habeas_k{number}"
        if part.inside is None:
            branches.append(branch_of(grammar, name, [nesting.no_place, *same], part, alias, draft))
        else:
            branches.append(nesting.branch(name, same, part, alias, draft))
    names = [f"i{place}" for place in range(len(identity))]
    own = ", ".join(["ord", *names])
    joined = " AND ".join(_is_same(grammar.spelling(c), f"r.{n}", c) for n, c in zip(names, identity, strict=True))
    relations = [
        *draft.relations,
        f"habeas_found({', '.join(['ord', 'place', *names])}) AS ({' UNION ALL '.join(branches)})",
        f"habeas_rows AS (SELECT {own}, {nesting.gathered('place')} AS places FROM habeas_found GROUP BY {own})",  # noqa: S608  # nothing but names
    ]
    return Statement(
        f"WITH {', '.join(relations)} SELECT {', '.join(['r.ord', 'r.places', *outputs])} "  # noqa: S608  # identifiers quoted, values bound
        f"FROM habeas_rows AS r JOIN {name} AS t ON {joined}",
        draft.parameters,
    )


def _is_same(column: str, found: str, sketch: ColumnSketch) -> str:
    return f"({column} = {found} OR {column} IS NULL AND {found} IS NULL)" if sketch.nullable else f"{column} = {found}"
