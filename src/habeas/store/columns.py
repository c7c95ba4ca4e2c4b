"""Kinds of columns that several tables of the ledger have."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """A timezone-aware UTC instant; SQLite keeps it naive, this gives the zone back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class GuardedInstant(Instant):
    """An instant; None where somebody has put what is none, as SQLite lets them."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        read = cast(Callable[[Any], datetime | None], super().result_processor(dialect, coltype))

        def read_guarded(value: Any) -> datetime | None:
            try:
                return read(value)
            except (TypeError, ValueError):
                return None

        return read_guarded


class GuardedBytes(TypeDecorator[bytes]):
    """Bytes; None where somebody has put something else, as SQLite lets them."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return value if isinstance(value, bytes) else None


class UtcDay(FunctionElement[date]):
    """The UTC day of an instant, for comparisons inside a statement."""

    type = sa.Date()
    inherit_cache = True


@compiles(UtcDay)
def _write_utc_day(element: UtcDay, compiler: SQLCompiler, **details: Any) -> str:
    return f"date({compiler.process(element.clauses, **details)})"


@compiles(UtcDay, "postgresql")
def _write_utc_day_of_zone(element: UtcDay, compiler: SQLCompiler, **details: Any) -> str:
    return f"date({compiler.process(element.clauses, **details)} AT TIME ZONE 'UTC')"


def key(name: str = "key") -> "sa.Column[str]":
    """What users or we call a thing: the primary key of its table."""
    return sa.Column(name, sa.String(256), primary_key=True)


def stamps() -> tuple["sa.Column[datetime]", "sa.Column[datetime]"]:
    """When a thing was made, and last changed."""
    return (sa.Column("created_at", Instant, nullable=False), sa.Column("updated_at", Instant, nullable=False))


def serial(name: str = "id") -> "sa.Column[int]":
    """The ledger's own number of a row."""
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)


def counter(name: str) -> "sa.Column[int]":
    """A number that begins at 0."""
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def sealed(name: str, place: str, *, nullable: bool = True) -> "sa.Column[Any]":
    """Ciphertext. `place` is what it is bound to, made of other columns of its row, e.g. `note:{request_id}`."""
    return sa.Column(name, sa.LargeBinary, nullable=nullable, info={"place": place})


def place_of(column: "sa.Column[Any]", **row: object) -> str:
    """The place of a sealed value, from the columns of its row that the place names."""
    return cast(str, column.info["place"]).format(**row)
