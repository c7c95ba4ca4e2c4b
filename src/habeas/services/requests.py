"""Use cases of privacy requests: submit, look up, retry, report. One function is one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO

import sqlalchemy as sa

from habeas.delivery.encryption import check_package_key
from habeas.domain.dataset import Address
from habeas.domain.errors import HabeasError, InputError, NotFound
from habeas.domain.identity import Identity, normalise
from habeas.domain.ports import Change, Entry, Erasure, Lookup
from habeas.domain.request import SYSTEM_ACTOR, ActionType, AuditAction, LogStatus, RequestStatus
from habeas.execution.context import Context
from habeas.execution.masks import DERIVED_SECRET
from habeas.execution.planning_input import PlanRequest, load_policy
from habeas.execution.report import make_report
from habeas.masking.registry import generate_request_secrets, generate_secret
from habeas.planning.plan import AffectedField, Plan
from habeas.planning.preview import preview_plan as show_plan
from habeas.services.bulk import Listing, make_id
from habeas.services.policies import find_policies
from habeas.store import configurations, journal, runs
from habeas.store import requests as store
from habeas.store.configurations import Record
from habeas.store.tables import requests as table
from habeas.store.tables import storages

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
class NewRequest:
    """One data subject's request as submitted; `identities` are parsed and valid."""

    policy_key: str
    identities: tuple[Identity, ...]
    external_id: str | None = None
    requested_at: datetime | None = None
    encryption_key: str | None = None
    dataset_keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """What a listing asks for; None means any. `request_id` and `external_id` match by case-insensitive prefix."""

    id: str | None = None
    request_id: str | None = None
    external_id: str | None = None
    status: tuple[RequestStatus, ...] = ()
    identity: str | None = None


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


def submit(
    context: Context, items: Sequence[NewRequest | HabeasError], client_id: str | None
) -> list[RequestView | HabeasError]:
    """Store requests and wake the dispatcher; one view or error per item, in order. One bad item stops no other."""
    now = context.clock.now()
    ids: list[str | HabeasError] = []
    with context.ledger.write() as connection:
        checked = [item if isinstance(item, HabeasError) else _check(context, connection, item) for item in items]
        fresh: list[tuple[str, NewRequest, _Submittable]] = []
        for item, outcome in zip(items, checked, strict=True):
            if isinstance(item, HabeasError) or isinstance(outcome, HabeasError):
                ids.append(outcome if isinstance(outcome, HabeasError) else InputError("not submitted"))
                continue
            ids.append(make_id("pri"))
            fresh.append((str(ids[-1]), item, outcome))
        if fresh:
            _store(context, connection, fresh, client_id, now)
        stored = _views(context, connection, [request_id for request_id, _, _ in fresh])
    context.wake()
    return [stored[item] if isinstance(item, str) else item for item in ids]


@dataclass(frozen=True, slots=True)
class _Submittable:
    due_at: datetime | None
    secrets: Mapping[str, Mapping[str, str]]


def _check(context: Context, connection: sa.Connection, item: NewRequest) -> "_Submittable | HabeasError":
    """What a request needs of its policy, or why it cannot be accepted."""
    try:
        policy = load_policy(connection, context.ledger.sealer, item.policy_key)
        if not policy.rules:
            raise InputError(f"policy {policy.key!r} has no rules", hint="add a rule, then submit again")
        if item.encryption_key is not None:
            check_package_key(item.encryption_key)
    except HabeasError as error:
        return error
    erasing = [rule.masking.strategy for rule in policy.rules_for(ActionType.ERASURE) if rule.masking]
    secrets = dict(generate_request_secrets(erasing))
    if erasing:
        strategy, kind = DERIVED_SECRET
        secrets[strategy] = {kind: generate_secret()}
    requested_at = item.requested_at or context.clock.now()
    timeframe = policy.execution_timeframe
    return _Submittable(requested_at + timedelta(days=timeframe) if timeframe else None, secrets)


def _store(
    context: Context,
    connection: sa.Connection,
    fresh: Sequence[tuple[str, NewRequest, _Submittable]],
    client_id: str | None,
    now: datetime,
) -> None:
    sealer = context.ledger.sealer
    store.add_requests(
        connection,
        [
            {
                "id": request_id,
                "external_id": item.external_id,
                "policy_key": item.policy_key,
                "status": RequestStatus.PENDING,
                "identity_kinds": sorted(identity.kind for identity in item.identities),
                "dataset_keys": None if item.dataset_keys is None else sorted(item.dataset_keys),
                "client_id": client_id,
                "requested_at": item.requested_at or now,
                "due_at": needs.due_at,
                "reviewed_at": now,
                "reviewed_by": SYSTEM_ACTOR,
                "encrypted": item.encryption_key is not None,
                "sealed_encryption_key": None
                if item.encryption_key is None
                else sealer.seal(check_package_key(item.encryption_key), store.encryption_key_place(request_id)),
                "created_at": now,
                "updated_at": now,
            }
            for request_id, item, needs in fresh
        ],
    )
    store.add_identities(connection, sealer, [(request_id, item.identities) for request_id, item, _ in fresh])
    store.add_secrets(connection, sealer, {request_id: needs.secrets for request_id, _, needs in fresh})
    ids = [request_id for request_id, _, _ in fresh]
    journal.audit(connection, ids, client_id or "anonymous", AuditAction.CREATED, now)
    journal.audit(connection, ids, SYSTEM_ACTOR, AuditAction.APPROVED, now)


def find_request(
    context: Context, request_id: str, include_identities: bool = False, verbose: bool = False
) -> RequestView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        _get(connection, request_id)
        return _views(context, connection, [request_id], include_identities, verbose)[request_id]


def list_requests(
    context: Context,
    wanted: RequestFilter,
    page: int,
    size: int,
    verbose: bool = False,
    include_identities: bool = False,
) -> Listing[RequestView]:
    """One page of the requests that match every part of the filter, newest first."""
    with context.ledger.read() as connection:
        records, total = store.list_requests(connection, _conditions(context, wanted), page, size)
        ids = [record.id for record in records]
        views = _views(context, connection, ids, include_identities, verbose)
        return Listing([views[request_id] for request_id in ids], total, page, size)


def retry(context: Context, request_id: str, actor: str) -> RequestView:
    """Send a request in `error` on from where it stopped. Raises NotFound; InputError for any other status."""
    now = context.clock.now()
    with context.ledger.write() as connection:
        record = _get(connection, request_id)
        values: dict[str, Any] = {"failure": None, "failed_collection": None, "finished_at": None}
        error, again = RequestStatus.ERROR, RequestStatus.IN_PROCESSING
        if not store.transition(connection, [request_id], again, now, only_from=error, **values):
            raise InputError(f"the request cannot be retried: its status is {record.status}")
        journal.audit(connection, [request_id], actor, AuditAction.RETRIED, now, f"from {record.next_step or 'start'}")
        view = _views(context, connection, [request_id])[request_id]
    context.wake()
    return view


def read_log(context: Context, request_id: str, page: int, size: int) -> Listing[Mapping[str, object]]:
    """One page of the execution log, oldest first (control-plane §1.8). Raises NotFound."""
    with context.ledger.read() as connection:
        record = _get(connection, request_id)
        rows, total = journal.read_logs(connection, request_id, page, size)
    affected = _affected_fields(context, record)
    return Listing([_show_log(row, affected) for row in rows], total, page, size)


def report(context: Context, request_id: str) -> dict[str, object]:
    """The report so far. Raises NotFound, also before there is a plan."""
    with context.ledger.read() as connection:
        record = _get(connection, request_id)
        outcomes = runs.outcomes_of(connection, [request_id])
    if record.plan_digest is None:
        raise NotFound(f"request {request_id} has no report yet", hint="ask again when it has been planned")
    return make_report(request_id, context.planner.load(record.plan_digest), outcomes)


def access_results(context: Context, request_id: str) -> list[str]:
    """Where the request's packages are, one entry per access rule; empty while there is none. Raises NotFound."""
    with context.ledger.read() as connection:
        _get(connection, request_id)
        return [row.location for row in store.packages_of(connection, [request_id])]


def open_package(
    context: Context, request_id: str, rule_key: str, actor: str
) -> tuple[str, AbstractContextManager[BinaryIO]]:
    """File name and stream of a package; the download is audited. Raises NotFound."""
    with context.ledger.write() as connection:
        _get(connection, request_id)
        found = [row for row in store.packages_of(connection, [request_id]) if row.rule_key == rule_key]
        storage = configurations.find(connection, storages, found[0].storage_key) if found else None
        if storage is None:
            raise NotFound(f"request {request_id} has no package of rule {rule_key!r}")
        stream = context.storage_types[storage.type].connect(storage.details).read(found[0].name)
        journal.audit(connection, [request_id], actor, AuditAction.DOWNLOADED, context.clock.now(), rule_key)
    return found[0].name, stream


def make_preview(
    context: Context, policy_key: str, identity_kinds: Sequence[str], dataset_keys: Sequence[str] | None
) -> tuple[Plan, dict[Address, str], dict[Address, str]]:
    """The plan a request would get now, with its read and erasure statements. Nothing is queried."""
    chosen = None if dataset_keys is None else tuple(sorted(dataset_keys))
    plan = context.planner.plan(PlanRequest(policy_key, tuple(sorted(set(identity_kinds))), chosen))
    reads, changes = {}, {}
    for node in plan.nodes:
        ways = dict.fromkeys((link.field, link.match) for link in node.links)
        entries = tuple(Entry(field, [(0, "")], match) for field, match in ways)
        reads[node.address] = context.connectors.get(node.connection).explain(Lookup(node.table, entries))
    for erasure in plan.erasure:
        if erasure.maskings:
            node = plan.node(erasure.address)
            columns = tuple(masking.field for masking in erasure.maskings)
            blank = Change(("",) * len(node.table.key), ("",) * len(columns), ("",) * len(columns))
            statement = Erasure(node.table, columns, [blank])
            changes[node.address] = context.connectors.get(node.connection).explain(statement)
    return plan, reads, changes


def preview_plan(
    context: Context, policy_key: str, identity_kinds: Sequence[str], dataset_keys: Sequence[str] | None = None
) -> dict[str, object]:
    """The plan a request would get now, as plain JSON values."""
    return show_plan(*make_preview(context, policy_key, identity_kinds, dataset_keys))


def _get(connection: sa.Connection, request_id: str) -> Record:
    record = store.find_request(connection, request_id)
    if record is None:
        raise NotFound(f"there is no privacy request {request_id[:64]!r}")
    return record


def _conditions(context: Context, wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.id is not None:
        conditions.append(table.c.id == wanted.id)
    if wanted.request_id is not None:
        conditions.append(sa.func.lower(table.c.id).startswith(wanted.request_id.lower(), autoescape=True))
    if wanted.external_id is not None:
        conditions.append(sa.func.lower(table.c.external_id).startswith(wanted.external_id.lower(), autoescape=True))
    if wanted.status:
        conditions.append(table.c.status.in_(wanted.status))
    if wanted.identity is not None:
        with context.ledger.read() as connection:
            kinds = store.known_kinds(connection)
        conditions.append(store.has_identity(list(_hashes(context, kinds, wanted.identity))))
    return conditions


def _hashes(context: Context, kinds: Sequence[str], value: str) -> set[bytes]:
    """Keyed hashes of a value under every kind it can be one of."""
    found = set()
    for kind in kinds:
        try:
            found.add(context.ledger.sealer.index(kind, str(normalise(kind, value))))
        except InputError:
            continue
    return found


def _views(
    context: Context,
    connection: sa.Connection,
    ids: Sequence[str],
    include_identities: bool = False,
    verbose: bool = False,
) -> dict[str, RequestView]:
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
    affected = _affected_fields(context, record)
    grouped: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in journal.read_audits(connection, record.id):
        entry = {"status": row.action, "user_id": row.actor, "message": row.message, "updated_at": row.created_at}
        grouped[_TITLES[AuditAction(row.action)]].append(entry)
    rows, _ = journal.read_logs(connection, record.id, page=1, size=100 * RESULTS_CAP)
    for row in rows:
        group = grouped[row.dataset_name or ""]
        if len(group) < RESULTS_CAP:
            group.append(_show_log(row, affected))
    return dict(grouped)


_Affected = Mapping[tuple[str, str], Sequence[AffectedField]]


def _affected_fields(context: Context, record: Record) -> _Affected:
    """Fields the policy covers, by (action, collection address)."""
    if record.plan_digest is None:
        return {}
    plan = context.planner.load(record.plan_digest)
    return {
        (action, str(item.address)): fields
        for item in plan.affected
        for action, fields in ((ActionType.ACCESS, item.access), (ActionType.ERASURE, item.erasure))
    }


def _show_log(row: Record, affected: _Affected) -> Mapping[str, object]:
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
