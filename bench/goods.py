"""Invented rows, made once by DuckDB: its file is a store itself, the others load the same rows from CSV files."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
from tables import Column, Table, creation, indexes

_TYPES = {"int": "INTEGER", "text": "VARCHAR", "moment": "TIMESTAMP"}


class Goods:
    """`tables` with their rows in `file`, indexed; `rows` of them in all."""

    def __init__(self, folder: Path, tables: Sequence[Table], **sizes: int) -> None:
        folder.mkdir(parents=True)
        self.tables = tables
        self.file = folder / "goods.duckdb"
        self.rows = 0
        with duckdb.connect(str(self.file)) as connection:
            for table in tables:
                connection.execute(creation(table, type_of))
                rows = table.rows.format(**sizes)
                self.rows += connection.execute(f"INSERT INTO {table.name} {rows}").fetchall()[0][0]
                for statement in indexes(table):
                    connection.execute(statement)

    def write_csv(self, table: Table, file: Path) -> None:
        """All rows of a table, objects as JSON."""
        columns = (f"to_json({name})" if column.members else name for name, column in table.columns.items())
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute(f"COPY (SELECT {', '.join(columns)} FROM {table.name}) TO '{file}' (HEADER false)")


def type_of(column: Column) -> str:
    """DuckDB's name of a column's type."""
    if not column.members:
        return _TYPES[column.type]
    members = ", ".join(f"{name} {type_of(member)}" for name, member in column.members.items())
    return f"STRUCT({members}){'[]' * column.array}"
