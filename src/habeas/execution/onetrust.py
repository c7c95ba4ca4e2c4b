"""Tells OneTrust what became of the requests that came from it (control-plane §1.21, gap G7).

At least once each: a status that was accepted but not recorded, because the process ended in between, is told again,
which changes nothing there.
"""

import logging
from datetime import datetime, timedelta

from habeas.delivery.onetrust import NAME, OneTrust
from habeas.domain.errors import DataFault, HabeasError, NeedsHuman, TryAgain
from habeas.domain.request import ActionType, LogStatus
from habeas.execution.attempts import name_fault
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.execution.postman import pause_after
from habeas.store import configurations, journal
from habeas.store import onetrust as store
from habeas.store.configurations import Record
from habeas.store.onetrust import SubtaskStatus
from habeas.store.tables import storages

_log = logging.getLogger(__name__)

_CLAIM_SECONDS = 300.0
_FAR = 2 * 24 * 3600.0
_AT_ONCE = 20
_PLACE = (None, "OneTrust", "")


def connect_onetrust(context: Context, storage: Record) -> OneTrust:
    """The account of a storage of type `onetrust`. Raises InputError when its details are wrong."""
    destination = connect_storage(context, storage)
    if not isinstance(destination, OneTrust):
        raise NeedsHuman(f"storage {storage.key!r} is not of type {NAME}")
    return destination


def tell_onetrust(context: Context) -> int:
    """Tell what is to be told: COMPLETED, which comes after every package; REJECTED when a request was denied or
    canceled; FAILED when one is in `error` for longer than what was kept of it lives. How many were settled.

    A storage that fails is asked nothing more in this round. What is worth another try is tried ever more rarely; a
    status that OneTrust refuses is given up, and the request's log says so.
    """
    settled = 0
    accounts: dict[str, OneTrust] = {}
    failing: dict[str, HabeasError] = {}
    while claimed := _claim(context):
        for row in claimed:
            error = failing.get(row.storage_key) or _tell(context, row, accounts)
            if error is None:
                settled += 1
            else:
                failing[row.storage_key] = error
                _put_off(context, row, error)
    return settled


def abandoned_before(context: Context) -> datetime:
    """Requests that ended in `error` before this count as failed: what was kept of them is gone, or will be."""
    return context.clock.now() - timedelta(seconds=context.settings.execution.temporary_ttl_seconds)


def _claim(context: Context) -> list[Record]:
    seconds = context.clock.now().timestamp()
    abandoned = abandoned_before(context)
    with context.ledger.write() as connection:
        return store.claim_untold(connection, seconds, seconds + _CLAIM_SECONDS, seconds + _FAR, abandoned, _AT_ONCE)


def _tell(context: Context, row: Record, accounts: dict[str, OneTrust]) -> HabeasError | None:
    """Tell one status and record that, or that it was refused; what else went wrong."""
    try:
        if row.storage_key not in accounts:
            accounts[row.storage_key] = _connect(context, row.storage_key)
        accounts[row.storage_key].api.set_status(row.subtask_id, row.status)
    except DataFault as error:
        _settle(context, row, LogStatus.ERROR, f"OneTrust was not told {row.status}: {error}")
        return None
    except Exception as problem:
        return name_fault(problem, "telling OneTrust")
    _settle(context, row, LogStatus.COMPLETE, f"OneTrust was told {row.status}")
    return None


def _connect(context: Context, storage_key: str) -> OneTrust:
    with context.ledger.read() as connection:
        storage = configurations.find(connection, storages, storage_key)
    if storage is None:
        raise NeedsHuman(f"storage {storage_key!r} is gone", hint="make it again")
    return connect_onetrust(context, storage)


def _settle(context: Context, row: Record, status: LogStatus, message: str) -> None:
    now = context.clock.now()
    with context.ledger.write() as connection:
        store.mark_told(connection, row.request_id, SubtaskStatus(row.status))
        entry = journal.Entry(_PLACE, ActionType.ACCESS, status, message)
        journal.log_requests(connection, [row.request_id], entry, now)


def _put_off(context: Context, row: Record, error: HabeasError) -> None:
    asked = error.seconds if isinstance(error, TryAgain) else 0.0
    pause = max(pause_after(row.attempts + 1), min(asked, _FAR / 2))
    with context.ledger.write() as connection:
        store.put_off(connection, row.request_id, context.clock.now().timestamp() + pause)
    _log.warning("OneTrust was not told of %s yet: %s", row.request_id, error)
