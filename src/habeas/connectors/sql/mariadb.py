"""MariaDB and MySQL: relations from JSON, with the column's own character set and collation.

A relation that is compared under another collation finds other rows, or none; a value that the column's character
set lacks would become `?` and find what holds that: it is dropped by a round trip through the character set.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from habeas.connectors.sql import mariadb_catalog, mariadb_failures
from habeas.connectors.sql.dialect import Dialect, Engines, Rows
from habeas.connectors.sql.failures import Diagnosis
from habeas.connectors.sql.mariadb_sessions import open_engines
from habeas.connectors.sql.mariadb_types import BINARY, INTEGERS, ColumnType, read_type
from habeas.connectors.sql.mariadb_values import mariadb_form, spell
from habeas.connectors.sql.statements import Draft, Relation, Seek, Statement, qualified, quote
from habeas.connectors.sql.values import PHONE_NOISE, strip_phone
from habeas.domain.dataset import Match
from habeas.domain.ports import ColumnSketch, Limits, Sketch, Table, TableSketch, Value

_MARK = "`"
_ANY_TEXT = ("utf8mb4", "utf8mb4_bin")
_NUMBERS = INTEGERS.keys() | {"bit", "year"}
_EXACT = _NUMBERS | BINARY | {"decimal", "date", "datetime", "timestamp", "time", "uuid", "inet4", "inet6"}
"""Types of which two forms are two values."""
_ALL = 2**64 - 1
"""A limit that is none."""
_LONGEST_VARCHAR = 2048
"""Characters; longer values make a relation of long texts."""


class MariaDbDialect(Dialect):
    """Secrets: `url`, or `host`, `port`, `dbname`, `username`, `password`."""

    fenced = True
    mark = _MARK

    def engines(self, secrets: Mapping[str, str], limits: Limits) -> Engines:
        return open_engines(secrets, limits)

    def form(self, value: Value, column: ColumnSketch, match: Match = Match.EXACT) -> Value | None:
        if match is Match.EXACT:
            return mariadb_form(value, column)
        text = spell(value)
        return strip_phone(text) if text is not None and match is Match.PHONE else text

    def is_exact(self, column: ColumnSketch) -> bool:
        """Text may compare by a collation that takes two spellings for one."""
        return read_type(column.type).name in _EXACT

    def output(self, column: ColumnSketch) -> str:
        """Single precision is read as double precision: the server would write six digits of it."""
        name = _name(column)
        return f"({name} + 0e0)" if read_type(column.type).name == "float" else name

    def joins(self, values: tuple[Value, ...]) -> bool:
        return True

    def relation(self, seek: Seek, alias: str, draft: Draft) -> Relation:
        """In the order of the values, so that two batches take their locks in one order."""
        rows = sorted(seek.rows, key=lambda row: [(type(value).__name__, value) for value in row[1]])
        cells = _keys(replace(seek, rows=rows))
        draft.relations.append(f"{alias} AS ({_select(draft, [ordinal for ordinal, _ in rows], cells, seek.match)})")
        return Relation(alias, f"{alias}.ord", tuple(f"{alias}.{cell.name}" for cell in cells), _join(seek))

    def typed(self, placeholder: str, column: ColumnSketch, match: Match) -> str:
        kind = read_type(column.type)
        if match is not Match.EXACT or kind.textual:
            charset, collation = _text_type(kind)
            value = placeholder if charset == "utf8mb4" else _converted(placeholder, charset, collation)
            return _prepared(value, match)
        return _cast(kind, placeholder)

    def condition(self, column: ColumnSketch, value: str, match: Match) -> str:
        kind, name = read_type(column.type), _name(column)
        if kind.name == "json" or (match is not Match.EXACT and not kind.textual):
            name = f"CAST({name} AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_bin"
        elif kind.opaque:
            name = f"HEX({name})"
        if match is Match.CASEFOLD:
            return f"LOWER({name}) = {value}"
        if match is Match.PHONE:
            for noise in PHONE_NOISE:
                name = f"REPLACE({name}, '{noise}', '')"
        return f"{name} = {value}"

    def identity(self, column: ColumnSketch, value: str) -> str:
        """Byte for byte: collations take other spellings for the same."""
        equal, kind = self.condition(column, value, Match.EXACT), read_type(column.type)
        if not kind.textual or kind.name == "json":
            return equal
        return f"{equal} AND CAST({_name(column)} AS BINARY) = CAST({value} AS BINARY)"

    def locator(self, sketch: TableSketch) -> tuple[str, ...]:
        """There are none: rows are told apart by what they hold."""
        return ()

    def lock(self, key: Sequence[str]) -> str:
        """A relation comes in the order of its keys, and a join reads it in that order."""
        return " FOR UPDATE"

    def update(self, table: Table, key: Seek, columns: Sequence[ColumnSketch], after: Rows) -> Statement:
        draft = Draft()
        masks = [_mask(column, f"a{place}", [row[place] for row in after]) for place, column in enumerate(columns)]
        sets = (f"{_name(column)} = n.{mask.name}" for column, mask in zip(columns, masks, strict=True))
        source = _joined(draft, table, key, masks)
        return Statement(
            f"UPDATE {source} SET {', '.join(sets)} WHERE {self._of_key(key)}",  # noqa: S608  # identifiers quoted, values bound
            draft.parameters,
        )

    def delete(self, table: Table, key: Seek) -> Statement:
        draft = Draft()
        source = _joined(draft, table, key, [])
        return Statement(f"DELETE t FROM {source} WHERE {self._of_key(key)}", draft.parameters)

    def _of_key(self, key: Seek) -> str:
        keys = [self.identity(column, f"n.v{place}") for place, column in enumerate(key.columns)]
        return " AND ".join([*keys, *(f"{_name(column)} IS NULL" for column in key.nulls)])

    def settle(self, connection: Connection) -> None:
        """Constraints speak at once."""

    def sketch(self, connection: Connection) -> Sketch:
        return mariadb_catalog.read_sketch(connection)

    def sketch_table(self, connection: Connection, table: Table) -> TableSketch | None:
        return mariadb_catalog.read_table(connection, table.schema, table.name)

    def diagnose(self, error: BaseException) -> Diagnosis:
        return mariadb_failures.diagnose(error)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A column of a relation: its name, its type there, its values, and what makes them comparable."""

    name: str
    type: str
    values: Sequence[Value]
    kind: ColumnType
    lossy: bool = False

    def value(self, alias: str) -> str:
        return _cast(self.kind, f"{alias}.{self.name}")

    def checks(self, alias: str) -> list[str]:
        """Keeps what the column's character set holds; a copy of the value tells."""
        if not self.lossy:
            return []
        return [f"CONVERT({alias}.{self.name} USING utf8mb4) COLLATE utf8mb4_bin = {alias}.{self.name}_given"]


def _cell(column: ColumnSketch, match: Match, name: str, values: Sequence[Value]) -> _Cell:
    kind = read_type(column.type)
    if match is Match.EXACT and kind.name in _NUMBERS:
        unsigned = " UNSIGNED" if kind.unsigned or kind.name == "bit" else ""
        return _Cell(name, f"BIGINT{unsigned}", values, kind)
    if match is not Match.EXACT or kind.textual:
        charset, collation = _text_type(kind)
        return _Cell(name, _text(values, charset, collation), values, _PLAIN, charset != "utf8mb4")
    return _Cell(name, _text(values, *_ANY_TEXT), values, kind)


def _mask(column: ColumnSketch, name: str, values: Sequence[Value]) -> _Cell:
    """What a column is set to: the store converts it, and refuses what it cannot convert without loss."""
    kind = read_type(column.type)
    if kind.name in _NUMBERS:
        return _cell(column, Match.EXACT, name, values)
    return _Cell(name, _text(values, *_ANY_TEXT), values, _BYTES if kind.name in BINARY or kind.opaque else _PLAIN)


_PLAIN = ColumnType("varchar")
_BYTES = ColumnType("longblob")


def _keys(seek: Seek) -> list[_Cell]:
    return [
        _cell(column, seek.match, f"v{place}", [values[place] for _, values in seek.rows])
        for place, column in enumerate(seek.columns)
    ]


def _join(seek: Seek) -> str:
    """A proven key is looked up value by value: if the table were read first, all of it would be locked."""
    return "STRAIGHT_JOIN" if seek.proven else "JOIN"


def _joined(draft: Draft, table: Table, key: Seek, masks: Sequence[_Cell]) -> str:
    """The table beside the relation `n` of keys and masks."""
    relation = _select(draft, [place for place, _ in key.rows], [*_keys(key), *masks], key.match)
    return f"({relation}) AS n {_join(key)} {qualified(table, _MARK)} AS t"


def _select(draft: Draft, ordinals: Sequence[int], cells: Sequence[_Cell], match: Match) -> str:
    """All values as a relation of their own: limited, it stays whole.

    So the store may also read the table first and look values up by an index over them, made for the statement.
    """
    source = _json_table(draft, [("ord INT", ordinals), *_parts(cells)])
    outputs = ", ".join(["j.ord", *(f"{_prepared(cell.value('j'), match)} AS {cell.name}" for cell in cells)])
    checks = [check for cell in cells for check in cell.checks("j")]
    where = f" WHERE {' AND '.join(checks)}" if checks else ""
    return f"SELECT {outputs} FROM {source} AS j{where} LIMIT {_ALL}"  # noqa: S608  # values bound


def _parts(cells: Sequence[_Cell]) -> list[tuple[str, Sequence[Value]]]:
    """Definitions with the values they take, those to compare with included."""
    parts: list[tuple[str, Sequence[Value]]] = []
    for cell in cells:
        parts.append((f"{cell.name} {cell.type}", cell.values))
        if cell.lossy:
            parts.append((f"{cell.name}_given {_text(cell.values, *_ANY_TEXT)}", cell.values))
    return parts


def _json_table(draft: Draft, parts: Sequence[tuple[str, Sequence[Value]]]) -> str:
    rows = json.dumps(list(zip(*(values for _, values in parts), strict=True)), ensure_ascii=False)
    columns = (f"{definition} PATH '$[{place}]'" for place, (definition, _) in enumerate(parts))
    return f"JSON_TABLE({draft.bind(rows)}, '$[*]' COLUMNS ({', '.join(columns)}))"


def _text(values: Sequence[Value], charset: str, collation: str | None) -> str:
    """A text type wider than every value: a narrow one would cut them, and find what begins like them."""
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    width = 1 << max(4, longest.bit_length())
    name = f"VARCHAR({width})" if width <= _LONGEST_VARCHAR else "LONGTEXT"
    return f"{name} CHARACTER SET {charset}{f' COLLATE {collation}' if collation else ''}"


def _text_type(kind: ColumnType) -> tuple[str, str]:
    return (kind.charset, kind.collation) if kind.charset and kind.collation else _ANY_TEXT


def _converted(placeholder: str, charset: str, collation: str) -> str:
    """The value in the column's character set; null when that lacks one of its characters."""
    converted = f"CONVERT({placeholder} USING {charset})"
    whole = f"CONVERT({converted} USING utf8mb4) COLLATE utf8mb4_bin = {placeholder}"
    return f"IF({whole}, {converted}, NULL) COLLATE {collation}"


def _prepared(value: str, match: Match) -> str:
    return f"LOWER({value})" if match is Match.CASEFOLD else value


def _cast(kind: ColumnType, value: str) -> str:
    """A value that travels as text, as one of the column's type."""
    if kind.name in BINARY:
        return f"UNHEX({value})"
    if kind.name == "decimal":
        return f"CAST({value} AS DECIMAL({','.join(map(str, kind.size))}))"
    wanted = _CASTS.get(kind.name)
    return f"CAST({value} AS {wanted})" if wanted else value


_CASTS = {
    "double": "DOUBLE",
    "float": "FLOAT",
    "date": "DATE",
    "datetime": "DATETIME(6)",
    "timestamp": "DATETIME(6)",
    "time": "TIME(6)",
    "uuid": "UUID",
    "inet4": "INET4",
    "inet6": "INET6",
}


def _name(column: ColumnSketch) -> str:
    return f"t.{quote(column.name, _MARK)}"
