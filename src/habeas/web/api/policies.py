"""Routes of policies, rules and targets (control-plane §1.9); served below /policy and /dsr/policy."""

from typing import Annotated

from fastapi import APIRouter

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
from habeas.web.security import Wired, needs

router = APIRouter(prefix="/policy", tags=["policies"], route_class=StrictRoute)

_READ_RULE = [needs("rule:read")]
_WRITE_RULE = [needs("rule:create_or_update")]
_DELETE_RULE = [needs("rule:delete")]
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


@router.patch("", summary="Make or change policies, by key", dependencies=[needs("policy:create_or_update")])
def save_policies(context: Wired, drafts: Annotated[list[PolicyDraft], bulk(_POLICY)]) -> BulkResult[PolicyView]:
    return policies.save_policies(context, drafts)


@router.get("", summary="List policies", dependencies=[needs("policy:read")])
def list_policies(context: Wired, page: PageNumber = 1, size: PageSize = 50) -> PageBody[PolicyView]:
    return show_page(policies.list_policies(context, page, size))


@router.get("/{key}", summary="Show a policy with its rules and targets", dependencies=[needs("policy:read")])
def find_policy(context: Wired, key: str) -> PolicyView:
    return policies.find_policy(context, key)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a policy that no request uses, with its rules and targets",
    dependencies=[needs("policy:delete")],
    responses={409: {}},
)
def delete_policy(context: Wired, key: str) -> None:
    policies.delete_policy(context, key)


@router.patch("/{key}/rule", summary="Make or change a policy's rules, by key", dependencies=_WRITE_RULE)
def save_rules(
    context: Wired, key: str, drafts: Annotated[list[RuleDraft], bulk(_ACCESS, _ERASURE)]
) -> BulkResult[RuleView]:
    return policies.save_rules(context, key, drafts)


@router.get("/{key}/rule", summary="List a policy's rules", dependencies=_READ_RULE)
def list_rules(context: Wired, key: str, page: PageNumber = 1, size: PageSize = 50) -> PageBody[RuleView]:
    return show_page(policies.list_rules(context, key, page, size))


@router.get("/{key}/rule/{rule_key}", summary="Show a rule", dependencies=_READ_RULE)
def find_rule(context: Wired, key: str, rule_key: str) -> RuleView:
    return policies.find_rule(context, key, rule_key)


@router.delete(
    "/{key}/rule/{rule_key}", status_code=204, summary="Delete a rule with its targets", dependencies=_DELETE_RULE
)
def delete_rule(context: Wired, key: str, rule_key: str) -> None:
    policies.delete_rule(context, key, rule_key)


@router.patch(
    "/{key}/rule/{rule_key}/target", summary="Make or change a rule's targets, by key", dependencies=_WRITE_RULE
)
def save_targets(
    context: Wired, key: str, rule_key: str, drafts: Annotated[list[TargetDraft], bulk(_TARGET)]
) -> BulkResult[TargetView]:
    return policies.save_targets(context, key, rule_key, drafts)


@router.get("/{key}/rule/{rule_key}/target", summary="List a rule's targets", dependencies=_READ_RULE)
def list_targets(
    context: Wired, key: str, rule_key: str, page: PageNumber = 1, size: PageSize = 50
) -> PageBody[TargetView]:
    return show_page(policies.list_targets(context, key, rule_key, page, size))


@router.get("/{key}/rule/{rule_key}/target/{target_key}", summary="Show a target", dependencies=_READ_RULE)
def find_target(context: Wired, key: str, rule_key: str, target_key: str) -> TargetView:
    return policies.find_target(context, key, rule_key, target_key)


@router.delete(
    "/{key}/rule/{rule_key}/target/{target_key}",
    status_code=204,
    summary="Delete a target",
    dependencies=_DELETE_RULE,
)
def delete_target(context: Wired, key: str, rule_key: str, target_key: str) -> None:
    policies.delete_target(context, key, rule_key, target_key)
