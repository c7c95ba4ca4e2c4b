"""Routes of policies, rules and targets (control-plane §1.9); served below /policy and /dsr/policy."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter

from habeas.execution.context import Context
from habeas.services import policies
from habeas.services.bulk import BulkResult
from habeas.services.policies import (
    PolicyDraft,
    PolicyView,
    RuleDraft,
    RuleView,
    TargetDraft,
    TargetView,
)
from habeas.web.api.paging import PageBody, PageNumber, PageSize, bulk, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/policy", tags=["policies"], route_class=StrictRoute)

_PolicyWriter: TypeAlias = Annotated[Context, needs("policy:create_or_update")]
_PolicyReader: TypeAlias = Annotated[Context, needs("policy:read")]
_PolicyDeleter: TypeAlias = Annotated[Context, needs("policy:delete")]
_RuleWriter: TypeAlias = Annotated[Context, needs("rule:create_or_update")]
_RuleReader: TypeAlias = Annotated[Context, needs("rule:read")]
_RuleDeleter: TypeAlias = Annotated[Context, needs("rule:delete")]

_POLICY = {
    "name": "Give and forget",
    "key": "give_and_forget",
    "execution_timeframe": 30,
    "regulation": "gdpr",
    "on_unreachable": "fail",
}
_ACCESS = {
    "name": "Give data",
    "key": "give_data",
    "action_type": "access",
    "storage_destination_key": "packages",
}
_ERASURE = {
    "name": "Wipe data",
    "key": "wipe_data",
    "action_type": "erasure",
    "masking_strategy": {"strategy": "null_rewrite", "configuration": {}},
}
_TARGET = {"name": "All contact data", "key": "contact_target", "data_category": "user.contact"}


@router.patch("", summary="Make or change policies, by key")
def save_policies(
    context: _PolicyWriter, drafts: Annotated[list[PolicyDraft], bulk(_POLICY)]
) -> BulkResult[PolicyView]:
    return policies.save_policies(context, drafts)


@router.get("", summary="List policies")
def list_policies(context: _PolicyReader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[PolicyView]:
    return show_page(policies.list_policies(context, page, size))


@router.get("/{key}", summary="Show a policy with its rules and targets")
def find_policy(context: _PolicyReader, key: str) -> PolicyView:
    return policies.find_policy(context, key)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a policy that no request uses, with its rules and targets",
    responses={409: {}},
)
def delete_policy(context: _PolicyDeleter, key: str) -> None:
    policies.delete_policy(context, key)


@router.patch("/{key}/rule", summary="Make or change a policy's rules, by key")
def save_rules(
    context: _RuleWriter,
    key: str,
    drafts: Annotated[list[RuleDraft], bulk(_ACCESS, _ERASURE)],
) -> BulkResult[RuleView]:
    return policies.save_rules(context, key, drafts)


@router.get("/{key}/rule", summary="List a policy's rules")
def list_rules(context: _RuleReader, key: str, page: PageNumber = 1, size: PageSize = 50) -> PageBody[RuleView]:
    return show_page(policies.list_rules(context, key, page, size))


@router.get("/{key}/rule/{rule_key}", summary="Show a rule")
def find_rule(context: _RuleReader, key: str, rule_key: str) -> RuleView:
    return policies.find_rule(context, key, rule_key)


@router.delete("/{key}/rule/{rule_key}", status_code=204, summary="Delete a rule with its targets")
def delete_rule(context: _RuleDeleter, key: str, rule_key: str) -> None:
    policies.delete_rule(context, key, rule_key)


@router.patch("/{key}/rule/{rule_key}/target", summary="Make or change a rule's targets, by key")
def save_targets(
    context: _RuleWriter,
    key: str,
    rule_key: str,
    drafts: Annotated[list[TargetDraft], bulk(_TARGET)],
) -> BulkResult[TargetView]:
    return policies.save_targets(context, key, rule_key, drafts)


@router.get("/{key}/rule/{rule_key}/target", summary="List a rule's targets")
def list_targets(
    context: _RuleReader, key: str, rule_key: str, page: PageNumber = 1, size: PageSize = 50
) -> PageBody[TargetView]:
    return show_page(policies.list_targets(context, key, rule_key, page, size))


@router.get("/{key}/rule/{rule_key}/target/{target_key}", summary="Show a target")
def find_target(context: _RuleReader, key: str, rule_key: str, target_key: str) -> TargetView:
    return policies.find_target(context, key, rule_key, target_key)


@router.delete(
    "/{key}/rule/{rule_key}/target/{target_key}",
    status_code=204,
    summary="Delete a target",
)
def delete_target(context: _RuleDeleter, key: str, rule_key: str, target_key: str) -> None:
    policies.delete_target(context, key, rule_key, target_key)
