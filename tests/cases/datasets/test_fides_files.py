"""Files as people write them for Fides (`fides/`) load unchanged, and lead where they say (data-plane §9.1, §9.2)."""

from pathlib import Path

import pytest

from habeas.domain.dataset import Address
from habeas.domain.policy import Masking, Policy, Rule
from habeas.domain.request import ActionType
from habeas.planning.plan import Plan
from habeas.planning.planner import ConnectionState, PlacedDataset, PlanInput, StrategyFacts, check_datasets, make_plan
from habeas.services.dataset_format import dataset_to_json, parse_dataset, parse_datasets

FILES = sorted((Path(__file__).parent / "fides").glob("*.yml"))
DATASETS = {file.stem: parse_datasets(file.read_text(), source=file.name)[0] for file in FILES}


@pytest.fixture(scope="module")
def plan() -> Plan:
    rules = (
        Rule("give", "Give", ActionType.ACCESS, ("user",)),
        Rule("wipe", "Wipe", ActionType.ERASURE, ("user.name", "user.contact"), masking=Masking("hash")),
    )
    placed = tuple(PlacedDataset(dataset, ConnectionState(key, "postgres")) for key, dataset in DATASETS.items())
    return make_plan(PlanInput(Policy("p", "P", rules), placed, frozenset({"email"}), None, {"hash": StrategyFacts()}))


def links(plan: Plan, collection: str) -> set[str]:
    node = plan.node(Address.parse(f"harbour_{collection}"))
    return {f"{link.field} = {link.identity or f'{link.source}.{link.source_field}'}" for link in node.links}


def test_nothing_is_lost_on_the_way_to_the_api_form_and_back() -> None:
    assert [len(dataset.collections) for dataset in DATASETS.values()] == [11, 9]
    for dataset in DATASETS.values():
        assert parse_dataset(dataset_to_json(dataset)) == dataset
    check_datasets(tuple(DATASETS.values()))


def test_every_collection_is_reached_with_an_email_address(plan: Plan) -> None:
    assert len(plan.nodes) == 20
    assert plan.skipped == ()


def test_links_go_through_arrays_and_objects(plan: Plan) -> None:
    assert links(plan, "docs:passenger_details") == {"passenger_id = harbour_db:passenger.id"}
    assert links(plan, "docs:feedback") == {"passenger_information.email = email"}
    assert links(plan, "docs:internal_profile") == {
        "passenger_identifiers.derived_emails = email",
        "passenger_identifiers.internal_id = harbour_docs:feedback.passenger_information.internal_passenger_id",
    }
    assert links(plan, "docs:crossings") == {
        "passenger_information.passenger_ids = harbour_docs:passenger_details.travel_identifiers"
    }
    assert links(plan, "docs:conversations") == {"thread.comment = harbour_docs:passenger_details.comments.comment_id"}
    assert links(plan, "docs:wallet") == {"ccn = harbour_docs:conversations.thread.ccn"}
    (owner,) = plan.node(Address("harbour_docs", "rewards")).links
    assert owner.all_elements


def test_the_package_and_the_masks_name_leaves(plan: Plan) -> None:
    given = {str(item.address): item.fields for item in plan.access[0].selections}
    assert given["harbour_docs:passenger_details"] == (
        "birthday", "children", "comments.text", "emergency_contacts.name", "emergency_contacts.phone", "gender",
        "passenger_id", "workplace_info.direct_reports", "workplace_info.position",
    )  # fmt: skip
    assert given["harbour_db:passenger"] == ("address_id", "created", "email", "id", "name")  # the whole row
    assert "harbour_db:product" not in given
    masked = {str(item.address): [mask.field for mask in item.maskings] for item in plan.erasure}
    assert masked["harbour_docs:passenger_details"] == [
        "emergency_contacts.name",
        "emergency_contacts.phone",
        "workplace_info.direct_reports",
    ]
    order = [str(item.address) for item in plan.erasure]
    assert order.index("harbour_db:complaint") < order.index("harbour_db:visit")
    assert [str(item.address) for item in plan.erasure if item.delete] == ["harbour_db:visit"]
