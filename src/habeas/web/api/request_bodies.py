"""What callers say of privacy requests: the items of a submission, what a plan is asked for, what a listing wants."""

from dataclasses import replace
from datetime import date, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeAlias

from fastapi import Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from habeas.domain.errors import InputError
from habeas.domain.identity import parse_identities
from habeas.domain.request import ActionType, RequestStatus
from habeas.services.fields import InvalidFields, Problem
from habeas.services.request_search import Order, RequestFilter, SortField, Span
from habeas.services.request_views import IdentityShape
from habeas.services.requests import NewRequest
from habeas.services.selection import MOST, Chosen, Selection
from habeas.web.api.moments import Moment, in_utc
from habeas.web.api.paging import BULK_LIMIT, PageNumber, PageSize

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=256)]


_MOST_UNKNOWN = 100
"""Each is compared with the known ones, for each person of an item: that takes its time."""


class RequestItem(BaseModel):
    """One request as submitted. `identities` with n objects makes n requests; give it or `identity`, not both.

    Fields that are not known are dropped (control-plane §0.3), but not those that are nearly called as one that is:
    without `encryption_key` a package is open, and without `dataset_keys` all datasets are meant.
    """

    model_config = ConfigDict(extra="allow")

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
        unknown = self.model_extra or {}
        if len(unknown) > _MOST_UNKNOWN:
            raise InputError(f"more than {_MOST_UNKNOWN} unknown fields", hint="leave them out")
        for name in unknown:
            if meant := get_close_matches(name.lower(), type(self).model_fields, n=1, cutoff=0.75):
                raise InputError(f"unknown field {name!r}", hint=f"write {meant[0]}, or leave it out")
        if self.identity is not None and self.identities is not None:
            raise InputError("both identity and identities are given", hint="give one of them")
        person = self.identities[0] if self.identities else self.identity
        return NewRequest(
            policy_key=self.policy_key,
            identities=parse_identities(person or {}),
            external_id=self.external_id,
            requested_at=self._requested_at(),
            encryption_key=self.encryption_key,
            dataset_keys=None if self.dataset_keys is None else tuple(self.dataset_keys),
        )

    def _requested_at(self) -> datetime | None:
        try:
            return self.requested_at and in_utc(self.requested_at)
        except ValueError as error:
            raise InputError(f"requested_at is {error}") from None


SUBMISSION = Body(
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


class PreviewQuestion(BaseModel):
    """What a plan is asked for."""

    policy_key: Text
    identity_kinds: list[Text]
    dataset_keys: list[Text] | None = None


class Resumption(BaseModel):
    """What a webhook's receiver found out meanwhile; `{}` if nothing."""

    model_config = ConfigDict(extra="forbid")

    derived_identity: dict[str, Any] | None = None


class DeadlineReason(BaseModel):
    """Why a deadline is moved or stands still. It is kept in the audit log: no personal data."""

    reason: Annotated[
        str, StringConstraints(pattern=r"^[^\x00]*$", strip_whitespace=True, min_length=1, max_length=1000)
    ]


REASON = Body(
    openapi_examples={"reason": Example(value={"reason": "many systems to search; the person was told today"})}
)

PREVIEW = Body(
    description="A question, or (as in fidesops) a list of dataset keys; null and an empty list mean all datasets.",
    openapi_examples={
        "plan of a policy": Example(value={"policy_key": "give_and_forget", "identity_kinds": ["email"]}),
        "look-ups of some datasets": Example(value=["shop_db"]),
        "look-ups of all datasets": Example(value=[]),
    },
)


def _moment(says: str) -> Any:
    return Field(None, description=f"{says}; UTC when it has no offset.")


class ShownParts(BaseModel):
    """Query parameters that add to what is shown of a request."""

    verbose: bool = Field(False, description="Adds the log of every collection.")
    include_identities: Literal["plain", "labelled", "true", "false"] = Field(
        "false", description="Adds identities: `{kind: value}` (plain, true) or `{kind: {label, value}}`."
    )

    @property
    def shape(self) -> IdentityShape | None:
        """The shape asked for; None when none is."""
        if self.include_identities == "false":
            return None
        return IdentityShape.LABELLED if self.include_identities == "labelled" else IdentityShape.PLAIN


class Conditions(BaseModel):
    """What requests are looked for (control-plane §1.4.1)."""

    id: str | None = Field(None, description="Exactly this id.")
    request_id: str | None = Field(None, description="Ids that begin so.")
    external_id: str | None = Field(None, description="External ids that begin so.")
    status: list[RequestStatus] = Field([], description="Any of these.")
    policy_key: Text | None = Field(None, description="Of this policy.")
    identity: str | None = Field(None, description="Exactly this value of any kind.")
    action_type: list[ActionType] = Field([], description="Policies that have a rule of any of these.")
    created_gt: Moment | None = _moment("Created later than this")
    created_lt: Moment | None = _moment("Created earlier than this")
    started_gt: Moment | None = _moment("Begun later than this")
    started_lt: Moment | None = _moment("Begun earlier than this")
    completed_gt: Moment | None = _moment("Complete, and ended later than this")
    completed_lt: Moment | None = _moment("Complete, and ended earlier than this")
    errored_gt: Moment | None = _moment("In error, and ended later than this")
    errored_lt: Moment | None = _moment("In error, and ended earlier than this")
    regulation: Text | None = Field(None, description="Key of the regulation whose deadlines count.")
    is_overdue: bool | None = Field(None, description="Not ended, and due before today (UTC).")
    duplicate_of: Text | None = Field(None, description="Later requests of the same person as the one of this id.")
    has_duplicates: bool | None = Field(None, description="Later requests of the same person point to it.")

    @property
    def filter(self) -> RequestFilter:
        return RequestFilter(
            id=self.id,
            request_id=self.request_id,
            external_id=self.external_id,
            status=tuple(self.status),
            policy_key=self.policy_key,
            identity=self.identity,
            action_types=tuple(self.action_type),
            created=Span(self.created_gt, self.created_lt),
            started=Span(self.started_gt, self.started_lt),
            completed=Span(self.completed_gt, self.completed_lt),
            errored=Span(self.errored_gt, self.errored_lt),
            regulation=self.regulation,
            is_overdue=self.is_overdue,
            duplicate_of=self.duplicate_of,
            has_duplicates=self.has_duplicates,
        )


class RequestQuery(ShownParts, Conditions):
    """Query parameters of a listing."""

    sort_field: SortField = SortField.CREATED_AT
    sort_direction: Literal["asc", "desc"] = "desc"
    download_csv: bool = Field(False, description="All of them as CSV instead of a page.")
    page: PageNumber = 1
    size: PageSize = 50

    @property
    def order(self) -> Order:
        return Order(self.sort_field, ascending=self.sort_direction == "asc")


class StatisticsQuery(BaseModel):
    """The time in which requests were received: days of UTC, the first included, the last not."""

    begin: date = Field(alias="from", description="First day.")
    end: date = Field(alias="to", description="The day after the last.")


class BodyConditions(Conditions):
    """The same in a body; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    identities: dict[str, Any] | None = Field(None, description="Any of these: `{kind: value}`, values exact.")

    @property
    def filter(self) -> RequestFilter:
        """Raises InvalidFields for identities that are none."""
        try:
            given = parse_identities(self.identities) if self.identities else ()
        except InputError as error:
            raise InvalidFields([Problem(("identities",), str(error))]) from None
        return replace(super().filter, identities=given)


class RequestSearch(BodyConditions, RequestQuery):
    """A listing asked for by a body."""


SEARCH = Body(
    openapi_examples={
        "overdue": Example(value={"is_overdue": True, "sort_field": "due_date", "sort_direction": "asc"}),
        "of a person": Example(value={"identities": {"email": "ann@example.com", "phone_number": "+11234567891"}}),
        "as CSV": Example(value={"status": ["complete"], "download_csv": True}),
    }
)

PreviewBody: TypeAlias = PreviewQuestion | list[Text] | None


RequestId = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=64)]
RequestIds = Annotated[list[RequestId], Field(min_length=1, max_length=BULK_LIMIT)]


_NOTHING: tuple[object, ...] = (None, "", [], {})


class Choice(BaseModel):
    """Requests that something is decided about: these, or all that match the filters and can be decided so."""

    model_config = ConfigDict(extra="forbid")

    request_ids: RequestIds | None = None
    filters: BodyConditions | None = Field(
        None, description=f"At least one condition; at most {MOST} requests may match."
    )
    exclude_ids: list[RequestId] = Field([], max_length=MOST, description="Left out of what the filters choose.")

    @model_validator(mode="after")
    def _check_one_is_given(self) -> Self:
        if (self.request_ids is None) == (self.filters is None):
            raise ValueError("give either request_ids or filters")
        if self.filters is None and self.exclude_ids:
            raise ValueError("exclude_ids goes with filters")
        if self.filters is not None and all(value in _NOTHING for value in self.filters.model_dump().values()):
            raise ValueError("filters has no condition: say which requests")
        return self

    @property
    def chosen(self) -> Chosen:
        if self.filters is None:
            return self.request_ids or ()
        return Selection(self.filters.filter, self.exclude_ids)


class DenialChoice(Choice):
    """Requests that are denied, and why."""

    reason: str | None = Field(None, max_length=32_000, pattern=r"^[^\x00]*$", description="Kept in the audit log.")


class CancelChoice(Choice):
    """Requests that are cancelled, and why."""

    reason: str | None = Field(None, max_length=200, pattern=r"^[^\x00]*$", description="Shown with the request.")


def choice(**more: str) -> Any:
    """The body of a decision, with examples."""
    ids = ["pri_5f1c3b52-0c68-4f5d-8a0e-9f6a7c1b2d3e"]
    filters = {"policy_key": "give_and_forget", "created_lt": "2026-01-01T00:00:00Z"}
    return Body(
        openapi_examples={
            "these": Example(value={"request_ids": ids, **more}),
            "all that match": Example(value={"filters": filters, "exclude_ids": ids, **more}),
        }
    )
