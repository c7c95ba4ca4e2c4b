"""Links to packages, renewed when the old ones are over. No storage is talked to inside a ledger transaction."""

from datetime import datetime, timedelta

from habeas.domain.errors import HabeasError
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.store import configurations
from habeas.store import packages as store
from habeas.store.configurations import Record
from habeas.store.tables import storages


def find_link(context: Context, package: Record, *, lasting: bool = False) -> tuple[str, datetime] | None:
    """An address that opens the package and until when; None where there is no such thing.

    `lasting`: it is for somebody who may not use it today, so one that has lived for half its life is renewed.
    """
    if package.sealed_link is None:
        return None
    now = context.clock.now()
    link = store.open_link(context.ledger.sealer, package, now)
    kept = None if link is None else (link, package.link_expires_at)
    half = timedelta(seconds=context.settings.security.subject_request_download_link_ttl_seconds) / 2
    if kept is not None and not (lasting and package.link_expires_at - now < half):
        return kept
    return _renew(context, package) or kept


def _renew(context: Context, package: Record) -> tuple[str, datetime] | None:
    """A new link, or None when the storage is gone, is another place by now, or cannot give one."""
    life = context.settings.security.subject_request_download_link_ttl_seconds
    expires_at = context.clock.now() + timedelta(seconds=life)
    with context.ledger.read() as connection:
        storage = configurations.find(connection, storages, package.storage_key)
    if storage is None:
        return None
    try:
        destination = connect_storage(context, storage)
        here = destination.location(package.name) == package.location
        link = destination.link(package.name, life) if here else None
    except HabeasError:
        return None
    if link is None:
        return None
    with context.ledger.write() as connection:
        store.keep_link(connection, context.ledger.sealer, package, link, expires_at)
    return link, expires_at
