"""Repository of packages: what was uploaded for whom and where it is. Links, which open a package, are sealed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from habeas.store.columns import place_of
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A package that has been uploaded; `link` where its storage gives such."""

    request_id: str
    rule_key: str
    storage_key: str
    name: str
    location: str
    link: str | None
    link_expires_at: datetime


def add_packages(connection: sa.Connection, sealer: Sealer, uploaded: Sequence[Uploaded], now: datetime) -> None:
    """Record the packages of one rule; those already recorded are replaced."""
    ids = [package.request_id for package in uploaded]
    rules = {package.rule_key for package in uploaded}
    connection.execute(packages.delete().where(packages.c.request_id.in_(ids), packages.c.rule_key.in_(rules)))
    rows = [
        {
            "request_id": package.request_id,
            "rule_key": package.rule_key,
            "storage_key": package.storage_key,
            "name": package.name,
            "location": package.location,
            "created_at": now,
            **_seal(sealer, package.request_id, package.rule_key, package.link, package.link_expires_at),
        }
        for package in uploaded
    ]
    connection.execute(packages.insert(), rows)


def outdate_packages(
    connection: sa.Connection, request_ids: Sequence[str], rule_keys: Collection[str] | None = None
) -> None:
    """Say of packages by these rules (None: all) that what they hold is not what the plan says now."""
    wanted = [packages.c.request_id.in_(request_ids)]
    wanted += [] if rule_keys is None else [packages.c.rule_key.in_(rule_keys)]
    connection.execute(packages.update().where(*wanted).values(outdated=True))


def forget_outdated(connection: sa.Connection, request_ids: Sequence[str]) -> None:
    """Delete what is known of these requests' outdated packages."""
    connection.execute(packages.delete().where(packages.c.request_id.in_(request_ids), packages.c.outdated))


def packages_of(connection: sa.Connection, request_ids: Sequence[str]) -> list[Record]:
    """The packages uploaded for these requests, by request and rule."""
    query = sa.select(packages).where(packages.c.request_id.in_(request_ids))
    return list(connection.execute(query.order_by(packages.c.request_id, packages.c.rule_key)).mappings())


def expired_among(connection: sa.Connection, request_ids: Sequence[str]) -> dict[str, set[str]]:
    """Rules whose packages were deleted when their time was over, by request; requests without any are absent."""
    found: dict[str, set[str]] = {}
    for package in packages_of(connection, request_ids):
        if package.deleted_at is not None:
            found.setdefault(package.request_id, set()).add(package.rule_key)
    return found


def packages_before(connection: sa.Connection, before: datetime, after: tuple[str, str], limit: int) -> list[Record]:
    """Packages not deleted and made before a moment, by request and rule, from the place `after` on."""
    place = sa.tuple_(packages.c.request_id, packages.c.rule_key)
    query = sa.select(packages).where(
        packages.c.deleted_at.is_(None), packages.c.created_at < before, place > sa.tuple_(*after)
    )
    ordered = query.order_by(packages.c.request_id, packages.c.rule_key).limit(limit)
    return list(connection.execute(ordered).mappings())


def mark_deleted(connection: sa.Connection, removed: Sequence[Record], now: datetime) -> None:
    """Record that packages are gone from their storage; one that was uploaded again since then is another."""
    for package in removed:
        connection.execute(
            packages.update()
            .where(
                packages.c.request_id == package.request_id,
                packages.c.rule_key == package.rule_key,
                packages.c.created_at == package.created_at,
            )
            .values(deleted_at=now, sealed_link=None, link_expires_at=None)
        )


def open_link(sealer: Sealer, package: Record, now: datetime) -> str | None:
    """The package's link, or None when it has none or it is over."""
    if package.sealed_link is None or package.link_expires_at <= now:
        return None
    return sealer.open(package.sealed_link, _link_place(package.request_id, package.rule_key)).decode()


def keep_link(connection: sa.Connection, sealer: Sealer, package: Record, link: str, expires_at: datetime) -> None:
    """Put a new link in the place of an old one."""
    of_package = (packages.c.request_id == package.request_id, packages.c.rule_key == package.rule_key)
    sealed = _seal(sealer, package.request_id, package.rule_key, link, expires_at)
    connection.execute(packages.update().where(*of_package).values(**sealed))


def _seal(sealer: Sealer, request_id: str, rule_key: str, link: str | None, expires_at: datetime) -> Mapping[str, Any]:
    if link is None:
        return {"sealed_link": None, "link_expires_at": None}
    sealed = sealer.seal(link.encode(), _link_place(request_id, rule_key))
    return {"sealed_link": sealed, "link_expires_at": expires_at}


def _link_place(request_id: str, rule_key: str) -> str:
    return place_of(packages.c.sealed_link, request_id=request_id, rule_key=rule_key)
