"""Connections: keys, types, secrets that go in and never come out, tests that keep the description."""

import pytest
from tests.unit.services.wiring import MEMBERS, FakeStore

from habeas.domain.errors import NotFound, SystemUnavailable
from habeas.execution.context import Context
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections
from habeas.services.connections import ConnectionDraft, ConnectionFilter, LastTest, Verdict
from habeas.services.fields import InvalidFields
from habeas.store import configurations, tables

PASSWORD = "hunter2-is-secret"


def save(context: Context, *drafts: ConnectionDraft) -> list[str]:
    return [view.key for view in connections.save_connections(context, drafts).succeeded]


def draft(name: str = "Shop", kind: str = "file", **values: object) -> ConnectionDraft:
    return ConnectionDraft(name=name, connection_type=kind, access=AccessLevel.WRITE, **values)  # type: ignore[arg-type]


def read_sketch(context: Context, key: str) -> object:
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.connections, key)
    assert record is not None
    return configurations.decode_sketch(record.sketch)


def test_a_key_is_made_from_the_name_and_saving_again_updates(context: Context) -> None:
    assert save(context, draft("Main  Shop")) == ["main_shop"]
    save(context, draft("Other name", key="main_shop", description="the shop"))
    assert connections.find_connection(context, "main_shop").description == "the shop"


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a b", "é", "x" * 129])
def test_a_malformed_key_fails_alone(context: Context, key: str) -> None:
    result = connections.save_connections(context, [draft(key=key), draft("Fine")])
    assert [view.key for view in result.succeeded] == ["fine"]
    assert "key is malformed" in result.failed[0].message


def test_dots_are_allowed_in_keys(context: Context) -> None:
    assert save(context, draft(key="shop.v2")) == ["shop.v2"]


def test_an_unknown_type_refuses_the_call(context: Context) -> None:
    with pytest.raises(InvalidFields, match=r"1\.connection_type"):
        connections.save_connections(context, [draft(), draft(kind="oracle9")])
    assert connections.list_connections(context, ConnectionFilter(), 1, 50).total == 0


def test_the_type_of_a_connection_stays(context: Context) -> None:
    save(context, draft())
    result = connections.save_connections(context, [draft(kind="server")])
    assert not result.succeeded
    assert "another type" in result.failed[0].message


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({}, [()]),
        ({"host": "h"}, [("dbname",), ("password",)]),
        ({"url": "u", "host": "h"}, [()]),
        ({"url": "u", "driver": "x"}, [("driver",)]),
        ({"url": None, "host": "h", "dbname": "d"}, [("password",)]),
    ],
)
def test_secrets_must_fit_the_type(context: Context, given: dict[str, str | int | None], places: list[object]) -> None:
    save(context, draft(kind="server"))
    with pytest.raises(InvalidFields) as caught:
        connections.save_secrets(context, "shop", given)
    assert [problem.place for problem in caught.value.problems] == places


def test_a_good_test_keeps_the_description(context: Context, store: FakeStore) -> None:
    save(context, draft(kind="server"))
    secrets: dict[str, str | int | None] = {"host": "h", "dbname": "d", "password": PASSWORD, "port": 5432}
    result = connections.save_secrets(context, "shop", secrets)
    assert result.test_status is Verdict.SUCCEEDED
    assert store.seen[-1]["port"] == "5432"
    assert read_sketch(context, "shop") == MEMBERS
    view = connections.find_connection(context, "shop")
    assert view.last_test_succeeded is True
    assert PASSWORD not in repr(view)


def test_secrets_are_kept_although_the_test_fails(context: Context, store: FakeStore) -> None:
    save(context, draft())
    store.failure = SystemUnavailable("no such file", hint="check the path")
    result = connections.save_secrets(context, "shop", {"path": "/data/shop.db"})
    assert (result.test_status, result.failure_reason) == (Verdict.FAILED, "no such file (check the path)")
    assert connections.find_connection(context, "shop").last_test_succeeded is False
    store.failure = None
    connections.save_secrets(context, "shop", {"path": "/data/shop.db"})
    assert connections.try_connection(context, "shop").test_status is Verdict.SUCCEEDED


def test_a_drivers_own_words_are_not_shown(
    context: Context, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    save(context, draft())
    store.failure = RuntimeError(f"login failed for {PASSWORD}")
    result = connections.save_secrets(context, "shop", {"path": PASSWORD})
    assert result.test_status is Verdict.FAILED
    assert PASSWORD not in repr(result) + caplog.text


def test_secrets_are_sealed_in_the_ledger(context: Context) -> None:
    save(context, draft())
    connections.save_secrets(context, "shop", {"path": PASSWORD}, verify=False)
    with context.ledger.read() as connection:
        record = configurations.find(connection, tables.connections, "shop")
    assert record is not None
    assert PASSWORD.encode() not in record.sealed_secrets
    place = configurations.connection_place("shop")
    assert configurations.open_json(context.ledger.sealer, record.sealed_secrets, place) == {"path": PASSWORD}


def test_new_secrets_make_the_last_test_void(context: Context) -> None:
    save(context, draft())
    connections.save_secrets(context, "shop", {"path": "a"})
    assert connections.save_secrets(context, "shop", {"path": "b"}, verify=False).test_status is Verdict.SKIPPED
    assert connections.find_connection(context, "shop").last_test_succeeded is None


def test_a_connection_without_secrets_is_not_tested(context: Context) -> None:
    save(context, draft())
    assert connections.try_connection(context, "shop").test_status is Verdict.SKIPPED


def test_listings_are_filtered(context: Context) -> None:
    save(context, draft("Shop"), draft("Desk", "server", disabled=True), draft("100% sure", key="sure"))
    connections.save_secrets(context, "shop", {"path": "a"})

    def listed(**wanted: object) -> list[str]:
        found = connections.list_connections(context, ConnectionFilter(**wanted), 1, 50)  # type: ignore[arg-type]
        return [view.key for view in found.items]

    assert listed() == ["desk", "shop", "sure"]
    assert listed(search="SHO") == ["shop"]
    assert listed(search="%") == ["sure"]
    assert listed(disabled=True) == ["desk"]
    assert listed(connection_types=("server",)) == ["desk"]
    assert listed(test_status=LastTest.PASSED) == ["shop"]
    assert listed(test_status=LastTest.UNTESTED) == ["desk", "sure"]
    assert listed(test_status=LastTest.FAILED) == []


def test_unknown_connections_are_not_found(context: Context) -> None:
    for act in (connections.find_connection, connections.delete_connection, connections.try_connection):
        with pytest.raises(NotFound):
            act(context, "nope")
    with pytest.raises(NotFound):
        connections.save_secrets(context, "nope", {"path": "a"})


def test_every_change_makes_plans_out_of_date(context: Context) -> None:
    versions = []
    for act in (
        lambda: save(context, draft()),
        lambda: connections.save_secrets(context, "shop", {"path": "a"}, verify=False),
        lambda: connections.try_connection(context, "shop"),
        lambda: connections.delete_connection(context, "shop"),
    ):
        act()
        with context.ledger.read() as connection:
            versions.append(configurations.read_version(connection))
    assert versions == sorted(set(versions))
