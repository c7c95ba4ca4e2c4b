"""People prove who they are: a code of six digits goes to the address they named, and comes back (control-plane §3.4).

What strangers can reach tells no more than that a code is wrong or over. A code has few tries and a request few codes,
so that guessing is hopeless: with the defaults 15 tries at a million codes.
"""

import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.errors import HabeasError, InputError, NotAllowed, NotFound, SystemUnavailable, TooSoon
from habeas.domain.identity import Identity, normalise
from habeas.domain.message import Channel, Event
from habeas.domain.request import RequestStatus
from habeas.execution import outbox
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.services.admission import admit, announce
from habeas.services.duplicates import Fresh
from habeas.services.request_views import RequestView, show_requests
from habeas.store import journal, verifications
from habeas.store import requests as store
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A code is on its way. `expires_at`: until when it can be used; `codes_left`: how many more may be asked for."""

    expires_at: datetime
    codes_left: int


@dataclass(frozen=True, slots=True)
class VerificationConfig:
    """What a page that takes requests has to know before it asks for a code."""

    identity_verification_required: bool
    valid_email_config_exists: bool


def check_reach(context: Context, connection: sa.Connection, identities: Sequence[Identity]) -> None:
    """Raises InputError when no code could be sent to this person."""
    if not outbox.can_reach(context, connection, Event.VERIFICATION, identities):
        raise InputError(
            "the code that proves an identity cannot be sent to this person",
            hint="give an e-mail address or a phone number, for which a provider of messages is set up",
        )


def send_first_codes(context: Context, connection: sa.Connection, request_ids: Sequence[str], now: datetime) -> None:
    """Send a code for each of these stored requests, with this transaction."""
    codes = {request_id: _make_code() for request_id in request_ids}
    hashes = {request_id: _hash(context, request_id, code) for request_id, code in codes.items()}
    verifications.add_codes(connection, hashes, now + _life(context), now)
    _send(context, connection, codes)


def verify(context: Context, request_id: str, code: str) -> RequestView:
    """Take the code of a person for proof: the request counts from now on.

    Raises NotFound; InputError when the identity is not to be verified (any more) or the code is over; NotAllowed when
    it is wrong, or when too many were: then the right one is refused too.
    """
    now = context.clock.now()
    with context.ledger.write() as connection:
        record = _lock_unverified(connection, request_id)
        refusal = _try(context, connection, request_id, code, now)
        if refusal is None:
            _accept(context, connection, record, now)
        views = show_requests(context, connection, [request_id])
    if refusal is not None:  # after the commit: the try has counted
        raise refusal
    context.wake()
    return views[request_id]


def resend(context: Context, request_id: str) -> CodeSent:
    """Send another code instead of the one before.

    Raises NotFound; InputError when the identity is not to be verified (any more), or the person cannot be reached;
    TooSoon; NotAllowed when no more codes are sent for this request.
    """
    now, security = context.clock.now(), context.settings.security
    with context.ledger.write() as connection:
        _lock_unverified(connection, request_id)
        known = verifications.find_verifications(connection, [request_id])[request_id]
        if known.sent >= security.identity_verification_code_limit:
            raise NotAllowed("no more codes are sent for this request", hint="submit it anew")
        pause = timedelta(seconds=security.identity_verification_resend_pause_seconds)
        if (rest := (known.sent_at + pause - now).total_seconds()) > 0:
            raise TooSoon("a code was sent a moment ago", math.ceil(rest), hint="wait for it, or ask again later")
        check_reach(
            context, connection, store.identities_of(connection, context.ledger.sealer, [request_id])[request_id]
        )
        code, until = _make_code(), now + _life(context)
        verifications.renew_code(connection, request_id, _hash(context, request_id, code), until, now)
        _send(context, connection, {request_id: code})
    return CodeSent(until, security.identity_verification_code_limit - known.sent - 1)


def proof_is_required(context: Context, connection: sa.Connection) -> bool:
    """Whether people must prove who they are."""
    return present_settings(context, connection).execution.subject_identity_verification_required


def show_config(context: Context) -> VerificationConfig:
    """Whether codes are asked for, and can go by e-mail."""
    with context.ledger.read() as connection:
        return VerificationConfig(
            proof_is_required(context, connection),
            Channel.EMAIL in outbox.open_channels(context, connection, Event.VERIFICATION),
        )


def _lock_unverified(connection: sa.Connection, request_id: str) -> Record:
    record = store.lock_request(connection, request_id)
    if record is None:
        raise NotFound(f"there is no privacy request {request_id[:64]!r}")
    if record.status != RequestStatus.IDENTITY_UNVERIFIED:
        raise InputError("this request does not wait for a code")
    return record


def _try(context: Context, connection: sa.Connection, request_id: str, code: str, now: datetime) -> HabeasError | None:
    """Why the code is no proof; None if it is."""
    limit = context.settings.security.identity_verification_attempt_limit
    taken = verifications.take_try(connection, request_id, limit, now)
    if taken is None:
        verifications.forget_codes(connection, [request_id])
        tries = verifications.find_verifications(connection, [request_id])[request_id].tries
        if tries >= limit:
            return NotAllowed("too many wrong codes were tried", hint="ask for another code")
        return InputError("the code is over", hint="ask for another code")
    kept, number = taken
    if hmac.compare_digest(kept, _hash(context, request_id, code)):
        return None
    if number >= limit:
        verifications.forget_codes(connection, [request_id])
    return NotAllowed("the code is not right", hint="take the one from the latest message")


def _accept(context: Context, connection: sa.Connection, record: Record, now: datetime) -> None:
    """The person has proved who they are: the code is gone, and the request counts.

    A code proves the one address that it went to. Somebody has to see whether what else the request names is theirs.
    """
    identities = store.identities_of(connection, context.ledger.sealer, [record.id])[record.id]
    doubtful = [] if _is_one_address(identities) else [record.id]
    admitted = admit(context, connection, [Fresh(record.id, record.policy_key, identities)], now, doubtful=doubtful)
    columns = {"identity_verified_at": now, "submitted_together": 1, **admitted[record.id]}
    store.transition(connection, [record.id], RequestStatus.PENDING, now, **columns)
    verifications.forget_codes(connection, [record.id])
    said = "by one address; to be reviewed, as the request names more" if doubtful else ""
    journal.audit(connection, context.ledger.sealer, [record.id], context.actor, AuditAction.VERIFIED, now, said)
    announce(context, connection, admitted, now, tell_people=True)


def _is_one_address(identities: Sequence[Identity]) -> bool:
    """Whether a person is known by nothing but the address that a code goes to."""
    [first, *others] = identities
    return not others and len({normalise(first.kind, value) for value in first.values}) == 1


def _send(context: Context, connection: sa.Connection, codes: Mapping[str, str]) -> None:
    minutes = math.ceil(_life(context).total_seconds() / 60)
    variables = {request_id: {"code": code, "minutes": minutes} for request_id, code in codes.items()}
    told = outbox.enqueue(context, connection, Event.VERIFICATION, list(codes), variables)
    if len(told) < len(codes):
        raise SystemUnavailable("a code could not be sent, so nothing was done", hint="try again")


def _make_code() -> str:
    return f"{secrets.randbelow(1_000_000):06}"


def _hash(context: Context, request_id: str, code: str) -> bytes:
    return context.ledger.sealer.index(f"verification:{request_id}", code)


def _life(context: Context) -> timedelta:
    return timedelta(seconds=context.settings.security.identity_verification_code_ttl_seconds)
