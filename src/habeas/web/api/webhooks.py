"""Routes of policy webhooks (control-plane §1.10); served below /policy and /dsr/policy. Also resuming a request."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from habeas.execution.context import Context
from habeas.services import webhooks
from habeas.services.webhooks import Phase, Place, WebhookChange, WebhookDraft, WebhookView
from habeas.web.api.paging import BULK_LIMIT, PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/policy/{policy_key}/webhook", tags=["webhooks"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("webhook:read")]
_Writer: TypeAlias = Annotated[Context, needs("webhook:create_or_update")]
_Deleter: TypeAlias = Annotated[Context, needs("webhook:delete")]

_HOOK = {"connection_config_key": "receiver", "direction": "two_way", "name": "Wake the archive"}
_LIST = Body(
    description="An empty list deletes all.", max_length=BULK_LIMIT, openapi_examples={"one": Example(value=[_HOOK])}
)


class When(StrEnum):
    """The list that a path names."""

    PRE = "pre_execution"
    POST = "post_execution"

    @property
    def phase(self) -> Phase:
        return Phase.PRE if self is When.PRE else Phase.POST


@dataclass(frozen=True, slots=True)
class NewOrder:
    """The places of a whole list."""

    new_order: list[Place]


@dataclass(frozen=True, slots=True)
class Changed:
    """A webhook and, if its place has changed, those of its whole list."""

    resource: WebhookView
    new_order: list[Place] | None


@router.get("/{when}", summary="List a policy's webhooks in order")
def list_webhooks(
    context: _Reader,
    policy_key: str,
    when: When,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[WebhookView]:
    return show_page(webhooks.list_webhooks(context, policy_key, when.phase, page, size))


@router.put("/{when}", summary="Replace a policy's webhooks, all or nothing")
def replace_webhooks(
    context: _Writer,
    policy_key: str,
    when: When,
    drafts: Annotated[list[WebhookDraft], _LIST],
) -> list[WebhookView]:
    return webhooks.replace_webhooks(context, policy_key, when.phase, drafts)


@router.get("/{when}/{key}", summary="Show a webhook")
def find_webhook(context: _Reader, policy_key: str, when: When, key: str) -> WebhookView:
    return webhooks.find_webhook(context, policy_key, when.phase, key)


@router.patch("/{when}/{key}", summary="Change a webhook or its place")
def change_webhook(
    context: _Writer,
    policy_key: str,
    when: When,
    key: str,
    change: Annotated[WebhookChange, Body(openapi_examples={"first": Example(value={"order": 0})})],
) -> Changed:
    return Changed(*webhooks.change_webhook(context, policy_key, when.phase, key, change))


@router.delete("/{when}/{key}", summary="Delete a webhook")
def delete_webhook(context: _Deleter, policy_key: str, when: When, key: str) -> NewOrder:
    return NewOrder(webhooks.delete_webhook(context, policy_key, when.phase, key))
