"""What operators watch: logs that machines read, and metrics that agree with what the API says."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import start_server
from landscape import Landscape
from prometheus_client.parser import text_string_to_metric_families
from targets import ANN, BOB, MARK, SqliteTarget, Target

from habeas.domain.request import RequestStatus
from servers.postgres import PostgresServer
from servers.process import wait_for

Metrics = dict[str, dict[str, float]]
"""Value by metric and by the value of its only label, "" where it has none."""


@pytest.fixture(params=["sqlite", "postgresql"])
def watched(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Landscape]:
    """A server of each ledger that writes JSON, with targets in SQLite."""
    folder = tmp_path / f"watched_{request.param}"
    server, url = start_server(folder, request.param, postgres_server, HABEAS__LOGGING__FORMAT="json")

    def new_target(name: str) -> Target:
        return SqliteTarget(tmp_path / f"{name}.db")

    with server, server.client() as http:
        yield Landscape(server, http, url, new_target, tmp_path)


def read_metrics(watched: Landscape) -> Metrics:
    text = watched.http.get("/metrics", headers={"Authorization": ""}).raise_for_status().text
    assert MARK not in text
    found: Metrics = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if len(sample.labels) <= 1:
                label = next(iter(sample.labels.values()), "")
                found.setdefault(sample.name, {})[label] = sample.value
    return found


def live(watched: Landscape) -> list[str]:
    """Two people get their data, a third request fails past its deadline; the requests."""
    target = watched.members()
    give = watched.policy(access={"give": ["user"]})
    late = watched.policy(access={"give": ["user"]}, execution_timeframe=1)
    requests = [watched.finish(give, {"email": person})["id"] for person in (ANN, BOB)]
    target.execute("ALTER TABLE orders RENAME TO gone")
    requests.append(watched.finish(late, {"email": ANN}, "error", requested_at="2022-03-01T09:00:00Z")["id"])
    return requests


def test_metrics_agree_with_the_api(watched: Landscape) -> None:
    requests = live(watched)
    metrics = read_metrics(watched)
    for status, number in metrics["habeas_requests"].items():
        assert watched.ask("GET", "/privacy-request", params={"status": status})["total"] == number, status
    assert metrics["habeas_requests"] == {**dict.fromkeys(RequestStatus, 0), "complete": 2, "error": 1}
    assert metrics["habeas_requests_overdue"] == {"": 1}
    assert watched.show(requests[2])["days_left"] < 0
    assert metrics["habeas_packages"] == {"": len(watched.packages(requests[0])) + len(watched.packages(requests[1]))}
    ended = metrics["habeas_runs_ended_total"]
    assert (ended["complete"], ended["failed"], ended["taken_over"]) == (2, 1, 0)
    assert metrics["habeas_runs"] == {"ready": 0, "leased": 0, "paused": 0}
    assert metrics["habeas_processes"] == {"server": 1, "worker": 0}
    assert metrics["habeas_longest_wait_seconds"] == {"": 0}
    assert metrics["habeas_ledger_up"] == {"": 1}
    [(rows, size)] = watched.read_ledger("SELECT sum(size), sum(length(sealed_rows)) FROM chunk")
    assert metrics["habeas_kept_rows"] == {"": rows} and metrics["habeas_kept_bytes"] == {"": size}
    assert rows >= 6  # two people with their orders, and what the failed one had found


def test_metrics_tell_work_that_waits_for_a_person_from_work_that_stands(watched: Landscape) -> None:
    """A census stands for a moment: what has changed is there soon."""
    watched.members()
    connection, give = f"{watched.tag}-first", watched.policy(access={"give": ["user"]})

    def tells(paused_connections: int, paused_runs: int) -> bool:
        metrics = read_metrics(watched)
        runs = {"ready": 0, "leased": 0, "paused": paused_runs}
        return metrics["habeas_runs"] == runs and metrics["habeas_connections_paused"] == {"": paused_connections}

    watched.ask("POST", f"/connection/{connection}/pause")
    [request] = watched.submit(give, {"email": ANN})
    wait_for("the run to wait", lambda: tells(1, 1), say=lambda: str(read_metrics(watched)))
    watched.ask("POST", f"/connection/{connection}/resume")
    watched.wait(request)
    wait_for("nothing to wait any more", lambda: tells(0, 0), say=lambda: str(read_metrics(watched)))


def test_every_line_is_an_object_and_tells_which_call_or_run_it_is_of(watched: Landscape) -> None:
    requests = live(watched)
    answer = watched.http.get(f"/api/v1/privacy-request/{requests[0]}", headers={"X-Request-ID": "from-outside"})
    assert answer.headers["X-Request-ID"] == "from-outside"

    def read_lines() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in watched.server.log_text().splitlines()]
        return lines if any(line.get("call") == "from-outside" for line in lines) else []

    lines = wait_for("the line of the call", read_lines)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    [answered] = [line for line in lines if line.get("call") == "from-outside"]
    assert (answered["method"], answered["status"]) == ("GET", 200)
    assert answered["route"] == "/api/v1/privacy-request/{request_id}"
    ended = [line for line in lines if line["logger"] == "habeas.execution.runner"]
    assert len(ended) == 3 and all(f"run {line['run']} ended" in str(line["message"]) for line in ended)
    assert MARK not in watched.server.log_text()
