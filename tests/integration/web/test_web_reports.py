"""Search, CSV and numbers of a time, over HTTP on both kinds of ledger (control-plane §1.4.2, §1.4.5)."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import mean, median
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine
from habeas.domain.actor import Actor, ActorKind
from habeas.domain.audit import AuditAction
from habeas.services.request_csv import COLUMNS
from habeas.store import journal
from habeas.store.tables import outcomes, requests

PATH = "/api/v1/privacy-request"
RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS: dict[str, dict[str, Any]] = {
    "a": {"status": "pending", "due_at": RECEIVED},
    "b": {"status": "complete", "finished_at": RECEIVED + timedelta(days=3)},
    "c": {"status": "complete", "finished_at": RECEIVED + timedelta(days=10), "external_id": "=1+1"},
    "d": {"status": "denied", "reviewed_at": RECEIVED + timedelta(days=6), "reviewed_by": "@eve"},
    "e": {"status": "canceled", "finished_at": RECEIVED + timedelta(days=60)},
    "f": {
        "status": "complete",
        "requested_at": datetime(2026, 4, 1, tzinfo=UTC),
        "finished_at": datetime(2026, 4, 2, tzinfo=UTC),
    },
    "g": {"status": "complete", "requested_at": datetime(2026, 2, 28, 23, 59, tzinfo=UTC), "finished_at": RECEIVED},
}
"""Requests of a to g; f and g were received outside of March, c has an exception."""


@pytest.fixture
def engine(start: Callable[..., Engine]) -> Engine:
    engine = start(sections={"reports": {"max_csv_rows": 7}})
    engine.policy("see", access=["user"])
    engine.policy("both", access=["user"], erasure={"null_rewrite": ["user"]})
    return engine


@pytest.fixture
def ids(engine: Engine) -> dict[str, str]:
    found = {}
    for name, values in ROWS.items():
        person = {"email": f"{name}@example.com", **({"phone_number": "+11234567891"} if name == "b" else {})}
        (found[name],) = engine.submit("both" if name in "cd" else "see", person, external_id=name)
        with engine.context.ledger.write() as connection:
            row = {"requested_at": RECEIVED, "created_at": RECEIVED + timedelta(hours=len(found)), **values}
            connection.execute(requests.update().where(requests.c.id == found[name]).values(**row))
    with engine.context.ledger.write() as connection:
        connection.execute(
            outcomes.insert().values(
                request_id=found["c"], action="erasure", collection="x:y", complete=True, refused=1
            )
        )
        eve, sealer = Actor("eve", ActorKind.CLIENT), engine.context.ledger.sealer
        journal.audit(connection, sealer, [found["d"]], eve, AuditAction.DENIED, RECEIVED, "-no, =sorry")
    return found


@pytest.fixture
def root(engine: Engine, ids: dict[str, str]) -> Caller:
    security = engine.context.settings.security
    anyone = Caller(SharedApp(engine.context))
    return sign_in(anyone, security.oauth_root_client_id, security.oauth_root_client_secret)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "gfedcba"),
        ({"status": ["complete"], "sort_direction": "asc"}, "bcfg"),
        ({"identities": {"email": "B@example.com"}}, "b"),
        ({"identities": {"email": ["a@example.com", "d@example.com"], "phone_number": "+1 123 456 7891"}}, "dba"),
        ({"identities": {"phone_number": "+11234567899"}}, ""),
        ({"is_overdue": True}, "a"),
        ({"action_type": ["erasure"], "created_gt": "2026-03-01T15:30:00Z"}, "d"),
        ({"size": 2, "page": 2}, "ed"),
    ],
)  # fmt: skip
def test_a_search_finds_what_a_listing_does(
    root: Caller, ids: dict[str, str], body: dict[str, Any], expected: str
) -> None:
    answer = root("POST", f"{PATH}/search", json=body)
    assert answer.status_code == 200, answer.text
    names = {request_id: name for name, request_id in ids.items()}
    assert "".join(names[item["id"]] for item in answer.json()["items"]) == expected


@pytest.mark.parametrize(
    "body",
    [{"colour": 1}, {"identities": {"shoe": {}}}, {"identities": {"email": "no"}}, {"status": ["lost"]}, {"size": 101}],
)
def test_a_search_that_is_malformed_is_refused(root: Caller, body: dict[str, Any]) -> None:
    assert root("POST", f"{PATH}/search", json=body).status_code == 422


def read(root: Caller, query: str) -> list[dict[str, str]]:
    answer = root("GET", f"{PATH}?download_csv=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert f"privacy_requests_download_{datetime.now(UTC).date()}.csv" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_csv_has_the_true_columns_and_no_formulas(root: Caller, ids: dict[str, str]) -> None:
    rows = {row["Request ID"]: row for row in read(root, "sort_direction=asc&size=1")}
    assert list(rows) == list(ids.values())
    assert set(rows[ids["a"]]) == set(COLUMNS)
    assert rows[ids["a"]]["Deadline"] == "2026-03-01" and rows[ids["a"]]["Completed On"] == ""
    assert rows[ids["c"]]["Completed On"] == "2026-03-11T12:00:00+00:00"
    assert rows[ids["c"]]["Time Received"] == "2026-03-01T12:00:00+00:00"
    assert rows[ids["c"]]["Request Type"] == "access, erasure"
    assert rows[ids["c"]]["External ID"] == "'=1+1"
    assert rows[ids["d"]]["Reviewed By"] == "'@eve"
    assert rows[ids["d"]]["Denial Reason"] == "'-no, =sorry"
    assert rows[ids["e"]]["Completed On"] == ""


def test_csv_shows_identities_only_when_asked(root: Caller, ids: dict[str, str]) -> None:
    assert "example.com" not in root("GET", f"{PATH}?download_csv=true").text
    rows = {row["Request ID"]: row for row in read(root, "include_identities=true")}
    assert (rows[ids["b"]]["email"], rows[ids["b"]]["phone_number"]) == ("b@example.com", "+11234567891")
    assert rows[ids["a"]]["phone_number"] == ""
    searched = root("POST", f"{PATH}/search", json={"identities": {"email": "a@example.com"}, "download_csv": True})
    assert len(searched.text.splitlines()) == 2


def test_csv_of_too_many_is_refused(root: Caller, engine: Engine) -> None:
    engine.submit("see", {"email": "h@example.com"})
    answer = root("GET", f"{PATH}?download_csv=true")
    assert answer.status_code == 400 and "more than 7" in answer.text
    assert root("GET", f"{PATH}?download_csv=true&status=complete").status_code == 200


def test_the_numbers_of_a_month(root: Caller) -> None:
    answer = root("GET", f"{PATH}/statistics?from=2026-03-01&to=2026-04-01")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    days = [3.0, 10.0, 6.0]
    assert shown["total"] == {
        "received": 5, "complied_in_whole": 1, "complied_with_exceptions": 1, "denied": 1, "canceled": 1, "open": 1,
        "median_days": median(days), "mean_days": round(mean(days), 2),
    }  # fmt: skip
    assert shown["by_status"] == {"canceled": 1, "complete": 2, "denied": 1, "pending": 1}
    assert {action: counts["received"] for action, counts in shown["by_action"].items()} == {"access": 5, "erasure": 2}
    assert shown["by_action"]["erasure"]["median_days"] == 8.0
    wider = root("GET", f"{PATH}/statistics?from=2026-02-01&to=2027-01-01").json()
    assert {month: counts["received"] for month, counts in wider["by_month"].items()} == {
        "2026-02": 1, "2026-03": 5, "2026-04": 1,
    }  # fmt: skip
    nothing = root("GET", f"{PATH}/statistics?from=2020-01-01&to=2021-01-01").json()
    assert nothing["total"]["received"] == 0 and nothing["total"]["median_days"] is None


@pytest.mark.parametrize(
    ("query", "status"), [("from=2026-03-01&to=2026-03-01", 400), ("from=2026-03-01", 422), ("from=x&to=y", 422)]
)
def test_a_time_that_is_none_is_refused(root: Caller, query: str, status: int) -> None:
    assert root("GET", f"{PATH}/statistics?{query}").status_code == status
