"""How PostgreSQL compares a value with a column, and the types values are cast to. Pure."""

from habeas.connectors.sql.statements import Draft, Relation, Seek
from habeas.connectors.sql.values import PHONE_NOISE, POSTGRES_OWN_TYPES
from habeas.domain.dataset import Match
from habeas.domain.ports import ColumnSketch

INTEGERS = frozenset({"smallint", "integer", "bigint"})
_ROW_ID_TYPES = frozenset({"oid", "tid"})


def own_type(column: ColumnSketch) -> str:
    """The type of the column's values, without a length."""
    return f"{column.type}[]" if column.array else column.type


def compared_type(column: ColumnSketch, match: Match) -> str:
    """The type a value is cast to; integers are wide, so that one out of range finds nothing instead of failing."""
    if column.document:
        return "jsonb" if match is Match.EXACT else "text"
    if match is not Match.EXACT or not _is_own(column):
        return "text"
    return "bigint" if column.type in INTEGERS and not column.array else own_type(column)


def listed_type(column: ColumnSketch, match: Match) -> str:
    """The type of a list of such values. Arrays are listed as their text: `unnest` would take them apart as well."""
    return "text[]" if column.array else f"{compared_type(column, match)}[]"


def compare(held: str, column: ColumnSketch, value: str, match: Match) -> str:
    """`held`, an expression of the column's type, equals `value`; of documents, scalars match by their text."""
    if column.document:
        held = f"CAST({held} AS jsonb)" if column.type != "jsonb" else held
        words = f"({held} #>> '{{}}')"
    else:
        words = f"CAST({held} AS text)"
    if match is Match.CASEFOLD:
        return f"lower({words}) = lower({value})"
    if match is Match.PHONE:
        return f"translate({words}, '{PHONE_NOISE}', '') = {value}"
    if column.array:
        value = f"CAST({value} AS {own_type(column)})"
    return f"{held if column.document or _is_own(column) else words} = {value}"


def relation(seek: Seek, alias: str, draft: Draft) -> Relation:
    """All rows of a seek from one array for each column."""
    arrays = [f"CAST({draft.bind([ordinal for ordinal, _ in seek.rows])} AS int4[])"]
    names = ["ord"]
    for place, column in enumerate(seek.columns):
        placeholder = draft.bind([values[place] for _, values in seek.rows])
        arrays.append(f"CAST({placeholder} AS {listed_type(column, seek.match)})")
        names.append(f"v{place}")
    draft.relations.append(
        f"{alias} AS MATERIALIZED (SELECT * FROM unnest({', '.join(arrays)}) AS u({', '.join(names)}))"  # noqa: S608
    )
    return Relation(alias, f"{alias}.ord", tuple(f"{alias}.{name}" for name in names[1:]))


def _is_own(column: ColumnSketch) -> bool:
    return column.text or column.array or column.type in POSTGRES_OWN_TYPES or column.type in _ROW_ID_TYPES
