"""Moments in time as callers write them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def in_utc(moment: datetime) -> datetime:
    """Times without offset are UTC. Raises ValueError for one that no calendar of UTC has."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


Moment = Annotated[datetime, AfterValidator(in_utc)]
"""UTC when it has no offset."""

ExactMoment = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""With an offset."""
