"""Routes of messages: providers, templates, and who is told what (control-plane §1.15, §1.8)."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from habeas.domain.identity import parse_identities
from habeas.domain.message import Channel, Event
from habeas.execution.context import Context
from habeas.services import message_templates, messaging, told
from habeas.services.bulk import BulkResult
from habeas.services.message_templates import RenderedMessage, TemplateDraft, TemplateView
from habeas.services.messaging import ProviderChange, ProviderDraft, ProviderView, SendingStatus
from habeas.services.told import MessageView, StaffNotice
from habeas.web.api.paging import BULK_LIMIT, PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(tags=["messages"], route_class=StrictRoute)
config = APIRouter(tags=["messages"], route_class=StrictRoute)
"""Providers by key; served under `/messaging/config` and its older name."""

_Reader: TypeAlias = Annotated[Context, needs("messaging:read")]
_Writer: TypeAlias = Annotated[Context, needs("messaging:create_or_update")]
_Deleter: TypeAlias = Annotated[Context, needs("messaging:delete")]
_TemplateEditor: TypeAlias = Annotated[Context, needs("messaging-template:update")]
_StaffReader: TypeAlias = Annotated[Context, needs("privacy-request-notifications:read")]
_StaffWriter: TypeAlias = Annotated[Context, needs("privacy-request-notifications:create_or_update")]
_RequestReader: TypeAlias = Annotated[Context, needs("privacy-request:read")]

_TEMPLATES = [needs("messaging-template:update")]
_SMTP = {
    "service_type": "smtp",
    "details": {"host": "mail.example.com", "from_address": "privacy@example.com", "tls_mode": "starttls"},
}
_CONTENT = {"subject": "Your code", "body": "<p>Your code is {{ code }}, good for {{ minutes }} minutes.</p>"}
_TEMPLATE = {"type": "subject_identity_verification", "content": _CONTENT, "is_enabled": True}
_SECRETS = Body(
    description="`smtp`: `username`, `password`. `mailgun`: `mailgun_api_key`. `twilio_text`: `twilio_account_sid`, "
    "`twilio_auth_token`, and `twilio_messaging_service_sid` or `twilio_sender_phone_number`.",
    openapi_examples={"smtp": Example(value={"username": "habeas", "password": "a secret"})},
)
_IDENTITY = Body(openapi_examples={"e-mail": Example(value={"email": "me@example.com"})})


class StaffNoticeBody(BaseModel):
    """Whom to tell by e-mail when so many requests have ended in `error`; an empty list: nobody."""

    model_config = ConfigDict(extra="forbid")

    email_addresses: list[Annotated[str, Field(max_length=320)]] = Field(max_length=50)
    notify_after_failures: int = Field(1, ge=1, le=1_000_000)


@dataclass(frozen=True, slots=True)
class Details:
    """What was done."""

    details: str


@dataclass(frozen=True, slots=True)
class ActiveProvider:
    """The type of provider that messages of its channel are to go by."""

    service_type: str


@config.post("", summary="Make a message provider")
def add_provider(
    context: _Writer, draft: Annotated[ProviderDraft, Body(openapi_examples={"smtp": Example(value=_SMTP)})]
) -> ProviderView:
    return messaging.add_provider(context, draft)


@config.get("", summary="List message providers")
def list_providers(context: _Reader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[ProviderView]:
    return show_page(messaging.list_providers(context, page, size))


@config.get("/{key}", summary="Show a message provider")
def find_provider(context: _Reader, key: str) -> ProviderView:
    return messaging.find_provider(context, key)


@config.patch(
    "/{key}",
    summary="Change a message provider; with other details its secrets are to be stored again",
)
def change_provider(
    context: _Writer,
    key: str,
    change: Annotated[ProviderChange, Body(openapi_examples={"name": Example(value={"name": "Our mail server"})})],
) -> ProviderView:
    return messaging.change_provider(context, key, change)


@config.delete("/{key}", status_code=204, summary="Delete a message provider")
def delete_provider(context: _Deleter, key: str) -> None:
    messaging.delete_provider(context, key)


@config.put("/{key}/secret", summary="Store a message provider's secrets")
def save_secrets(context: _Writer, key: str, secrets: Annotated[dict[str, str | None], _SECRETS]) -> ProviderView:
    return messaging.save_provider_secrets(context, key, secrets)


@config.post("/test", summary="Send a test message by an active provider")
def test_active(context: _Writer, identity: Annotated[dict[str, Any], _IDENTITY]) -> Details:
    return Details(messaging.send_test(context, None, parse_identities(identity)))


@router.post("/messaging/test/{service_type}", summary="Send a test message by a provider")
def test_provider(context: _Writer, service_type: str, identity: Annotated[dict[str, Any], _IDENTITY]) -> Details:
    return Details(messaging.send_test(context, service_type, parse_identities(identity)))


@router.get("/messaging/default", summary="List the provider of each type")
def list_defaults(context: _Reader, page: PageNumber = 1, size: PageSize = 50) -> PageBody[ProviderView]:
    return show_page(messaging.list_providers(context, page, size))


@router.put("/messaging/default", summary="Make the message provider of a type, or change it")
def save_default(
    context: _Writer, draft: Annotated[ProviderDraft, Body(openapi_examples={"smtp": Example(value=_SMTP)})]
) -> ProviderView:
    return messaging.save_provider_of(context, draft)


@router.get(
    "/messaging/default/active",
    summary="Show the provider that messages go by",
    responses={404: {}},
)
def find_active(context: _Reader) -> ProviderView:
    return messaging.active_provider(context)


@router.put(
    "/messaging/default/active",
    summary="Let messages go by this provider alone",
    responses={404: {}},
)
def activate(
    context: _Writer,
    chosen: Annotated[ActiveProvider, Body(openapi_examples={"smtp": Example(value={"service_type": "smtp"})})],
) -> ProviderView:
    return messaging.activate(context, chosen.service_type)


@router.get("/messaging/default/status", summary="Whether people can be told anything")
def sending_status(context: _Reader) -> SendingStatus:
    return messaging.sending_status(context)


@router.get("/messaging/default/{service_type}", summary="Show the provider of a type")
def find_of_type(context: _Reader, service_type: str) -> ProviderView:
    return messaging.find_provider_of(context, service_type)


@router.put(
    "/messaging/default/{service_type}/secret",
    summary="Store the secrets of the provider of a type",
)
def save_secrets_of(
    context: _Writer, service_type: str, secrets: Annotated[dict[str, str | None], _SECRETS]
) -> ProviderView:
    return messaging.save_secrets_of(context, service_type, secrets)


@router.get("/messaging/templates", summary="List what messages are made from")
def list_templates(context: _TemplateEditor) -> list[TemplateView]:
    return message_templates.list_templates(context)


@router.put("/messaging/templates", summary="Put templates in the place of others")
def save_templates(
    context: _TemplateEditor,
    drafts: Annotated[
        list[TemplateDraft],
        Body(min_length=1, max_length=BULK_LIMIT, openapi_examples={"code": Example(value=[_TEMPLATE])}),
    ],
) -> BulkResult[TemplateView]:
    return message_templates.save_templates(context, drafts)


@router.post("/messaging/templates/preview", summary="Show what a template would make", dependencies=_TEMPLATES)
def preview(
    draft: Annotated[TemplateDraft, Body(openapi_examples={"code": Example(value=_TEMPLATE)})],
    channel: Channel = Channel.EMAIL,
) -> RenderedMessage:
    return message_templates.preview(draft, channel)


@router.get("/messaging/templates/default/{event}", summary="Show a shipped template", dependencies=_TEMPLATES)
def default_template(event: Event) -> TemplateView:
    return message_templates.default_template(event)


@router.get("/messaging/templates/{template_id}", summary="Show a template")
def find_template(context: _TemplateEditor, template_id: str) -> TemplateView:
    return message_templates.find_template(context, template_id)


@router.delete(
    "/messaging/templates/{template_id}",
    status_code=204,
    summary="Let the shipped template stand again",
)
def delete_template(context: _TemplateEditor, template_id: str) -> None:
    message_templates.delete_template(context, template_id)


@router.get(
    "/privacy-request/notification",
    summary="Who is told of requests in error",
    responses={404: {}},
)
def find_notice(context: _StaffReader) -> StaffNotice:
    return told.find_staff_notice(context)


@router.put(
    "/privacy-request/notification",
    summary="Say who is to be told of requests in error",
)
def save_notice(
    context: _StaffWriter,
    notice: Annotated[
        StaffNoticeBody,
        Body(
            openapi_examples={
                "two": Example(value={"email_addresses": ["dpo@example.com"], "notify_after_failures": 3})
            }
        ),
    ],
) -> StaffNotice:
    return told.save_staff_notice(context, notice.email_addresses, notice.notify_after_failures)


@router.get(
    "/privacy-request/{request_id}/messages",
    summary="The messages about a request, latest first",
)
def list_messages(
    context: _RequestReader,
    request_id: str,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[MessageView]:
    return show_page(told.list_messages(context, request_id, page, size))
