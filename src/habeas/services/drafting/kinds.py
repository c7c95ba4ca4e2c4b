"""What kind of values a column holds, told from how its store spells the type.

One reading for all stores: the words that SQLite, PostgreSQL, MariaDB and DuckDB use for the same thing.
"""

import re
from enum import Enum, auto

from habeas.domain.dataset import DataType
from habeas.domain.ports import ColumnSketch


class Kind(Enum):
    """Kinds of values, as far as a proposal must tell them apart."""

    TEXT = auto()
    INTEGER = auto()
    FLOAT = auto()
    DECIMAL = auto()
    BOOLEAN = auto()
    TIME = auto()
    UUID = auto()
    NETWORK = auto()
    HARDWARE = auto()
    PLACE = auto()
    BINARY = auto()
    DOCUMENT = auto()
    OTHER = auto()


_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (Kind.OTHER, r"^(enum|set)\("),
        (Kind.DOCUMENT, r"^(jsonb?|xml|hstore|bson|variant|map|struct|union)\b"),
        (Kind.BOOLEAN, r"\bbool(ean)?\b|^tinyint\(1\)"),
        (Kind.TIME, r"\b(date|(small)?datetime\w*|timestamp\w*|time\w*|interval|year)\b"),
        (Kind.PLACE, r"\b(point|geometry|geography|polygon|linestring)\b"),
        (Kind.INTEGER, r"\b(u?(tiny|small|medium|big|huge)?int(eger)?\d*|(small|big)?serial)\b"),
        (Kind.FLOAT, r"\b(real|double|float\d*)\b"),
        (Kind.DECIMAL, r"\b(decimal|numeric|money|number)\b"),
        (Kind.UUID, r"\b(uuid|uniqueidentifier)\b"),
        (Kind.NETWORK, r"\b(inet[46]?|cidr)\b"),
        (Kind.HARDWARE, r"\bmacaddr8?\b"),
        (Kind.BINARY, r"\b(bytea|(tiny|medium|long)?blob|(var)?binary|bit)\b"),
    )
)
"""The first that fits a type's name counts; the words of an enumeration and of what is nested are no part of it."""

_ARRAY = re.compile(r"\[\d*\]$")

_DATA_TYPES = {
    Kind.TEXT: DataType.STRING,
    Kind.UUID: DataType.STRING,
    Kind.INTEGER: DataType.INTEGER,
    Kind.FLOAT: DataType.FLOAT,
    Kind.DECIMAL: DataType.FLOAT,
    Kind.BOOLEAN: DataType.BOOLEAN,
}


def kind_of(column: ColumnSketch) -> Kind:
    """The kind of a column's values; of its elements where it is an array."""
    if column.document or column.fields:
        return Kind.DOCUMENT
    if column.text:
        return Kind.TEXT
    spelled = column.type.lower()
    if not column.array and _ARRAY.search(spelled):
        return Kind.DOCUMENT
    return next((kind for kind, pattern in _KINDS if pattern.search(spelled)), Kind.OTHER)


def data_type_of(column: ColumnSketch, *, linked: bool) -> DataType | None:
    """The declared type to propose; None where the format has no word for it or the store does not tell.

    Values of a `linked` column travel and are cast to this type: there it must be exact.
    """
    if column.fields:
        return DataType.OBJECT
    kind = kind_of(column)
    if linked and kind is Kind.DECIMAL:
        return None
    if linked and kind is Kind.BOOLEAN and "int" in column.type.lower():
        return DataType.INTEGER
    return _DATA_TYPES.get(kind)


def is_opaque(column: ColumnSketch) -> bool:
    """Whether the column holds more than the store tells of: documents, maps and arrays of free form."""
    return not column.fields and kind_of(column) is Kind.DOCUMENT


def spell_type(column: ColumnSketch) -> str:
    """The type's name without lengths and listed values."""
    return re.split(r"[(<]", column.type, maxsplit=1)[0].strip().lower() or "no type"
