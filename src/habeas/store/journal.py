"""Repository of the execution log and the audit log: ids, names and counts only."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.actor import Actor
from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.request import ActionType, LogStatus
from habeas.store import audit_log
from habeas.store.configurations import Record
from habeas.store.sealing import Sealer
from habeas.store.tables import audits, logs, members


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the execution log, of whomever it is; `place` is (connection, dataset, collection)."""

    place: tuple[str | None, str, str]
    action: ActionType
    status: LogStatus
    message: str

    def columns(self, now: datetime) -> dict[str, object]:
        connection_key, dataset_name, collection_name = self.place
        return {
            "connection_key": connection_key,
            "dataset_name": dataset_name,
            "collection_name": collection_name,
            "action_type": str(self.action),
            "status": str(self.status),
            "message": self.message,
            "created_at": now,
        }


_ENTRY = ("connection_key", "dataset_name", "collection_name", "action_type", "status", "message", "created_at")
_LOG_MEMBERS = logs.insert().from_select(
    ["request_id", *_ENTRY],
    sa.select(members.c.request_id, *(sa.bindparam(f"new_{name}", type_=logs.c[name].type) for name in _ENTRY)).where(
        members.c.run_id == sa.bindparam("wanted_run"),
        members.c.living,
        members.c.ordinal.between(sa.bindparam("first"), sa.bindparam("last")),
    ),
)


def log_members(
    connection: sa.Connection, run_id: str, ordinals: Collection[int], entries: Sequence[Entry], now: datetime
) -> None:
    """These entries for each living member of a run at these ordinals."""
    for entry in entries:
        columns = {f"new_{name}": value for name, value in entry.columns(now).items()}
        for first, last in spans(ordinals):
            # one by one: see the ledger's engine on pipelines
            connection.execute(_LOG_MEMBERS, {**columns, "wanted_run": run_id, "first": first, "last": last})


def log_requests(connection: sa.Connection, request_ids: Sequence[str], entry: Entry, now: datetime) -> None:
    """This entry for each of these requests."""
    if request_ids:
        connection.execute(logs.insert(), [{"request_id": one, **entry.columns(now)} for one in request_ids])


def logged_ordinals(connection: sa.Connection, run_id: str, dataset_name: str) -> set[int]:
    """Living members of a run of whom the log says something under this name."""
    said = sa.exists().where(logs.c.request_id == members.c.request_id, logs.c.dataset_name == dataset_name)
    query = sa.select(members.c.ordinal).where(members.c.run_id == run_id, members.c.living, said)
    return set(connection.scalars(query))


def spans(ordinals: Iterable[int]) -> list[tuple[int, int]]:
    """The first and last of every run of consecutive ordinals."""
    found: list[tuple[int, int]] = []
    for ordinal in sorted(ordinals):
        if found and found[-1][1] == ordinal - 1:
            found[-1] = (found[-1][0], ordinal)
        else:
            found.append((ordinal, ordinal))
    return found


def audit(
    connection: sa.Connection,
    sealer: Sealer,
    ids: Sequence[str],
    actor: Actor,
    action: AuditAction,
    now: datetime,
    message: str = "",
    kind: ObjectKind = ObjectKind.PRIVACY_REQUEST,
) -> None:
    """One audit row per object, sealed: nobody without the ledger's keys can write one that counts.

    `message` holds ids, names and counts, or the reason that staff gave.
    """
    deed = {"actor": actor.id, "actor_kind": actor.kind, "origin": actor.origin, "action": action, "message": message}
    rows = [{"object_kind": kind, "object_id": one, "created_at": now, **deed} for one in ids]
    for row in rows:
        row["seal"] = audit_log.make_seal(sealer, row)
    if rows:
        connection.execute(audits.insert(), rows)


def read_logs(connection: sa.Connection, request_id: str, page: int, size: int) -> tuple[list[Record], int]:
    """One page of a request's execution log, oldest first, and the total."""
    total = connection.execute(
        sa.select(sa.func.count()).select_from(logs).where(logs.c.request_id == request_id)
    ).scalar_one()
    query = sa.select(logs).where(logs.c.request_id == request_id).order_by(logs.c.id)
    return list(connection.execute(query.limit(size).offset((page - 1) * size)).mappings()), total


def messages_of(connection: sa.Connection, request_ids: Sequence[str], action: AuditAction) -> dict[str, str]:
    """The latest message of this action for each of these requests that has one."""
    query = sa.select(audits.c.object_id, audits.c.message).where(
        audits.c.object_id.in_(request_ids), audits.c.action == action
    )
    return {row.object_id: row.message for row in connection.execute(query.order_by(audits.c.id))}


def read_audits(connection: sa.Connection, request_id: str) -> list[Record]:
    """A request's audit rows, oldest first."""
    query = sa.select(audits).where(audits.c.object_id == request_id).order_by(audits.c.id)
    return list(connection.execute(query).mappings())
