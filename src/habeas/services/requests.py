"""Use cases of privacy requests: submit, look up, retry, report. One function is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

import sqlalchemy as sa

from habeas.delivery.encryption import check_package_key
from habeas.domain.actor import ActorKind
from habeas.domain.audit import AuditAction
from habeas.domain.dataset import Address
from habeas.domain.documents import Rewrite
from habeas.domain.errors import DatasetError, HabeasError, InputError, NotFound
from habeas.domain.identity import Identity
from habeas.domain.policy import Policy
from habeas.domain.ports import Change, Entry, Erasure, Lookup
from habeas.domain.request import ActionType, LogStatus, RequestStatus
from habeas.execution.context import Context
from habeas.execution.masks import DERIVED_SECRET
from habeas.execution.planning_input import PlanRequest, load_datasets, load_policy
from habeas.execution.report import Report, make_report
from habeas.execution.retries import PLACE as RETRY
from habeas.execution.steps import phase_of
from habeas.masking.registry import generate_request_secrets, generate_secret
from habeas.planning.plan import Node, NodeErasure, Plan
from habeas.planning.planner import plan_look_ups
from habeas.planning.preview import Preview
from habeas.planning.preview import preview_plan as show_plan
from habeas.services.admission import UNADMITTED, admit, announce
from habeas.services.bulk import BulkResult, Failure, Listing, make_id
from habeas.services.deadlines import Deadlines, set_deadlines
from habeas.services.duplicates import Fresh
from habeas.services.request_views import (
    IdentityShape,
    LogEntry,
    RequestView,
    affected_fields,
    show_log,
    show_requests,
)
from habeas.services.selection import Chosen, act_on
from habeas.services.verification import check_reach, proof_is_required, send_first_codes
from habeas.store import journal, manual_webhooks, messages, progress, webhooks
from habeas.store import requests as store
from habeas.store.configurations import Record, rules_of
from habeas.store.packages import outdate_packages, packages_of
from habeas.store.runs import PREPARE
from habeas.store.tables import datasets


@dataclass(frozen=True, slots=True)
class NewRequest:
    """One data subject's request as submitted; `identities` are parsed and valid."""

    policy_key: str
    identities: tuple[Identity, ...]
    external_id: str | None = None
    requested_at: datetime | None = None
    encryption_key: str | None = None
    dataset_keys: tuple[str, ...] | None = None


def submit(
    context: Context, items: Sequence[NewRequest | HabeasError], *, by_staff: bool = False
) -> list[RequestView | HabeasError]:
    """Store requests and wake the dispatcher; one view or error per item, in order. One bad item stops no other.

    Where people must prove who they are, each is sent a code, and their request waits for it. What staff submit for
    them counts at once, and they get no receipt.
    """
    with context.ledger.write() as connection:
        ids = enter(context, connection, items, by_staff=by_staff)
        stored = show_requests(context, connection, [item for item in ids if isinstance(item, str)])
    context.wake()
    return [stored[item] if isinstance(item, str) else item for item in ids]


def enter(
    context: Context, connection: sa.Connection, items: Sequence[NewRequest | HabeasError], *, by_staff: bool
) -> list[str | HabeasError]:
    """Store requests in a transaction whose owner wakes the dispatcher afterwards; an id or error per item."""
    now = context.clock.now()
    must_verify = not by_staff and proof_is_required(context, connection)
    load = cache(partial(load_policy, connection, context.ledger.sealer))
    checked = [
        item if isinstance(item, HabeasError) else _check(context, connection, item, load, now, must_verify)
        for item in items
    ]
    ids: list[str | HabeasError] = []
    fresh: list[tuple[str, NewRequest, _Submittable]] = []
    for item, outcome in zip(items, checked, strict=True):
        if isinstance(item, HabeasError) or isinstance(outcome, HabeasError):
            ids.append(outcome if isinstance(outcome, HabeasError) else InputError("not submitted"))
            continue
        ids.append(make_id("pri"))
        fresh.append((str(ids[-1]), item, outcome))
    if fresh:
        admitted = {} if must_verify else _admit(context, connection, fresh, now)
        _store(context, connection, fresh, admitted, now)
        if must_verify:
            send_first_codes(context, connection, [request_id for request_id, _, _ in fresh], now)
        announce(context, connection, admitted, now, tell_people=not by_staff)
    return ids


@dataclass(frozen=True, slots=True)
class _Submittable:
    deadlines: Deadlines
    secrets: Mapping[str, Mapping[str, str]]


def _check(
    context: Context,
    connection: sa.Connection,
    item: NewRequest,
    load: Callable[[str], Policy],
    now: datetime,
    must_verify: bool,
) -> "_Submittable | HabeasError":
    """What a request needs of its policy, or why it cannot be accepted."""
    try:
        policy = load(item.policy_key)
        if not policy.rules:
            raise InputError(f"policy {policy.key!r} has no rules", hint="add a rule, then submit again")
        if item.encryption_key is not None:
            check_package_key(item.encryption_key)
        _check_datasets(connection, item.dataset_keys)
        deadlines = set_deadlines(context, policy, item.requested_at or now)
        if must_verify:
            check_reach(context, connection, item.identities)
    except HabeasError as error:
        return error
    erasing = [rule.masking.strategy for rule in policy.rules_for(ActionType.ERASURE) if rule.masking]
    secrets = dict(generate_request_secrets(erasing))
    if erasing:
        strategy, kind = DERIVED_SECRET
        secrets[strategy] = {kind: generate_secret()}
    return _Submittable(deadlines, secrets)


def _check_datasets(connection: sa.Connection, keys: Sequence[str] | None) -> None:
    if keys is None:
        return
    if not keys:
        raise InputError("dataset_keys chooses no dataset", hint="leave it out for all of them")
    known = set(connection.scalars(sa.select(datasets.c.key).where(datasets.c.key.in_(keys))))
    if unknown := sorted(set(keys) - known):
        names = ", ".join(repr(key[:64]) for key in unknown)
        raise InputError(f"dataset_keys names unknown datasets: {names}", hint="use keys of saved datasets")


def _store(
    context: Context,
    connection: sa.Connection,
    fresh: Sequence[tuple[str, NewRequest, _Submittable]],
    admitted: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> None:
    """Store requests; those not admitted wait for the proof of who the person is."""
    sealer = context.ledger.sealer
    store.add_requests(
        connection,
        [
            {
                "id": request_id,
                "external_id": item.external_id,
                "policy_key": item.policy_key,
                "status": RequestStatus.PENDING if request_id in admitted else RequestStatus.IDENTITY_UNVERIFIED,
                "must_verify": request_id not in admitted,
                "identity_kinds": sorted(identity.kind for identity in item.identities),
                "dataset_keys": None if item.dataset_keys is None else sorted(item.dataset_keys),
                "client_id": None if context.actor.kind is ActorKind.ANONYMOUS else context.actor.id,
                "requested_at": item.requested_at or now,
                "due_at": needs.deadlines.due_at,
                "regulation": needs.deadlines.regulation,
                "acknowledge_by": needs.deadlines.acknowledge_by,
                **admitted.get(request_id, UNADMITTED),
                "encrypted": item.encryption_key is not None,
                "sealed_encryption_key": None
                if item.encryption_key is None
                else sealer.seal(check_package_key(item.encryption_key), store.encryption_key_place(request_id)),
                "created_at": now,
                "updated_at": now,
                "submitted_together": len(fresh),
            }
            for request_id, item, needs in fresh
        ],
        now,
    )
    store.add_identities(connection, sealer, [(request_id, item.identities) for request_id, item, _ in fresh])
    store.add_secrets(connection, sealer, {request_id: needs.secrets for request_id, _, needs in fresh})
    ids = [request_id for request_id, _, _ in fresh]
    journal.audit(connection, context.ledger.sealer, ids, context.actor, AuditAction.CREATED, now)


def _admit(
    context: Context, connection: sa.Connection, fresh: Sequence[tuple[str, NewRequest, _Submittable]], now: datetime
) -> dict[str, Mapping[str, Any]]:
    people = [Fresh(request_id, item.policy_key, item.identities) for request_id, item, _ in fresh]
    return admit(context, connection, people, now)


def find_request(
    context: Context, request_id: str, identities: IdentityShape | None = None, *, verbose: bool = False
) -> RequestView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        get_record(connection, request_id)
        return show_requests(context, connection, [request_id], identities, verbose=verbose)[request_id]


def retry(context: Context, request_id: str) -> RequestView:
    """Send a request in `error` on from where it stopped; afresh, and saying so, when what was kept of it is gone.

    Of one that is complete or denied the messages that failed are sent again, and nothing else is done. Raises
    NotFound; InputError for any other status, and when its packages' key is gone before they were made.
    """
    now = context.clock.now()
    with context.ledger.write() as connection:
        record = get_record(connection, request_id, lock=True)
        again = _retry_messages(connection, record, now) or _retry_steps(connection, record, now)
        journal.audit(connection, context.ledger.sealer, [request_id], context.actor, AuditAction.RETRIED, now, again)
        view = show_requests(context, connection, [request_id])[request_id]
    context.wake()
    return view


def _retry_messages(connection: sa.Connection, record: Record, now: datetime) -> str:
    """Make the failed messages of a request that was answered due again; in words what is done, nothing if none are."""
    is_answered = record.status in (RequestStatus.COMPLETE, RequestStatus.DENIED)
    return "messages" if is_answered and messages.retry_failed(connection, record.id, now) else ""


def _retry_steps(connection: sa.Connection, record: Record, now: datetime) -> str:
    """Let a request in `error` go on; in words from where."""
    if not store.send_on(connection, [record.id], RequestStatus.ERROR, now, webhook_round=record.webhook_round + 1):
        raise InputError(f"the request cannot be retried: its status is {record.status}")
    if record.next_step is not None:
        if phase_of(record.next_step) == PREPARE:  # every webhook is called again, and says what it derives now
            webhooks.forget_derived(connection, record.id)
        return f"from {record.next_step}"
    _check_key(connection, record)
    if not record.encrypted:
        outdate_packages(connection, [record.id])
    start = "from start: what was kept is gone"
    afresh = journal.Entry(RETRY, ActionType.ACCESS, LogStatus.RETRYING, f"the request goes on {start}")
    journal.log_requests(connection, [record.id], afresh, now)
    return start


def _check_key(connection: sa.Connection, record: Record) -> None:
    """Refuse to start afresh what could only end without its packages: they are never written in the clear."""
    if not record.encrypted or record.sealed_encryption_key is not None:
        return
    gives = {rule.key for rule in rules_of(connection, record.policy_key) if rule.action_type == ActionType.ACCESS}
    if gives - {package.rule_key for package in packages_of(connection, [record.id])}:
        raise InputError(
            "the request cannot be retried: the encryption key of its packages is gone, as all that was kept of it",
            hint="submit the request again with its encryption_key",
        )


def retry_all(context: Context, chosen: Chosen) -> BulkResult[RequestView]:
    """Retry each of these requests, each once; what cannot be retried is a failure."""
    return act_on(context, chosen, {RequestStatus.ERROR}, partial(_retry_each, context))


def _retry_each(context: Context, request_ids: Sequence[str]) -> BulkResult[RequestView]:
    retried: list[RequestView] = []
    failures: list[Failure] = []
    for request_id in request_ids:
        try:
            retried.append(retry(context, request_id))
        except InputError as error:
            failures.append(Failure(str(error), {"privacy_request_id": request_id}))
    return BulkResult(retried, failures)


def read_log(context: Context, request_id: str, page: int, size: int) -> Listing[LogEntry]:
    """One page of the execution log, oldest first (control-plane §1.8). Raises NotFound."""
    with context.ledger.read() as connection:
        record = get_record(connection, request_id)
        rows, total = journal.read_logs(connection, request_id, page, size)
    affected = affected_fields(context, record)
    return Listing([show_log(row, affected) for row in rows], total, page, size)


def report(context: Context, request_id: str) -> Report:
    """The report so far. Raises NotFound, also before there is a plan."""
    with context.ledger.read() as connection:
        record = get_record(connection, request_id)
        outcomes = progress.outcomes_of(connection, [request_id])
        sealer, erasure = context.ledger.sealer, ActionType.ERASURE
        confirmed = manual_webhooks.answers_of(connection, sealer, [request_id], erasure).get(request_id)
    if record.plan_digest is None:
        raise NotFound(f"request {request_id} has no report yet", hint="ask again when it has been planned")
    return make_report(request_id, context.planner.load(record.plan_digest), outcomes, confirmed)


def make_preview(
    context: Context, policy_key: str, identity_kinds: Sequence[str], dataset_keys: Sequence[str] | None
) -> tuple[Plan, dict[Address, str], dict[Address, str]]:
    """The plan a request would get now, with its read and erasure statements. Nothing is queried."""
    chosen = None if dataset_keys is None else tuple(sorted(dataset_keys))
    plan = context.planner.plan(PlanRequest(policy_key, tuple(sorted(set(identity_kinds))), chosen))
    reads, changes = {node.address: _explain(context, node) for node in plan.nodes}, {}
    for erasure in plan.erasure:
        if erasure.maskings or erasure.delete:
            node = plan.node(erasure.address)
            statement = _blank_erasure(node, erasure)
            changes[node.address] = context.connectors.get(node.connection).explain(statement)
    return plan, reads, changes


def _explain(context: Context, node: Node) -> str:
    return context.connectors.get(node.connection).explain(_blank_lookup(node))


def _blank_lookup(node: Node) -> Lookup:
    """A look-up by all ways into a collection, with one value each."""
    ways = dict.fromkeys((link.field, link.match) for link in node.links)
    split = ((field.split("."), match) for field, match in ways)
    return Lookup(node.table, tuple(Entry(names[0], [(0, "")], match, tuple(names[1:])) for names, match in split))


def _blank_erasure(node: Node, erasure: NodeErasure) -> Erasure:
    """An erasure of one row."""
    paths: dict[str, list[tuple[str, ...]]] = {}
    for masking in erasure.maskings:
        if masking.nested:
            column, *inside = masking.field.split(".")
            paths.setdefault(column, []).append(tuple(inside))
    columns = tuple(dict.fromkeys(masking.field.partition(".")[0] for masking in erasure.maskings))
    after = tuple(Rewrite(tuple(paths[column]), ()) if column in paths else "" for column in columns)
    key = ("",) * len(node.table.key or node.table.columns)
    return Erasure(node.table, columns, [Change(key, ("",) * len(columns), after)], erasure.delete)


def preview_plan(
    context: Context, policy_key: str, identity_kinds: Sequence[str], dataset_keys: Sequence[str] | None = None
) -> Preview:
    """The plan a request would get now, as plain JSON values."""
    return show_plan(*make_preview(context, policy_key, identity_kinds, dataset_keys))


@dataclass(frozen=True, slots=True)
class LookUp:
    """A collection and the statement that would look into it, with placeholders (control-plane §1.8)."""

    collectionAddress: Address  # noqa: N815  # the name it has in fidesops
    query: str


def preview_look_ups(context: Context, dataset_keys: Sequence[str] | None = None) -> list[LookUp]:
    """The look-ups into these datasets alone (None: all), in order, as if every declared identity were given.

    Raises NotFound for an unknown dataset, InputError when these datasets cannot be walked. Nothing is queried.
    """
    with context.ledger.read() as connection:
        placed = {item.dataset.key: item for item in load_datasets(connection, context.connection_types)}
    if unknown := sorted(set(dataset_keys or ()) - set(placed)):
        raise NotFound(f"there is no dataset {', '.join(repr(key[:64]) for key in unknown)}")
    try:
        plan = plan_look_ups([placed[key] for key in (placed if dataset_keys is None else sorted(set(dataset_keys)))])
    except DatasetError as error:
        raise InputError(str(error)) from None
    return [LookUp(node.address, _explain(context, node)) for node in plan.nodes]


def get_record(connection: sa.Connection, request_id: str, *, lock: bool = False) -> Record:
    """A request's record; with `lock` unchanged by others until this write transaction ends. Raises NotFound."""
    find = store.lock_request if lock else store.find_request
    record = find(connection, request_id)
    if record is None:
        raise NotFound(f"there is no privacy request {request_id[:64]!r}")
    return record
