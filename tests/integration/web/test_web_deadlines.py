"""Deadlines of requests over HTTP, on both kinds of ledger: set, extended, standing still, overdue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine
from habeas.bootstrap import build, close
from habeas.domain.errors import InputError
from habeas.domain.request import RequestStatus
from habeas.services import policies
from habeas.settings import Settings
from habeas.store.tables import requests

PATH = "/api/v1/privacy-request"
WHY = {"reason": "many systems to search"}


@dataclass
class SetClock:
    """Stands where the test puts it."""

    moment: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@dataclass
class Desk:
    """The API on a day of the test's choosing."""

    engine: Engine
    clock: SetClock

    def __call__(self, method: str, path: str, **content: Any) -> Any:
        security = self.engine.context.settings.security
        anyone = Caller(SharedApp(replace(self.engine.context, clock=self.clock)))
        root = sign_in(anyone, security.oauth_root_client_id, security.oauth_root_client_secret)
        return root(method, path, **content)

    def on(self, year: int, month: int, day: int) -> "Desk":
        self.clock.moment = datetime(year, month, day, 12, tzinfo=UTC)
        return self

    def submit(self, policy: str, **details: Any) -> str:
        item = {"policy_key": policy, "identity": {"email": "ann@example.com"}, **details}
        answer = self("POST", PATH, json=[item]).json()
        assert answer["failed"] == [], answer
        return str(answer["succeeded"][0]["id"])

    def show(self, request_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self("GET", f"{PATH}/{request_id}").json()
        return shown

    def overdue(self, wanted: str = "true") -> list[str]:
        return [item["id"] for item in self("GET", f"{PATH}?is_overdue={wanted}").json()["items"]]


@pytest.fixture
def desk(start: Callable[..., Engine]) -> Desk:
    engine = start()
    for key, details in {
        "eu": {"regulation": "gdpr"},
        "eu_strict": {"regulation": "gdpr", "execution_timeframe": 10},
        "eu_lax": {"regulation": "gdpr", "execution_timeframe": 90},
        "california": {"regulation": "ccpa"},
        "brazil": {"regulation": "lgpd"},
        "own": {"execution_timeframe": 20},
        "none": {},
    }.items():
        engine.policy(key, access=["user"], **details)
    return Desk(engine, SetClock())


def test_a_request_says_when_it_is_due_and_under_which_law(desk: Desk) -> None:
    found = {}
    for policy in ("eu", "eu_strict", "eu_lax", "california", "own", "none"):
        shown = desk.show(desk.submit(policy))
        found[policy] = (shown["regulation"], shown["due_date"], shown["days_left"], shown["acknowledge_by"])
    assert found == {
        "eu": ("gdpr", "2026-02-28", 28, None),
        "eu_strict": ("gdpr", "2026-02-10", 10, None),
        "eu_lax": ("gdpr", "2026-02-28", 28, None),
        "california": ("ccpa", "2026-03-17", 45, "2026-02-13"),
        "own": (None, "2026-02-20", 20, None),
        "none": (None, None, None, None),
    }


def test_time_counts_from_the_day_of_receipt_not_from_the_day_it_was_entered(desk: Desk) -> None:
    shown = desk.show(desk.submit("eu", requested_at="2026-01-05T09:00:00Z"))
    assert (shown["due_date"], shown["days_left"]) == ("2026-02-05", 5)
    answer = desk(
        "POST",
        PATH,
        json=[{"policy_key": "eu", "identity": {"email": "a@b.c"}, "requested_at": "9999-12-31T00:00:00Z"}],
    )
    assert "requested_at" in answer.json()["failed"][0]["message"]


def test_a_deadline_is_extended_once_and_before_the_person_had_to_be_told(desk: Desk) -> None:
    one, late = desk.submit("eu"), desk.submit("eu")
    answer = desk.on(2026, 2, 28)("POST", f"{PATH}/{one}/extend", json=WHY)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["due_date"], answer.json()["days_left"]) == ("2026-04-30", 61)
    assert answer.json()["extended_at"] == "2026-02-28T12:00:00Z"
    assert desk("POST", f"{PATH}/{one}/extend", json=WHY).status_code == 409
    refused = desk.on(2026, 3, 1)("POST", f"{PATH}/{late}/extend", json=WHY)
    assert refused.status_code == 400 and "2026-02-28" in refused.text
    (entry,) = desk("GET", f"{PATH}/{one}?verbose=true").json()["results"]["Deadline extended"]
    assert (entry["status"], entry["message"], entry["user_id"]) == ("extended", WHY["reason"], "root")


def test_a_request_says_until_when_the_person_has_to_be_told_of_an_extension(desk: Desk) -> None:
    shown = {policy: desk.show(desk.submit(policy))["notice_by"] for policy in ("eu", "california", "brazil", "own")}
    assert shown == {"eu": "2026-02-28", "california": "2026-03-17", "brazil": None, "own": None}
    made, distant = desk.submit("eu"), desk.submit("eu", requested_at="9999-11-30T00:00:00Z")
    for one in (made, distant):
        desk.on(2026, 2, 10)("POST", f"{PATH}/{one}/clarify", json=WHY)
    assert desk.on(2026, 3, 12).show(made)["notice_by"] == "2026-03-30", "the 30 days that the clock stood"
    assert desk.show(distant)["notice_by"] is None, "a day that no calendar has"
    desk("POST", f"{PATH}/{made}/clarified")
    assert desk.on(2026, 3, 30)("POST", f"{PATH}/{made}/extend", json=WHY).json()["notice_by"] == "2026-03-30"


@pytest.mark.parametrize(
    ("policy", "act"), [("brazil", "extend"), ("own", "extend"), ("california", "clarify"), ("none", "clarify")]
)
def test_what_the_law_does_not_know_is_refused(desk: Desk, policy: str, act: str) -> None:
    before = desk.show(made := desk.submit(policy))
    assert desk("POST", f"{PATH}/{made}/{act}", json=WHY).status_code == 400
    assert desk.show(made) == before


def test_time_in_which_the_person_is_asked_does_not_count(desk: Desk) -> None:
    made = desk.submit("eu")
    assert desk("POST", f"{PATH}/{made}/clarified").status_code == 409
    stopped = desk.on(2026, 2, 10)("POST", f"{PATH}/{made}/clarify", json=WHY).json()
    assert (stopped["clock_stopped_at"], stopped["days_left"]) == ("2026-02-10T12:00:00Z", 18)
    assert desk("POST", f"{PATH}/{made}/clarify", json=WHY).status_code == 409
    assert desk.on(2026, 3, 12).show(made)["days_left"] == 18
    assert desk.overdue() == []
    started = desk("POST", f"{PATH}/{made}/clarified").json()
    assert (started["clock_stopped_at"], started["due_date"], started["days_left"]) == (None, "2026-03-30", 18)
    extended = desk.on(2026, 3, 30)("POST", f"{PATH}/{made}/extend", json=WHY).json()
    assert extended["due_date"] == "2026-05-30"  # 30 April and the 30 days that the clock stood


def test_overdue_is_what_has_not_ended_the_day_after(desk: Desk) -> None:
    due, own, never = desk.submit("eu"), desk.submit("own"), desk.submit("none")
    assert desk.on(2026, 2, 20).overdue() == []
    assert desk.on(2026, 2, 21).overdue() == [own]
    assert set(desk.overdue("false")) == {due, never}
    assert set(desk.on(2026, 3, 1).overdue()) == {due, own}
    with desk.engine.context.ledger.write() as connection:
        connection.execute(requests.update().where(requests.c.id == own).values(status=RequestStatus.COMPLETE))
    assert desk.overdue() == [due]
    stopped = desk("POST", f"{PATH}/{due}/clarify", json=WHY)  # too late to make it less overdue
    assert stopped.json()["days_left"] == -1
    assert desk.overdue() == [due]
    assert desk("POST", f"{PATH}/{own}/extend", json=WHY).status_code == 409
    by_law = desk("GET", f"{PATH}?regulation=gdpr").json()["items"]
    assert [item["id"] for item in by_law] == [due]


def test_a_clock_that_is_stopped_late_on_the_last_day_leaves_no_day_and_makes_nothing_overdue(desk: Desk) -> None:
    made = desk.submit("own")
    for hour, day in ((13, 20), (23, 20), (0, 21)):
        desk.clock.moment = datetime(2026, 2, day, hour, 30, tzinfo=UTC)
        left = desk("POST", f"{PATH}/{made}/clarify", json=WHY).json()["days_left"]
        desk.clock.moment = datetime(2026, 2, 25, tzinfo=UTC)
        assert (left, desk.overdue()) == ((0, []) if day == 20 else (-1, [made]))
        counted = desk("GET", "/metrics").text.split("\nhabeas_requests_overdue ")[1].split("\n")[0]
        assert float(counted) == len(desk.overdue())
        with desk.engine.context.ledger.write() as connection:
            connection.execute(requests.update().values(clock_stopped_at=None))


def test_reasons_are_asked_for(desk: Desk) -> None:
    made = desk.submit("eu")
    for body in ({}, {"reason": " "}, {"reason": "x" * 1001}, {"reason": None}):
        assert desk("POST", f"{PATH}/{made}/extend", json=body).status_code == 422
    assert desk("POST", f"{PATH}/pri_nobody/extend", json=WHY).status_code == 404


def test_regulations_are_listed_with_their_source(desk: Desk) -> None:
    page = desk("GET", "/api/v1/regulation").json()
    assert [item["key"] for item in page["items"]] == ["ccpa", "gdpr", "lgpd", "pipeda", "uk_gdpr", "vcdpa"]
    assert desk("GET", "/api/v1/regulation/ccpa").json() == {
        "key": "ccpa",
        "name": "California Consumer Privacy Act",
        "source": "Cal. Civ. Code 1798.130(a)(2); 11 CCR 7021",
        "reviewed_on": "2026-11-26",
        "response": {"months": 0, "days": 45},
        "acknowledgement_business_days": 10,
        "extension": {"months": 0, "days": 45},
        "notice": {"months": 0, "days": 45},
        "clarification_stops_clock": False,
        "holidays": [],
    }
    assert desk("GET", "/api/v1/regulation/sharia").status_code == 404
    failed = desk("PATCH", "/api/v1/policy", json=[{"name": "x", "regulation": "nope"}]).json()["failed"]
    assert "no regulation 'nope'" in failed[0]["message"]
    assert desk("GET", "/api/v1/policy/eu").json()["regulation"] == "gdpr"


def test_regulations_of_ones_own_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    folder = tmp_path / "laws"
    folder.mkdir()
    text = 'name = "Own"\nsource = "contract"\nreviewed_on = 2026-11-26\nresponse = { days = 3 }\n'
    for name in ("house.toml", "gdpr.toml"):
        (folder / name).write_text(text)
    (folder / "notes.txt").write_text("no regulation")
    settings = Settings(data_dir=tmp_path / "data", deadlines={"regulations": folder})
    application = build(settings)
    assert {"house", "ccpa"} <= application.context.regulations.keys()
    assert application.context.regulations["gdpr"].response.days == 3
    draft = policies.PolicyDraft(name="p", key="p", regulation="house")
    assert policies.save_policies(application.context, [draft]).failed == []
    close(application)
    (folder / "house.toml").write_text("name = 1")
    with pytest.raises(InputError, match=r"house\.toml: name must be a text"):
        build(settings)
