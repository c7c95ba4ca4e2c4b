"""Settings changed by one process hold in every other one from the next decision on, without a restart."""

from collections.abc import Callable

from memory_shop import Shop, set_up
from postbox import activate

from engine import Engine
from habeas.execution.overrides import present_settings
from habeas.execution.postman import post_due
from habeas.services import configuration
from habeas.store import overrides
from habeas.store.packages import packages_of


def test_a_change_holds_in_another_process_at_once(start: Callable[..., Engine]) -> None:
    changing, other = start(), start()
    other.policy("give", access=["user"], storage="local")
    (before,) = other.submit("give", {"email": "ann@example.com"})
    configuration.change(changing.context, {"execution": {"require_manual_request_approval": True}})
    (held,) = other.submit("give", {"email": "bob@example.com"})
    configuration.reset(changing.context)
    (after,) = other.submit("give", {"email": "eve@example.com"})
    assert [other.view(one).reviewed_by for one in (before, held, after)] == ["system", None, "system"]


def test_duplicates_are_looked_for_as_soon_as_it_is_asked_for(start: Callable[..., Engine]) -> None:
    engine = start()
    engine.policy("give", access=["user"])
    ann = {"email": "ann@example.com", "loyalty_id": "7"}
    (first,) = engine.submit("give", ann)
    configuration.change(engine.context, {"duplicates": {"enabled": True, "identity_kinds": ["loyalty_id"]}})
    (second,) = engine.submit("give", {**ann, "email": "ann@example.org"})
    assert engine.view(second).duplicate_of == first


def test_a_package_goes_to_the_default_storage_of_the_moment(start: Callable[..., Engine]) -> None:
    engine, shop = start(), Shop()
    set_up(engine, shop.connector())
    engine.store("elsewhere")
    configuration.change(engine.context, {"storage": {"default_key": "local"}})
    engine.policy("give_somewhere", access=["user"], storage=None)
    (request,) = engine.submit("give_somewhere", shop.add_person(1))
    configuration.change(engine.context, {"storage": {"default_key": "elsewhere"}})
    engine.run()
    with engine.context.ledger.read() as connection:
        (package,) = packages_of(connection, [request])
    assert package.storage_key == "elsewhere"


def test_people_are_told_as_it_is_set_when_it_happens(start: Callable[..., Engine]) -> None:
    engine = start()
    set_up(engine, Shop().connector())
    box = activate(engine)
    switch = "send_request_receipt_notification"
    for told, organization in ((True, "Shop Ltd."), (False, "Shop Ltd."), (True, "Mall Ltd.")):
        values = {switch: told, "organization_name": organization}
        configuration.change(engine.context, {"notifications": values})
        engine.submit("give", {"email": "ann@example.com"})
        post_due(engine.context)
    assert ["Shop Ltd." in one.text for one in box.taken] == [True, False]
    assert "Mall Ltd." in box.taken[1].text


def test_settings_that_this_version_does_not_know_are_passed_over(start: Callable[..., Engine]) -> None:
    engine = start()
    with engine.context.ledger.write() as connection:
        assert present_settings(engine.context, connection) is engine.context.settings
        unknown = {("later", "thing"): {"a": None}, ("execution", "run_size"): 7}
        overrides.put_overrides(connection, unknown, engine.context.clock.now())
        assert present_settings(engine.context, connection) is engine.context.settings
        known = {("notifications", "organization_name"): "Shop"}
        overrides.put_overrides(connection, known, engine.context.clock.now())
        present = present_settings(engine.context, connection)
    assert (present.notifications.organization_name, present.execution.run_size) == ("Shop", 500)
