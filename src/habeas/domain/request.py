"""A privacy request's statuses and the only moves between them, and the words of its logs.

Source: control-plane §2.1, §2.7, §2.9, §2.13.
"""

from enum import StrEnum


class RequestStatus(StrEnum):
    """What the API shows of a request's life."""

    IDENTITY_UNVERIFIED = "identity_unverified"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    IN_PROCESSING = "in_processing"
    REQUIRES_INPUT = "requires_input"
    PAUSED = "paused"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELED = "canceled"


TERMINAL = frozenset({RequestStatus.COMPLETE, RequestStatus.CANCELED, RequestStatus.DENIED})

WAITING = frozenset({RequestStatus.REQUIRES_INPUT, RequestStatus.PAUSED})
"""Stopped in the middle until somebody answers, or the time for that is over."""

_GOES_ON = frozenset({RequestStatus.IN_PROCESSING, RequestStatus.ERROR, RequestStatus.CANCELED})

TRANSITIONS: dict[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.IDENTITY_UNVERIFIED: frozenset({RequestStatus.PENDING, RequestStatus.CANCELED}),
    RequestStatus.PENDING: frozenset(
        {
            *(RequestStatus.APPROVED, RequestStatus.DENIED, RequestStatus.CANCELED),
            *(RequestStatus.IN_PROCESSING, RequestStatus.ERROR),
        }
    ),
    RequestStatus.APPROVED: _GOES_ON,
    RequestStatus.IN_PROCESSING: frozenset({RequestStatus.COMPLETE, RequestStatus.ERROR, RequestStatus.CANCELED})
    | WAITING,
    RequestStatus.REQUIRES_INPUT: _GOES_ON,
    RequestStatus.PAUSED: _GOES_ON,
    RequestStatus.ERROR: frozenset({RequestStatus.IN_PROCESSING, RequestStatus.CANCELED}),
    RequestStatus.COMPLETE: frozenset(),
    RequestStatus.CANCELED: frozenset(),
    RequestStatus.DENIED: frozenset(),
}


def sources_of(target: RequestStatus) -> frozenset[RequestStatus]:
    """The statuses from which `target` may be entered: the condition of its compare-and-set."""
    return frozenset(status for status, targets in TRANSITIONS.items() if target in targets)


class ActionType(StrEnum):
    """What a rule does, and which pass a log row belongs to."""

    ACCESS = "access"
    ERASURE = "erasure"


class LogStatus(StrEnum):
    """Status of one row of the execution log."""

    IN_PROCESSING = "in_processing"
    COMPLETE = "complete"
    ERROR = "error"
    RETRYING = "retrying"
    PAUSED = "paused"
    SKIPPED = "skipped"
