"""Moments at the ends of the calendar: what UTC cannot say is refused, on every route that takes one."""

import pytest
from tests.integration.web.conftest import Caller

BEYOND = ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00")
WEBHOOK = {"url": "https://203.0.113.7/habeas"}


@pytest.mark.parametrize("moment", BEYOND)
def test_a_moment_beyond_the_calendar_of_utc_is_refused(root: Caller, moment: str) -> None:
    asked = [("/api/v1/audit", {end: moment, "download_csv": csv}) for end in ("begin", "end") for csv in (True, False)]
    states = ("created", "started", "completed", "errored")
    asked += [("/api/v1/privacy-request", {f"{state}_{end}": moment}) for state in states for end in ("gt", "lt")]
    for path, query in asked:
        assert root("GET", path, params=query).status_code == 422, (path, query)
    subscribed = root("POST", "/api/v1/status-webhook", json=WEBHOOK).json()["webhook"]["id"]
    replay = root("POST", f"/api/v1/status-webhook/{subscribed}/replay", json={"since": moment})
    assert replay.status_code == 422


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_the_first_and_the_last_moment_are_taken(root: Caller, moment: str) -> None:
    for end in ("begin", "end"):
        assert root("GET", "/api/v1/audit", params={end: moment}).status_code == 200
