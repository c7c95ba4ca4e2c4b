"""Repository of manual webhooks: what people are asked for, the forms of each request, and their answers.

A form is what one request asks of one manual webhook for one action; its `place` is the connection's key. Places with a
colon are collections, which are none of this module's business.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from habeas.domain.request import ActionType, RequestStatus
from habeas.store.columns import place_of
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import connections, forms, manual_webhooks, members, requests

Answers: TypeAlias = Mapping[str, str | bool | None]
"""Label → what a person said: text for access, yes or no for erasure, null for nothing."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a request. `labels` are those asked for now, None when the manual webhook asks for nothing any more;
    `answered` those that were there when it was saved, None before that."""

    connection_key: str
    action: ActionType
    labels: frozenset[str] | None
    answered: frozenset[str] | None

    @property
    def is_awaited(self) -> bool:
        """Whether it must be saved, for the first time or because its fields have changed since."""
        return self.labels is not None and self.labels != self.answered


def labels_of(definition: Record) -> list[str]:
    """The labels of a manual webhook, in order."""
    return [field["dsr_package_label"] for field in definition.fields]


_ENABLED = sa.select(manual_webhooks).join(connections).where(~connections.c.disabled)
_IS_FORM = forms.c.place.not_like("%:%")


def are_asked(connection: sa.Connection) -> bool:
    """Whether some connection that is not disabled has a form to be filled."""
    return connection.execute(_ENABLED.limit(1)).first() is not None


def lock_asking(connection: sa.Connection) -> list[str]:
    """Keys of the connections that have a form to be filled; none of them ends asking while the transaction lasts."""
    query = _ENABLED.order_by(manual_webhooks.c.connection_key).with_for_update(read=True)
    return [row.connection_key for row in connection.execute(query)]


def find(connection: sa.Connection, key: str) -> Record | None:
    """The manual webhook of a connection, or None."""
    query = sa.select(manual_webhooks).where(manual_webhooks.c.connection_key == key)
    return connection.execute(query).mappings().first()


def list_all(connection: sa.Connection) -> list[Record]:
    """All manual webhooks, by connection."""
    return list(connection.execute(sa.select(manual_webhooks).order_by(manual_webhooks.c.connection_key)).mappings())


def add(connection: sa.Connection, key: str, webhook_id: str, fields: Sequence[Any], now: datetime) -> None:
    """Raises IntegrityError when the connection has one."""
    stamps = {"created_at": now, "updated_at": now}
    connection.execute(manual_webhooks.insert().values(connection_key=key, id=webhook_id, fields=fields, **stamps))


def change(connection: sa.Connection, key: str, fields: Sequence[Any], now: datetime) -> bool:
    """Replace the fields; False when there is no such manual webhook."""
    own = manual_webhooks.c.connection_key == key
    return bool(connection.execute(manual_webhooks.update().where(own).values(fields=fields, updated_at=now)).rowcount)


def delete(connection: sa.Connection, key: str) -> bool:
    """False when there is no such manual webhook."""
    return bool(connection.execute(manual_webhooks.delete().where(manual_webhooks.c.connection_key == key)).rowcount)


def add_forms(connection: sa.Connection, asked: Sequence[tuple[str, ActionType, str]], now: datetime) -> None:
    """Forms to be filled, as (request, action, connection)."""
    rows = [
        {"request_id": request_id, "action": str(action), "place": key, "created_at": now}
        for request_id, action, key in asked
    ]
    if rows:
        connection.execute(forms.insert(), rows)


def forms_of(connection: sa.Connection, request_ids: Sequence[str]) -> dict[str, list[Form]]:
    """The forms of these requests; requests without any are absent."""
    asking = _ENABLED.subquery()
    query = (
        sa.select(forms.c.request_id, forms.c.action, forms.c.place, forms.c.labels, asking.c.fields)
        .outerjoin(asking, asking.c.connection_key == forms.c.place)
        .where(forms.c.request_id.in_(request_ids), _IS_FORM)
        .order_by(forms.c.place, forms.c.action)
    )
    found: dict[str, list[Form]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        labels = None if row.fields is None else frozenset(labels_of(row))
        answered = None if row.labels is None else frozenset(row.labels)
        found[row.request_id].append(Form(row.place, ActionType(row.action), labels, answered))
    return dict(found)


def find_form(connection: sa.Connection, request_id: str, action: ActionType, key: str) -> Record | None:
    """One form of a request, or None when it has no such form."""
    query = sa.select(forms).where(*_is(request_id, action, key))
    return connection.execute(query).mappings().first()


def save_answers(
    connection: sa.Connection,
    sealer: Sealer,
    request_id: str,
    action: ActionType,
    key: str,
    answers: Answers,
    now: datetime,
) -> None:
    """Keep the answers of a form, in place of earlier ones."""
    sealed = sealer.seal(msgspec.json.encode(answers), _place(request_id, action, key))
    values = {"labels": list(answers), "sealed_answers": sealed, "saved_at": now}
    connection.execute(forms.update().where(*_is(request_id, action, key)).values(values))


def open_answers(sealer: Sealer, form: Record) -> dict[str, Any]:
    """The answers of a form, in the order of its fields; {} when nothing was saved."""
    if form.sealed_answers is None:
        return {}
    place = _place(form.request_id, ActionType(form.action), form.place)
    return msgspec.json.decode(sealer.open(form.sealed_answers, place), type=dict[str, Any])


def has_answers(connection: sa.Connection, run_id: str, action: ActionType) -> bool:
    """Whether people have answered for some member of a run."""
    query = sa.select(forms.c.request_id).join(members, members.c.request_id == forms.c.request_id)
    own = (members.c.run_id == run_id, forms.c.action == str(action), forms.c.labels.is_not(None), _IS_FORM)
    return connection.execute(query.where(*own).limit(1)).first() is not None


def answers_of(
    connection: sa.Connection, sealer: Sealer, request_ids: Sequence[str], action: ActionType
) -> dict[str, dict[str, dict[str, Any]]]:
    """What people have answered: request → connection → label → answer; requests without any are absent."""
    own = (forms.c.request_id.in_(request_ids), forms.c.action == str(action), forms.c.sealed_answers.is_not(None))
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in connection.execute(sa.select(forms).where(*own, _IS_FORM).order_by(forms.c.place)).mappings():
        found[row.request_id][row.place] = open_answers(sealer, row)
    return dict(found)


def lock_waiting(connection: sa.Connection, key: str) -> list[str]:
    """Requests that wait for forms, among them one of this connection; unchanged by others in this transaction."""
    asked = sa.exists().where(forms.c.request_id == requests.c.id, forms.c.place == key)
    waiting = sa.select(requests.c.id).where(requests.c.status == RequestStatus.REQUIRES_INPUT, asked)
    return list(connection.scalars(waiting.order_by(requests.c.id).with_for_update()))


def _is(request_id: str, action: ActionType, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return forms.c.request_id == request_id, forms.c.action == str(action), forms.c.place == key, _IS_FORM


def _place(request_id: str, action: ActionType, key: str) -> str:
    """Where the answers of a form are sealed."""
    return place_of(forms.c.sealed_answers, request_id=request_id, action=action, place=key)
