"""What a rule picks of a row: flat fields, paths into objects and arrays, and what is empty then."""

import pytest

from habeas.delivery.section import Section
from habeas.domain.dataset import Address

PEOPLE = Address("shop_db", "people")


def pick(row: dict[str, object], *fields: str) -> dict[str, object]:
    return Section(PEOPLE, fields, list(row)).pick(list(row.values()))


def test_a_row_keeps_the_selected_fields_alone_in_their_order() -> None:
    picked = pick({"a": 0, "b": None, "c": "x"}, "b", "a")
    assert picked == {"b": None, "a": 0}
    assert list(picked) == ["b", "a"]


def test_a_path_below_another_one_is_part_of_it() -> None:
    section = Section(PEOPLE, ("home", "home.town", "homes.town"), ("home", "homes"))
    assert section.fields == ("home", "homes.town")
    assert section.pick([{"town": "Oslo", "pin": 5}, [{"town": "Bergen", "pin": 6}]]) == {
        "home": {"town": "Oslo", "pin": 5},
        "homes": [{"town": "Bergen"}],
    }


def test_a_column_whose_name_has_a_dot_is_no_path() -> None:
    assert pick({"a.b": 1, "a": {"b": 2}}, "a.b") == {"a.b": 1}


@pytest.mark.parametrize("empty", [{}, [], [{}], [[], {"x": {}}], {"x": {"y": []}}], ids=str)
def test_nothing_is_picked_of_a_row_that_is_empty_inside(empty: object) -> None:
    assert pick({"a": empty, "b": 1}, "a") == {}
    assert pick({"a": empty, "b": None}, "a", "b") == {"b": None}
