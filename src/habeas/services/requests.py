"""Use cases of privacy requests: submit, look up, retry, report. One function is one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from habeas.domain.errors import HabeasError
from habeas.domain.identity import Identity
from habeas.domain.request import RequestStatus
from habeas.execution.context import Context


@dataclass(frozen=True, slots=True)
class NewRequest:
    """One data subject's request as submitted; `identities` are parsed and valid."""

    policy_key: str
    identities: tuple[Identity, ...]
    external_id: str | None = None
    requested_at: datetime | None = None
    encryption_key: str | None = None
    dataset_keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """What a listing asks for; None means any. `request_id` and `external_id` match by case-insensitive prefix."""

    id: str | None = None
    request_id: str | None = None
    external_id: str | None = None
    status: tuple[RequestStatus, ...] = ()
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as the API shows it (control-plane §1.3). `results` only when asked for."""

    id: str
    status: RequestStatus
    created_at: datetime
    requested_at: datetime
    external_id: str | None
    started_processing_at: datetime | None
    finished_processing_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    policy: Mapping[str, object]
    action_required_details: Mapping[str, object] | None
    resume_endpoint: str | None
    days_left: int | None
    failure: str | None
    identity: Mapping[str, object] | None = None
    results: Mapping[str, Sequence[Mapping[str, object]]] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    items: Sequence[object]
    total: int
    page: int
    size: int
