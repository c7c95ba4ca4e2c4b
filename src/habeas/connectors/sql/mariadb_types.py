"""What a column of MariaDB or MySQL is, as its sketch writes it: `decimal(10,2)`, `varchar character set … collate …`.

Pure. A text's character set and collation decide what it equals, so they are part of its type.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
"""Bits of the whole numbers."""
WORDS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
"""Columns that hold any text."""
TEXTUAL = WORDS | {"enum", "set", "json"}
"""Columns that hold text of some form."""
BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})

_WRITTEN = re.compile(r"(\w+)(?:\(([0-9,]+)\))?( unsigned)?(?: character set (\w+) collate (\w+))?")
_OTHERS = frozenset({"bit", "year", "decimal", "double", "float", "date", "datetime", "timestamp", "time"})
_KNOWN = INTEGERS.keys() | TEXTUAL | BINARY | _OTHERS | {"uuid", "inet4", "inet6"}

_COUNTED = frozenset({"char", "varchar", "enum", "set"})
_SIZED = frozenset({"decimal", "bit", "binary", "datetime", "timestamp", "time"})


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type taken apart. `size`: characters, digits and scale of a decimal, bits, or digits of a second's fraction.

    JSON has neither character set nor collation: what MariaDB calls so is text, MySQL's is not.
    """

    name: str
    size: tuple[int, ...] = ()
    unsigned: bool = False
    charset: str | None = None
    collation: str | None = None

    @property
    def textual(self) -> bool:
        return self.name in TEXTUAL

    @property
    def opaque(self) -> bool:
        """Of a type that is compared by its bytes alone, e.g. a geometry."""
        return self.name not in _KNOWN

    @property
    def boolean(self) -> bool:
        """BOOLEAN is another name of tinyint(1)."""
        return (self.name, self.size) in (("tinyint", (1,)), ("bit", (1,)))


def write_type(name: str, declared: str, length: int | None, charset: str | None, collation: str | None) -> str:
    """The text of a type from the catalog's own columns; `declared` is e.g. `int(10) unsigned zerofill`."""
    if name == "json":
        return name
    if charset:
        return f"{name}{f'({length})' if name in _COUNTED else ''} character set {charset} collate {collation}"
    size = re.match(rf"{re.escape(name)}(\([0-9,]+\))", declared)
    sized = size.group(1) if size and (name in _SIZED or declared.startswith("tinyint(1)")) else ""
    return f"{name}{sized}{' unsigned' if ' unsigned' in declared else ''}"


@lru_cache(maxsize=4096)
def read_type(written: str) -> ColumnType:
    """A type taken apart; one that nothing is known of is itself."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return ColumnType(written)
    name, size, unsigned, charset, collation = found.groups()
    return ColumnType(name, tuple(map(int, size.split(","))) if size else (), bool(unsigned), charset, collation)
