"""The step of manual webhooks: a request waits until people have filled all its forms (data-plane §7.6).

Which forms a request has is settled when it first comes here: a manual webhook that is added later does not ask for it.
One that is disabled, deleted, or has lost its definition asks for nothing any more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.run import Done, Run
from habeas.store import configurations
from habeas.store import manual_webhooks as store
from habeas.store.journal import Entry
from habeas.store.manual_webhooks import Form

_TITLE = "Manual webhook"
"""The execution log files its entries under this name in place of a dataset's."""


def perform(run: Run) -> Done:
    """Give forms to members that have none yet; those who have some to be filled leave the run and wait."""
    with run.commit() as connection:
        living = sorted(run.living(connection))
        forms = _ask(run, connection, run.request_ids(living))
        own = {ordinal: forms.get(run.members[ordinal].request_id, []) for ordinal in living}
        waiting = {ordinal: _awaited(found) for ordinal, found in own.items() if _awaited(found)}
        _log(run, connection, waiting)
        if waiting:
            run.park(connection, waiting, RequestStatus.REQUIRES_INPUT)
    passing = {ordinal: found for ordinal, found in own.items() if ordinal not in waiting}
    return Done(lambda connection: _log(run, connection, passing))


def awaited_forms(connection: sa.Connection, request_ids: Sequence[str]) -> dict[str, list[Form]]:
    """What requests lack: the forms to be filled, of those that have some."""
    found = store.forms_of(connection, request_ids)
    return {request_id: _awaited(forms) for request_id, forms in found.items() if _awaited(forms)}


def name_form(form: Form) -> str:
    """A form in words."""
    return f"the {form.action} form of {form.connection_key}"


def _ask(run: Run, connection: sa.Connection, request_ids: Sequence[str]) -> Mapping[str, list[Form]]:
    """The forms of these requests; those that have none get one of each manual webhook for each kind of rule."""
    asking = store.lock_asking(connection)
    known = store.forms_of(connection, request_ids)
    actions = configurations.actions_of(connection, [run.plan.policy]).get(run.plan.policy, set())
    fresh = [request_id for request_id in request_ids if request_id not in known]
    asked = [(one, ActionType(action), key) for one in fresh for action in sorted(actions) for key in asking]
    store.add_forms(connection, asked, run.context.clock.now())
    return {**known, **store.forms_of(connection, fresh)} if asked else known


def _awaited(forms: Sequence[Form]) -> list[Form]:
    return [form for form in forms if form.is_awaited]


def _log(run: Run, connection: sa.Connection, forms: Mapping[int, Sequence[Form]]) -> None:
    """How it stands with these forms of members."""
    said: dict[tuple[str, ActionType, LogStatus, str], list[int]] = defaultdict(list)
    for ordinal, own in forms.items():
        for form in own:
            said[form.connection_key, form.action, *_state_of(form)].append(ordinal)
    for (key, action, status, message), ordinals in said.items():
        run.log(connection, ordinals, Entry((key, _TITLE, ""), action, status, message))


def _state_of(form: Form) -> tuple[LogStatus, str]:
    if form.labels is None:
        return LogStatus.SKIPPED, f"{name_form(form)} is not asked for any more"
    if not form.is_awaited:
        return LogStatus.COMPLETE, f"{name_form(form)} is saved"
    said = "must be saved again: its fields have changed" if form.answered is not None else "has to be filled"
    return LogStatus.PAUSED, f"{name_form(form)} {said}"
