"""The story passes against a server that keeps its promises, and fails at whatever a server gets wrong.

The server here only imitates the API's shapes; the real one is watched by `tests/acceptance/test_demo.py`.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from rich.console import Console

from habeas.demo import facts
from habeas.demo.company import Company, build_company
from habeas.demo.facts import find_holdings
from habeas.demo.failure import DemoFailure
from habeas.demo.story import run_story

Package = dict[str, list[dict[str, object]]]
Report = dict[str, Any]


class ImitatedServer:
    """Answers as Habeas promises to. Tests replace its parts to make it wrong."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.status = "complete"
        self.test_status = "succeeded"
        self.refused: list[dict[str, object]] = []
        self.alter_package: Callable[[Package], None] = lambda package: None
        self.alter_report: Callable[[Report], None] = lambda report: None
        self.extra_statement = ""
        self._packages: dict[str, Package] = {}
        self._reports: dict[str, Report] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/oauth/token":
            known = b"client_secret=right" in request.content
            return httpx.Response(200, json={"access_token": "t"}) if known else httpx.Response(401, json={})
        assert request.headers["Authorization"] == "Bearer t"
        return httpx.Response(200, json=self._answer(request.method, path, request))

    def _answer(self, method: str, path: str, request: httpx.Request) -> object:
        if method == "PATCH":
            return {"succeeded": [], "failed": self.refused}
        if path.endswith("/secret"):
            return {"msg": "", "test_status": self.test_status, "failure_reason": "no such file"}
        if method == "POST":
            return {"succeeded": [{"id": self._carry_out(b"erasure" in request.content)}], "failed": []}
        _, _, number, *part = path.split("/")
        if not part:
            return {"id": number, "status": self.status}
        if path.endswith("/log"):
            entry = {"collection_name": "customers", "dataset_name": "shop", "message": "the cause"}
            return {"items": [entry | {"action_type": "access", "status": self.status}]}
        if path.endswith("/access-results"):
            return {"access_result_urls": [f"packages/{number}.json"]}
        return self._reports[number] if path.endswith("/report") else self._packages[number]

    def _carry_out(self, erases: bool) -> str:
        number = f"pri_{len(self._packages)}"
        holdings = find_holdings(self.company.folder, self.company.email)
        package = {held.table.address: held.given() for held in holdings if held.table.given and held.rows}
        self.alter_package(package)
        self._packages[number] = package
        if erases:
            self._erase()
            report = {
                "collections": [
                    {
                        "address": held.table.address,
                        "reached": True,
                        "found": len(held.rows),
                        "changed": len(held.rows) if held.table.erased else 0,
                        "verified": bool(held.table.erased),
                        "skipped": [{"path": "shop:orders:invoice_name", "reason": "the field is read-only"}]
                        if held.table.name == "orders"
                        else [],
                    }
                    for held in holdings
                ]
            }
            self.alter_report(report)
            self._reports[number] = report
        return number

    def _erase(self) -> None:
        masks = {"blanked": "NULL", "overwritten": "'MASKED'"}
        for held in self.company.holdings:
            table = held.table
            sets = [f"{column} = {mask}" for kind, mask in masks.items() for column in getattr(table, kind)]
            sets += [f"{column} = hex({column}) || '@erased.example'" for column in table.pseudonymised]
            if sets:
                rows = ", ".join(map(str, held.rows))
                self._execute(
                    table.dataset,
                    f"UPDATE {table.name} SET {', '.join(sets)} WHERE {facts.ROW[table.dataset]} IN ({rows})",
                )
        if self.extra_statement:
            self._execute("shop", self.extra_statement)

    def _execute(self, dataset: str, statement: str) -> None:
        if dataset == "shop":
            with closing(sqlite3.connect(self.company.folder / "shop.db")) as shop, shop:
                shop.execute(statement)
        else:
            with closing(duckdb.connect(self.company.folder / "support.duckdb")) as support:
                support.execute(statement)


@pytest.fixture
def server(tmp_path: Path) -> ImitatedServer:
    return ImitatedServer(build_company(tmp_path / "company", people=60))


def _tell(server: ImitatedServer, *, secret: str = "right", patience: float = 30.0) -> str:
    written = StringIO()
    console = Console(file=written, width=110)
    transport = httpx.MockTransport(server)
    run_story("http://demo", "root", secret, server.company, console, patience=patience, transport=transport)
    return written.getvalue()


def test_the_story_is_short_and_names_what_a_newcomer_wants_to_see(server: ImitatedServer) -> None:
    told = _tell(server)
    assert told.count("✓") == 5
    assert "packages/pri_0.json" in told
    assert "MASKED" in told
    assert "the field is read-only" in told
    assert 50 < len(told.splitlines()) < 95


def test_a_package_without_one_row_is_noticed(server: ImitatedServer) -> None:
    server.alter_package = lambda package: package["shop:logins"].pop() and None
    with pytest.raises(DemoFailure, match="disagree on the rows of shop:logins"):
        _tell(server)


def test_a_package_without_one_collection_is_noticed(server: ImitatedServer) -> None:
    server.alter_package = lambda package: package.pop("support:messages") and None
    with pytest.raises(DemoFailure, match="disagree on the collections support:messages"):
        _tell(server)


def test_a_field_left_as_it_was_is_noticed(server: ImitatedServer) -> None:
    server.extra_statement = "UPDATE reviews SET body = 'I am still here' WHERE customer_id = 7"
    with pytest.raises(DemoFailure, match=r"2 fields are not masked .* shop:reviews\.body"):
        _tell(server)


def test_a_touched_neighbour_is_noticed(server: ImitatedServer) -> None:
    server.extra_statement = "UPDATE customers SET tier = 'none' WHERE id = 8"
    with pytest.raises(DemoFailure, match=r"changed 1 fields that it must not touch: shop:customers\.tier"):
        _tell(server)


def test_a_deleted_row_is_noticed(server: ImitatedServer) -> None:
    server.extra_statement = "DELETE FROM visits WHERE id = 1"
    with pytest.raises(DemoFailure, match="added or removed rows"):
        _tell(server)


def test_a_report_with_another_number_is_noticed(server: ImitatedServer) -> None:
    server.alter_report = lambda report: report["collections"][0].update(changed=0)
    with pytest.raises(DemoFailure, match="1 rows of shop:customers were changed"):
        _tell(server)


def test_a_report_that_verified_nothing_is_noticed(server: ImitatedServer) -> None:
    server.alter_report = lambda report: report["collections"][0].update(verified=False)
    with pytest.raises(DemoFailure, match="shop:customers was verified"):
        _tell(server)


def test_a_request_that_ends_in_error_is_noticed_with_its_cause(server: ImitatedServer) -> None:
    server.status = "error"
    with pytest.raises(DemoFailure, match="ended as error: the cause"):
        _tell(server)


def test_a_request_that_never_ends_is_noticed(server: ImitatedServer) -> None:
    server.status = "in_processing"
    with pytest.raises(DemoFailure, match="still in_processing after 0 seconds"):
        _tell(server, patience=0.0)


def test_a_connection_that_does_not_work_is_noticed(server: ImitatedServer) -> None:
    server.test_status = "failed"
    with pytest.raises(DemoFailure, match="connection shop_db does not work: no such file"):
        _tell(server)


def test_a_refused_item_is_noticed(server: ImitatedServer) -> None:
    server.refused = [{"message": "unknown storage type", "data": {}}]
    with pytest.raises(DemoFailure, match="refused an item: unknown storage type"):
        _tell(server)


def test_a_wrong_secret_is_noticed(server: ImitatedServer) -> None:
    with pytest.raises(DemoFailure, match="POST /oauth/token answered 401"):
        _tell(server, secret="wrong")
