"""The steps of policy webhooks, before and after a request is carried out (control-plane §1.10).

Every member's webhooks are called in order, several members at once. A call is intended in the ledger before it is
made and keeps its id: one that a dying worker repeats can be known as the same again.
"""

import hmac
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from habeas.domain.errors import HabeasError, LeaseLost, NeedsHuman, SystemUnavailable
from habeas.domain.identity import EMAIL, PHONE, Identity, parse_identities
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.attempts import name_fault
from habeas.execution.connector_pool import hindrance_of, is_paused
from habeas.execution.run import Done, Paused, Run, Wait
from habeas.log_fields import adopt, current
from habeas.store import webhooks
from habeas.store.configurations import Record, connection_place, find_connections, open_json
from habeas.store.journal import Entry
from habeas.store.sealing import Sealer
from habeas.store.webhooks import CallStatus

if TYPE_CHECKING:
    import httpx

_TITLES = {webhooks.PRE: "Webhooks before execution", webhooks.POST: "Webhooks after execution"}
_TWO_WAY = "two_way"


def perform_pre(run: Run) -> Done | Wait:
    """Call what is to be asked before there is a plan; members that are halted are parked."""
    return _perform(run, webhooks.PRE)


def perform_post(run: Run) -> Done | Wait:
    """Call what is to be told at the end."""
    return _perform(run, webhooks.POST)


def make_token(sealer: Sealer, call_id: str) -> str:
    """What resumes a request that the answer to this call halts; the same whenever it is made."""
    return f"{call_id}.{sealer.index('webhook call', call_id).hex()}"


def read_token(sealer: Sealer, token: str) -> str | None:
    """The id of the call that a token was made for; None for what is no token of ours."""
    call_id, _, _ = token.partition(".")
    return call_id if hmac.compare_digest(make_token(sealer, call_id).encode(), token.encode()) else None


def parse_derived(given: Mapping[str, object] | None) -> tuple[Identity, ...]:
    """Identities that a receiver derived; none for nothing but nulls. Raises InputError as for those submitted."""
    found = {kind: value for kind, value in (given or {}).items() if value not in (None, "")}
    return parse_identities(found) if found else ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a receiver made of a call."""

    derived: tuple[Identity, ...] = ()
    halt: bool = False


def _perform(run: Run, phase: str) -> Done | Wait:
    with run.context.ledger.read() as connection:
        hooks = webhooks.webhooks_of(connection, run.plan.policy, phase)
        living = sorted(run.living(connection))
    if not hooks:
        return Done()
    waits: list[str] = []

    def tell(ordinal: int) -> None:
        try:
            _tell_all(run, hooks, ordinal)
        except Paused as pause:
            waits.append(pause.connection)

    with ThreadPoolExecutor(run.context.settings.execution.visits, "webhooks", adopt, (current(),)) as pool:
        for _ in pool.map(tell, living):
            run.check()
    return Wait(waits[0]) if waits else Done()


def _tell_all(run: Run, hooks: Sequence[Record], ordinal: int) -> None:
    """Call these webhooks for a member, until one halts it, fails, or the member leaves."""
    identities = {identity.kind: identity for identity in run.members[ordinal].identities}
    for hook in hooks:
        try:
            goes_on = _tell(run, hook, ordinal, identities)
        except (LeaseLost, Paused):
            raise
        except Exception as problem:
            error = name_fault(problem, f"calling webhook {hook.key}")
            with run.commit() as connection:
                message = f"webhook {hook.key}: {error.message}"
                run.log(connection, [ordinal], _entry(hook, LogStatus.ERROR, message))
                if ordinal in run.living(connection):
                    run.fail(connection, [ordinal], type(error)(message, hint=error.hint), None)
            return
        if not goes_on:
            return


def _tell(run: Run, hook: Record, ordinal: int, identities: dict[str, Identity]) -> bool:
    """Call one webhook; False when the member goes no further now."""
    context, request_id = run.context, run.members[ordinal].request_id
    run.check()
    with context.ledger.read() as connection:
        record = find_connections(connection, [hook.connection_key]).get(hook.connection_key)
    if is_paused(record):
        raise Paused(hook.connection_key)
    with run.commit() as connection:
        if ordinal not in run.living(connection):
            return False
        if record is None or (reason := hindrance_of(record)):
            run.log(connection, [ordinal], _entry(hook, LogStatus.SKIPPED, reason if record else hindrance_of(None)))
            return True
        call = webhooks.intend(connection, request_id, hook, context.clock.now())
    if call.status != CallStatus.INTENDED:
        return True
    answer = _call(run, hook, record, call, identities)
    identities |= {identity.kind: identity for identity in answer.derived}
    halts = answer.halt and hook.phase == webhooks.PRE
    with run.commit(progress=True) as connection:
        if ordinal not in run.living(connection):
            return False
        now = context.clock.now()
        webhooks.keep_derived(connection, context.ledger.sealer, request_id, answer.derived)
        status = CallStatus.HALTED if halts else CallStatus.ANSWERED
        webhooks.settle(connection, call.id, status, now, was=CallStatus.INTENDED)
        shown = (LogStatus.PAUSED, "halted by its receiver") if halts else (LogStatus.COMPLETE, "success")
        run.log(connection, [ordinal], _entry(hook, *shown))
        if halts:
            life = run.context.settings.execution.privacy_request_delay_timeout  # of the token that ends the wait
            run.park(connection, [ordinal], RequestStatus.PAUSED, seconds=life)
    return not halts


def _call(run: Run, hook: Record, record: Record, call: Record, identities: Mapping[str, Identity]) -> _Answer:
    sealer = run.context.ledger.sealer
    secrets = open_json(sealer, record.sealed_secrets, connection_place(record.key))
    if "url" not in secrets:
        raise NeedsHuman(f"connection {record.key} has no secrets", hint="PUT /connection/{key}/secret, then retry")
    headers = {"Idempotency-Key": call.id}
    if secrets.get("authorization"):
        headers["Authorization"] = secrets["authorization"]
    if hook.direction == _TWO_WAY and hook.phase == webhooks.PRE:
        headers["reply-to"] = f"/privacy-request/{call.request_id}/resume"
        headers["reply-to-token"] = make_token(sealer, call.id)
    body = {
        "privacy_request_id": call.request_id,
        "direction": hook.direction,
        "callback_type": hook.phase,
        "identity": {EMAIL: None, PHONE: None} | {kind: _show(identity) for kind, identity in identities.items()},
    }
    run.check()
    answer = run.context.outgoing.post(secrets["url"], json=body, headers=headers)
    if not answer.is_success:
        raise SystemUnavailable(f"its receiver answered with status {answer.status_code}", hint="mend it, then retry")
    return _read_answer(answer) if hook.direction == _TWO_WAY else _Answer()


def _show(identity: Identity) -> object:
    return identity.values[0] if len(identity.values) == 1 else list(identity.values)


class _TwoWayAnswer(msgspec.Struct):
    halt: bool
    derived_identity: dict[str, object] | None = None


def _read_answer(answer: "httpx.Response") -> _Answer:
    try:
        body = msgspec.json.decode(answer.content, type=_TwoWayAnswer)
        return _Answer(parse_derived(body.derived_identity), body.halt)
    except HabeasError as error:
        raise NeedsHuman(f"its receiver's answer is wrong: {error.message}", hint="mend it, then retry") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        hint = 'a two-way webhook answers {"halt": false} or with derived_identity too'
        raise NeedsHuman("its receiver's answer is not what a two-way webhook says", hint=hint) from None


def _entry(hook: Record, status: LogStatus, message: str) -> Entry:
    place = (hook.connection_key, _TITLES[hook.phase], hook.key)
    return Entry(place, ActionType.ACCESS, status, message)
