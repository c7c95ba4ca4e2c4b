"""What the client's typed methods return: the fields of the API's answers that programs need, under the same names.

A test compares them with the API's own description.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from habeas.domain.policy import OnUnreachable, SharedRows
from habeas.domain.request import ActionType, LogStatus, RequestStatus


@dataclass(frozen=True, slots=True)
class RequestRule:
    """A rule of a request's policy; each access rule gives a package."""

    key: str
    name: str
    action_type: ActionType


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """The policy of a request."""

    key: str
    name: str
    rules: tuple[RequestRule, ...]


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """How a request stands; never whose it is. `failure` says why it is in `error`."""

    id: str
    status: RequestStatus
    policy: RequestPolicy
    external_id: str | None
    requested_at: datetime
    started_processing_at: datetime | None
    finished_processing_at: datetime | None
    due_date: date | None
    days_left: int | None
    duplicate_of: str | None
    failure: str | None
    cancel_reason: str | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A row of a request's execution log."""

    connection_key: str | None
    dataset_name: str | None
    collection_name: str | None
    action_type: ActionType
    status: LogStatus
    message: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SkippedField:
    """A field that nothing was done with, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What was done in a collection, in rows; `reason`: why it was passed over."""

    address: str
    reached: bool
    found: int
    changed: int
    drifted: int
    already: int
    absent: int
    refused: int
    submitted: int
    shared: int
    skipped: tuple[SkippedField, ...]
    reason: str | None
    verified: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a request did everywhere; `exceptions` are what somebody should read."""

    request_id: str
    plan_digest: str
    collections: tuple[CollectionReport, ...]
    exceptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection; never its secrets."""

    key: str
    name: str
    connection_type: str
    access: Literal["read", "write"]
    disabled: bool
    description: str | None
    last_test_timestamp: datetime | None
    last_test_succeeded: bool | None
    paused_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """How a test of a connection went."""

    test_status: Literal["succeeded", "failed", "skipped"]
    msg: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Where packages go."""

    key: str
    name: str
    type: str
    format: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A category that a rule is about."""

    key: str
    data_category: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a policy, with its targets."""

    key: str
    name: str
    action_type: ActionType
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with its rules."""

    key: str
    name: str
    execution_timeframe: int | None
    regulation: str | None
    on_unreachable: OnUnreachable
    shared_rows: SharedRows
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class StatusWebhook:
    """A subscription to moves of requests; empty lists: all are told of."""

    id: str
    url: str
    statuses: tuple[RequestStatus, ...]
    policy_keys: tuple[str, ...]
    disabled: bool
    failure: str | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A new subscription with its secret, which is shown this once."""

    webhook: StatusWebhook
    secret: str
