"""Datasets: owned by one connection, checked by the planner's code, refreshed with the store's description."""

from dataclasses import replace

import pytest
from tests.unit.services.wiring import MEMBERS, FakeStore, dataset_body

from habeas.domain.errors import DatasetError, NotFound, SystemUnavailable
from habeas.domain.ports import ColumnSketch, Sketch
from habeas.execution.context import Context
from habeas.execution.planning_input import load_datasets
from habeas.planning.plan_input import AccessLevel
from habeas.services import connections, datasets
from habeas.services.connections import ConnectionDraft


@pytest.fixture(autouse=True)
def shop(context: Context) -> None:
    names = ("shop", "desk")
    drafts = [ConnectionDraft(name=name, connection_type="file", access=AccessLevel.WRITE) for name in names]
    connections.save_connections(context, drafts)


def give_secrets(context: Context, key: str = "shop") -> None:
    connections.save_secrets(context, key, {"path": "shop.db"}, verify=False)


def reference(dataset: str, field: str) -> dict[str, str]:
    return {"dataset": dataset, "field": field, "direction": "from"}


def test_a_dataset_is_stored_for_people_and_for_the_planner(context: Context) -> None:
    result = datasets.save_datasets(context, "shop", [dataset_body()])
    assert not result.failed
    assert datasets.find_dataset(context, "shop", "shop_db")["fides_key"] == "shop_db"
    with context.ledger.read() as connection:
        (placed,) = load_datasets(connection, context.connection_types)
    assert (placed.connection.key, placed.dataset.key) == ("shop", "shop_db")


def test_one_bad_dataset_fails_alone(context: Context) -> None:
    bad = dataset_body("bad_db")
    bad["collections"][0]["fields"][1]["data_categories"] = ["user.nonsense"]
    result = datasets.save_datasets(context, "shop", [bad, dataset_body()])
    assert [body["fides_key"] for body in result.succeeded] == ["shop_db"]
    assert result.failed[0].data == bad
    assert "user.nonsense" in result.failed[0].message


def test_a_dataset_of_another_connection_is_not_taken(context: Context) -> None:
    datasets.save_datasets(context, "shop", [dataset_body()])
    result = datasets.save_datasets(context, "desk", [dataset_body()])
    assert "belongs to connection 'shop'" in result.failed[0].message
    with pytest.raises(NotFound):
        datasets.find_dataset(context, "desk", "shop_db")


def test_references_may_lead_to_others_of_the_same_call(context: Context) -> None:
    first = dataset_body("a_db", references=[reference("b_db", "members.extra")])
    result = datasets.save_datasets(context, "shop", [first, dataset_body("b_db", "extra")])
    assert not result.failed


def test_a_bad_reference_fails_its_own_dataset_only(context: Context) -> None:
    bad = dataset_body("a_db", references=[reference("b_db", "members.nope")])
    result = datasets.save_datasets(context, "shop", [dataset_body("b_db"), bad])
    assert [body["fides_key"] for body in result.succeeded] == ["b_db"]
    assert "nope" in result.failed[0].message


def test_the_description_is_fetched_and_checked(context: Context, store: FakeStore) -> None:
    give_secrets(context)
    result = datasets.save_datasets(context, "shop", [dataset_body("shop_db", "not_there"), dataset_body("b_db")])
    assert [body["fides_key"] for body in result.succeeded] == ["b_db"]
    assert "no column 'not_there'" in result.failed[0].message
    with context.ledger.read() as connection:
        (placed,) = load_datasets(connection, context.connection_types)
    assert placed.connection.sketch == store.sketch


@pytest.mark.parametrize("failure", [SystemUnavailable("down"), RuntimeError("driver")])
def test_a_store_that_is_down_does_not_stop_saving(context: Context, store: FakeStore, failure: Exception) -> None:
    store.failure = failure
    give_secrets(context)
    assert not datasets.save_datasets(context, "shop", [dataset_body("shop_db", "any")]).failed


# D30
def test_validation_says_whether_it_can_be_walked_and_stores_nothing(context: Context) -> None:
    body = dataset_body()
    good = datasets.validate_dataset(context, "shop", body)
    assert (good.traversal_details.is_traversable, good.traversal_details.msg) == (True, None)
    del body["collections"][0]["fields"][1]["fides_meta"]
    bad = datasets.validate_dataset(context, "shop", body)
    assert not bad.traversal_details.is_traversable
    assert "shop_db:members" in (bad.traversal_details.msg or "")
    assert datasets.list_datasets(context, "shop", 1, 50).total == 0
    assert not datasets.save_datasets(context, "shop", [body]).failed


def test_validation_tells_of_a_ring_in_the_order_of_erasure(context: Context) -> None:
    body = dataset_body()
    body["collections"][0]["fides_meta"] = {"erase_after": ["shop_db.members"]}
    said = datasets.validate_dataset(context, "shop", body).traversal_details
    assert not said.is_traversable
    assert "erase_after" in (said.msg or "")


@pytest.fixture
def server(context: Context) -> str:
    """A connection that names its database; returns its key."""
    connections.save_connections(
        context, [ConnectionDraft(name="hall", connection_type="server", access=AccessLevel.WRITE)]
    )
    return "hall"


@pytest.mark.parametrize(
    ("secrets", "namespace", "part"),
    [
        ({"host": "h", "dbname": "crm", "password": "p"}, {"database_name": "crm"}, ""),
        ({"host": "h", "dbname": "crm", "password": "p"}, {"database_name": "old"}, "names database 'old'"),
        ({"url": "postgresql://u:p@h/crm"}, {"database_name": "old"}, "names database 'old'"),
        ({"url": "postgresql://u:p@h/crm"}, {"database_name": "crm"}, ""),
        ({"url": "no url"}, {"database_name": "crm"}, ""),
        ({"url": "postgresql://u:p@h/crm"}, {"database_name": "old", "connection_type": "snowflake"}, ""),
    ],
)
def test_a_namespace_must_name_the_database_of_its_connection(
    context: Context, store: FakeStore, server: str, secrets: dict[str, str], namespace: dict[str, str], part: str
) -> None:
    store.sketch = None
    connections.save_secrets(context, server, secrets, verify=False)
    body = {**dataset_body(), "fides_meta": {"namespace": {"schema": "public", **namespace}}}
    result = datasets.save_datasets(context, server, [body])
    assert [part in item.message for item in result.failed] == ([True] if part else [])
    if part:
        with pytest.raises(DatasetError, match=part):
            datasets.validate_dataset(context, server, body)


def test_what_is_nested_is_checked_and_stored_whole(context: Context, store: FakeStore) -> None:
    home = ColumnSketch("home", "struct", False, fields=(ColumnSketch("town", "text", True),))
    store.sketch = Sketch((replace(MEMBERS.tables[0], columns=(*MEMBERS.tables[0].columns, home)),))
    give_secrets(context)
    body = dataset_body()
    body["collections"][0]["fields"].append({"name": "home", "fields": [{"name": "town"}, {"name": "street"}]})
    (failed,) = datasets.save_datasets(context, "shop", [body]).failed
    assert "shop_db.members.home.street: the objects here have no member 'street'" in failed.message
    del body["collections"][0]["fields"][-1]["fields"][1]
    assert not datasets.save_datasets(context, "shop", [body]).failed
    with context.ledger.read() as connection:
        (placed,) = load_datasets(connection, context.connection_types)
    assert list(placed.dataset.collections[0].paths()) == ["home", "home.town", "mail", "no"]


def test_a_reference_of_another_dataset_inside_an_object_does_not_matter(context: Context) -> None:
    nested = dataset_body("a_db")
    link = {"dataset": "far_db", "field": "members.extra"}
    nested["collections"][0]["fields"].append(
        {"name": "home", "fields": [{"name": "town", "fides_meta": {"references": [link]}}]}
    )
    assert not datasets.save_datasets(context, "shop", [dataset_body("far_db", "extra"), nested]).failed
    assert not datasets.save_datasets(context, "shop", [dataset_body("far_db")]).failed


def test_validation_refuses_what_would_not_be_saved(context: Context) -> None:
    with pytest.raises(DatasetError):
        datasets.validate_dataset(context, "shop", {"fides_key": "shop_db"})


def test_deleting_a_connection_deletes_its_datasets(context: Context) -> None:
    datasets.save_datasets(context, "shop", [dataset_body()])
    connections.delete_connection(context, "shop")
    assert not datasets.save_datasets(context, "desk", [dataset_body()]).failed


def test_unknown_datasets_and_connections_are_not_found(context: Context) -> None:
    for act in (datasets.find_dataset, datasets.delete_dataset):
        with pytest.raises(NotFound):
            act(context, "shop", "nope")
    with pytest.raises(NotFound):
        datasets.save_datasets(context, "nope", [dataset_body()])
    with pytest.raises(NotFound):
        datasets.list_datasets(context, "nope", 1, 50)


def test_a_deleted_dataset_is_gone(context: Context) -> None:
    datasets.save_datasets(context, "shop", [dataset_body()])
    datasets.delete_dataset(context, "shop", "shop_db")
    assert datasets.list_datasets(context, "shop", 1, 50).items == []
