"""The story passes against a server that keeps its promises, and fails at whatever a server gets wrong.

The server here only imitates the API's shapes; the real one is watched by `tests/acceptance/test_demo.py`.
"""

import base64
import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import httpx
import pytest
from rich.console import Console

from habeas.cli.decrypt import decrypt
from habeas.delivery.encryption import encrypt
from habeas.demo.company import Company, build_company
from habeas.demo.facts import Holding, find_holdings
from habeas.demo.failure import DemoFailure
from habeas.demo.home import Home
from habeas.demo.story import run_story

Package = dict[str, list[dict[str, Any]]]
Report = dict[str, Any]


class ImitatedServer:
    """Answers as Habeas promises to. Tests replace its parts to make it wrong."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.status = "complete"
        self.test_status = "succeeded"
        self.refused: list[dict[str, object]] = []
        self.alter_package: Callable[[Package], None] = lambda package: None
        self.alter_history: Callable[[Package], None] = lambda package: None
        self.seal: Callable[[bytes, str], bytes] = lambda content, key: encrypt(content, key.encode()).encode()
        self.alter_report: Callable[[Report], None] = lambda report: None
        self.extra_statement = ""
        self.extra_support_statement = ""
        self._packages: dict[str, bytes] = {}
        self._reports: dict[str, Report] = {}
        self._requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/oauth/token":
            known = b"client_secret=right" in request.content
            return httpx.Response(200, json={"access_token": "t"}) if known else httpx.Response(401, json={})
        assert request.headers["Authorization"] == "Bearer t"
        if "/package/" in path:
            return httpx.Response(200, content=self._packages[path])
        return httpx.Response(200, json=self._answer(request.method, path, request))

    def _answer(self, method: str, path: str, request: httpx.Request) -> object:
        if method == "PATCH":
            return {"succeeded": [], "failed": self.refused}
        if path.endswith("/secret"):
            return {"msg": "", "test_status": self.test_status, "failure_reason": "no such file"}
        if method == "POST":
            [item] = json.loads(request.content)
            return {"succeeded": [{"id": self._carry_out(item)}], "failed": []}
        _, _, number, *part = path.split("/")
        if not part:
            return {"id": number, "status": self.status}
        if path.endswith("/log"):
            entry = {"collection_name": "customers", "dataset_name": "shop", "message": "the cause"}
            return {"items": [entry | {"action_type": "access", "status": self.status}]}
        if path.endswith("/access-results"):
            return {"access_result_urls": [f"packages/{number}-give_all.json", f"packages/{number}-give_history.zip"]}
        return self._reports[number]

    def _carry_out(self, item: dict[str, Any]) -> str:
        number, self._requests = f"pri_{self._requests}", self._requests + 1
        holdings = find_holdings(self.company.folder, self.company.email)
        if item["policy_key"] == "shop_erasure":
            self._reports[number] = self._erase(holdings)
        else:
            self._give(number, holdings, item.get("encryption_key"))
        return number

    def _give(self, number: str, holdings: Sequence[Holding], key: str | None) -> None:
        package = {held.table.address: [_nest(row) for row in held.given()] for held in holdings if held.rows}
        history = {held.table.address: held.history() for held in holdings if held.rows and held.table.history}
        package = {address: rows for address, rows in package.items() if any(rows)}
        self.alter_package(package)
        self.alter_history(history)

        def seal(content: bytes) -> bytes:
            return content if key is None else self.seal(content, key)

        files, members = io.BytesIO(), []
        with ZipFile(files, "w") as written:
            for address, rows in history.items():
                lines = io.StringIO(newline="")
                table = csv.DictWriter(lines, list(rows[0]))
                table.writeheader()
                table.writerows(rows)
                members.append({"name": f"{address.replace(':', '__')}.csv", "collection": address})
                written.writestr(members[-1]["name"], seal(lines.getvalue().encode()))
            written.writestr("manifest.json", json.dumps({"members": members}))
        path = f"/privacy-request/{number}/package"
        self._packages[f"{path}/give_all"] = seal(json.dumps(package).encode())
        self._packages[f"{path}/give_history"] = files.getvalue()

    def _erase(self, holdings: Sequence[Holding]) -> Report:
        for held in holdings:
            table, pseudonym = held.table, "hex({}) || '@erased.example'"
            if table.dataset == "shop" and table.erased:
                sets = [f"{column} = NULL" for column in table.blanked]
                sets += [f"{column} = 'MASKED'" for column in table.overwritten]
                sets += [f"{column} = {pseudonym.format(column)}" for column in table.pseudonymised]
                rows = ", ".join(map(str, held.rows))
                self._execute_in_shop(f"UPDATE {table.name} SET {', '.join(sets)} WHERE rowid IN ({rows})")
        self._execute_in_support(ERASE_TICKETS)
        self._execute_in_support(ERASE_POSTS)
        if self.extra_statement:
            self._execute_in_shop(self.extra_statement)
        if self.extra_support_statement:
            self._execute_in_support(self.extra_support_statement)
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
        return report

    def _execute_in_shop(self, statement: str) -> None:
        with closing(sqlite3.connect(self.company.folder / "shop.db")) as shop, shop:
            shop.execute(statement)

    def _execute_in_support(self, statement: str) -> None:
        with closing(duckdb.connect(self.company.folder / "support.duckdb")) as support:
            support.execute(statement)


ERASE_TICKETS = """
UPDATE tickets SET subject = 'MASKED', messages = [
  {'author': md5(one.author), 'body': 'MASKED', 'sent_at': one.sent_at} FOR one IN messages]
WHERE customer_ref = 'S-000007'
"""
ERASE_POSTS = """
UPDATE threads SET posts = [
  CASE one.writer WHEN 'S-000007'
  THEN {'writer': one.writer, 'author': md5(one.author), 'body': 'MASKED', 'written_at': one.written_at}
  ELSE one END FOR one IN posts]
"""


def _nest(cells: Mapping[str, object]) -> dict[str, Any]:
    """A flattened row as packages hold it: `posts[0].body` is a member of an element of a list."""
    row: dict[str, Any] = {}
    for cell, value in cells.items():
        inside = re.fullmatch(r"(\w+)\[(\d+)\]\.(\w+)", cell)
        if inside is None:
            row[cell] = value
            continue
        elements = row.setdefault(inside[1], [])
        if int(inside[2]) == len(elements):
            elements.append({})
        elements[int(inside[2])][inside[3]] = value
    return row


@pytest.fixture
def server(tmp_path: Path) -> ImitatedServer:
    return ImitatedServer(build_company(tmp_path / "company", people=60))


def _tell(server: ImitatedServer, *, secret: str = "right", patience: float = 30.0) -> str:
    written = io.StringIO()
    console = Console(file=written, width=110)
    transport = httpx.MockTransport(server)
    home = Home(server.company.folder.parent / "ada", decrypt)
    run_story("http://demo", "root", secret, server.company, home, console, patience=patience, transport=transport)
    return written.getvalue()


def test_the_story_is_short_and_names_what_a_newcomer_wants_to_see(server: ImitatedServer) -> None:
    told = _tell(server)
    assert told.count("✓") == 8
    assert "packages/pri_0-give_all.json" in told
    assert "$ habeas decrypt everything.sealed --key-file key --output everything.json" in told
    assert "posts[0].author: Ada Lindqvist" in told
    assert "MASKED" in told
    assert "the field is read-only" in told
    assert 60 < len(told.splitlines()) < 110


def test_the_person_keeps_her_key_and_what_she_opened_with_it(server: ImitatedServer) -> None:
    _tell(server)
    home = server.company.folder.parent / "ada"
    assert len((home / "key").read_bytes()) == 32
    assert "Ada Lindqvist" in (home / "everything.json").read_text()
    assert "Ada Lindqvist" not in (home / "everything.sealed").read_text()
    assert all(file.stat().st_mode & 0o077 == 0 for file in (home, *home.iterdir()))
    assert not list(home.glob("stranger*"))


def test_a_package_that_is_not_encrypted_is_noticed(server: ImitatedServer) -> None:
    server.seal = lambda content, key: content
    with pytest.raises(DemoFailure, match="values of the person can be read in an encrypted package"):
        _tell(server)


def test_a_package_that_is_only_encoded_is_noticed(server: ImitatedServer) -> None:
    server.seal = lambda content, key: base64.b64encode(content)
    with pytest.raises(DemoFailure, match="values of the person can be read in an encrypted package"):
        _tell(server)


def test_a_package_that_opens_with_any_key_is_noticed(server: ImitatedServer) -> None:
    home = Home(server.company.folder.parent / "ada", lambda file, output, key: output.write_bytes(b"{}") and None)
    home.keep("everything.sealed", b"")
    with pytest.raises(DemoFailure, match=r"everything\.sealed opens with a key that is not hers"):
        home.check_strangers_key("everything.sealed")


def test_a_package_that_her_key_does_not_open_is_noticed(server: ImitatedServer) -> None:
    server.seal = lambda content, key: encrypt(content, key[::-1].encode()).encode()
    with pytest.raises(DemoFailure, match=r"everything\.sealed cannot be decrypted"):
        _tell(server)


def test_a_package_without_one_row_is_noticed(server: ImitatedServer) -> None:
    server.alter_package = lambda package: package["shop:logins"].pop() and None
    with pytest.raises(DemoFailure, match="disagree on the rows of shop:logins"):
        _tell(server)


def test_a_package_without_one_collection_is_noticed(server: ImitatedServer) -> None:
    server.alter_package = lambda package: package.pop("support:tickets") and None
    with pytest.raises(DemoFailure, match="disagree on the collections support:tickets"):
        _tell(server)


def test_a_package_with_somebody_elses_post_is_noticed(server: ImitatedServer) -> None:
    foreign = {"writer": "S-000008", "author": "Somebody Else", "body": "Try lemon and salt."}
    server.alter_package = lambda package: package["support:threads"][0]["posts"].append(foreign)
    with pytest.raises(DemoFailure, match="disagree on the rows of support:threads"):
        _tell(server)


def test_a_csv_package_without_one_line_is_noticed(server: ImitatedServer) -> None:
    server.alter_history = lambda package: package["shop:visits"].pop() and None
    with pytest.raises(DemoFailure, match="disagree on the rows of shop:visits"):
        _tell(server)


def test_a_field_left_as_it_was_is_noticed(server: ImitatedServer) -> None:
    server.extra_statement = "UPDATE reviews SET body = 'I am still here' WHERE customer_id = 7"
    with pytest.raises(DemoFailure, match=r"2 fields are not masked .* shop:reviews\.body"):
        _tell(server)


def test_a_touched_neighbour_is_noticed(server: ImitatedServer) -> None:
    server.extra_statement = "UPDATE customers SET tier = 'none' WHERE id = 8"
    with pytest.raises(DemoFailure, match=r"changed 1 fields that it must not touch: shop:customers\.tier"):
        _tell(server)


def test_a_post_left_as_it_was_is_noticed(server: ImitatedServer) -> None:
    _change_posts(server, "one.writer = 'S-000007' AND id = 2", "'I am still here'")
    with pytest.raises(DemoFailure, match=r"2 fields are not masked .* support:threads\.posts\.body"):
        _tell(server)


def test_a_touched_post_of_somebody_else_in_the_same_thread_is_noticed(server: ImitatedServer) -> None:
    _change_posts(server, "one.writer <> 'S-000007' AND id = 1", "'MASKED'")
    with pytest.raises(DemoFailure, match=r"must not touch: support:threads\.posts\.body"):
        _tell(server)


def test_a_lost_post_is_noticed(server: ImitatedServer) -> None:
    server.extra_support_statement = "UPDATE threads SET posts = posts[2:] WHERE id = 1"
    with pytest.raises(DemoFailure, match="added or removed elements in rows of support:threads"):
        _tell(server)


def _change_posts(server: ImitatedServer, which: str, body: str) -> None:
    changed = f"{{'writer': one.writer, 'author': one.author, 'body': {body}, 'written_at': one.written_at}}"
    server.extra_support_statement = (
        f"UPDATE threads SET posts = [CASE WHEN {which} THEN {changed} ELSE one END FOR one IN posts]"
    )


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
