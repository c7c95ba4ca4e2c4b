"""Create-or-update of many objects in one transaction: one bad item never fails the others (control-plane §0.3).

Also the keys that users give their objects, or that are made from names.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Generic, TypeVar
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from habeas.domain.errors import HabeasError, InputError
from habeas.execution.context import Context

Item = TypeVar("Item")
Saved = TypeVar("Saved")

_KEY = re.compile(r"(?=[.]*[A-Za-z0-9_\-])[A-Za-z0-9_.\-]{1,128}")


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that was not saved: why, and the item as submitted."""

    message: str
    data: object


@dataclass(frozen=True, slots=True)
class BulkResult(Generic[Saved]):
    """What became of a list; both lists keep the order of the input."""

    succeeded: Sequence[Saved]
    failed: Sequence[Failure]


@dataclass(frozen=True, slots=True)
class Listing(Generic[Saved]):
    """One page of objects (`page` from 1) and how many there are in all."""

    items: Sequence[Saved]
    total: int
    page: int
    size: int


def save_each(
    context: Context, items: Sequence[Item], save: Callable[[sa.Connection, Item], Saved]
) -> BulkResult[Saved]:
    """Save every item in one write transaction; an item that fails leaves no trace."""
    succeeded: list[Saved] = []
    failed: list[Failure] = []
    with context.ledger.write() as connection:
        for item in items:
            try:
                refuse_nul(item)
                with connection.begin_nested():
                    succeeded.append(save(connection, item))
            except HabeasError as error:
                failed.append(Failure(str(error), item))
            except IntegrityError:
                failed.append(Failure("another change at the same time stands against this one (try again)", item))
    return BulkResult(succeeded, failed)


def choose_key(key: str | None, name: str) -> str:
    """The key given, or one made from the name: lower case, blanks become `_`.

    Raises InputError for characters that are not allowed.
    """
    chosen = key if key is not None else re.sub(r"\s+", "_", name.strip().lower())
    if not _KEY.fullmatch(chosen):
        raise InputError(
            "key is malformed" if key is not None else "no key can be made from this name",
            hint="give a key of letters, digits, . _ - (at most 128)",
        )
    return chosen


def make_id(prefix: str) -> str:
    """A new id that carries its kind, e.g. `pol_…`."""
    return f"{prefix}_{uuid4()}"


def refuse_nul(item: object) -> None:
    """Raise InputError where text of a draft has a NUL: no text for PostgreSQL, and refused on every ledger alike."""
    if not is_dataclass(item):
        return
    for field in fields(item):
        value = getattr(item, field.name)
        if isinstance(value, str) and "\x00" in value:
            raise InputError(f"{field.name} holds a NUL character")
