"""Routes of privacy requests (control-plane §1.2–1.4, §1.7, §1.8)."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Body, Depends, Query
from fastapi.openapi.models import Example
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from habeas.delivery.encryption import check_package_key
from habeas.domain.errors import HabeasError, InputError
from habeas.domain.identity import parse_identities
from habeas.domain.request import RequestStatus
from habeas.services import packages, requests
from habeas.services.bulk import BulkResult, Failure
from habeas.services.clients import Caller
from habeas.services.fields import InvalidFields, Problem
from habeas.services.request_views import RequestView
from habeas.services.requests import NewRequest, RequestFilter
from habeas.web.api.paging import BULK_LIMIT, PageBody, PageNumber, PageSize, show_page
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired, identify_if_required, needs

router = APIRouter(prefix="/privacy-request", tags=["privacy requests"], route_class=StrictRoute)

_READ = [needs("privacy-request:read")]
_MEDIA_TYPES = {"json": "application/json", "zip": "application/zip"}

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=256)]
IdentityShape = Literal["plain", "labelled", "true", "false"]
Shown = dict[str, Any]


class RequestItem(BaseModel):
    """One request as submitted. `identities` with n objects makes n requests; give it or `identity`, not both."""

    policy_key: Text
    identity: dict[str, Any] | None = Field(None, description="One person: `{kind: value}`, e.g. an e-mail address.")
    identities: list[dict[str, Any]] | None = Field(None, description="Several people, one object each.")
    external_id: Text | None = None
    requested_at: datetime | None = Field(None, description="UTC when it has no offset; default: now.")
    encryption_key: str | None = Field(None, description="16, 24 or 32 bytes of UTF-8; encrypts the package.")
    dataset_keys: list[Text] | None = Field(None, description="Only these datasets; default: all.")

    def expand(self) -> list["RequestItem"]:
        """One item per person, each with at most one identity object; unsound items stay whole."""
        if not self.identities or self.identity is not None:
            return [self]
        return [self.model_copy(update={"identities": [person]}) for person in self.identities]

    def read(self) -> NewRequest:
        """The request of an expanded item. Raises InputError."""
        if self.identity is not None and self.identities is not None:
            raise InputError("both identity and identities are given", hint="give one of them")
        person = self.identities[0] if self.identities else self.identity
        return NewRequest(
            policy_key=self.policy_key,
            identities=parse_identities(person or {}),
            external_id=self.external_id,
            requested_at=_in_utc(self.requested_at),
            encryption_key=self.encryption_key,
            dataset_keys=None if self.dataset_keys is None else tuple(self.dataset_keys),
        )


class PreviewQuestion(BaseModel):
    """What a plan is asked for."""

    policy_key: Text
    identity_kinds: list[Text]
    dataset_keys: list[Text] | None = None


_CREATE = Body(
    min_length=1,
    max_length=BULK_LIMIT,
    openapi_examples={
        "one person": Example(
            value=[
                {
                    "external_id": "crm-77",
                    "requested_at": "2022-03-01T09:00:00Z",
                    "policy_key": "give_and_forget",
                    "identity": {"email": "ann@example.com", "phone_number": "+1 (123) 456 7891"},
                    "encryption_key": "0123456789abcdef",
                }
            ]
        ),
        "several people": Example(
            value=[
                {
                    "policy_key": "give_and_forget",
                    "identities": [{"email": "ann@example.com"}, {"email": "bob@example.com"}],
                }
            ]
        ),
    },
)
_PREVIEW = Body(
    openapi_examples={"example": Example(value={"policy_key": "give_and_forget", "identity_kinds": ["email"]})}
)


@router.post("", summary="Submit 1 to 50 privacy requests; what fails is listed and stops no other")
def create(
    context: Wired,
    caller: Annotated[Caller | None, Depends(identify_if_required)],
    items: Annotated[list[RequestItem], _CREATE],
) -> BulkResult[Shown]:
    return _submit(context, items, caller)


@router.post("/authenticated", summary="The same; the caller is recorded as the submitter")
def create_authenticated(
    context: Wired,
    caller: Annotated[Caller, needs("privacy-request:create")],
    items: Annotated[list[RequestItem], _CREATE],
) -> BulkResult[Shown]:
    return _submit(context, items, caller)


@router.get("", summary="List privacy requests, newest first", dependencies=_READ)
def list_requests(
    context: Wired,
    id: Annotated[str | None, Query(description="Exactly this id.")] = None,  # noqa: A002  # the parameter's name
    request_id: Annotated[str | None, Query(description="Ids that begin so.")] = None,
    external_id: Annotated[str | None, Query(description="External ids that begin so.")] = None,
    status: Annotated[list[RequestStatus] | None, Query(description="Any of these.")] = None,
    identity: Annotated[str | None, Query(description="Exactly this value of any kind.")] = None,
    verbose: Annotated[bool, Query(description="Adds the log of every collection.")] = False,
    include_identities: IdentityShape = "false",
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[Shown]:
    wanted = RequestFilter(id, request_id, external_id, tuple(status or ()), identity)
    found = requests.list_requests(
        context, wanted, page, size, verbose=verbose, include_identities=include_identities != "false"
    )
    shown = show_page(found)
    items = [_show(view, include_identities) for view in shown.items]
    return PageBody(items, shown.total, shown.page, shown.size, shown.pages)


@router.put("/preview", summary="The plan of a request, with its statements; nothing is queried", dependencies=_READ)
def preview(context: Wired, question: Annotated[PreviewQuestion, _PREVIEW]) -> Shown:
    kinds, keys = question.identity_kinds, question.dataset_keys
    return dict(requests.preview_plan(context, question.policy_key, kinds, keys))


@router.get("/{request_id}", summary="Show a privacy request", dependencies=_READ)
def find_request(
    context: Wired, request_id: str, verbose: bool = False, include_identities: IdentityShape = "false"
) -> Shown:
    view = requests.find_request(context, request_id, include_identities=include_identities != "false", verbose=verbose)
    return _show(view, include_identities)


@router.post("/{request_id}/retry", summary="Go on where a request in `error` stopped")
def retry(context: Wired, caller: Annotated[Caller, needs("privacy-request:resume")], request_id: str) -> Shown:
    return _show(requests.retry(context, request_id, caller.client_id))


@router.get("/{request_id}/logs", include_in_schema=False, dependencies=_READ)
@router.get("/{request_id}/log", summary="The execution log of a request, oldest first", dependencies=_READ)
def read_log(context: Wired, request_id: str, page: PageNumber = 1, size: PageSize = 50) -> PageBody[Any]:
    return show_page(requests.read_log(context, request_id, page, size))


@router.get("/{request_id}/report", summary="What was found, masked, skipped and verified", dependencies=_READ)
def report(context: Wired, request_id: str) -> Shown:
    return dict(requests.report(context, request_id))


@router.get(
    "/{request_id}/access-results",
    summary="Where the packages of a request are",
    dependencies=[needs("privacy-request-access-results:read")],
)
def access_results(context: Wired, request_id: str) -> dict[str, list[str]]:
    return {"access_result_urls": packages.access_results(context, request_id)}


@router.get(
    "/{request_id}/package/{rule_key}",
    summary="Download the package of an access rule",
    response_class=StreamingResponse,
)
def download(
    context: Wired,
    caller: Annotated[Caller, needs("privacy-request-access-results:read")],
    request_id: str,
    rule_key: str,
) -> StreamingResponse:
    name, opening = packages.open_package(context, request_id, rule_key, caller.client_id)
    opened = ExitStack()
    stream = opened.enter_context(opening)
    media_type = _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}  # ids and keys have no character to escape
    return StreamingResponse(_read(stream, opened), media_type=media_type, headers=headers)


def _submit(context: Wired, items: list[RequestItem], caller: Caller | None) -> BulkResult[Shown]:
    _check_keys(items)
    people = [person for item in items for person in item.expand()]
    if len(people) > BULK_LIMIT:
        raise InvalidFields([Problem((), f"at most {BULK_LIMIT} people at once, counting every object of identities")])
    views = requests.submit(context, [_read_item(person) for person in people], caller.client_id if caller else None)
    succeeded = [_show(view) for view in views if isinstance(view, RequestView)]
    failed = [
        Failure(str(view), person.model_dump(exclude_unset=True))
        for person, view in zip(people, views, strict=True)
        if isinstance(view, HabeasError)
    ]
    return BulkResult(succeeded, failed)


def _check_keys(items: list[RequestItem]) -> None:
    """Raise InvalidFields for encryption keys that AES does not know: the whole call is refused (A5)."""
    problems = []
    for number, item in enumerate(items):
        try:
            if item.encryption_key is not None:
                check_package_key(item.encryption_key)
        except InputError as error:
            problems.append(Problem((number, "encryption_key"), str(error)))
    if problems:
        raise InvalidFields(problems)


def _read_item(item: RequestItem) -> NewRequest | HabeasError:
    try:
        return item.read()
    except HabeasError as error:
        return error


def _in_utc(moment: datetime | None) -> datetime | None:
    """Times without offset are UTC. Raises InputError for one that no calendar of UTC has."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise InputError("requested_at is out of range") from None


def _show(view: RequestView, identities: IdentityShape = "false") -> Shown:
    """A request as the API answers it; the fields of later versions are there and null."""
    shown: Shown = {
        "id": view.id,
        "status": view.status,
        "external_id": view.external_id,
        "created_at": view.created_at,
        "requested_at": view.requested_at,
        "started_processing_at": view.started_processing_at,
        "finished_processing_at": view.finished_processing_at,
        "reviewed_at": view.reviewed_at,
        "reviewed_by": view.reviewed_by,
        "reviewer": None,
        "identity_verified_at": None,
        "paused_at": None,
        "identity": _shape(view.identity, identities),
        "policy": view.policy,
        "action_required_details": view.action_required_details,
        "resume_endpoint": view.resume_endpoint,
        "days_left": view.days_left,
        "failure": view.failure,
    }
    return shown if view.results is None else {**shown, "results": view.results}


def _shape(identity: Any, shape: IdentityShape) -> Any:
    """Plain `{kind: value}`, or `{kind: {label, value}}` as the ledger's view has it."""
    if identity is None or shape == "labelled":
        return identity
    return {kind: entry["value"] for kind, entry in identity.items()}


def _read(stream: BinaryIO, opened: ExitStack) -> Iterator[bytes]:
    with opened:
        while block := stream.read(64 * 1024):
            yield block
