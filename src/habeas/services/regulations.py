"""The regulations there are: what `domain.regulation` ships and what the settings add."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from habeas.domain.errors import NotFound
from habeas.domain.regulation import Period, Regulation
from habeas.execution.context import Context
from habeas.services.bulk import Listing
from habeas.store.configurations import Record


@dataclass(frozen=True, slots=True)
class RegulationView:
    """A regulation as shown; `acknowledgement_business_days` is null where receipt need not be confirmed."""

    key: str
    name: str
    source: str
    reviewed_on: date
    response: Period
    acknowledgement_business_days: int | None
    extension: Period | None
    notice: Period | None
    clarification_stops_clock: bool
    holidays: Sequence[date]


def find_regulation(context: Context, key: str) -> Regulation:
    """Raises NotFound."""
    found = context.regulations.get(key)
    if found is None:
        raise NotFound(f"there is no regulation {key[:64]!r}", hint="GET /api/v1/regulation lists those there are")
    return found


def find_notice_by(regulation: Regulation, request: Record, now: datetime) -> datetime | None:
    """Until when a person must have been told that their request is extended; None where there is no extension.

    It moves on while the clock is stopped.
    """
    standing = now - request.clock_stopped_at if request.clock_stopped_at else timedelta()
    try:
        notice_by = regulation.notice_by(request.requested_at)
        return notice_by and notice_by + timedelta(seconds=request.clock_stood) + standing
    except (OverflowError, ValueError):  # no calendar goes so far
        return None


def list_regulations(context: Context, page: int, size: int) -> Listing[RegulationView]:
    """One page of regulations, by key."""
    found = sorted(context.regulations.values(), key=lambda regulation: regulation.key)
    shown = [show_regulation(regulation) for regulation in found[(page - 1) * size : page * size]]
    return Listing(shown, len(found), page, size)


def show_regulation(regulation: Regulation) -> RegulationView:
    """A regulation as the API shows it."""
    return RegulationView(
        key=regulation.key,
        name=regulation.name,
        source=regulation.source,
        reviewed_on=regulation.reviewed_on,
        response=regulation.response,
        acknowledgement_business_days=regulation.acknowledgement,
        extension=regulation.extension,
        notice=regulation.notice if regulation.notice or not regulation.extension else regulation.response,
        clarification_stops_clock=regulation.clarification_stops_clock,
        holidays=sorted(regulation.holidays),
    )
