"""Routes of status webhooks: who is told of every move of privacy requests, signed, repeated and replayable."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import Field

from habeas.execution.context import Context
from habeas.services import status_webhooks
from habeas.services.status_webhooks import (
    DeliveryView,
    Replayed,
    StatusWebhookChange,
    StatusWebhookDraft,
    StatusWebhookView,
    SubscribedView,
    TestResult,
)
from habeas.web.api.moments import ExactMoment
from habeas.web.api.paging import PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/status-webhook", tags=["status webhooks"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("status-webhook:read")]
_Writer: TypeAlias = Annotated[Context, needs("status-webhook:create_or_update")]
_Deleter: TypeAlias = Annotated[Context, needs("status-webhook:delete")]

_NEW = {"url": "https://tickets.example.com/habeas", "statuses": ["complete", "error", "denied", "canceled"]}
_NEW_EXAMPLE = {"ended": Example(value=_NEW)}
_CHANGE_EXAMPLE = {"all": Example(value={"statuses": [], "disabled": False})}
_REPLAY_EXAMPLES = {"since": Example(value={"since": "2026-01-31T00:00:00Z"})}


@dataclass(frozen=True, slots=True)
class Replay:
    """What is told again: what happened since then, or these deliveries."""

    since: ExactMoment | None = None
    delivery_ids: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None


@router.post("", summary="Subscribe to moves of requests; the secret is shown this once")
def create_webhook(
    context: _Writer, draft: Annotated[StatusWebhookDraft, Body(openapi_examples=_NEW_EXAMPLE)]
) -> SubscribedView:
    return status_webhooks.create_webhook(context, draft)


@router.get("", summary="List one's own status webhooks; everybody's for the root client")
def list_webhooks(context: _Reader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[StatusWebhookView]:
    return show_page(status_webhooks.list_webhooks(context, page, size))


@router.get("/{webhook_id}", summary="Show a status webhook")
def find_webhook(context: _Reader, webhook_id: str) -> StatusWebhookView:
    return status_webhooks.find_webhook(context, webhook_id)


@router.patch("/{webhook_id}", summary="Change a status webhook; empty lists want everything")
def change_webhook(
    context: _Writer,
    webhook_id: str,
    change: Annotated[StatusWebhookChange, Body(openapi_examples=_CHANGE_EXAMPLE)],
) -> StatusWebhookView:
    return status_webhooks.change_webhook(context, webhook_id, change)


@router.delete("/{webhook_id}", status_code=204, summary="Delete a status webhook with its deliveries")
def delete_webhook(context: _Deleter, webhook_id: str) -> None:
    status_webhooks.delete_webhook(context, webhook_id)


@router.post("/{webhook_id}/secret", summary="Give a status webhook a new secret; it is shown this once")
def rotate_secret(context: _Writer, webhook_id: str) -> SubscribedView:
    return status_webhooks.rotate_secret(context, webhook_id)


@router.post("/{webhook_id}/test", summary="Call the receiver at once with an event that tells nothing")
def test_webhook(context: _Writer, webhook_id: str) -> TestResult:
    return status_webhooks.test_webhook(context, webhook_id)


@router.get("/{webhook_id}/delivery", summary="List what was told and is to be told, latest first")
def list_deliveries(
    context: _Reader, webhook_id: str, page: PageNumber = 1, size: PageSize = 50
) -> PageBody[DeliveryView]:
    return show_page(status_webhooks.list_deliveries(context, webhook_id, page, size))


@router.post("/{webhook_id}/replay", summary="Tell again, under the same ids")
def replay(
    context: _Writer, webhook_id: str, wanted: Annotated[Replay, Body(openapi_examples=_REPLAY_EXAMPLES)]
) -> Replayed:
    return status_webhooks.replay(context, webhook_id, wanted.since, wanted.delivery_ids)
