"""Use cases of a request that waits for people: its forms, their answers, and letting it go on (control-plane §1.7).

Answers go in sealed; who reads or saves them is audited, what they are is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.errors import InputError
from habeas.domain.request import ActionType, RequestStatus
from habeas.execution.context import Context
from habeas.execution.manual_webhooks import awaited_forms, name_form
from habeas.services.fields import check_fields
from habeas.services.manual_webhooks import check_type
from habeas.services.request_views import RequestView, show_requests
from habeas.services.requests import get_record
from habeas.store import journal
from habeas.store import manual_webhooks as store
from habeas.store import requests as requests_store
from habeas.store.configurations import Record

Answer = TypeVar("Answer", str, bool)


@dataclass(frozen=True, slots=True)
class FilledForm:
    """A form as it is shown. `checked` is false until it is saved with the fields that it has now; `fields` are what
    was saved by label, null where nothing was."""

    checked: bool
    fields: Mapping[str, str | bool | None]


def save_form(
    context: Context,
    request_id: str,
    action: ActionType,
    key: str,
    answers: Mapping[str, Answer | None],
) -> None:
    """Keep what people found: text by label for access, whether it was erased for erasure, null or nothing for nothing.

    `{}` says that nothing is held. Saved again it replaces what was there. Raises NotFound; InputError when the request
    does not wait for forms or is not asked this one; InvalidFields for a label that the form does not have.
    """
    with context.ledger.write() as connection:
        _, labels = _open_form(connection, request_id, action, key)
        check_fields(answers, dict.fromkeys(labels, False))
        full = {label: answers.get(label) for label in labels}
        now = context.clock.now()
        store.save_answers(connection, context.ledger.sealer, request_id, action, key, full, now)
        said = f"{action} form of {key}"
        journal.audit(
            connection, context.ledger.sealer, [request_id], context.actor, AuditAction.INPUT_UPLOADED, now, said
        )


def read_form(context: Context, request_id: str, action: ActionType, key: str) -> FilledForm:
    """A form of a request that waits; audited. Raises as above."""
    with context.ledger.write() as connection:
        form, labels = _open_form(connection, request_id, action, key)
        saved = store.open_answers(context.ledger.sealer, form)
        said = f"{action} form of {key}"
        journal.audit(
            connection,
            context.ledger.sealer,
            [request_id],
            context.actor,
            AuditAction.DATA_VIEWED,
            context.clock.now(),
            said,
        )
    return FilledForm(saved.keys() == set(labels), {label: saved.get(label) for label in labels})


def resume(context: Context, request_id: str) -> RequestView:
    """Let a request go on whose forms are all saved. Raises NotFound; InputError, which names what lacks."""
    with context.ledger.write() as connection:
        _get_waiting(connection, request_id)
        if lacking := awaited_forms(connection, [request_id]).get(request_id):
            names = ", ".join(map(name_form, lacking))
            raise InputError(f"the request still waits for {names}", hint="save each, {} if nothing is held")
        now = context.clock.now()
        requests_store.send_on(connection, [request_id], RequestStatus.REQUIRES_INPUT, now)
        journal.audit(connection, context.ledger.sealer, [request_id], context.actor, AuditAction.RESUMED, now)
        view = show_requests(context, connection, [request_id])[request_id]
    context.wake()
    return view


def _open_form(connection: sa.Connection, request_id: str, action: ActionType, key: str) -> tuple[Record, list[str]]:
    """A form of a request that waits, and the labels it has now."""
    _get_waiting(connection, request_id)
    check_type(connection, key)
    webhook = store.find(connection, key)
    form = store.find_form(connection, request_id, action, key)
    if webhook is None or form is None:
        raise InputError(f"the request is not asked for the {action} form of {key!r}")
    return form, store.labels_of(webhook)


def _get_waiting(connection: sa.Connection, request_id: str) -> Record:
    """The request, locked. Raises NotFound; InputError when it does not wait for forms."""
    record = get_record(connection, request_id, lock=True)
    if record.status != RequestStatus.REQUIRES_INPUT:
        raise InputError(f"the request does not wait for input: its status is {record.status}")
    return record
