"""How a privacy request is shown: its state, its log by dataset, what its policy covers. Reads, never writes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeAlias

import sqlalchemy as sa

from habeas.domain.actor import ActorKind
from habeas.domain.audit import AuditAction
from habeas.domain.identity import Identity, Scalar
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.context import Context
from habeas.execution.manual_webhooks import awaited_forms
from habeas.execution.retries import PLACE
from habeas.planning.plan import AffectedField
from habeas.services.policies import PolicySummary, find_policies
from habeas.services.regulations import find_notice_by
from habeas.services.user_views import name_users
from habeas.store import journal, manual_collections, verifications
from habeas.store import requests as store
from habeas.store.configurations import Record
from habeas.store.manual_webhooks import Form

RESULTS_CAP = 1000
"""Log entries that a verbose answer shows per group; the rest is read through `/log` (control-plane §1.4.3)."""

_RETRY = PLACE[1]
"""What is logged under this name is how a request went on, no state that lasts."""

_TITLES = {
    AuditAction.CREATED: "Request created",
    AuditAction.VERIFIED: "Identity verified",
    AuditAction.APPROVED: "Request approved",
    AuditAction.DENIED: "Request denied",
    AuditAction.CANCELED: "Request canceled",
    AuditAction.RETRIED: "Request retried",
    AuditAction.RESUMED: "Request resumed",
    AuditAction.INPUT_UPLOADED: "Input uploaded",
    AuditAction.DATA_VIEWED: "Input viewed",
    AuditAction.NOTED: "Note added",
    AuditAction.EMAIL_SENT: "Erasure e-mail sent",
    AuditAction.EXTENDED: "Deadline extended",
    AuditAction.CLOCK_STOPPED: "Clarification asked for",
    AuditAction.CLOCK_STARTED: "Clarification received",
    AuditAction.DOWNLOADED: "Package downloaded",
    AuditAction.FINISHED: "Request finished",
}

WORST_FIRST = (
    LogStatus.ERROR,
    LogStatus.PAUSED,
    LogStatus.RETRYING,
    LogStatus.SKIPPED,
    LogStatus.IN_PROCESSING,
    LogStatus.COMPLETE,
)
"""Every status of a log entry, in the order in which one of them stands for a whole dataset."""


class IdentityShape(StrEnum):
    """How identities are shown: `{kind: value}`, or `{kind: {label, value}}` (gap list G3)."""

    PLAIN = "plain"
    LABELLED = "labelled"


IdentityValue: TypeAlias = Scalar | Sequence[Scalar]


@dataclass(frozen=True, slots=True)
class LabelledIdentity:
    """An identity with words for people."""

    label: str
    value: IdentityValue


@dataclass(frozen=True, slots=True)
class AwaitedForm:
    """A form that people have to save before a request goes on."""

    connection_key: str
    action_type: ActionType


@dataclass(frozen=True, slots=True)
class ActionNeeded:
    """What a person is asked to do in a collection: find the fields `get` of the rows that the locators lead to, or set
    the fields of `update` (field → masking strategy; `*` → `delete` for whole rows).
    """

    collection: str
    locators: Mapping[str, Sequence[Any]]
    get: Sequence[str] | None
    update: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """Where a request stopped: the step, the collection if it was one's, and what people are asked for.

    `forms` are awaited by a request that requires input; none when all are saved and it only has to be resumed.
    """

    step: str | None
    collection: str | None
    action_needed: Sequence[ActionNeeded] | None
    forms: Sequence[AwaitedForm] | None = None


@dataclass(frozen=True, slots=True)
class AwaitedCode:
    """The code that a person was sent to prove who they are; `expires_at` is null when it can be used no more."""

    expires_at: datetime | None
    codes_sent: int


@dataclass(frozen=True, slots=True)
class Reviewer:
    """The user who has decided about a request."""

    id: str
    username: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A row of the execution log; fields are named where the work was completed."""

    connection_key: str | None
    dataset_name: str | None
    collection_name: str | None
    fields_affected: Sequence[AffectedField] | None
    message: str
    action_type: ActionType
    status: LogStatus
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of the audit log; `user_id` is a client's id, `system` or `anonymous`."""

    status: AuditAction
    user_id: str
    message: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request as the API shows it (control-plane §1.3). `identity` only when asked for.

    `reviewer` is null when no user has decided, or one who is none any more. `notice_by`: until when the person
    must have been told of an extension; null where the law knows none.
    """

    id: str
    status: RequestStatus
    external_id: str | None
    created_at: datetime
    requested_at: datetime
    started_processing_at: datetime | None
    finished_processing_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    reviewer: Reviewer | None
    identity_verified_at: datetime | None
    awaited_code: AwaitedCode | None
    paused_at: datetime | None
    identity: Mapping[str, IdentityValue | LabelledIdentity] | None
    policy: PolicySummary
    action_required_details: ActionRequired | None
    resume_endpoint: str | None
    regulation: str | None
    due_date: date | None
    days_left: int | None
    acknowledge_by: date | None
    notice_by: date | None
    extended_at: datetime | None
    clock_stopped_at: datetime | None
    duplicate_of: str | None
    failure: str | None
    cancel_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerboseRequestView(RequestView):
    """A request with its logs (control-plane §1.4.3).

    `results` has them by dataset or title, oldest first; `task_status_by_dataset` the worst present status of the
    dataset's collections.
    """

    results: Mapping[str, Sequence[LogEntry | AuditEntry]]
    task_status_by_dataset: Mapping[str, LogStatus]


def show_requests(
    context: Context,
    connection: sa.Connection,
    ids: Sequence[str],
    identities: IdentityShape | None = None,
    *,
    verbose: bool = False,
) -> dict[str, RequestView]:
    """Views of these requests, by id; VerboseRequestViews if `verbose`. Identities only if a shape is given.

    Whoever has shown no token is not told that somebody of these identities has asked before, nor whether and by
    whom their request was reviewed: that one waits for a reviewer may be because it repeats another.
    """
    records = store.find_requests(connection, ids)
    policies = find_policies(context, connection, {record.policy_key for record in records})
    known = store.identities_of(connection, context.ledger.sealer, ids) if identities else {}
    asked = [record.id for record in records if record.status == RequestStatus.REQUIRES_INPUT]
    awaited = awaited_forms(connection, asked) if asked else {}
    now = context.clock.now()
    codes = _awaited_codes(connection, records, now)
    needed = _action_needed(context, connection, records)
    is_stranger = context.actor.kind is ActorKind.ANONYMOUS
    deciders = set() if is_stranger else {record.reviewed_by for record in records if record.reviewed_by}
    names = name_users(context, connection, deciders)
    views = {
        record.id: RequestView(
            id=record.id,
            status=RequestStatus(record.status),
            external_id=record.external_id,
            created_at=record.created_at,
            requested_at=record.requested_at,
            started_processing_at=record.started_at,
            finished_processing_at=record.finished_at,
            reviewed_at=None if is_stranger else record.reviewed_at,
            reviewed_by=None if is_stranger else record.reviewed_by,
            reviewer=Reviewer(record.reviewed_by, names[record.reviewed_by]) if record.reviewed_by in names else None,
            identity_verified_at=record.identity_verified_at,
            awaited_code=codes.get(record.id),
            paused_at=record.paused_at,
            identity=_show_identities(known.get(record.id, ()), identities) if identities else None,
            policy=policies[record.policy_key],
            action_required_details=_action_required(record, awaited.get(record.id, ()), needed.get(record.id)),
            resume_endpoint=_resume_endpoint(record),
            regulation=record.regulation,
            due_date=_day(record.due_at),
            days_left=_count_days_left(record, now),
            acknowledge_by=_day(record.acknowledge_by),
            notice_by=_notice_by(context, record, now),
            extended_at=record.extended_at,
            clock_stopped_at=record.clock_stopped_at,
            duplicate_of=None if is_stranger else record.duplicate_of,
            failure=record.failure,
            cancel_reason=record.cancel_reason,
        )
        for record in records
    }
    return (
        {record.id: _add_logs(context, connection, record, views[record.id]) for record in records}
        if verbose
        else views
    )


def _awaited_codes(connection: sa.Connection, records: Sequence[Record], now: datetime) -> dict[str, AwaitedCode]:
    unverified = [record.id for record in records if record.status == RequestStatus.IDENTITY_UNVERIFIED]
    known = verifications.find_verifications(connection, unverified) if unverified else {}
    return {
        request_id: AwaitedCode(row.expires_at if row.hash is not None and row.expires_at > now else None, row.sent)
        for request_id, row in known.items()
    }


def _count_days_left(record: Record, now: datetime) -> int | None:
    """Days from today to the day when a request is due, by UTC dates; they stand still while the clock is stopped."""
    if record.due_at is None:
        return None
    days: int = (record.due_at.date() - (record.clock_stopped_at or now).date()).days
    return days


def _notice_by(context: Context, record: Record, now: datetime) -> date | None:
    regulation = context.regulations.get(record.regulation)
    return None if regulation is None else _day(find_notice_by(regulation, record, now))


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _action_needed(
    context: Context, connection: sa.Connection, records: Sequence[Record]
) -> dict[str, list[ActionNeeded]]:
    """What people are asked for, of requests that wait at a collection."""
    found: dict[str, list[ActionNeeded]] = {}
    paused = [record for record in records if record.status == RequestStatus.PAUSED]
    for action in ActionType:
        ids = [record.id for record in paused if record.next_step == action]
        questions = manual_collections.questions_of(connection, context.ledger.sealer, action, ids) if ids else {}
        for request_id, asked in questions.items():
            found[request_id] = [ActionNeeded(name, one.locators, one.get, one.update) for name, one in asked.items()]
    return found


def _action_required(
    record: Record, awaited: Sequence[Form], needed: Sequence[ActionNeeded] | None
) -> ActionRequired | None:
    if record.status == RequestStatus.REQUIRES_INPUT:
        forms = [AwaitedForm(form.connection_key, form.action) for form in awaited]
        return ActionRequired(record.next_step, None, None, forms)
    if record.status not in _STOPPED:
        return None
    return ActionRequired(record.next_step, record.failed_collection, needed)


_STOPPED = frozenset({RequestStatus.ERROR, RequestStatus.PAUSED})

_WAYS_ON = {RequestStatus.ERROR: "retry", RequestStatus.REQUIRES_INPUT: "resume_from_requires_input"}
_ANSWERS = {"pre_webhooks": "resume", ActionType.ACCESS: "manual_input", ActionType.ERASURE: "erasure_confirm"}
"""By the step at which a request is paused; `resume` takes the token that the webhook's receiver was given."""


def _resume_endpoint(record: Record) -> str | None:
    status = RequestStatus(record.status)
    way = _ANSWERS.get(record.next_step) if status is RequestStatus.PAUSED else _WAYS_ON.get(status)
    return way and f"/privacy-request/{record.id}/{way}"


def _show_identities(
    identities: Sequence[Identity], shape: IdentityShape
) -> dict[str, IdentityValue | LabelledIdentity]:
    shown: dict[str, IdentityValue | LabelledIdentity] = {}
    for identity in identities:
        value = identity.values[0] if len(identity.values) == 1 else list(identity.values)
        label = identity.label or identity.kind.replace("_", " ").capitalize()
        shown[identity.kind] = value if shape is IdentityShape.PLAIN else LabelledIdentity(label, value)
    return shown


def _add_logs(context: Context, connection: sa.Connection, record: Record, view: RequestView) -> VerboseRequestView:
    affected = affected_fields(context, record)
    results: dict[str, list[LogEntry | AuditEntry]] = defaultdict(list)
    for row in journal.read_audits(connection, record.id):
        action = AuditAction(row.action)
        results[_TITLES[action]].append(AuditEntry(action, row.actor, row.message, row.created_at))
    rows, _ = journal.read_logs(connection, record.id, page=1, size=100 * RESULTS_CAP)
    latest: dict[tuple[str, str | None, str], LogStatus] = {}
    for row in rows:
        entry = show_log(row, affected)
        dataset = entry.dataset_name or ""
        if dataset != _RETRY:
            latest[dataset, entry.collection_name, entry.action_type] = entry.status
        if len(results[dataset]) < RESULTS_CAP:
            results[dataset].append(entry)
    worst: dict[str, LogStatus] = {}
    for (dataset, _, _), status in latest.items():
        worst[dataset] = min(status, worst.get(dataset, status), key=WORST_FIRST.index)
    shown = {item.name: getattr(view, item.name) for item in fields(view)}
    return VerboseRequestView(**shown, results=dict(results), task_status_by_dataset=worst)


Affected = Mapping[tuple[str, str], Sequence[AffectedField]]


def affected_fields(context: Context, record: Record) -> Affected:
    """Fields the policy covers, by (action, collection address)."""
    if record.plan_digest is None:
        return {}
    plan = context.planner.load(record.plan_digest)
    return {
        (action, str(item.address)): covered
        for item in plan.affected
        for action, covered in ((ActionType.ACCESS, item.access), (ActionType.ERASURE, item.erasure))
    }


def show_log(row: Record, affected: Affected) -> LogEntry:
    """A row of the execution log as the API shows it."""
    covered = affected.get((row.action_type, f"{row.dataset_name}:{row.collection_name}"), ())
    return LogEntry(
        connection_key=row.connection_key,
        dataset_name=row.dataset_name,
        collection_name=row.collection_name,
        fields_affected=covered if row.status == LogStatus.COMPLETE else None,
        message=row.message,
        action_type=ActionType(row.action_type),
        status=LogStatus(row.status),
        updated_at=row.created_at,
    )
