"""Policies, their rules and targets (control-plane §1.9, data-plane §6.1).

A change is written first and the whole policy checked after it; what does not hold together is rolled back.
A rule's masking is sealed as `{"strategy", "configuration"}`; answers show the strategy's name only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import Conflict, InputError, NotFound
from habeas.domain.policy import OnUnreachable, Rule, SharedRows, check_category, check_erasure_targets, check_rule
from habeas.domain.request import ActionType
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.masking.registry import make_strategy
from habeas.services import audit
from habeas.services.bulk import BulkResult, Listing, choose_key, make_id, save_each
from habeas.services.regulations import find_regulation
from habeas.services.storages import StorageView, show_storage
from habeas.store import configurations
from habeas.store.configurations import Record
from habeas.store.tables import policies, requests, rules, storages, targets

DRP_ACTIONS = ("access", "deletion")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDraft:
    """A policy as submitted; `execution_timeframe` in days.

    With a `regulation` as well, the earlier of the two deadlines counts.
    """

    name: str
    key: str | None = None
    drp_action: str | None = None
    execution_timeframe: int | None = None
    regulation: str | None = None
    on_unreachable: OnUnreachable = OnUnreachable.FAIL
    shared_rows: SharedRows = SharedRows.MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingDraft:
    """A masking strategy and its configuration as submitted."""

    strategy: str
    configuration: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """A rule as submitted."""

    name: str
    action_type: str
    key: str | None = None
    storage_destination_key: str | None = None
    masking_strategy: MaskingDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDraft:
    """A target as submitted; its name defaults to `<rule key>-<category>`."""

    data_category: str
    name: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target as shown."""

    key: str
    name: str
    data_category: str


@dataclass(frozen=True, slots=True)
class StrategyView:
    """The masking of a rule as shown: never its configuration."""

    strategy: str


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as shown."""

    key: str
    name: str
    action_type: ActionType
    storage_destination: StorageView | None
    masking_strategy: StrategyView | None
    targets: Sequence[TargetView]


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """A rule inside of a request's answer; `storage_destination` is the storage's key."""

    name: str
    key: str
    action_type: ActionType
    storage_destination: str | None
    masking_strategy: StrategyView | None


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """A policy inside of a request's answer."""

    name: str
    key: str
    drp_action: str | None
    execution_timeframe: int | None
    regulation: str | None
    rules: Sequence[RuleSummary]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy as shown, with its rules in stored order."""

    key: str
    name: str
    drp_action: str | None
    execution_timeframe: int | None
    regulation: str | None
    on_unreachable: OnUnreachable
    shared_rows: SharedRows
    rules: Sequence[RuleView]


def save_policies(context: Context, drafts: Sequence[PolicyDraft]) -> BulkResult[PolicyView]:
    """Create or update by key; rules stay as they are."""

    def save(connection: sa.Connection, draft: PolicyDraft) -> PolicyView:
        key = choose_key(draft.key, draft.name)
        _check_drp_action(connection, key, draft.drp_action)
        if draft.execution_timeframe is not None and not 1 <= draft.execution_timeframe <= 3650:
            raise InputError("execution_timeframe must be between 1 and 3650 days")
        if draft.regulation is not None:
            find_regulation(context, draft.regulation)
        values = {
            "name": draft.name,
            "drp_action": draft.drp_action,
            "execution_timeframe": draft.execution_timeframe,
            "regulation": draft.regulation,
            "on_unreachable": draft.on_unreachable.value,
            "shared_rows": draft.shared_rows.value,
        }
        now = context.clock.now()
        record = configurations.save(connection, policies, key, values, now, on_create={"id": make_id("pol")})
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.POLICY, key)
        return _show_policy(context, connection, record)

    return save_each(context, drafts, save)


def list_policies(context: Context, page: int, size: int) -> Listing[PolicyView]:
    """One page of policies, by key."""
    with context.ledger.read() as connection:
        records, total = configurations.list_page(connection, policies, page, size)
        return Listing([_show_policy(context, connection, record) for record in records], total, page, size)


def find_policy(context: Context, key: str) -> PolicyView:
    """Raises NotFound."""
    with context.ledger.read() as connection:
        return _show_policy(context, connection, _get_policy(connection, key))


def delete_policy(context: Context, key: str) -> None:
    """Delete a policy with its rules and targets. Raises NotFound, and Conflict while requests name it."""
    with context.ledger.write() as connection:
        _get_policy(connection, key)
        if connection.execute(sa.select(requests.c.id).where(requests.c.policy_key == key).limit(1)).first():
            raise Conflict(f"privacy requests use policy {key!r}", hint="policies of past requests are kept")
        configurations.delete(connection, policies, key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.POLICY, key)


def save_rules(context: Context, policy_key: str, drafts: Sequence[RuleDraft]) -> BulkResult[RuleView]:
    """Create or update a policy's rules by key. Raises NotFound for the policy."""
    with context.ledger.read() as connection:
        _get_policy(connection, policy_key)

    def save(connection: sa.Connection, draft: RuleDraft) -> RuleView:
        key = choose_key(draft.key, draft.name)
        existing = configurations.find(connection, rules, key)
        if existing is not None and existing.policy_key != policy_key:
            raise Conflict(f"rule {key!r} belongs to policy {existing.policy_key!r}", hint="give it another key")
        action = check_rule(
            draft.action_type,
            has_storage=draft.storage_destination_key is not None,
            has_masking=draft.masking_strategy is not None,
        )
        if action is ActionType.ACCESS:
            _check_storage(context, connection, draft.storage_destination_key)
        values = {
            "name": draft.name,
            "action_type": action.value,
            "storage_key": draft.storage_destination_key,
            "sealed_masking": _seal_masking(context, key, draft.masking_strategy),
        }
        created = {
            "id": make_id("rul"),
            "policy_key": policy_key,
            "position": _next_position(connection, policy_key),
        }
        record = configurations.save(connection, rules, key, values, context.clock.now(), on_create=created)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.RULE, key)
        _check_whole(connection, policy_key)
        return _show_rule(context, connection, record)

    return save_each(context, drafts, save)


def list_rules(context: Context, policy_key: str, page: int, size: int) -> Listing[RuleView]:
    """One page of a policy's rules, by key. Raises NotFound for the policy."""
    with context.ledger.read() as connection:
        _get_policy(connection, policy_key)
        records, total = configurations.list_page(connection, rules, page, size, rules.c.policy_key == policy_key)
        return Listing([_show_rule(context, connection, record) for record in records], total, page, size)


def find_rule(context: Context, policy_key: str, rule_key: str) -> RuleView:
    """Raises NotFound unless the policy has such a rule."""
    with context.ledger.read() as connection:
        return _show_rule(context, connection, _get_rule(connection, policy_key, rule_key))


def delete_rule(context: Context, policy_key: str, rule_key: str) -> None:
    """Delete a rule with its targets. Raises NotFound unless the policy has such a rule."""
    with context.ledger.write() as connection:
        _get_rule(connection, policy_key, rule_key)
        configurations.delete(connection, rules, rule_key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.RULE, rule_key)


def save_targets(
    context: Context, policy_key: str, rule_key: str, drafts: Sequence[TargetDraft]
) -> BulkResult[TargetView]:
    """Create or update a rule's targets by key. Raises NotFound for the policy or rule."""
    with context.ledger.read() as connection:
        _get_rule(connection, policy_key, rule_key)

    def save(connection: sa.Connection, draft: TargetDraft) -> TargetView:
        check_category(draft.data_category)
        name = draft.name if draft.name is not None else f"{rule_key}-{draft.data_category}"
        key = choose_key(draft.key, name)
        existing = configurations.find(connection, targets, key)
        if existing is not None and existing.rule_key != rule_key:
            raise Conflict(f"target {key!r} belongs to rule {existing.rule_key!r}", hint="give it another key")
        _check_once(connection, rule_key, key, draft.data_category)
        values = {"name": name, "data_category": draft.data_category}
        created = {"id": make_id("tar"), "rule_key": rule_key}
        record = configurations.save(connection, targets, key, values, context.clock.now(), on_create=created)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.RULE_TARGET, key)
        _check_whole(connection, policy_key)
        return _show_target(record)

    return save_each(context, drafts, save)


def list_targets(context: Context, policy_key: str, rule_key: str, page: int, size: int) -> Listing[TargetView]:
    """One page of a rule's targets, by key. Raises NotFound for the policy or rule."""
    with context.ledger.read() as connection:
        _get_rule(connection, policy_key, rule_key)
        records, total = configurations.list_page(connection, targets, page, size, targets.c.rule_key == rule_key)
    return Listing([_show_target(record) for record in records], total, page, size)


def find_target(context: Context, policy_key: str, rule_key: str, target_key: str) -> TargetView:
    """Raises NotFound unless the rule has such a target."""
    with context.ledger.read() as connection:
        return _show_target(_get_target(connection, policy_key, rule_key, target_key))


def delete_target(context: Context, policy_key: str, rule_key: str, target_key: str) -> None:
    """Raises NotFound unless the rule has such a target."""
    with context.ledger.write() as connection:
        _get_target(connection, policy_key, rule_key, target_key)
        configurations.delete(connection, targets, target_key)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.RULE_TARGET, target_key)


def _check_drp_action(connection: sa.Connection, key: str, action: str | None) -> None:
    if action is None:
        return
    if action not in DRP_ACTIONS:
        raise InputError("this drp_action is not supported", hint=f"use {' or '.join(DRP_ACTIONS)}")
    for other in configurations.list_all(connection, policies, policies.c.drp_action == action):
        if other.key != key:
            raise Conflict(f"policy {other.key!r} already has this drp_action", hint="one policy each")


def _check_storage(context: Context, connection: sa.Connection, key: str | None) -> None:
    wanted = present_settings(context, connection).storage.default_key if key is None else key
    if not wanted:
        raise InputError(
            "an access rule needs a storage destination",
            hint="give storage_destination_key, or set storage.default_key in the settings",
        )
    if configurations.find(connection, storages, wanted) is None:
        raise NotFound(f"there is no storage {wanted!r}", hint="PATCH /api/v1/storage/config makes one")


def _seal_masking(context: Context, rule_key: str, masking: MaskingDraft | None) -> bytes | None:
    if masking is None:
        return None
    make_strategy(masking.strategy, masking.configuration)  # refuses what it cannot use
    sealed = {"strategy": masking.strategy, "configuration": dict(masking.configuration)}
    return configurations.seal_json(context.ledger.sealer, sealed, configurations.rule_place(rule_key))


def _check_once(connection: sa.Connection, rule_key: str, key: str, category: str) -> None:
    for other in configurations.targets_of(connection, [rule_key]):
        if other.data_category == category and other.key != key:
            raise Conflict(f"target {other.key!r} of this rule already names {category!r}", hint="once is enough")


def _check_whole(connection: sa.Connection, policy_key: str) -> None:
    """Raises InputError when the erasure targets of a policy overlap."""
    written = configurations.rules_of(connection, policy_key)
    named = configurations.targets_of(connection, [record.key for record in written])
    check_erasure_targets(
        [
            Rule(
                record.key,
                record.name,
                ActionType(record.action_type),
                tuple(target.data_category for target in named if target.rule_key == record.key),
            )
            for record in written
        ]
    )


def _next_position(connection: sa.Connection, policy_key: str) -> int:
    query = sa.select(sa.func.max(rules.c.position)).where(rules.c.policy_key == policy_key)
    last = connection.execute(query).scalar_one()
    return 0 if last is None else int(last) + 1


def _get_policy(connection: sa.Connection, key: str) -> Record:
    record = configurations.find(connection, policies, key)
    if record is None:
        raise NotFound(f"there is no policy {key!r}", hint="PATCH /api/v1/policy makes one")
    return record


def _get_rule(connection: sa.Connection, policy_key: str, key: str) -> Record:
    _get_policy(connection, policy_key)
    record = configurations.find(connection, rules, key)
    if record is None or record.policy_key != policy_key:
        raise NotFound(f"policy {policy_key!r} has no rule {key!r}")
    return record


def _get_target(connection: sa.Connection, policy_key: str, rule_key: str, key: str) -> Record:
    _get_rule(connection, policy_key, rule_key)
    record = configurations.find(connection, targets, key)
    if record is None or record.rule_key != rule_key:
        raise NotFound(f"rule {rule_key!r} has no target {key!r}")
    return record


def find_policies(context: Context, connection: sa.Connection, keys: Iterable[str]) -> dict[str, PolicySummary]:
    """Policies as a request's answer shows them, by key."""
    found = configurations.list_all(connection, policies, policies.c.key.in_(list(keys)))
    return {record.key: _summarise(_show_policy(context, connection, record)) for record in found}


def _summarise(view: PolicyView) -> PolicySummary:
    rules = [
        RuleSummary(
            rule.name,
            rule.key,
            rule.action_type,
            rule.storage_destination.key if rule.storage_destination else None,
            rule.masking_strategy,
        )
        for rule in view.rules
    ]
    return PolicySummary(view.name, view.key, view.drp_action, view.execution_timeframe, view.regulation, rules)


def _show_policy(context: Context, connection: sa.Connection, record: Record) -> PolicyView:
    return PolicyView(
        record.key,
        record.name,
        record.drp_action,
        record.execution_timeframe,
        record.regulation,
        OnUnreachable(record.on_unreachable),
        SharedRows(record.shared_rows),
        [_show_rule(context, connection, rule) for rule in configurations.rules_of(connection, record.key)],
    )


def _show_rule(context: Context, connection: sa.Connection, record: Record) -> RuleView:
    place = configurations.rule_place(record.key)
    masking = configurations.open_json(context.ledger.sealer, record.sealed_masking, place)
    storage = record.storage_key and configurations.find(connection, storages, record.storage_key)
    return RuleView(
        record.key,
        record.name,
        ActionType(record.action_type),
        show_storage(storage) if storage else None,
        StrategyView(masking["strategy"]) if masking else None,
        [_show_target(target) for target in configurations.targets_of(connection, [record.key])],
    )


def _show_target(record: Record) -> TargetView:
    return TargetView(record.key, record.name, record.data_category)
