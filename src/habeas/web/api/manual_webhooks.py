"""Routes of manual webhooks, and of the forms that requests wait for (control-plane §1.7, §1.11)."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import StrictBool, StringConstraints

from habeas.domain.request import ActionType
from habeas.execution.context import Context
from habeas.services import forms, manual_webhooks
from habeas.services.forms import FilledForm
from habeas.services.manual_webhooks import FieldDraft, ManualWebhookView
from habeas.services.request_views import RequestView
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(route_class=StrictRoute)

_Uploader: TypeAlias = Annotated[Context, needs("privacy-request:upload_data")]
_Viewer: TypeAlias = Annotated[Context, needs("privacy-request:view_data")]
_Writer: TypeAlias = Annotated[Context, needs("webhook:create_or_update")]
_Reader: TypeAlias = Annotated[Context, needs("webhook:read")]
_Deleter: TypeAlias = Annotated[Context, needs("webhook:delete")]
_Resumer: TypeAlias = Annotated[Context, needs("privacy-request:resume")]

_DEFINITION = "/connection/{key}/access_manual_webhook"
_FORMS = "/privacy-request/{request_id}"
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class ManualWebhookBody:
    """What people are asked for."""

    fields: list[FieldDraft]


_FIELDS = Body(
    openapi_examples={
        "fields": Example(
            value={
                "fields": [
                    {"pii_field": "Given name", "dsr_package_label": "given_name"},
                    {"pii_field": "Date of birth", "data_categories": ["user.demographic.date_of_birth"]},
                ]
            }
        )
    }
)


_NULL: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": {"type": "null"}}}}}


def _answers(**examples: Any) -> Any:
    shown = {name.replace("_", " "): Example(value=value) for name, value in examples.items()}
    return Body(openapi_examples=shown, description="Answers by label; what is left out is null.")


@router.post(_DEFINITION, status_code=201, summary="Ask people for fields", tags=["manual webhooks"])
def create(
    context: _Writer,
    key: str,
    body: Annotated[ManualWebhookBody, _FIELDS],
) -> ManualWebhookView:
    return manual_webhooks.create_manual_webhook(context, key, body.fields)


@router.patch(_DEFINITION, summary="Ask people for other fields", tags=["manual webhooks"])
def change(
    context: _Writer,
    key: str,
    body: Annotated[ManualWebhookBody, _FIELDS],
) -> ManualWebhookView:
    return manual_webhooks.change_manual_webhook(context, key, body.fields)


@router.get(_DEFINITION, summary="Show what people are asked for", tags=["manual webhooks"])
def find(context: _Reader, key: str) -> ManualWebhookView:
    return manual_webhooks.find_manual_webhook(context, key)


@router.delete(
    _DEFINITION,
    status_code=204,
    summary="Ask for nothing any more; requests that waited for this alone go on",
    tags=["manual webhooks"],
)
def delete(context: _Deleter, key: str) -> None:
    manual_webhooks.delete_manual_webhook(context, key)


@router.get("/access_manual_webhook", summary="List manual webhooks", tags=["manual webhooks"])
def list_all(context: _Reader) -> list[ManualWebhookView]:
    return manual_webhooks.list_manual_webhooks(context)


@router.patch(
    _FORMS + "/access_manual_webhook/{connection_key}",
    summary="Save what people found for a request that waits",
    responses=_NULL,
    tags=["privacy requests"],
)
def save_access_form(
    context: _Uploader,
    request_id: str,
    connection_key: str,
    answers: Annotated[
        dict[str, _Text | None], _answers(found={"given_name": "Ann", "date_of_birth": ""}, nothing_held={})
    ],
) -> None:
    forms.save_form(context, request_id, ActionType.ACCESS, connection_key, answers)


@router.get(
    _FORMS + "/access_manual_webhook/{connection_key}",
    summary="Show what people found for a request that waits",
    tags=["privacy requests"],
)
def read_access_form(context: _Viewer, request_id: str, connection_key: str) -> FilledForm:
    return forms.read_form(context, request_id, ActionType.ACCESS, connection_key)


@router.patch(
    _FORMS + "/erasure_manual_webhook/{connection_key}",
    summary="Save what people erased for a request that waits",
    responses=_NULL,
    tags=["privacy requests"],
)
def save_erasure_form(
    context: _Uploader,
    request_id: str,
    connection_key: str,
    answers: Annotated[
        dict[str, StrictBool | None], _answers(erased={"given_name": True, "date_of_birth": False}, nothing_held={})
    ],
) -> None:
    forms.save_form(context, request_id, ActionType.ERASURE, connection_key, answers)


@router.get(
    _FORMS + "/erasure_manual_webhook/{connection_key}",
    summary="Show what people erased for a request that waits",
    tags=["privacy requests"],
)
def read_erasure_form(context: _Viewer, request_id: str, connection_key: str) -> FilledForm:
    return forms.read_form(context, request_id, ActionType.ERASURE, connection_key)


@router.post(
    _FORMS + "/resume_from_requires_input",
    summary="Let a request go on whose forms are all saved",
    tags=["privacy requests"],
)
def resume(context: _Resumer, request_id: str) -> RequestView:
    return forms.resume(context, request_id)
