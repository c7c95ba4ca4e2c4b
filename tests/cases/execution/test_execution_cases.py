"""Runs the case files of this folder through the engine (README.md says how to read them), and what no data can say."""

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from cases.planning.test_planning_cases import read_dataset, read_rule
from engine import Engine, opened
from habeas.domain.errors import NotFound, SystemUnavailable
from habeas.domain.request import ActionType
from habeas.services import connections, packages, requests
from habeas.services.dataset_format import dataset_to_json

HERE = Path(__file__).parent
INDEX: dict[str, Any] = yaml.safe_load((HERE / "index.yaml").read_text())
FILES = ("statements.yaml", "execution.yaml")
CASES: list[dict[str, Any]] = [case for name in FILES for case in yaml.safe_load((HERE / name).read_text())]
GIVEN = {
    "id", "title", "datasets", "tables", "rows", "kind", "schema", "rules", "configuration", "person", "breaks",
    "mends",
}  # fmt: skip
EXPECTED = {
    "reads", "writes", "status", "failure", "package", "after", "changed", "skipped", "visits", "lengths",
}  # fmt: skip
ANN = {"email": "ann@example.com"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['title']}")
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    assert set(case) <= GIVEN | EXPECTED, "the case has a key that nobody reads"
    assert set(case) & EXPECTED, "the case expects nothing"
    with _engine(tmp_path) as engine:
        _prepare(engine, case, tmp_path)
        _compare_statements(engine, case)
        if case.get("kind") != "postgres":
            _carry_out(engine, case, tmp_path)


def test_every_id_has_a_case_or_a_reason() -> None:
    covered = {case["id"] for case in CASES}
    ids = {case_id for section in INDEX["ids"].values() for case_id in section}
    assert covered | set(INDEX["elsewhere"]) | set(INDEX["not_yet"]) == ids
    assert not covered & (set(INDEX["elsewhere"]) | set(INDEX["not_yet"]))
    for case_id, place in INDEX["elsewhere"].items():
        text = (HERE.parents[2] / place).read_text()
        assert f"# {case_id}\n" in text or f"- id: {case_id}\n" in text, case_id


def _engine(folder: Path, **execution: Any) -> Any:
    return opened(folder / "data", f"sqlite:///{folder}/ledger.db", **execution)


def _prepare(engine: Engine, case: Mapping[str, Any], folder: Path) -> None:
    """Tables with their rows, connections, datasets, the policy; then what breaks the store."""
    for name, collections in case["datasets"].items():
        dataset = dataclasses.replace(read_dataset(name, collections), schema=case.get("schema"))
        if case.get("kind") == "postgres":
            nowhere = {"host": "127.0.0.1", "port": "1", "dbname": "d", "username": "u", "password": "p"}
            engine.connect(name, "postgres", nowhere)
        else:
            _fill(folder / f"{name}.db", case.get("tables", {})[name], case.get("rows", {}).get(name, {}))
            engine.connect(name, "sqlite", {"path": str(folder / f"{name}.db")})
        engine.describe(name, dataset_to_json(dataset))
    _save_policy(engine, case)
    _run_sql(folder, case.get("breaks", {}))


def _fill(path: Path, tables: Mapping[str, str], rows: Mapping[str, list[list[Any]]]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for table, columns in tables.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
            for row in rows.get(table, ()):
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _run_sql(folder: Path, statements: Mapping[str, str]) -> None:
    for name, statement in statements.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as database, database:
            database.execute(statement)


def _save_policy(engine: Engine, case: Mapping[str, Any]) -> None:
    rules = [read_rule(key, text) for key, text in case.get("rules", {"give": "access user"}).items()]
    access = [category for rule in rules if rule.action is ActionType.ACCESS for category in rule.categories]
    erasure = {rule.masking.strategy: rule.categories for rule in rules if rule.masking}
    for strategy in erasure:
        configuration = case.get("configuration", {}) if strategy != "null_rewrite" else {}
        engine.policy("policy", None, {strategy: erasure[strategy]}, configuration=configuration)
    if access or not erasure:
        engine.policy("policy", access)


def _compare_statements(engine: Engine, case: Mapping[str, Any]) -> None:
    if not {"reads", "writes"} & set(case):
        return
    plan, reads, writes = requests.make_preview(engine.context, "policy", list(case.get("person", ANN)), None)
    shown_reads = {str(address): statement for address, statement in reads.items()}
    shown_writes = {str(address): statement for address, statement in writes.items()}
    for address, statement in case.get("reads", {}).items():
        assert shown_reads[address] == statement
    if "writes" in case:
        assert shown_writes == case["writes"]
    assert plan.nodes


def _carry_out(engine: Engine, case: Mapping[str, Any], folder: Path) -> None:
    (request,) = engine.submit("policy", case.get("person", ANN))
    engine.run()
    if "failure" in case:
        view = engine.view(request)
        assert view.status == "error"
        assert case["failure"] in str(view.failure)
    if "mends" in case:
        _run_sql(folder, case["mends"])
        requests.retry(engine.context, request)
        engine.run()
    view = engine.view(request)
    assert view.status == case.get("status", "complete"), view.failure
    if "package" in case:
        assert json.loads(engine.package(request, "policy-give")) == case["package"]
    for name, tables in case.get("after", {}).items():
        for table, rows in tables.items():
            assert _rows(folder, name, table) == rows
    if "lengths" in case:
        (length,) = case["lengths"].values()
        ann, bob = _rows(folder, "shop", "members")
        assert (len(ann[2]), bob[2]) == (length, "Bob")
        assert set(ann[2]) <= set("0123456789abcdef")
    if "changed" in case:
        counts = engine.counts(request)
        assert {address: counts[address]["changed"] for address in case["changed"]} == case["changed"]
    if "skipped" in case:
        places = engine.counts(request).values()
        assert {entry["path"]: entry["reason"] for place in places for entry in place["skipped"]} == case["skipped"]
    for action, expected in case.get("visits", {}).items():
        items = requests.read_log(engine.context, request, 1, 1000).items
        done = [i for i in items if i.action_type == action and i.status == "complete" and i.connection_key]
        assert [f"{item.dataset_name}:{item.collection_name}" for item in done] == expected


def _rows(folder: Path, name: str, table: str) -> list[list[Any]]:
    with closing(sqlite3.connect(folder / f"{name}.db")) as database:
        return [list(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY rowid")]


# What no data can say: stores that fail n times, ledgers that are changed between two tries.

MEMBERS = next(case for case in CASES if case["id"] == "X09")


class _Failing:
    """A connector that is away for every look-up."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read(self, lookup: Any) -> Any:
        self.calls += 1
        raise SystemUnavailable("the store is away", hint="wait for it")


# X01
def test_a_store_that_always_fails_is_asked_once_more_than_the_retries(tmp_path: Path) -> None:
    with _engine(tmp_path, task_retry_count=5) as engine:
        _prepare(engine, MEMBERS, tmp_path)
        failing = _Failing(engine.context.connectors.get("shop"))
        connections.delete_connection(engine.context, "shop")
        engine.plug("shop", failing)
        engine.describe("shop", dataset_to_json(read_dataset("shop", MEMBERS["datasets"]["shop"])))
        (request,) = engine.submit("policy", ANN)
        engine.run()
        statuses = [status for _, _, status in engine.log(request)]
        assert failing.calls == 6
        assert statuses == ["in_processing", *["retrying"] * 5, "error"]


# X05
def test_an_unknown_request_is_refused(tmp_path: Path) -> None:
    with _engine(tmp_path) as engine:
        for call in (requests.find_request, requests.report, packages.access_results):
            with pytest.raises(NotFound, match="pri_nobody"):
                call(engine.context, "pri_nobody")
        with pytest.raises(NotFound, match="pri_nobody"):
            requests.retry(engine.context, "pri_nobody")


# X14
def test_an_erasure_without_the_rows_of_its_access_names_the_collection(tmp_path: Path) -> None:
    with _engine(tmp_path) as engine:
        _prepare(engine, MEMBERS, tmp_path)
        _run_sql(tmp_path, {"shop": "CREATE TRIGGER no BEFORE UPDATE ON items BEGIN SELECT RAISE(ABORT, 'no'); END"})
        (request,) = engine.submit("policy", ANN)
        engine.run()
        assert engine.view(request).status == "error"
        with engine.context.ledger.write() as ledger:
            ledger.exec_driver_sql("DELETE FROM outcome WHERE action = 'access' AND collection = 'shop:orders'")
        _run_sql(tmp_path, {"shop": "DROP TRIGGER no"})
        requests.retry(engine.context, request)
        engine.run()
        assert "shop:orders was not visited" in str(engine.view(request).failure)
        assert _rows(tmp_path, "shop", "orders") == MEMBERS["rows"]["shop"]["orders"]


# X18
def test_a_connection_deleted_before_the_retry_leaves_its_collections_out(tmp_path: Path) -> None:
    case = {
        **MEMBERS,
        "datasets": {
            "shop": {"members": {"id": "key, integer", "mail": "identity email, user.contact.email"}},
            "desk": {
                "calls": {"id": "key, integer", "member": "integer, from shop.members.id", "words": "user.content"}
            },
        },
        "tables": {
            "shop": {"members": "id integer primary key, mail text"},
            "desk": {"calls": "id integer primary key, member integer, words text"},
        },
        "rows": {"shop": {"members": [[1, "ann@example.com"]]}},
        "rules": {"give": "access user"},
        "breaks": {"desk": "ALTER TABLE calls RENAME TO gone"},
    }
    with _engine(tmp_path) as engine:
        _prepare(engine, case, tmp_path)
        (request,) = engine.submit("policy", ANN)
        engine.run()
        assert engine.view(request).status == "error"
        connections.delete_connection(engine.context, "desk")
        requests.retry(engine.context, request)
        engine.run()
        assert engine.view(request).status == "complete"
        assert json.loads(engine.package(request, "policy-give")) == {"shop:members": [{"mail": "ann@example.com"}]}


# X19
def test_a_dataset_added_between_two_tries_is_visited_by_the_second(tmp_path: Path) -> None:
    broken = {**MEMBERS, "breaks": {"shop": "ALTER TABLE items RENAME TO gone"}, "rules": {"give": "access user"}}
    with _engine(tmp_path) as engine:
        _prepare(engine, broken, tmp_path)
        (request,) = engine.submit("policy", ANN)
        engine.run()
        _run_sql(tmp_path, {"shop": "ALTER TABLE gone RENAME TO items"})
        _fill(tmp_path / "desk.db", {"calls": "id integer primary key, member integer"}, {"calls": [[1, 1]]})
        engine.connect("desk", "sqlite", {"path": str(tmp_path / "desk.db")})
        calls = read_dataset("desk", {"calls": {"id": "key, user.content", "member": "integer, from shop.members.id"}})
        engine.describe("desk", dataset_to_json(calls))
        requests.retry(engine.context, request)
        engine.run()
        assert engine.view(request).status == "complete"
        assert json.loads(engine.package(request, "policy-give"))["desk:calls"] == [{"id": 1}]
        assert ("calls", "access", "retrying") in engine.log(request), "the log says that it is new"
        assert engine.log(request).count(("members", "access", "complete")) == 1, "what was read is not read again"
        (later,) = engine.submit("policy", ANN)
        engine.run()
        assert json.loads(engine.package(later, "policy-give"))["desk:calls"] == [{"id": 1}]
