"""Repository of all that is sealed, whatever it is: sealing it anew by the newest data key, a few rows at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from habeas.domain.errors import Fault
from habeas.store.columns import place_of
from habeas.store.sealing import Sealer
from habeas.store.tables import chunks, metadata

_AT_ONCE: Mapping[sa.Table, int] = {chunks: 8}  # a chunk holds thousands of rows
_ROWS_AT_ONCE = 100


def _sealed_columns(table: sa.Table) -> tuple["sa.Column[Any]", ...]:
    return tuple(column for column in table.columns if column.name.startswith("sealed_"))


SEALED: Mapping[sa.Table, tuple["sa.Column[Any]", ...]] = {
    table: columns for table in metadata.sorted_tables if (columns := _sealed_columns(table))
}
"""Tables that hold sealed values, with the columns that do."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What was done with a few rows: values sealed anew, values that do not open, where to go on (None: at the end)."""

    resealed: int
    unreadable: int
    last: tuple[Any, ...] | None


def reseal(
    connection: sa.Connection, sealer: Sealer, table: sa.Table, number: int, after: tuple[Any, ...] | None
) -> Portion:
    """Seal values of a table that another data key than this one has sealed anew, in the order of its primary key.

    Rows that somebody else is writing are passed over. A value that does not open stays as it is.
    """
    key = tuple(table.primary_key)
    query = sa.select(table).where(sa.or_(*(_is_sealed_by_another(column, number) for column in SEALED[table])))
    if after is not None:
        query = query.where(sa.tuple_(*key) > sa.tuple_(*after))
    ordered = query.order_by(*key).limit(_AT_ONCE.get(table, _ROWS_AT_ONCE))
    rows = connection.execute(ordered.with_for_update(key_share=True, skip_locked=True)).mappings().all()
    resealed = unreadable = 0
    for row in rows:
        renewed: dict[str, bytes] = {}
        for column in SEALED[table]:
            if row[column.name] is None:
                continue
            try:
                renewed[column.name] = sealer.renew(row[column.name], place_of(column, **row))
            except Fault:
                unreadable += 1
        changed = {name: sealed for name, sealed in renewed.items() if sealed != row[name]}
        if changed:
            own = (column == row[column.name] for column in key)
            connection.execute(table.update().where(*own).values(changed))
        resealed += len(changed)
    return Portion(resealed, unreadable, tuple(rows[-1][column.name] for column in key) if rows else None)


def tables_sealed_by_others(connection: sa.Connection, numbers: Sequence[int]) -> list[str]:
    """Names of the tables that hold a value which none of these data keys has sealed."""
    return [
        table.name
        for table, columns in SEALED.items()
        if connection.scalar(
            sa.select(
                sa.exists().where(
                    sa.or_(
                        *(sa.and_(*(_is_sealed_by_another(column, number) for number in numbers)) for column in columns)
                    )
                )
            )
        )
    ]


def _is_sealed_by_another(column: "sa.Column[Any]", number: int) -> sa.ColumnElement[bool]:
    """False for null."""
    return sa.func.substr(column, 1, 4, type_=sa.LargeBinary) != number.to_bytes(4, "big")
