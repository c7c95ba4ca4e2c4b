"""Use cases of collections that only people can look into: their rows, and the word that they have erased.

One function is one transaction. A message never repeats what was submitted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, cast

import msgspec
import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.dataset import Address, Dataset, DataType, Field, coerce
from habeas.domain.documents import map_places
from habeas.domain.errors import InputError
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.context import Context
from habeas.services.fields import InvalidFields, Problem
from habeas.services.request_views import RequestView, show_requests
from habeas.services.requests import get_record
from habeas.store import configurations, journal, manual_collections, progress
from habeas.store import requests as store
from habeas.store.manual_collections import Question
from habeas.store.tables import datasets

_Rows: TypeAlias = Sequence[Mapping[str, Any]]

_DEEPEST = 100
"""Levels of objects and arrays in a row: far deeper ones nothing could carry on."""


def answer(context: Context, request_id: str, rows: _Rows, collection: str | None = None) -> RequestView:
    """Keep the rows that a person has found, none if there are none; once nothing else is asked, the request goes on.

    `collection` is needed when several wait. Raises NotFound; InputError when none waits; InvalidFields for fields that
    the collection does not have, for values that cannot be of their field's type or are nested without end, and for
    rows that its key does not tell apart.
    """
    with context.ledger.write() as connection:
        asked = _find_question(context, connection, request_id, ActionType.ACCESS, collection)
        rows = _read_rows(rows, _find_fields(connection, asked.collection))
        _check_rows(rows, asked.question)
        view = _settle(context, connection, asked, rows)
    context.wake()
    return view


def confirm(context: Context, request_id: str, row_count: int, collection: str | None = None) -> RequestView:
    """Record that a person says to have erased so many rows, maybe more than were found; the request goes on.

    The report does not call it verified; rows that are left count as `submitted`.
    `collection` is needed when several wait. Raises NotFound; InputError when none waits.
    """
    with context.ledger.write() as connection:
        asked = _find_question(context, connection, request_id, ActionType.ERASURE, collection)
        own = {"request_id": request_id, "action": ActionType.ERASURE, "collection": asked.collection}
        counts = {"found": row_count, "changed": row_count}
        counts["submitted"] = max(0, _count_found(connection, asked) - row_count)
        progress.write_outcomes(connection, [{**own, "complete": True, **counts}])
        view = _settle(context, connection, asked, ())
    context.wake()
    return view


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that waits; its request is locked by the transaction. `last`: nothing else is asked."""

    request_id: str
    action: ActionType
    collection: str
    question: Question
    last: bool


def _settle(context: Context, connection: sa.Connection, asked: _Asked, rows: _Rows) -> RequestView:
    """Keep the answer, and let the request go on if nothing else is asked."""
    now, own = context.clock.now(), (asked.request_id, asked.action, asked.collection)
    manual_collections.keep_answer(connection, context.ledger.sealer, *own, rows, now)
    message = f"{asked.action} of {asked.collection}"
    journal.audit(
        connection, context.ledger.sealer, [asked.request_id], context.actor, AuditAction.INPUT_UPLOADED, now, message
    )
    if asked.last:
        store.send_on(connection, [asked.request_id], RequestStatus.PAUSED, now)
    return show_requests(context, connection, [asked.request_id])[asked.request_id]


def _find_question(
    context: Context, connection: sa.Connection, request_id: str, action: ActionType, collection: str | None
) -> _Asked:
    record = get_record(connection, request_id, lock=True)
    if record.status != RequestStatus.PAUSED or record.next_step != action:
        raise InputError(
            f"no collection waits for that: the request's status is {record.status}, its step {record.next_step}",
            hint="see its action_required_details",
        )
    found = manual_collections.questions_of(connection, context.ledger.sealer, action, [request_id])
    questions = found.get(request_id, {})
    if collection is None and len(questions) == 1:
        collection = next(iter(questions))
    if collection is None or collection not in questions:
        waiting = ", ".join(questions) or "none"
        raise InputError(f"no such collection waits; those that do: {waiting}", hint="name one as `collection`")
    return _Asked(request_id, action, collection, questions[collection], len(questions) == 1)


def _count_found(connection: sa.Connection, asked: _Asked) -> int:
    """The rows that were found in the collection."""
    place = (ActionType.ACCESS, asked.collection)
    outcomes = progress.outcomes_of(connection, [asked.request_id])
    return sum(outcome.found for outcome in outcomes if (outcome.action, outcome.collection) == place)


def _find_fields(connection: sa.Connection, collection: str) -> Mapping[str, Field]:
    """The collection's fields by path, as its dataset declares them now; none if it is gone."""
    address = Address.parse(collection)
    record = configurations.find(connection, datasets, address.dataset)
    found = msgspec.json.decode(record.definition, type=Dataset).collections if record else ()
    return next((one.paths() for one in found if one.name == address.collection), {})


def _read_rows(rows: _Rows, fields: Mapping[str, Field]) -> _Rows:
    """The rows with every value in its field's type, as references compare it; InvalidFields for what cannot be."""
    read, problems = list(rows), []
    for number in range(len(read)):
        for path, item in fields.items():
            try:
                read[number] = _read_field(read[number], path, item)
            except (ValueError, ArithmeticError, RecursionError):  # also for exponents and depths that nobody has
                declared = f"{_type_of(item)}{'[]' * item.array}"
                problems.append(Problem((number, path), f"not of the field's data_type {declared}"))
    if problems:
        raise InvalidFields(problems)
    return read


def _read_field(row: Mapping[str, Any], path: str, item: Field) -> Mapping[str, Any]:
    """The row with what stands at the path, also in arrays, in the field's type. Raises ValueError."""
    kind = _type_of(item)
    if kind is None:
        return row
    if isinstance(row.get(path), list) and not item.array:
        raise ValueError
    return cast(Mapping[str, Any], map_places(row, tuple(path.split(".")), lambda value: _read_value(value, kind)))


def _type_of(item: Field) -> DataType | None:
    return DataType.OBJECT if item.is_object else item.data_type


def _read_value(value: object, kind: DataType) -> object:
    """Null stays null, and a number that would be rounded as it was written. Raises ValueError."""
    if value is None:
        return None
    read = None if kind is DataType.STRING and isinstance(value, dict) else coerce(value, kind)
    if read is None or (isinstance(read, float) and not math.isfinite(read)):
        raise ValueError
    rounded = isinstance(read, float) and Decimal(value) != Decimal(repr(read))  # type: ignore[arg-type]  # a number
    return value if rounded else read


def _check_rows(rows: _Rows, question: Question) -> None:
    """Raise InvalidFields unless all fields are the collection's and its key tells the rows apart."""
    fields, key = question.get or (), question.key
    known = f"unknown field; known are {', '.join(fields)}"
    problems = [Problem((number,), known) for number, row in enumerate(rows) if not row.keys() <= set(fields)]
    deep = f"nested in more than {_DEEPEST} levels"
    problems += [Problem((number,), deep) for number, row in enumerate(rows) if _is_deep(row)]
    if problems:
        raise InvalidFields(problems)
    seen: set[str] = set()
    for number, row in enumerate(rows):
        own = repr([row.get(name) for name in key])
        if any(row.get(name) is None for name in key):
            problems.append(Problem((number,), f"the key is required: {', '.join(key)}"))
        elif key and own in seen:
            problems.append(Problem((number,), "an earlier row has the same key"))
        seen.add(own)
    if problems:
        raise InvalidFields(problems)


def _is_deep(row: Mapping[str, Any]) -> bool:
    level: list[Any] = [row]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [inner for inner in level if isinstance(inner, dict | list)]
    return bool(level)
