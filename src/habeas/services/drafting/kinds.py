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


_KINDS: tuple[tuple[Kind, str], ...] = (
    (Kind.BOOLEAN, r"bool|tinyint\(1\)"),
    (Kind.TIME, r"date|time|interval|year"),
    (Kind.PLACE, r"point|geometry|geography|polygon|linestring"),
    (Kind.INTEGER, r"int|serial"),
    (Kind.FLOAT, r"real|double|float"),
    (Kind.DECIMAL, r"decimal|numeric|money|number"),
    (Kind.UUID, r"uuid|uniqueidentifier"),
    (Kind.NETWORK, r"inet|cidr"),
    (Kind.HARDWARE, r"macaddr"),
    (Kind.DOCUMENT, r"json|xml|hstore|map\b|struct\b|union\b|variant|bson"),
    (Kind.BINARY, r"bytea|blob|binary|\bbit\b"),
)
"""The first that a type's name holds counts."""

_WORDED = re.compile(r"enum|set")
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
    if _WORDED.match(spelled):
        return Kind.OTHER  # the words of an enumeration are no part of its type's name
    return next((kind for kind, pattern in _KINDS if re.search(pattern, spelled)), Kind.OTHER)


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
