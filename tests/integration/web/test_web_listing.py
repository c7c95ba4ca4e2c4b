"""Which requests a listing shows, and in which order, on both kinds of ledger (control-plane §1.4.1, check A30)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.web.conftest import Caller, SharedApp, sign_in

from engine import Engine
from habeas.store.tables import requests

PATH = "/api/v1/privacy-request"


def day(number: int) -> datetime:
    return datetime(2026, 3, number, 12, tzinfo=UTC)


ROWS: dict[str, dict[str, Any]] = {
    "a": {"status": "pending", "created_at": day(1)},
    "b": {"status": "complete", "created_at": day(2), "started_at": day(3), "finished_at": day(6)},
    "c": {"status": "complete", "created_at": day(3), "started_at": day(4), "finished_at": day(8)},
    "d": {"status": "error", "created_at": day(4), "started_at": day(5), "finished_at": day(8), "failure": "no"},
    "e": {"status": "error", "created_at": day(5), "started_at": day(6), "finished_at": day(9), "failure": "away"},
}
"""Requests by external id; `a` to `c` are of a policy that gives, `d` and `e` of one that erases."""


@pytest.fixture
def root(start: Callable[..., Engine]) -> Caller:
    """The root client at a ledger that holds ROWS."""
    engine = start()
    engine.policy("see", access=["user"])
    engine.policy("forget", erasure={"null_rewrite": ["user"]})
    for name, values in ROWS.items():
        (made,) = engine.submit("forget" if name in "de" else "see", {"email": f"{name}@example.com"}, external_id=name)
        with engine.context.ledger.write() as connection:
            connection.execute(requests.update().where(requests.c.id == made).values(**values))
    security = engine.context.settings.security
    anyone = Caller(SharedApp(engine.context))
    return sign_in(anyone, security.oauth_root_client_id, security.oauth_root_client_secret)


def found(root: Caller, query: str) -> str:
    answer = root("GET", f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert answer.json()["total"] >= len(items)
    return "".join(item["external_id"] for item in items)


DAY2, DAY3, DAY4, DAY6, DAY8 = (f"2026-03-0{number}T12:00:00Z" for number in (2, 3, 4, 6, 8))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "edcba"),
        (f"created_gt={DAY2}", "edc"),
        (f"created_lt={DAY2}", "a"),
        (f"created_gt={DAY2}&created_lt={DAY4}", "c"),
        (f"created_gt={DAY2}&created_lt={DAY2}", ""),
        ("created_gt=2026-03-02T12:00:00", "edc"),
        ("created_gt=2026-03-02T14:00:00%2B02:00", "edc"),
        ("created_gt=2026-03-02T11:59:59.999999Z", "edcb"),
        (f"started_gt={DAY3}", "edc"),
        (f"started_lt={DAY4}", "b"),
        (f"completed_gt={DAY6}", "c"),
        (f"completed_lt={DAY8}", "b"),
        ("completed_lt=2027-01-01T00:00:00Z", "cb"),
        (f"errored_gt={DAY8}", "e"),
        (f"errored_lt={DAY8}", ""),
        ("errored_gt=2026-01-01T00:00:00Z", "ed"),
        (f"errored_gt={DAY6}&status=complete", ""),
        ("action_type=access", "cba"),
        ("action_type=erasure", "ed"),
        ("action_type=erasure&action_type=access", "edcba"),
        (f"action_type=access&created_gt={DAY2}&status=complete", "c"),
        ("status=pending&status=complete", "cba"),
        ("identity=D@example.com&action_type=erasure", "d"),
        ("sort_direction=asc", "abcde"),
        ("sort_field=external_id&sort_direction=desc", "edcba"),
        ("sort_field=started_processing_at&sort_direction=asc", "bcdea"),
        ("sort_field=started_processing_at", "edcba"),
        ("sort_field=failure&sort_direction=asc&status=error&status=pending", "eda"),
        ("sort_field=failure&status=error&status=pending", "dea"),
        ("sort_field=finished_processing_at&errored_lt=2026-12-01T00:00:00Z&size=1", "e"),
        ("sort_direction=asc&size=2&page=3", "e"),
        ("unknown=1", "edcba"),
    ],
)  # fmt: skip
def test_a30_a_listing_shows_what_is_asked_for_in_the_order_asked_for(root: Caller, query: str, expected: str) -> None:
    assert found(root, query) == expected


def test_an_external_id_is_found_by_how_it_was_given_whatever_its_letters(root: Caller) -> None:
    item = {"policy_key": "see", "identity": {"email": "f@example.com"}, "external_id": "ÄRZTE_1%"}
    assert root("POST", PATH, json=[item]).json()["failed"] == []
    for prefix in ("ÄRZTE_1%", "Ä", "Ärzte_"):
        answer = root("GET", PATH, params={"external_id": prefix}).json()
        assert [one["external_id"] for one in answer["items"]] == ["ÄRZTE_1%"], prefix
    for other in ("ÄRZTE_11", "ÄRZTEX1%", "%"):
        assert root("GET", PATH, params={"external_id": other}).json()["items"] == [], other


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        (f"created_gt={DAY4}&created_lt={DAY2}", 400, "created_lt"),
        (f"started_gt={DAY4}&started_lt={DAY2}", 400, "started_lt"),
        (f"completed_gt={DAY4}&completed_lt={DAY2}", 400, "completed_lt"),
        (f"errored_gt={DAY4}&errored_lt={DAY2}", 400, "errored_lt"),
        (f"completed_gt={DAY2}&errored_lt={DAY4}", 400, "completed"),
        ("created_gt=yesterday", 422, "created_gt"),
        ("created_gt=0001-01-01T00:00:00%2B10:00", 422, "created_gt"),
        ("action_type=consent", 422, "action_type"),
        ("status=lost", 422, "status"),
        ("sort_field=sealed_encryption_key", 422, "sort_field"),
        ("sort_direction=up", 422, "sort_direction"),
        ("size=101", 422, "size"),
        ("page=0", 422, "page"),
    ],
)  # fmt: skip
def test_a_listing_that_makes_no_sense_is_refused(root: Caller, query: str, status: int, words: str) -> None:
    answer = root("GET", f"{PATH}?{query}")
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("field", ["id", "request_id", "external_id"])
def test_a_search_for_text_that_no_ledger_holds_is_refused(root: Caller, field: str) -> None:
    answer = root("POST", "/api/v1/privacy-request/search", json={field: "a\x00"})
    assert (answer.status_code, "NUL" in answer.text) == (400, True)


MADE_UP = {"identity", "policy", "awaited_code", "reviewer", "notice_by", "action_required_details", "resume_endpoint"}


def test_everything_that_is_shown_of_a_request_sorts_on_both_ledgers(root: Caller) -> None:
    schemas = root("GET", "/openapi.json").json()["components"]["schemas"]
    shown, sorting = set(root("GET", PATH).json()["items"][0]), set(schemas["SortField"]["enum"])
    assert shown - sorting == MADE_UP, "what is no column of a request, or is made of several"
    for field in sorted(sorting):
        assert field in shown
        for direction in ("asc", "desc"):
            assert sorted(found(root, f"sort_field={field}&sort_direction={direction}")) == list("abcde")
