"""Arithmetic of deadlines against an oracle that walks the calendar day by day, and what must hold of any of them."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habeas.domain.errors import InputError
from habeas.domain.regulation import (
    Period,
    Regulation,
    add_business_days,
    add_months,
    parse_regulation,
    shipped_regulations,
)

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))
PERIODS = st.builds(Period, months=st.integers(1, 40)) | st.builds(Period, days=st.integers(1, 400))


def walk_months(day: date, months: int) -> date:
    """Walks to the month by first days, then to the wanted day or the last there is."""
    first = day.replace(day=1)
    for _ in range(months):
        first = (first + timedelta(days=40)).replace(day=1)
    found = first
    while found.day < day.day and (found + timedelta(days=1)).month == first.month:
        found += timedelta(days=1)
    return found


def walk_business_days(day: date, days: int, holidays: set[date]) -> date:
    """The n-th of all working days that come after."""
    working = [
        later
        for later in (day + timedelta(days=n) for n in range(1, 3 * days + 40))
        if later.strftime("%a") not in ("Sat", "Sun") and later not in holidays
    ]
    return working[days - 1]


@given(MOMENTS, st.integers(0, 60))
def test_months_end_on_the_same_day_or_on_the_last(moment: datetime, months: int) -> None:
    found = add_months(moment, months)
    assert found == datetime.combine(walk_months(moment.date(), months), moment.timetz())


@given(MOMENTS, st.integers(1, 40), st.data())
def test_business_days_leave_out_weekends_and_holidays(moment: datetime, days: int, data: st.DataObject) -> None:
    offsets = data.draw(st.sets(st.integers(0, 60), max_size=10))
    holidays = {moment.date() + timedelta(days=offset) for offset in offsets}
    found = add_business_days(moment, days, holidays)
    assert found == datetime.combine(walk_business_days(moment.date(), days, holidays), moment.timetz())


@given(MOMENTS, MOMENTS, PERIODS, PERIODS)
def test_later_receipt_is_never_due_earlier_and_extending_never_shortens(
    one: datetime, other: datetime, response: Period, extension: Period
) -> None:
    law = Regulation(
        key="x", name="x", source="x", reviewed_on=date(2026, 1, 1), response=response, extension=extension
    )
    earlier, later = sorted((one, other))
    assert law.due_at(earlier) <= law.due_at(later)
    extended = law.extended_due_at(earlier)
    assert extended is not None and extended > law.due_at(earlier) > earlier
    assert law.notice_by(earlier) == law.due_at(earlier)


def noon(year: int, month: int, day: int) -> datetime:
    return datetime.combine(date(year, month, day), time(12), UTC)


@pytest.mark.parametrize(
    ("key", "received", "due", "extended", "acknowledge"),
    [
        ("gdpr", noon(2026, 1, 31), noon(2026, 2, 28), noon(2026, 4, 30), None),
        ("gdpr", noon(2028, 1, 30), noon(2028, 2, 29), noon(2028, 4, 30), None),
        ("gdpr", noon(2026, 11, 30), noon(2026, 12, 30), noon(2027, 2, 28), None),
        ("uk_gdpr", noon(2026, 3, 31), noon(2026, 4, 30), noon(2026, 6, 30), None),
        ("ccpa", noon(2026, 1, 1), noon(2026, 2, 15), noon(2026, 4, 1), noon(2026, 1, 15)),
        ("ccpa", noon(2026, 1, 3), noon(2026, 2, 17), noon(2026, 4, 3), noon(2026, 1, 16)),
        ("vcdpa", noon(2026, 1, 1), noon(2026, 2, 15), noon(2026, 4, 1), None),
        ("lgpd", noon(2026, 1, 1), noon(2026, 1, 16), None, None),
        ("pipeda", noon(2026, 1, 1), noon(2026, 1, 31), noon(2026, 3, 2), None),
    ],
)  # fmt: skip
def test_the_deadlines_that_are_shipped(
    key: str, received: datetime, due: datetime, extended: datetime | None, acknowledge: datetime | None
) -> None:
    law = shipped_regulations()[key]
    assert (law.due_at(received), law.extended_due_at(received), law.acknowledge_by(received)) == (
        due, extended, acknowledge,
    )  # fmt: skip
    assert law.source and law.reviewed_on <= date(2026, 11, 26)


SOUND = 'name = "Own"\nsource = "§ 1"\nreviewed_on = 2026-11-26\nresponse = { days = 20 }\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "own.toml is not TOML"),
        (SOUND + "respnse = 1\n", "respnse: no such field"),
        (SOUND.replace('"§ 1"', '""'), "source must be a text"),
        (SOUND.replace("2026-11-26", '"2026-11-26"'), "reviewed_on must be a date"),
        (SOUND.replace("{ days = 20 }", "20"), "response must be"),
        (SOUND.replace("20 }", "0 }"), "response.days must be a number from 1"),
        (SOUND.replace("days = 20", "weeks = 2"), "response must be"),
        (SOUND + "acknowledgement = 10\n", "acknowledgement must be"),
        (SOUND + "notice = { days = 1 }\n", "notice is given without extension"),
        (SOUND + "clarification_stops_clock = 1\n", "clarification_stops_clock must be"),
        (SOUND + 'holidays = ["2026-12-25"]\n', "holidays must be a list of dates"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_names_itself_and_the_field(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_regulation(text, "own.toml")
