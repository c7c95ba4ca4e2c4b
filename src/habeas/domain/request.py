"""A privacy request's statuses and the only moves between them, and the words of its logs.

Source: control-plane §2.1, §2.7, §2.9, §2.13.
"""

from enum import StrEnum


class RequestStatus(StrEnum):
    """What the API shows of a request's life. Later issues add the waiting states they build."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    IN_PROCESSING = "in_processing"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELED = "canceled"


TERMINAL = frozenset({RequestStatus.COMPLETE, RequestStatus.CANCELED, RequestStatus.DENIED})

TRANSITIONS: dict[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.PENDING: frozenset(
        {
            *(RequestStatus.APPROVED, RequestStatus.DENIED, RequestStatus.CANCELED),
            *(RequestStatus.IN_PROCESSING, RequestStatus.ERROR),
        }
    ),
    RequestStatus.APPROVED: frozenset({RequestStatus.IN_PROCESSING, RequestStatus.ERROR, RequestStatus.CANCELED}),
    RequestStatus.IN_PROCESSING: frozenset({RequestStatus.COMPLETE, RequestStatus.ERROR, RequestStatus.CANCELED}),
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


class AuditAction(StrEnum):
    """What the audit log records; the actor is a client id or `system`."""

    CREATED = "created"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELED = "canceled"
    RETRIED = "retried"
    EXTENDED = "extended"
    CLOCK_STOPPED = "clock_stopped"
    CLOCK_STARTED = "clock_started"
    DOWNLOADED = "downloaded"
    FINISHED = "finished"


SYSTEM_ACTOR = "system"
