"""What a fleet shows when its requests are over: through the API, in the packages' folder, in logs and ledger."""

import re
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any, LiteralString

import httpx
from fire import Fleet
from town import MARK
from verdict import Verdict

from habeas.client import Client
from servers.process import wait_for

_PAGE = 100
_OUR_ERRORS = re.compile(r"^.* ERROR +habeas.*$", re.MULTILINE)
_LEFT: Mapping[str, LiteralString] = {
    "a run is not done": "SELECT id, status, next_step, fence, claims FROM run WHERE status <> 'done'",
    "a member still runs": "SELECT run_id, request_id FROM member WHERE living",
    "a run holds a request": "SELECT id, run_id FROM request WHERE run_id IS NOT NULL",
    "an outcome is not complete": "SELECT request_id, action, collection FROM outcome WHERE NOT complete",
    "an outcome holds rows": "SELECT request_id, action, collection FROM outcome WHERE task_id IS NOT NULL",
    "a masking secret is kept": "SELECT request_id, strategy FROM masking_secret",
    "a request has not finished once": """SELECT id FROM request WHERE 1 <>
        (SELECT count(*) FROM audit_log WHERE object_id = request.id AND action = 'finished')""",
}


class Aftermath:
    """Looks at everything once; `check` raises AssertionError for the first thing that is wrong."""

    def __init__(self, fleet: Fleet, verdict: Verdict) -> None:
        self._fleet = fleet
        self._verdict = verdict
        self._headers = fleet.log_in()

    def check(self) -> None:
        views = self._list_requests()
        states = Counter((view["status"], view["failure"]) for view in views)
        assert set(states) == {("complete", None)}, f"{states}\n{self._fleet.describe_open()}"
        names = {view["id"]: view["external_id"] for view in views}
        self._verdict.check_names(list(names.values()))
        self._verdict.check_rows()
        self._verdict.check_writes()
        self._verdict.check_packages(self._fleet.folder / "data" / "packages", names)
        self._verdict.check_logs({view["external_id"]: view["results"] for view in views})
        self._verdict.check_reports({names[request]: report for request, report in self._read_reports(names).items()})
        self._check_ledger()
        for path, text in self._fleet.logs().items():
            assert MARK not in text, f"a person's value is in {path.name}"
            assert not (wrong := _OUR_ERRORS.findall(text)), f"{path.name}: {wrong}"

    def _list_requests(self) -> list[dict[str, Any]]:
        """Every request with its log, as the API lists them."""
        views: list[dict[str, Any]] = []
        with self._client(0) as http:
            while True:
                params = {"verbose": "true", "size": _PAGE, "page": len(views) // _PAGE + 1}
                page = Client(http).call("GET", "/privacy-request", params=params)
                views += page["items"]
                if len(views) >= page["total"]:
                    return views

    def _read_reports(self, requests: Mapping[str, str]) -> dict[str, Any]:
        """The report of each request; both servers are asked."""

        def read(client: Client, request: str) -> tuple[str, Any]:
            return request, Client.call(client, "GET", f"/privacy-request/{request}/report")

        with self._client(0) as first, self._client(1) as second, ThreadPoolExecutor(4) as pool:
            return dict(pool.map(read, cycle([Client(first), Client(second)]), requests))

    def _check_ledger(self) -> None:
        """Housekeeping has taken away what nobody needs, and nothing is left half done."""
        ledger = self._fleet.ledger
        ledger.let_housekeeping_come()
        wait_for("housekeeping to delete every chunk", lambda: ledger.ask("SELECT count(*) FROM chunk") == 0)
        for what, query in _LEFT.items():
            assert not (left := ledger.rows(query)), f"{what}: {left[:5]} ({len(left)} in all)"

    def _client(self, server: int) -> httpx.Client:
        return httpx.Client(base_url=self._fleet.servers[server].url, headers=self._headers, timeout=60)
