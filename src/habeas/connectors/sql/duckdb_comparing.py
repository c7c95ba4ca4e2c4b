"""How DuckDB compares a value with what a column holds, and how texts become values of its type. Pure.

JSON is compared by what it says: text as text, numbers as numbers, and never one with the other.
"""

from habeas.connectors.sql.duckdb_types import Type, parse_type
from habeas.connectors.sql.statements import Draft, Relation, Seek
from habeas.connectors.sql.values import PHONE_NOISE
from habeas.domain.dataset import Match
from habeas.domain.ports import ColumnSketch


def sql(kind: Type) -> str:
    """A type inside a statement, where a colon must not begin a parameter."""
    return str(kind).replace(":", "\\:")


def unnested(placeholder: str, kind: str = "VARCHAR") -> str:
    """The rows of a bound list."""
    return f"unnest(CAST({placeholder} AS {kind}[]))"


def comparable(value: str, column: ColumnSketch, match: Match) -> str:
    """Text as a value to compare with the column; null, which equals nothing, where the store cannot cast it."""
    kind = parse_type(column.type)
    if match is not Match.EXACT or kind.opaque or kind.name == "VARCHAR":
        return value
    if kind.name == "JSON":
        return _of_document(f"CAST({value} AS JSON)", column)
    return f"TRY_CAST({_unfolded(value, kind)} AS {sql(kind)})"


def stored(value: str, column: ColumnSketch) -> str:
    """Text as a value to write; an error where the store cannot cast it."""
    kind = parse_type(column.type)
    return f"CAST({_unfolded(value, kind)} AS {sql(kind)})"


def compare(held: str, column: ColumnSketch, value: str, match: Match) -> str:
    """`held`, an expression of the column's type, equals a comparable value.

    A column that is no `document` but of the type JSON is a scalar inside of one.
    """
    kind = parse_type(column.type)
    words = f"({held} ->> '$')" if kind.name == "JSON" else f"CAST({held} AS VARCHAR)"
    if match is Match.CASEFOLD:
        return f"lower({words}) = lower({value})"
    if match is Match.PHONE:
        return f"translate({words}, '{PHONE_NOISE}', '') = {value}"
    if kind.name == "JSON":
        return f"{_of_document(held, column)} = {value}"
    return f"{words if kind.opaque else held} = {value}"


def is_exactly(held: str, column: ColumnSketch, value: str) -> str:
    """`held` is this value of a key: DuckDB's keys tell texts apart that a collation takes for one."""
    same = compare(held, column, value, Match.EXACT)
    return f"{same} AND encode({held}) = encode({value})" if parse_type(column.type).name == "VARCHAR" else same


def relation(seek: Seek, alias: str, draft: Draft) -> Relation:
    """All rows of a seek from one list for each column."""
    outputs = [f"{unnested(draft.bind([ordinal for ordinal, _ in seek.rows]), 'INTEGER')} AS ord"]
    for place, column in enumerate(seek.columns):
        values = unnested(draft.bind([row[place] for _, row in seek.rows]))
        outputs.append(f"{comparable(values, column, seek.match)} AS v{place}")
    draft.relations.append(f"{alias} AS MATERIALIZED (SELECT {', '.join(outputs)})")
    return Relation(alias, f"{alias}.ord", tuple(f"{alias}.v{place}" for place in range(len(seek.columns))))


def _unfolded(value: str, kind: Type) -> str:
    """Nested values travel as JSON of texts."""
    return f"CAST(CAST({value} AS JSON) AS {sql(kind.textual())})" if kind.nested else value


def _of_document(document: str, column: ColumnSketch) -> str:
    """What is compared of JSON: a scalar as text that begins with its kind, or of a whole document its characters.

    DuckDB tells apart documents whose members stand in another order: so all that may be equal must pass here.
    """
    if column.document:
        return f"list_sort(string_split(CAST(json_extract({document}, '$') AS VARCHAR), ''))"
    words = f"({document} ->> '$')"  # 1 and 1.0 are one number
    return (
        f"CASE json_type({document}) WHEN 'VARCHAR' THEN 's' || {words} WHEN 'BOOLEAN' THEN 'b' || {words} "
        f"ELSE 'n' || regexp_replace({words}, '[.]0$', '') END"
    )
