"""Packages whose time is over are removed from their storages. Safe to kill: what is gone may be removed again."""

import logging
from datetime import timedelta

from habeas.domain.errors import HabeasError
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.store import configurations
from habeas.store import packages as store
from habeas.store.configurations import Record
from habeas.store.tables import storages

_log = logging.getLogger(__name__)

_AT_ONCE = 100


def expire_packages(context: Context) -> int:
    """Remove packages older than the setting, first from the storage, then as recorded; how many.

    One whose storage does not answer, is gone or is another place by now stays recorded, is logged and tried again at
    the next round.
    """
    life = context.settings.storage.package_ttl_seconds
    if life is None:
        return 0
    before, done = context.clock.now() - timedelta(seconds=life), 0
    after: tuple[str, str] = ("", "")
    while True:
        with context.ledger.read() as connection:
            expired = store.packages_before(connection, before, after, _AT_ONCE)
        if not expired:
            return done
        removed = [package for package in expired if remove_package(context, package)]
        with context.ledger.write() as connection:
            store.mark_deleted(connection, removed, context.clock.now())
        done += len(removed)
        after = (expired[-1].request_id, expired[-1].rule_key)


def remove_package(context: Context, package: Record) -> bool:
    """Remove a package from its storage; False, and logged, when its storage is gone, elsewhere or does not answer."""
    with context.ledger.read() as connection:
        storage = configurations.find(connection, storages, package.storage_key)
    reason = "its storage is gone"
    try:
        if storage is not None:
            destination = connect_storage(context, storage)
            if destination.location(package.name) == package.location:
                destination.delete(package.name)
                return True
            reason = "its storage is another place by now"
    except HabeasError as error:
        reason = error.message
    _log.warning("package of %s by rule %s stays: %s", package.request_id, package.rule_key, reason)
    return False
