"""How a privacy request is shown: its state, its log by dataset, what its policy covers. Reads, never writes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from habeas.domain.identity import Identity
from habeas.domain.request import ActionType, AuditAction, LogStatus, RequestStatus
from habeas.execution.context import Context
from habeas.planning.plan import AffectedField
from habeas.services.policies import find_policies
from habeas.store import journal
from habeas.store import requests as store
from habeas.store.configurations import Record

RESULTS_CAP = 1000
"""Log entries that a verbose answer shows per group; the rest is read through `/log` (control-plane §1.4.3)."""

_TITLES = {
    AuditAction.CREATED: "Request created",
    AuditAction.APPROVED: "Request approved",
    AuditAction.RETRIED: "Request retried",
    AuditAction.DOWNLOADED: "Package downloaded",
    AuditAction.FINISHED: "Request finished",
}


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as the API shows it (control-plane §1.3). `identity` and `results` only when asked for."""

    id: str
    status: RequestStatus
    created_at: datetime
    requested_at: datetime
    external_id: str | None
    started_processing_at: datetime | None
    finished_processing_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    policy: Mapping[str, object]
    action_required_details: Mapping[str, object] | None
    resume_endpoint: str | None
    days_left: int | None
    failure: str | None
    identity: Mapping[str, object] | None = None
    results: Mapping[str, Sequence[Mapping[str, object]]] | None = None


def show_requests(
    context: Context,
    connection: sa.Connection,
    ids: Sequence[str],
    include_identities: bool = False,
    verbose: bool = False,
) -> dict[str, RequestView]:
    """Views of these requests, by id."""
    records = store.find_requests(connection, ids)
    policies = find_policies(context, connection, {record.policy_key for record in records})
    known = store.identities_of(connection, context.ledger.sealer, ids) if include_identities else {}
    today = context.clock.now().date()
    return {
        record.id: RequestView(
            id=record.id,
            status=RequestStatus(record.status),
            created_at=record.created_at,
            requested_at=record.requested_at,
            external_id=record.external_id,
            started_processing_at=record.started_at,
            finished_processing_at=record.finished_at,
            reviewed_at=record.reviewed_at,
            reviewed_by=record.reviewed_by,
            policy=policies[record.policy_key],
            action_required_details=_action_required(record),
            resume_endpoint=f"/privacy-request/{record.id}/retry" if record.status == RequestStatus.ERROR else None,
            days_left=None if record.due_at is None else (record.due_at.date() - today).days,
            failure=record.failure,
            identity=_show_identities(known.get(record.id, ())) if include_identities else None,
            results=_results(context, connection, record) if verbose else None,
        )
        for record in records
    }


def _action_required(record: Record) -> Mapping[str, object] | None:
    if record.status != RequestStatus.ERROR:
        return None
    return {"step": record.next_step, "collection": record.failed_collection, "action_needed": None}


def _show_identities(identities: Sequence[Identity]) -> dict[str, object]:
    return {
        identity.kind: {
            "label": identity.label or identity.kind.replace("_", " ").capitalize(),
            "value": identity.values[0] if len(identity.values) == 1 else list(identity.values),
        }
        for identity in identities
    }


def _results(context: Context, connection: sa.Connection, record: Record) -> dict[str, list[Mapping[str, object]]]:
    """Log and audit entries by dataset or title, oldest first (control-plane §1.4.3)."""
    affected = affected_fields(context, record)
    grouped: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in journal.read_audits(connection, record.id):
        entry = {"status": row.action, "user_id": row.actor, "message": row.message, "updated_at": row.created_at}
        grouped[_TITLES[AuditAction(row.action)]].append(entry)
    rows, _ = journal.read_logs(connection, record.id, page=1, size=100 * RESULTS_CAP)
    for row in rows:
        group = grouped[row.dataset_name or ""]
        if len(group) < RESULTS_CAP:
            group.append(show_log(row, affected))
    return dict(grouped)


Affected = Mapping[tuple[str, str], Sequence[AffectedField]]


def affected_fields(context: Context, record: Record) -> Affected:
    """Fields the policy covers, by (action, collection address)."""
    if record.plan_digest is None:
        return {}
    plan = context.planner.load(record.plan_digest)
    return {
        (action, str(item.address)): fields
        for item in plan.affected
        for action, fields in ((ActionType.ACCESS, item.access), (ActionType.ERASURE, item.erasure))
    }


def show_log(row: Record, affected: Affected) -> Mapping[str, object]:
    """A row of the execution log as the API shows it; fields are named where the work was completed."""
    fields = None
    if row.status == LogStatus.COMPLETE:
        fields = [
            {"path": item.path, "field_name": item.field_name, "data_categories": list(item.data_categories)}
            for item in affected.get((row.action_type, f"{row.dataset_name}:{row.collection_name}"), ())
        ]
    return {
        "connection_key": row.connection_key,
        "dataset_name": row.dataset_name,
        "collection_name": row.collection_name,
        "fields_affected": fields,
        "message": row.message,
        "action_type": row.action_type,
        "status": row.status,
        "updated_at": row.created_at,
    }
