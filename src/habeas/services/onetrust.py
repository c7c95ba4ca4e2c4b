"""Requests of OneTrust's queue become privacy requests (control-plane §1.21, gap G7).

A subtask is kept in the transaction that makes its request: whatever is killed, it becomes exactly one.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from habeas.delivery.onetrust import NAME, OneTrust, Polling
from habeas.delivery.onetrust_api import OpenRequest
from habeas.domain.errors import DataFault, HabeasError, InputError, NeedsHuman, NotFound, TryAgain
from habeas.domain.identity import EMAIL, parse_identities
from habeas.domain.request import ActionType
from habeas.execution.attempts import name_fault
from habeas.execution.context import Context
from habeas.execution.onetrust import abandoned_before, connect_onetrust
from habeas.execution.overrides import present_settings
from habeas.services.requests import NewRequest, enter
from habeas.store import configurations
from habeas.store import onetrust as store
from habeas.store.configurations import Record
from habeas.store.tables import policies, storages

_log = logging.getLogger(__name__)

_AT_ONCE = 20
_CLAIM = timedelta(minutes=10)
_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_WEEK = timedelta(days=7)


@dataclass(slots=True)
class Poll:
    """What a poll of a storage has found: open requests, and of them those that became privacy requests now, those
    that did so before, those without a subtask of ours, and those that cannot be one (no e-mail address, refused).

    `failure`: why it did not come to its end; what was made before that stays.
    """

    storage_key: str
    found: int = 0
    created: int = 0
    known: int = 0
    without_subtask: int = 0
    unusable: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class PollingState:
    """How it stands with a storage of type `onetrust`: when the last poll began that came to its end, when the next one
    is due, why the last one failed if it did; subtasks that were taken in, and those whose ending OneTrust does not
    know yet.
    """

    storage_key: str
    polled_at: datetime | None
    due_at: datetime
    failure: str | None
    subtasks: int
    untold: int


@dataclass(frozen=True, slots=True)
class _Subtask:
    """A subtask of ours and the request that is to be made of it."""

    id: str
    queue_ref: str
    wanted: NewRequest


def poll(context: Context, storage_key: str | None = None) -> list[Poll]:
    """Poll this storage, or all of type `onetrust`, now.

    Raises NotFound, InputError for another type, TryAgain when too many calls to the outside go on.
    """
    with context.waiting_room.seat():
        return [_poll(context, storage) for storage in _list_storages(context, storage_key)]


def poll_due(context: Context) -> int:
    """Poll each storage whose hour has come since its last poll; how many requests were made.

    One that failed is polled again after a pause that grows to an hour, or is as long as OneTrust asks for.
    """
    return sum(_poll(context, storage).created for storage in _list_storages(context) if _claim(context, storage))


def list_states(context: Context) -> list[PollingState]:
    """How it stands with every storage of type `onetrust`, by key."""
    return [_show_state(context, storage) for storage in _list_storages(context)]


def last_hour(polling: Polling, now: datetime) -> datetime:
    """When a storage was last to be polled."""
    hour = now.astimezone(UTC).replace(hour=polling.hour, minute=0, second=0, microsecond=0)
    hour -= timedelta(days=(hour.isoweekday() - polling.day_of_week) % 7)
    return hour if hour <= now else hour - _WEEK


def _list_storages(context: Context, key: str | None = None) -> list[Record]:
    with context.ledger.read() as connection:
        if key is None:
            return configurations.list_all(connection, storages, storages.c.type == NAME)
        found = configurations.find(connection, storages, key)
    if found is None:
        raise NotFound(f"there is no storage {key[:64]!r}", hint="PATCH /api/v1/storage/config makes one")
    if found.type != NAME:
        raise InputError(f"storage {key!r} is of type {found.type}", hint=f"name one of type {NAME}")
    return [found]


def _show_state(context: Context, storage: Record) -> PollingState:
    polling = connect_onetrust(context, storage).polling
    with context.ledger.read() as connection:
        known = store.find_poll(connection, storage.key)
        taken, untold = store.count_subtasks(connection, storage.key, abandoned_before(context))
    due_at = _due_at(polling, storage, known, context.clock.now())
    polled_at, failure = (None, None) if known is None else (known.polled_at, known.failure)
    return PollingState(storage.key, polled_at, due_at, failure, taken, untold)


def _due_at(polling: Polling, storage: Record, known: Record | None, now: datetime) -> datetime:
    """When a storage is to be polled next: now or earlier if it is due."""
    hour = last_hour(polling, now)
    if ((known and known.polled_at) or storage.created_at) >= hour:
        return hour + _WEEK
    put_off = datetime.fromtimestamp(known.due_at if known else 0.0, UTC)
    return hour if put_off > now + 2 * _LONGEST_PAUSE else max(hour, put_off)  # the clock must have been moved back


def _claim(context: Context, storage: Record) -> bool:
    """Take a poll that is due, so that no other process does."""
    now = context.clock.now()
    polling = connect_onetrust(context, storage).polling
    with context.ledger.write() as connection:
        known = store.hold_poll(connection, storage.key)
        if _due_at(polling, storage, known, now) > now:
            return False
        store.put_poll_off(connection, storage.key, (now + _CLAIM).timestamp())
    return True


def _poll(context: Context, storage: Record) -> Poll:
    """Poll a storage, and record how that ended."""
    began_at = context.clock.now()
    polled = Poll(storage.key)
    try:
        _take_all(context, storage, polled)
    except Exception as problem:
        error = name_fault(problem, "polling OneTrust")
        polled.failure = str(error)
        _log.warning("storage %s was not polled to the end: %s", storage.key, error)
        _put_off(context, storage.key, error)
    else:
        with context.ledger.write() as connection:
            store.hold_poll(connection, storage.key)
            store.conclude_poll(connection, storage.key, began_at)
    if polled.created:
        context.wake()
    return polled


def _put_off(context: Context, storage_key: str, error: HabeasError) -> None:
    asked = timedelta(seconds=error.seconds if isinstance(error, TryAgain) else 0.0)
    with context.ledger.write() as connection:
        failures = store.hold_poll(connection, storage_key).failures
        pause = min(max(_PAUSE * 2.0 ** min(failures, 10), asked), _LONGEST_PAUSE)
        store.fail_poll(connection, storage_key, (context.clock.now() + pause).timestamp(), str(error))


def _take_all(context: Context, storage: Record, polled: Poll) -> None:
    onetrust = connect_onetrust(context, storage)
    _check_policy(context, storage.key, onetrust.polling.policy_key)
    since = context.clock.now().astimezone(UTC).date() - timedelta(days=onetrust.polling.look_back_days)
    listed = {one.queue_ref: one for one in onetrust.api.list_open(since)}  # a page may repeat what another held
    polled.found = len(listed)
    for portion in _portions(list(listed.values())):
        with context.ledger.read() as connection:
            known = store.known_queues(connection, storage.key, [one.queue_ref for one in portion])
        polled.known += len(known)
        found = [_read(onetrust, one, polled) for one in portion if one.queue_ref not in known]
        _take_in(context, storage.key, [one for one in found if one is not None], polled)


def _portions(items: Sequence[OpenRequest]) -> Iterator[Sequence[OpenRequest]]:
    """Of a size that little is asked again when OneTrust fails in between."""
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _check_policy(context: Context, storage_key: str, policy_key: str) -> None:
    """Raises NeedsHuman unless packages of this policy go to this account of OneTrust, and to no other one."""
    with context.ledger.read() as connection:
        default = present_settings(context, connection).storage.default_key
        is_there = configurations.find(connection, policies, policy_key) is not None
        giving = [
            rule for rule in configurations.rules_of(connection, policy_key) if rule.action_type == ActionType.ACCESS
        ]
        accounts = {one.key for one in configurations.list_all(connection, storages, storages.c.type == NAME)}
    if not is_there:
        hint = "make it, with an access rule that uses this storage"
        raise NeedsHuman(f"there is no policy {policy_key!r} for requests of OneTrust", hint=hint)
    used = {rule.storage_key or default for rule in giving} & accounts
    if used != {storage_key}:
        hint = "give an access rule of it this storage, and none another one of that type"
        raise NeedsHuman(f"policy {policy_key!r} does not give to storage {storage_key!r} alone", hint=hint)


def _read(onetrust: OneTrust, one: OpenRequest, polled: Poll) -> _Subtask | None:
    """The subtask of ours that an open request has, if it can become a privacy request."""
    polling = onetrust.polling
    try:
        subtask = onetrust.api.find_subtask(one.queue_ref, polling.subtask_name)
    except DataFault as error:
        _pass_over(one.queue_ref, error, polled)
        return None
    if subtask is None:
        polled.without_subtask += 1
        return None
    try:
        identities = parse_identities({EMAIL: one.email})
    except InputError as error:
        _pass_over(one.queue_ref, error, polled)
        return None
    requested_at = None if one.created_on is None else datetime.combine(one.created_on, time(), UTC)
    wanted = NewRequest(polling.policy_key, identities, external_id=subtask, requested_at=requested_at)
    return _Subtask(subtask, one.queue_ref, wanted)


def _pass_over(queue_ref: str, error: HabeasError, polled: Poll) -> None:
    polled.unusable += 1
    _log.warning("request %s of OneTrust's queue is passed over: %s", queue_ref, error.message)


def _take_in(context: Context, storage_key: str, found: Sequence[_Subtask], polled: Poll) -> None:
    """Make a request of each subtask that is not known yet. What OneTrust's staff have asked for is not verified."""
    if not found:
        return
    now = context.clock.now()
    with context.ledger.write() as connection:
        store.hold_storage(connection, storage_key)
        known = store.known_subtasks(connection, storage_key, [one.id for one in found])
        fresh = list({one.id: one for one in found if one.id not in known}.values())
        polled.known += len(found) - len(fresh)
        made = enter(context, connection, [one.wanted for one in fresh], by_staff=True)
        for one, outcome in zip(fresh, made, strict=True):
            if isinstance(outcome, HabeasError):
                _pass_over(one.queue_ref, outcome, polled)
                continue
            store.add_subtask(connection, storage_key, one.id, one.queue_ref, outcome, now)
            polled.created += 1
