"""Repository of what people are asked about collections that only they can look into, and of what they answer.

One form for each request, action and collection; its `place` is the collection's address, which has a colon. Places
without one are manual webhooks, which are none of this module's business.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from habeas.domain.request import ActionType, RequestStatus
from habeas.store.columns import place_of
from habeas.store.sealing import Sealer
from habeas.store.tables import forms, members, requests


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked to do in a collection. `locators`: field → values that the rows are found by.

    `get`: fields to find out, at access. `update`: at erasure, field → what it is masked with. `key`: fields that tell
    rows apart.
    """

    locators: Mapping[str, Sequence[Any]]
    get: Sequence[str] | None = None
    update: Mapping[str, str] | None = None
    key: Sequence[str] = ()


Rows: TypeAlias = Sequence[Mapping[str, Any]]

_IS_COLLECTION = forms.c.place.like("%:%")


def ask(
    connection: sa.Connection,
    sealer: Sealer,
    action: ActionType,
    questions: Iterable[tuple[str, str, Question]],
    now: datetime,
) -> None:
    """Ask about collections, as (request, collection, question); an earlier question and its answer are forgotten."""
    rows = [
        {
            "request_id": request_id,
            "action": str(action),
            "place": collection,
            "sealed_question": sealer.seal(
                msgspec.json.encode(question, enc_hook=str), _question_place(request_id, action, collection)
            ),
            "labels": None,
            "sealed_answers": None,
            "saved_at": None,
            "created_at": now,
        }
        for request_id, collection, question in questions
    ]
    if rows:
        connection.execute(_ask(connection.dialect.name), rows)


@cache
def _ask(dialect: str) -> sa.Insert:
    insert = sqlite.insert(forms) if dialect == "sqlite" else postgresql.insert(forms)
    names = ("sealed_question", "labels", "sealed_answers", "saved_at", "created_at")
    fresh = {name: insert.excluded[name] for name in names}
    upsert = insert.on_conflict_do_update(index_elements=list(forms.primary_key), set_=fresh)
    # With RETURNING many rows are one statement in PostgreSQL too: see the ledger's engine on pipelines.
    return upsert.returning(forms.c.place)


def questions_of(
    connection: sa.Connection, sealer: Sealer, action: ActionType, request_ids: Sequence[str], *, answered: bool = False
) -> dict[str, dict[str, Question]]:
    """What these requests wait for: request → collection → question; with `answered` what they waited for too."""
    query = sa.select(forms.c.request_id, forms.c.place, forms.c.sealed_question).where(
        forms.c.request_id.in_(request_ids), forms.c.action == str(action), _IS_COLLECTION
    )
    if not answered:
        query = query.where(forms.c.saved_at.is_(None))
    found: dict[str, dict[str, Question]] = defaultdict(dict)
    for request_id, collection, sealed in connection.execute(query.order_by(forms.c.place)):
        opened = sealer.open(sealed, _question_place(request_id, action, collection))
        found[request_id][collection] = msgspec.json.decode(opened, type=Question)
    return dict(found)


def keep_answer(
    connection: sa.Connection,
    sealer: Sealer,
    request_id: str,
    action: ActionType,
    collection: str,
    rows: Rows,
    now: datetime,
) -> None:
    """Keep what a person answered; no rows: nothing was found, or there is nothing to keep."""
    place = _answer_place(request_id, action, collection)
    labels = sorted({name for row in rows for name in row})
    values = {"labels": labels, "sealed_answers": sealer.seal(msgspec.json.encode(rows), place), "saved_at": now}
    own = (forms.c.request_id == request_id, forms.c.action == str(action), forms.c.place == collection)
    connection.execute(forms.update().where(*own).values(values))


def answers_of(connection: sa.Connection, sealer: Sealer, run_id: str) -> dict[str, dict[int, Rows]]:
    """The rows that people have found for living members of a run: collection → ordinal → rows."""
    query = (
        sa.select(members.c.ordinal, forms.c.request_id, forms.c.place, forms.c.sealed_answers)
        .join(forms, forms.c.request_id == members.c.request_id)
        .where(members.c.run_id == run_id, members.c.living, forms.c.action == str(ActionType.ACCESS))
        .where(_IS_COLLECTION, forms.c.sealed_answers.is_not(None))
    )
    found: dict[str, dict[int, Rows]] = defaultdict(dict)
    for ordinal, request_id, collection, sealed in connection.execute(query):
        opened = sealer.open(sealed, _answer_place(request_id, ActionType.ACCESS, collection))
        found[collection][ordinal] = msgspec.json.decode(opened, type=list[dict[str, Any]])
    return dict(found)


def lock_waiting(connection: sa.Connection, datasets: Sequence[str]) -> list[str]:
    """Requests that wait for an answer about these datasets, unchanged by others in this transaction."""
    asked = sa.exists().where(forms.c.request_id == requests.c.id, _in(datasets), *_UNANSWERED)
    waiting = sa.select(requests.c.id).where(requests.c.status == RequestStatus.PAUSED, asked)
    return list(connection.scalars(waiting.order_by(requests.c.id).with_for_update()))


def withdraw(connection: sa.Connection, request_ids: Sequence[str], datasets: Sequence[str]) -> set[str]:
    """Ask these requests nothing more about these datasets; those that wait for another answer still."""
    own = (forms.c.request_id.in_(request_ids), forms.c.saved_at.is_(None))
    connection.execute(forms.delete().where(*own, _in(datasets)))
    left = sa.select(forms.c.request_id).join(requests).where(*own, _IS_COLLECTION, *_UNANSWERED)
    return set(connection.scalars(left))


_UNANSWERED = (forms.c.action == requests.c.next_step, forms.c.saved_at.is_(None))


def _in(datasets: Sequence[str]) -> sa.ColumnElement[bool]:
    """Condition: the form is about a collection of one of these datasets."""
    # Not by LIKE, which takes capitals for small letters in SQLite.
    return sa.or_(*(sa.func.substr(forms.c.place, 1, len(key) + 1) == f"{key}:" for key in datasets))


def _question_place(request_id: str, action: ActionType, collection: str) -> str:
    return place_of(forms.c.sealed_question, request_id=request_id, action=action, place=collection)


def _answer_place(request_id: str, action: ActionType, collection: str) -> str:
    return place_of(forms.c.sealed_answers, request_id=request_id, action=action, place=collection)
