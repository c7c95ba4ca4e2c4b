"""Every call has an id, in its answer and in the log; it is logged and counted by its route, not by what it says."""

import logging
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.web.conftest import Caller

from habeas.execution.context import Context
from habeas.log_fields import current
from habeas.web.app import create_app

MADE = re.compile(r"[0-9a-f]{32}")
CALLS = "habeas_http_request_duration_seconds_count"


@pytest.fixture
def anyone(context: Context) -> Caller:
    """Calls without a token, an application of its own."""
    return Caller(create_app(context))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of every line as it is written, bound ones and its own."""
    caplog.set_level(logging.DEBUG, "habeas")
    found: list[dict[str, Any]] = []

    def note(record: logging.LogRecord) -> bool:
        found.append({"logger": record.name, **current(), **getattr(record, "fields", {})})
        return True

    caplog.handler.addFilter(note)
    return found


def count_calls(anyone: Caller) -> dict[tuple[str, str, str], float]:
    families = text_string_to_metric_families(anyone("GET", "/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == CALLS]
    return {(s.labels["method"], s.labels["route"], s.labels["status"]): s.value for s in samples}


def test_a_call_has_an_id_of_its_own(anyone: Caller) -> None:
    ids = {anyone("GET", "/health").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3 and all(MADE.fullmatch(one) for one in ids)


@pytest.mark.parametrize("given", ["7f3a-4711", "0b9cd6c1-1c8f-4a43-9d0b-0a9b1c2d3e4f", "a" * 64])
def test_a_well_formed_id_of_the_caller_is_taken_over(anyone: Caller, given: str) -> None:
    assert anyone("GET", "/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "short", "a" * 65, "ann@example.org", "a b c d", "4915799812345", "äöüäöüäöü"])
def test_any_other_is_not(anyone: Caller, given: str) -> None:
    answer = anyone("GET", "/health", headers={"X-Request-ID": given.encode()})
    assert MADE.fullmatch(answer.headers["X-Request-ID"])


def test_every_line_of_an_answer_has_its_id(anyone: Caller, monkeypatch: pytest.MonkeyPatch, lines: list[Any]) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("habeas.web.api.health.check_answers", fail)
    answer = anyone("GET", "/health", headers={"X-Request-ID": "call-4711"})
    assert answer.status_code == 500 and answer.headers["X-Request-ID"] == "call-4711"
    assert [(line["logger"], line["call"]) for line in lines] == [
        ("habeas.web.errors", "call-4711"),
        ("habeas.web.edge", "call-4711"),
    ]


def test_a_call_is_logged_and_counted_by_its_route(root: Caller, lines: list[Any]) -> None:
    before = count_calls(root)
    lines.clear()
    for method, path in (
        ("GET", "/api/v1/privacy-request/ann@example.org?identity=ann@example.org"),
        ("GET", "/api/v1/dsr/policy/ann@example.org/"),
        ("PUT", "/api/v1/policy/ann@example.org"),
        ("GET", "/api/v1/ann@example.org"),
        ("BREW", "/health"),
        ("GET", "/health\x00ann@example.org".replace("\x00", "%00")),
    ):
        root(method, path)
    expected = [
        ("GET", "/api/v1/privacy-request/{request_id}", 404),
        ("GET", "/api/v1/dsr/policy/{key}", 404),
        ("PUT", "/api/v1/policy/{key}", 405),
        ("GET", "unknown", 404),
        ("other", "/health", 405),
        ("GET", "unknown", 400),
    ]
    edge = [line for line in lines if line["logger"] == "habeas.web.edge"]
    assert [(line["method"], line["route"], line["status"]) for line in edge] == expected
    assert all(line["milliseconds"] >= 0 for line in edge)
    assert "ann@" not in str(lines)
    after = count_calls(root)
    grown = {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}
    assert grown == {
        **{(method, route, "4xx"): 1.0 for method, route, _ in expected},
        ("GET", "unknown", "4xx"): 2.0,
        ("GET", "/metrics", "2xx"): 1.0,
    }
