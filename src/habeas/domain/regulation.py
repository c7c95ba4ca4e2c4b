"""Deadlines of the law: how long a request may take, and the arithmetic of it. Facts are data in `regulations/`.

All is counted in UTC. A month ends on the same day of the next one, or on its last day where there is no such day;
business days are Monday to Friday without the regulation's holidays, and the day of receipt is not counted.
A last day on a weekend or holiday is not moved: that is at most early.
"""

import tomllib
from calendar import monthrange
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from importlib import resources
from typing import Any

from habeas.domain.errors import InputError

_LONGEST = 3650
_HINT = "see the files of the package's folder habeas/domain/regulations for the form"


@dataclass(frozen=True, slots=True)
class Period:
    """Calendar months, calendar days, or both: months are counted first."""

    months: int = 0
    days: int = 0

    def __add__(self, other: "Period") -> "Period":
        return Period(self.months + other.months, self.days + other.days)

    def after(self, moment: datetime) -> datetime:
        """The end of the period that begins at a moment, at the same time of day."""
        return add_months(moment, self.months) + timedelta(days=self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulation:
    """What a law says of time. `source` names the article; `reviewed_on` is when somebody last compared the two.

    `acknowledgement` is in business days. `extension` is added once to `response`, if the person is told within
    `notice` of receipt. `clarification_stops_clock`: time in which the person is asked what they mean does not count.
    """

    key: str
    name: str
    source: str
    reviewed_on: date
    response: Period
    acknowledgement: int | None = None
    extension: Period | None = None
    notice: Period | None = None
    clarification_stops_clock: bool = False
    holidays: frozenset[date] = frozenset()

    def due_at(self, received: datetime) -> datetime:
        """When the answer is due."""
        return self.response.after(received)

    def extended_due_at(self, received: datetime) -> datetime | None:
        """When it is due once extended; None where there is no extension."""
        return None if self.extension is None else (self.response + self.extension).after(received)

    def notice_by(self, received: datetime) -> datetime | None:
        """Until when the person must have been told of an extension; None where there is none."""
        return None if self.extension is None else (self.notice or self.response).after(received)

    def acknowledge_by(self, received: datetime) -> datetime | None:
        """Until when receipt must be confirmed; None where the law does not ask for it."""
        return (
            None if self.acknowledgement is None else add_business_days(received, self.acknowledgement, self.holidays)
        )


def add_months(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of that month; the time of day stays."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def add_business_days(moment: datetime, days: int, holidays: Collection[date] = ()) -> datetime:
    """The end of so many business days after the day of a moment; the time of day stays."""
    while days:
        moment += timedelta(days=1)
        if moment.weekday() < 5 and moment.date() not in holidays:
            days -= 1
    return moment


def shipped_regulations() -> dict[str, Regulation]:
    """The regulations that come with Habeas, by key."""
    files = sorted(resources.files(__package__).joinpath("regulations").iterdir(), key=lambda file: file.name)
    found = (parse_regulation(file.read_text("utf-8"), file.name) for file in files if file.name.endswith(".toml"))
    return {regulation.key: regulation for regulation in found}


def parse_regulation(text: str, source: str) -> Regulation:
    """The regulation of a TOML file; `source` is the file's name: its stem is the key.

    Raises InputError that names the file and the field.
    """
    try:
        return _read(source.removesuffix(".toml"), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"regulation file {source} is not TOML: {error}", hint=_HINT) from None
    except ValueError as error:
        raise InputError(f"regulation file {source}: {error}", hint=_HINT) from None


def _read(key: str, found: Mapping[str, Any]) -> Regulation:
    known = {field.name for field in fields(Regulation)} - {"key"}
    if unknown := sorted(set(found) - known):
        raise ValueError(f"{', '.join(unknown)}: no such field")
    for name in ("name", "source"):
        if not isinstance(found.get(name), str) or not found[name].strip():
            raise ValueError(f"{name} must be a text")
    if type(found.get("reviewed_on")) is not date:
        raise ValueError("reviewed_on must be a date, e.g. 2026-11-26")
    response = _read_period(found, "response")
    if response is None:
        raise ValueError("response must be a period, e.g. { days = 45 }")
    extension, notice = _read_period(found, "extension"), _read_period(found, "notice")
    if notice is not None and extension is None:
        raise ValueError("notice is given without extension")
    return Regulation(
        key=key,
        name=found["name"],
        source=found["source"],
        reviewed_on=found["reviewed_on"],
        response=response,
        acknowledgement=_read_acknowledgement(found.get("acknowledgement")),
        extension=extension,
        notice=notice,
        clarification_stops_clock=_read_flag(found.get("clarification_stops_clock", False)),
        holidays=_read_holidays(found.get("holidays", [])),
    )


def _read_period(found: Mapping[str, Any], name: str) -> Period | None:
    given = found.get(name)
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= {"months", "days"}:
        raise ValueError(f"{name} must be {{ months = n }} or {{ days = n }}")
    ((unit, count),) = given.items()
    return Period(**{unit: _read_count(f"{name}.{unit}", count, _LONGEST if unit == "days" else _LONGEST // 31)})


def _read_acknowledgement(given: object) -> int | None:
    if given is None:
        return None
    if not isinstance(given, dict) or given.keys() != {"business_days"}:
        raise ValueError("acknowledgement must be { business_days = n }")
    return _read_count("acknowledgement.business_days", given["business_days"], 365)


def _read_count(name: str, given: object, most: int) -> int:
    if type(given) is not int or not 1 <= given <= most:
        raise ValueError(f"{name} must be a number from 1 to {most}")
    return given


def _read_flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError("clarification_stops_clock must be true or false")
    return given


def _read_holidays(given: object) -> frozenset[date]:
    if not isinstance(given, list) or any(type(day) is not date for day in given):
        raise ValueError("holidays must be a list of dates")
    return frozenset(given)
