"""Packages of a request: where they are, and their bytes. No storage is talked to inside a ledger transaction."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

import sqlalchemy as sa

from habeas.domain.audit import AuditAction
from habeas.domain.errors import NotFound
from habeas.execution.context import Context
from habeas.execution.destinations import connect_storage
from habeas.execution.package_links import find_link
from habeas.services.requests import get_record
from habeas.store import configurations, journal
from habeas.store import packages as store
from habeas.store.configurations import Record
from habeas.store.tables import storages


@dataclass(frozen=True, slots=True)
class PackageView:
    """A package, by its access rule: a link that opens it where its storage gives such, else its location."""

    rule_key: str
    url: str


def list_packages(context: Context, request_id: str) -> list[PackageView]:
    """The request's packages, one per access rule; empty while there is none. Raises NotFound.

    A link is renewed when the old one is over.
    """
    with context.ledger.read() as connection:
        get_record(connection, request_id)
        found = store.packages_of(connection, [request_id])
    kept = [package for package in found if package.deleted_at is None and not package.outdated]
    links = [find_link(context, package) for package in kept]
    return [
        PackageView(package.rule_key, link[0] if link else package.location)
        for package, link in zip(kept, links, strict=True)
    ]


def access_results(context: Context, request_id: str) -> list[str]:
    """Where they are. Raises NotFound."""
    return [package.url for package in list_packages(context, request_id)]


@dataclass(frozen=True, slots=True)
class OpenPackage:
    """A package's file name, its bytes, and whether these (or what they hold) are encrypted with the caller's key."""

    name: str
    stream: AbstractContextManager[BinaryIO]
    encrypted: bool


def open_package(context: Context, request_id: str, rule_key: str) -> OpenPackage:
    """A package to read; the download is audited. Raises NotFound."""
    with context.ledger.read() as connection:
        record = get_record(connection, request_id)
        found = [package for package in store.packages_of(connection, [request_id]) if package.rule_key == rule_key]
        storage = _find_storage(connection, found[0]) if found else None
    if found and found[0].outdated:
        raise NotFound("the package is being made again, for the datasets have changed", hint="ask again later")
    if found and found[0].deleted_at is not None:
        raise NotFound(
            f"the package was deleted on {found[0].deleted_at.date()}, when its time was over",
            hint="submit a new request",
        )
    if storage is None:
        raise NotFound(f"request {request_id} has no package of rule {rule_key!r}")
    stream = connect_storage(context, storage).read(found[0].name)
    try:
        with context.ledger.write() as connection:
            journal.audit(
                connection,
                context.ledger.sealer,
                [request_id],
                context.actor,
                AuditAction.DOWNLOADED,
                context.clock.now(),
                rule_key,
            )
    except BaseException:
        with stream:
            raise
    return OpenPackage(found[0].name, stream, record.encrypted)


def _find_storage(connection: sa.Connection, package: Record) -> Record | None:
    return configurations.find(connection, storages, package.storage_key)
