"""Routes of privacy requests (control-plane §1.2–1.4, §1.7, §1.8)."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, TypeAlias

from fastapi import APIRouter, Body, Depends, Query
from fastapi.openapi.models import Example
from fastapi.responses import StreamingResponse

from habeas.delivery.encryption import check_package_key
from habeas.domain.errors import HabeasError, InputError
from habeas.execution.context import Context
from habeas.execution.report import Report
from habeas.planning.preview import Preview
from habeas.services import (
    deadlines,
    packages,
    request_csv,
    request_search,
    request_statistics,
    requests,
    review,
    webhooks,
)
from habeas.services.bulk import BulkResult, Failure
from habeas.services.fields import InvalidFields, Problem
from habeas.services.packages import PackageView
from habeas.services.request_statistics import Statistics
from habeas.services.request_views import LogEntry, RequestView, VerboseRequestView
from habeas.services.requests import LookUp, NewRequest
from habeas.services.review import Decisions
from habeas.services.selection import Chosen
from habeas.web.api.paging import BULK_LIMIT, PageBody, PageNumber, PageSize, show_page
from habeas.web.api.request_bodies import (
    PREVIEW,
    REASON,
    SEARCH,
    SUBMISSION,
    CancelChoice,
    Choice,
    DeadlineReason,
    DenialChoice,
    PreviewBody,
    PreviewQuestion,
    RequestIds,
    RequestItem,
    RequestQuery,
    RequestSearch,
    Resumption,
    ShownParts,
    StatisticsQuery,
    choice,
)
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired, identify_if_required, needs, read_bearer

router = APIRouter(prefix="/privacy-request", tags=["privacy requests"], route_class=StrictRoute)

_Reviewer: TypeAlias = Annotated[Context, needs("privacy-request:review")]
_Creator: TypeAlias = Annotated[Context, needs("privacy-request:create")]
_Reader: TypeAlias = Annotated[Context, needs("privacy-request:read")]
_Resumer: TypeAlias = Annotated[Context, needs("privacy-request:resume")]
_ResultsReader: TypeAlias = Annotated[Context, needs("privacy-request-access-results:read")]

_JSON, _ZIP, _OTHER = "application/json", "application/zip", "application/octet-stream"
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_FILE = {"schema": {"type": "string", "format": "binary"}}

Shown: TypeAlias = VerboseRequestView | RequestView


@dataclass(frozen=True, slots=True)
class AccessResults:
    """Where a request's packages are: links, or paths of files."""

    access_result_urls: list[str]
    packages: list[PackageView]


@router.post("", summary="Submit 1 to 50 privacy requests; what fails is listed and stops no other")
def create(
    context: Annotated[Context, Depends(identify_if_required)],
    items: Annotated[list[RequestItem], SUBMISSION],
) -> BulkResult[RequestView]:
    return _submit(context, items, by_staff=False)


@router.post("/authenticated", summary="The same by staff, who know the person: no code is asked for, none is told")
def create_authenticated(
    context: _Creator,
    items: Annotated[list[RequestItem], SUBMISSION],
) -> BulkResult[RequestView]:
    return _submit(context, items, by_staff=True)


@router.get(
    "",
    summary="List privacy requests, newest first, or give them as CSV",
    response_model=PageBody[Shown],
    responses=_CSV,
)
def list_requests(context: _Reader, query: Annotated[RequestQuery, Query()]) -> PageBody[Shown] | StreamingResponse:
    return _list(context, query)


@router.post(
    "/search",
    summary="The same; what is looked for is the body",
    response_model=PageBody[Shown],
    responses=_CSV,
)
def search(context: _Reader, query: Annotated[RequestSearch, SEARCH]) -> PageBody[Shown] | StreamingResponse:
    return _list(context, query)


@router.get("/statistics", summary="Counts and days of the requests received in a time")
def statistics(context: _Reader, span: Annotated[StatisticsQuery, Query()]) -> Statistics:
    return request_statistics.count_requests(context, span.begin, span.end)


@router.put(
    "/preview",
    summary="What a request would do, with its statements; nothing is queried",
    responses={404: {}},
)
def preview(context: _Reader, question: Annotated[PreviewBody, PREVIEW] = None) -> Preview | list[LookUp]:
    if isinstance(question, PreviewQuestion):
        kinds, keys = question.identity_kinds, question.dataset_keys
        return requests.preview_plan(context, question.policy_key, kinds, keys)
    return requests.preview_look_ups(context, question or None)


@router.patch("/administrate/approve", summary="Let requests that await review be carried out")
def approve(context: _Reviewer, chosen: Annotated[Choice | RequestIds, choice()]) -> Decisions:
    return review.approve(context, _chosen(chosen))


@router.patch("/administrate/deny", summary="End requests that await review")
def deny(
    context: _Reviewer, chosen: Annotated[DenialChoice | RequestIds, choice(reason="not a customer")]
) -> Decisions:
    return review.deny(context, _chosen(chosen), _reason(chosen))


@router.patch("/administrate/cancel", summary="End requests that are not over yet; what was masked stays masked")
def cancel(context: _Reviewer, chosen: Annotated[CancelChoice | RequestIds, choice(reason="withdrawn")]) -> Decisions:
    return review.cancel(context, _chosen(chosen), _reason(chosen))


@router.post("/bulk/retry", summary="Go on with several requests in `error`, each where it stopped")
def retry_all(
    context: _Resumer,
    chosen: Annotated[Choice | RequestIds, choice()],
) -> BulkResult[RequestView]:
    return requests.retry_all(context, _chosen(chosen))


@router.get("/{request_id}", summary="Show a privacy request")
def find_request(context: _Reader, request_id: str, query: Annotated[ShownParts, Query()]) -> Shown:
    return requests.find_request(context, request_id, query.shape, verbose=query.verbose)


@router.post("/{request_id}/resume", summary="Go on with a request that a webhook halted, by the token of its call")
def resume(
    context: Wired,
    token: Annotated[str, Depends(read_bearer)],
    request_id: str,
    answer: Annotated[Resumption, Body(openapi_examples={"nothing to add": Example(value={})})],
) -> RequestView:
    return webhooks.resume(context, request_id, token, answer.derived_identity)


@router.post("/{request_id}/retry", summary="Go on where a request in `error` stopped")
def retry(context: _Resumer, request_id: str) -> RequestView:
    return requests.retry(context, request_id)


@router.post("/{request_id}/extend", summary="Extend the deadline, once, as the regulation allows", responses={409: {}})
def extend(
    context: _Reviewer,
    request_id: str,
    why: Annotated[DeadlineReason, REASON],
) -> RequestView:
    return deadlines.extend(context, request_id, why.reason)


@router.post("/{request_id}/clarify", summary="Stop the clock while the person is asked", responses={409: {}})
def clarify(
    context: _Reviewer,
    request_id: str,
    why: Annotated[DeadlineReason, REASON],
) -> RequestView:
    return deadlines.stop_clock(context, request_id, why.reason)


@router.post("/{request_id}/clarified", summary="Start the clock again: the person has answered", responses={409: {}})
def clarified(context: _Reviewer, request_id: str) -> RequestView:
    return deadlines.start_clock(context, request_id)


@router.get("/{request_id}/logs", include_in_schema=False)
@router.get("/{request_id}/log", summary="The execution log of a request, oldest first")
def read_log(
    context: _Reader,
    request_id: str,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> PageBody[LogEntry]:
    return show_page(requests.read_log(context, request_id, page, size))


@router.get("/{request_id}/report", summary="What was found, masked, skipped and verified")
def report(context: _Reader, request_id: str) -> Report:
    return requests.report(context, request_id)


@router.get(
    "/{request_id}/access-results",
    summary="Where the packages of a request are",
)
def access_results(context: _ResultsReader, request_id: str) -> AccessResults:
    found = packages.list_packages(context, request_id)
    return AccessResults([package.url for package in found], found)


@router.get(
    "/{request_id}/package/{rule_key}",
    summary="Download the package of an access rule",
    response_class=StreamingResponse,
    responses={200: {"content": {_JSON: {"schema": {"type": "object"}}, _ZIP: _FILE, _OTHER: _FILE}}},
)
def download(
    context: _ResultsReader,
    request_id: str,
    rule_key: str,
) -> StreamingResponse:
    package = packages.open_package(context, request_id, rule_key)
    opened = ExitStack()
    stream = opened.enter_context(package.stream)
    headers = {"Content-Disposition": f'attachment; filename="{package.name}"'}  # nothing in it has to be escaped
    return StreamingResponse(_read(stream, opened), media_type=_media_type(package), headers=headers)


def _media_type(package: packages.OpenPackage) -> str:
    """An encrypted JSON package is base64 text; in a zip it is the members that are encrypted."""
    if package.name.endswith(".zip"):
        return _ZIP
    return _JSON if package.name.endswith(".json") and not package.encrypted else _OTHER


def _chosen(chosen: Choice | list[str]) -> Chosen:
    return chosen if isinstance(chosen, list) else chosen.chosen


def _reason(chosen: DenialChoice | CancelChoice | list[str]) -> str:
    return "" if isinstance(chosen, list) else chosen.reason or ""


def _list(context: Wired, query: RequestQuery) -> PageBody[Shown] | StreamingResponse:
    if query.download_csv:
        lines = request_csv.write_requests(context, query.filter, query.order, with_identities=query.shape is not None)
        name = f"privacy_requests_download_{context.clock.now().date()}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
    found = request_search.list_requests(
        context, query.filter, query.order, query.page, query.size, query.shape, verbose=query.verbose
    )
    return show_page(found)


def _submit(context: Context, items: list[RequestItem], *, by_staff: bool) -> BulkResult[RequestView]:
    _check_keys(items)
    people = [person for item in items for person in item.expand()]
    if len(people) > BULK_LIMIT:
        raise InvalidFields([Problem((), f"at most {BULK_LIMIT} people at once, counting every object of identities")])
    views = requests.submit(context, [_read_item(person) for person in people], by_staff=by_staff)
    succeeded = [view for view in views if isinstance(view, RequestView)]
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


def _read(stream: BinaryIO, opened: ExitStack) -> Iterator[bytes]:
    with opened:
        while block := stream.read(64 * 1024):
            yield block
